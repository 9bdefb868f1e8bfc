// Package promote moves builds up the ladder of environments. Which build is
// current in an environment is a pointer: an SSM parameter that holds an AMI.
// Its history says who made which build current, when and why, and is what
// rollback walks back.
//
// A build is moved, never rebuilt. Every command here may be killed and run
// again: a move that is done already is not done twice. The package never
// launches, bakes or deletes anything.
package promote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/lease"
	"github.com/goldline-dev/goldline/internal/project"
)

// Options are what a Promoter works with.
type Options struct {
	Project  *project.Project
	Provider *cloud.Provider
	Sink     event.Sink // nothing is told when nil
	Run      string     // kept with every move
	// Lease keeps other runs out of the environments; nil keeps none out.
	Lease *lease.Keeper
}

// Promoter moves builds and answers what is where. It reads the builds of an
// account and region, and the pointers of an environment, once, and again only
// when it changed them or misses something. It is safe for concurrent use.
type Promoter struct {
	project  *project.Project
	provider *cloud.Provider
	sink     event.Sink
	run      string
	lease    *lease.Keeper
	// settle is how long a pointer may take to show what was written to it.
	settle time.Duration
	opened *opened
}

// opened is what was looked up so far.
type opened struct {
	mu     sync.Mutex
	places map[string]*place // by environment
	stocks map[stockKey]*stock
	// leftOut are the environments that could not be opened when all were.
	leftOut []LeftOut
}

type stockKey struct{ account, region, role string }

// New returns a Promoter that has made no call yet.
func New(o Options) *Promoter {
	if o.Sink == nil {
		o.Sink = event.Discard
	}
	return &Promoter{
		project: o.Project, provider: o.Provider, sink: event.Scope(o.Sink, "promote", ""), run: o.Run, lease: o.Lease, settle: time.Minute,
		opened: &opened{places: map[string]*place{}, stocks: map[stockKey]*stock{}},
	}
}

// Telling gives the same Promoter, with all that it has looked up, that tells
// another sink what it does.
func (p *Promoter) Telling(sink event.Sink) *Promoter {
	other := *p
	other.sink = sink
	return &other
}

// Ref names a build.
type Ref struct {
	AMI     string `json:"ami"`
	Version string `json:"version"`
}

func (r Ref) String() string {
	switch {
	case r.AMI == "":
		return "nothing"
	case r.Version == "":
		return r.AMI
	}
	return r.Version + " (" + r.AMI + ")"
}

// Move is what became of the pointer of an image in an environment. From is
// empty for the first build there.
type Move struct {
	Image       string    `json:"image"`
	Environment string    `json:"environment"`
	From        Ref       `json:"from"`
	To          Ref       `json:"to"`
	Changed     bool      `json:"changed"` // false: it was current already
	At          time.Time `json:"at"`      // since when it is current
	By          string    `json:"by"`      // ARN
	Reason      string    `json:"reason,omitempty"`
	// Regions are the further regions of the environment whose pointers moved. They
	// may do so where its own was there already.
	Regions []string `json:"regions,omitempty"`
	// Architectures are the AMIs of To, by architecture, where it is a build for
	// several.
	Architectures map[string]string `json:"architectures,omitempty"`
}

// Request says what to promote.
type Request struct {
	Image string
	To    string // the environment
	// Build is an AMI, a version, or the beginning of a fingerprint. Empty is
	// the build that is current one rung below; on the first rung the newest
	// available one.
	Build string
	// SkipLadder promotes a build that was never current one rung below. It
	// needs a Reason, which the pointer's history keeps.
	SkipLadder bool
	// SkipGates promotes a build that has not all that the environment requires. It
	// needs a Reason likewise.
	SkipGates bool
	Reason    string
	// RetryFailed promotes a build that failed there before, and forgets that.
	RetryFailed bool
}

// Promote makes a build current in an environment. What may not be is refused
// as wrong input before anything is changed. A build that is current already
// stays so, without a write.
func (p *Promoter) Promote(ctx context.Context, r Request) (Move, error) {
	if r.SkipLadder && strings.TrimSpace(r.Reason) == "" {
		err := fail.Inputf("skipping the ladder needs a reason")
		return Move{}, fail.WithHint(err, `say why: --skip-ladder --reason "..."`)
	}
	if r.SkipGates && strings.TrimSpace(r.Reason) == "" {
		err := fail.Inputf("skipping what %s requires needs a reason", r.To)
		return Move{}, fail.WithHint(err, `say why: --skip-gates --reason "..."`)
	}
	move, err := alone(func() (Move, error) { return p.promote(ctx, r) })
	if err != nil {
		return move, fmt.Errorf("promote %s to %s: %w", r.Image, r.To, fail.Unchanged(err))
	}
	return move, nil
}

// errMoved says that another run may have changed an environment after this one
// had looked at it.
var errMoved = errors.New("another run was at work here")

// alone does something again when another run may have been at work between
// what it looked at and the moment in which the environment's lease was taken.
// The second time the lease is held already.
func alone(do func() (Move, error)) (Move, error) {
	move, err := do()
	if errors.Is(err, errMoved) {
		return do()
	}
	return move, err
}

func (p *Promoter) promote(ctx context.Context, r Request) (Move, error) {
	if err := p.known(r.Image); err != nil {
		return Move{}, err
	}
	target, err := p.place(ctx, r.To)
	if err != nil {
		return Move{}, err
	}
	below, err := p.below(ctx, r)
	if err != nil {
		return Move{}, err
	}
	build, err := p.choose(ctx, target, below, r)
	if err != nil {
		return Move{}, err
	}
	if err := build.usable(build.at); err != nil {
		return Move{}, err
	}
	action, err := p.gated(ctx, r, target, below, build)
	if err != nil {
		return Move{}, err
	}
	note := note{Run: p.run, Action: action, Reason: r.Reason}
	if err := p.unfailed(ctx, target, build, r.RetryFailed); err != nil {
		return Move{}, err
	}
	to, err := p.present(ctx, target, build)
	if err != nil {
		return Move{}, err
	}
	return p.point(ctx, to, note)
}

// known refuses an image that no recipe defines.
func (p *Promoter) known(image string) error {
	names := p.project.ImageNames()
	if slices.Contains(names, image) {
		return nil
	}
	err := fail.Inputf("no image %q in project %s", image, p.project.Name)
	if hint := diag.DidYouMean(image, names); hint != "" {
		return fail.WithHint(err, "%s", hint)
	}
	return err
}

// below is the place one rung below the one that is promoted to; nil for the
// first rung, and off the ladder when that is skipped.
func (p *Promoter) below(ctx context.Context, r Request) (*place, error) {
	rung := slices.Index(p.project.Ladder, r.To)
	switch {
	case rung > 0:
		return p.place(ctx, p.project.Ladder[rung-1])
	case rung == 0:
		return nil, nil
	case (r.SkipLadder || r.SkipGates) && r.Build != "":
		return nil, nil
	}
	return nil, p.onLadder(r.To)
}

func (p *Promoter) onLadder(environment string) error {
	if slices.Contains(p.project.Ladder, environment) {
		return nil
	}
	err := fail.Inputf("environment %s does not stand on the ladder (%s)", environment, strings.Join(p.project.Ladder, ", "))
	return fail.WithHint(err, `add it to the ladder in goldline.yaml, or name the build: --build AMI --skip-ladder --reason "..."`)
}

// choose finds the build that is asked for.
func (p *Promoter) choose(ctx context.Context, target, below *place, r Request) (BuildInfo, error) {
	if r.Build != "" {
		return p.locate(ctx, target, below, r.Image, r.Build)
	}
	if below == nil {
		return p.newest(ctx, target, r.Image)
	}
	pointers, err := below.current(ctx)
	if err != nil {
		return BuildInfo{}, err
	}
	pointer := pointers[r.Image]
	if pointer.AMI == "" {
		err := fail.Inputf("no build of %s is current in %s, one rung below", r.Image, below.env.Name)
		return BuildInfo{}, fail.WithHint(err, "promote one there first: goldline promote %s --to %s", r.Image, below.env.Name)
	}
	return p.find(ctx, below, r.Image, pointer.AMI)
}
