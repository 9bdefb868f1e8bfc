// Package bake turns a recipe into a build: it launches a builder instance from
// the recipe's source image, provisions it over SSH and makes an AMI of it. It
// speaks Packer's language (the keys of amazon-ebs, its provisioners and its
// template functions) and is the only room that knows Packer.
//
// It promises: a build whose inputs are all unchanged is found by its
// fingerprint and not baked again; the builder's host key is known before the
// first connection; whatever a bake makes besides the AMI is gone when it ends,
// however it ends, or is named in the error with the command that removes it,
// carries its run and expiry in tags, and is removed by a later bake; nothing
// that was put into the builder in order to bake is in the image.
//
// A recipe with tests makes a candidate: an AMI that carries an expiry and no
// fingerprint until an instance of it has passed them. The next bake of the same
// inputs goes on with a candidate whose bake died.
//
// It never promotes what it made.
package bake

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/google/uuid"
)

// Options say where and how a Baker bakes.
type Options struct {
	Project     string            // name
	Dir         string            // the project's folder, absolute
	Tags        map[string]string // the project's and the environment's
	Environment string            // whose account and region the bake happens in
	Cloud       *cloud.Cloud
	Sink        event.Sink
	Run         string // ID of the run
	Rebake      bool   // bake even where an unchanged build exists
	KeepFailed  bool   // keep an AMI that fails its tests, marked as failed
	ToolVersion string
	// CallerAddress says from where builders are reached, for the temporary
	// security group of a recipe without temporary_security_group_source_cidrs.
	// When nil it is found out as callerAddress describes.
	CallerAddress func(context.Context) (netip.Addr, error)
	// DeadRun tells whether a run is known to have ended, so that what it left
	// may be removed before it expires. Nil knows of none.
	DeadRun func(run string) bool
	// UserData gives the user data that an environment gives to instances of an
	// image, for tests that name it: that of the definition at an address, or of
	// the one that runs the image when address is empty.
	UserData func(ctx context.Context, image, environment, address string) ([]byte, error)
	// Pause waits until somebody at a terminal lets a breakpoint go on. Nil
	// where nobody is there.
	Pause func(context.Context) error
}

// Build is one AMI made from a recipe.
type Build struct {
	Image  string `json:"image"`
	Region string `json:"region"`
	AMI    string `json:"ami"`
	// Architecture is the AMI's. Architectures are all AMIs of a build for several,
	// the first of which is this one: version and fingerprint are the same.
	Architecture  string  `json:"architecture"`
	Architectures []Build `json:"architectures,omitempty"`

	Version     string     `json:"version"`
	Fingerprint string     `json:"fingerprint"`
	Name        string     `json:"name"`
	SourceAMI   string     `json:"source_ami"`
	Reused      bool       `json:"reused"`
	Base        string     `json:"base,omitempty"` // the image of a step that the builder was launched from
	Created     time.Time  `json:"created"`
	Steps       []StepTime `json:"steps,omitempty"`
	Inputs      []Input    `json:"inputs,omitempty"`
	Copies      []Copy     `json:"copies,omitempty"` // made or found by this bake
	// Tests are the results of the recipe's tests, where this bake carried them out.
	Tests []TestResult `json:"tests,omitempty"`
}

// Each gives a build's AMIs one by one, each with what was done for it: the build
// itself, unless it is for several architectures.
func (b Build) Each() []Build {
	if len(b.Architectures) == 0 {
		return []Build{b}
	}
	return b.Architectures
}

// AMIs names a build's AMIs, with their architectures where there are several.
func (b Build) AMIs() string {
	var names []string
	for _, one := range b.Architectures {
		names = append(names, one.AMI+" for "+one.Architecture)
	}
	if len(names) == 0 {
		return b.AMI
	}
	return strings.Join(names, ", ")
}

// StepTime is how long a step took, and what it waited for the longest.
type StepTime struct {
	Name          string  `json:"name"`
	Seconds       float64 `json:"seconds"`
	Waited        string  `json:"waited,omitempty"`         // for what
	WaitedSeconds float64 `json:"waited_seconds,omitempty"` // of Seconds
}

// Input is one input of a fingerprint. Value is empty for a file and for
// anything that may hold a secret. The digest of what holds one is made with a
// key that stays on this machine, since a short secret is soon guessed from a
// plain one.
type Input struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Value  string `json:"value,omitempty"`
	secret bool
}

// Baker bakes images in one account and region. It may be used from many
// goroutines; the images that it bakes share what they look up.
type Baker struct {
	options Options

	own    memo[[]types.Image] // builds of this project, all images, as the run began
	swept  memo[struct{}]
	caller memo[netip.Addr]
	commit memo[commit]

	// tagsLater says that the endpoint cannot tag snapshots as an AMI is made.
	tagsLater atomic.Bool

	files sync.Mutex // local files that bakes share

	mu      sync.Mutex
	sources map[string]*memo[[]types.Image] // by filter
	// parameters are what SSM parameters hold that recipes start from, by name.
	parameters map[string]*memo[string]
	made       []types.Image            // builds since, and old ones that were waited for
	gates      map[string]chan struct{} // one bake of an image at a time
	shares     map[string]*shared       // by what it is and must be like
	regions    map[string]*cloud.Cloud
	active     int             // bakes under way
	stale      map[string]bool // images that Explain found would be baked

	nonce     string // tells what this Baker makes from what others of the run make
	stop      *batch
	terminate *batch
}

// New returns a Baker that has made no call yet.
func New(o Options) *Baker {
	if o.Sink == nil {
		o.Sink = event.Discard
	}
	b := &Baker{
		options:    o,
		own:        newMemo[[]types.Image](),
		swept:      newMemo[struct{}](),
		caller:     newMemo[netip.Addr](),
		commit:     newMemo[commit](),
		sources:    map[string]*memo[[]types.Image]{},
		parameters: map[string]*memo[string]{},
		gates:      map[string]chan struct{}{},
		shares:     map[string]*shared{},
		regions:    map[string]*cloud.Cloud{},
		stale:      map[string]bool{},
		nonce:      uuid.NewString(),
	}
	b.stop = newBatch(func(ctx context.Context, ids []string) error {
		_, err := o.Cloud.EC2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: ids})
		return err
	})
	b.terminate = newBatch(func(ctx context.Context, ids []string) error {
		_, err := o.Cloud.EC2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids})
		return err
	})
	return b
}

// count notes a bake that begins (1) or ends (-1).
func (b *Baker) count(by int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active += by
}

// alone tells whether one bake at most is under way, so that there is nobody to
// share a call with.
func (b *Baker) alone() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.active < 2
}

// enter waits until no other bake of an image is under way here, so that the
// second of two finds the first one's build.
func (b *Baker) enter(ctx context.Context, image string) (leave func(), err error) {
	b.mu.Lock()
	gate, ok := b.gates[image]
	if !ok {
		gate = make(chan struct{}, 1)
		b.gates[image] = gate
	}
	b.mu.Unlock()
	select {
	case gate <- struct{}{}:
		return func() { <-gate }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// memo is a value that is looked up once, by whoever needs it first; the others
// wait for that. A failure is not kept.
type memo[T any] struct {
	gate  chan struct{}
	state *memoState[T]
}

type memoState[T any] struct {
	known bool
	value T
}

func newMemo[T any]() memo[T] {
	return memo[T]{gate: make(chan struct{}, 1), state: &memoState[T]{}}
}

func (m memo[T]) get(ctx context.Context, find func(context.Context) (T, error)) (T, error) {
	select {
	case m.gate <- struct{}{}:
		defer func() { <-m.gate }()
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
	if m.state.known {
		return m.state.value, nil
	}
	value, err := find(ctx)
	if err == nil {
		m.state.value, m.state.known = value, true
	}
	return value, err
}
