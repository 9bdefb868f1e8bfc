package launch

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// task is the work on one resource: what a kind needs to carry it out.
type task struct {
	*world
	address    string
	uuid       string
	wanted     any // what the definition says, filled in
	generation int
	tags       map[string]string // for what is made, beside run and generation
	old        []*found          // what is being replaced, newest first
	replacing  bool
	resumed    bool     // an earlier run has begun the replacement
	restarted  bool     // an instance has been stopped and started
	addressed  bool     // an elastic IP address has come to an instance
	destroying bool     // all of the environment goes
	groups     []string // the target groups that an instance has been put into
	undone     []string // the IDs of what was changed and has been put back after a failure
	made       *found   // for a member of a group, which its UUID does not find yet
	begun      string   // the ID of what the creating call has made and create still waits for
	// swapped is the instance as it was before it got another root, and saw the
	// user data that it had.
	swapped *instance
	saw     string
	proof   map[string]string // the tags that it gets when it has proved itself
	// becomesHealthy waits until an instance serves as its roll-out wants it; nil
	// for one that is part of none.
	becomesHealthy func(ctx context.Context, i types.Instance) error
	// answers waits until an instance answers its status checks as its roll-out
	// wants it; nil for one that is part of none.
	answers func(ctx context.Context, id string) error
	ends    time.Time // the deadline for its health, once it is looked at
	// roll is the roll-out of a group that has probes or hooks; nil for none.
	roll    *groupRoll
	started time.Time
	sink    event.Sink
}

var errGenerations = errors.New("every client token that could be tried belongs to something that is gone; wait a day, or give the definition another uuid")

// token is the client token for what is made: the same for every try to make
// the same thing, whichever process tries.
func (t *task) token() *string {
	sum := sha256.Sum256([]byte(t.uuid + " " + strconv.Itoa(t.generation)))
	return aws.String("goldline-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:24])))
}

// birthTags are the tags for the call that makes something.
func (t *task) birthTags(of types.ResourceType) []types.TagSpecification {
	return t.birthTagsOf(of, t.tags)
}

func (t *task) birthTagsOf(of types.ResourceType, own map[string]string) []types.TagSpecification {
	set := tags.Merge(own)
	if t.Run != "" {
		set[tags.Run] = t.Run
	}
	if t.generation > 1 {
		set[tags.Generation] = strconv.Itoa(t.generation)
	}
	return []types.TagSpecification{cloud.TagSpec(of, set)}
}

// query is the scope of everything that was made for the task's definition.
func (t *task) query() query {
	q := t.scope()
	q.exact = true
	q.filters = []types.Filter{cloud.Filter("tag:"+tags.UUID, t.uuid)}
	return q
}

func (t *task) emit(kind event.Kind, fields map[string]string, format string, args ...any) {
	t.sink.Emit(event.Event{Item: t.address, Kind: kind, Message: fmt.Sprintf(format, args...), Fields: fields})
}

func (t *task) progress(format string, args ...any) { t.emit(event.Progress, nil, format, args...) }

// waiting tells what a wait sees.
func (t *task) waiting(what string) func(string) {
	return func(shown string) { t.emit(event.Waiting, nil, "%s: %s", what, shown) }
}

// How long EC2 may take to notice things.
const (
	// goingDeadline is how long something that is going may hold on to what is
	// to be removed: network interfaces outlive their instances by minutes.
	goingDeadline = 5 * time.Minute
	// comingDeadline is how long something new may stay invisible.
	comingDeadline = 2 * time.Minute
)

// patiently repeats a removal for as long as EC2 says that something still uses
// the thing. One that is gone already is removed.
func (t *task) patiently(ctx context.Context, what string, remove func() error) error {
	err := repeat(ctx, goingDeadline, remove, cloud.InUse)
	switch {
	case cloud.NotFound(err):
		return nil
	case cloud.InUse(err):
		return fail.WithHint(fmt.Errorf("%s: %w", what, err), "something that Goldline did not make may be using it: remove that, then run the same command again")
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// eventually repeats what fails because something that was made moments ago
// cannot be seen yet.
func (t *task) eventually(ctx context.Context, f func() error) error {
	return repeat(ctx, comingDeadline, f, func(err error) bool { return cloud.NotFound(err) && !foreign(cloud.Code(err)) })
}

// foreign tells whether a code is about something that a launch never makes,
// so that it does not turn up by waiting.
func foreign(code string) bool {
	return strings.HasPrefix(code, "InvalidKeyPair") || strings.HasPrefix(code, "InvalidAMIID") || strings.HasPrefix(code, "InvalidSnapshot")
}

// repeat calls f until it fails with something else than passing says, or the
// deadline is over.
func repeat(ctx context.Context, deadline time.Duration, f func() error, passing func(error) bool) error {
	end := time.Now().Add(deadline)
	pause := 50 * time.Millisecond
	for {
		err := f()
		if err == nil || !passing(err) || time.Now().After(end) {
			return err
		}
		if cloud.Sleep(ctx, pause) != nil {
			return err
		}
		pause = min(pause*3/2, 5*time.Second)
	}
}

// again makes a call that EC2 takes no client token for. After an ambiguous
// failure, and where EC2 says that it was done already, done tells; without it
// the call can be made again whatever came of the first.
func (t *task) again(ctx context.Context, call func() error, done func(context.Context) (bool, error)) error {
	var err error
	if done == nil {
		err = repeat(ctx, time.Minute, call, cloud.Ambiguous)
	} else {
		type nothing = struct{}
		_, err = cloud.Once(ctx, t.Cloud, func(ctx context.Context) (nothing, bool, error) {
			ok, err := done(ctx)
			return nothing{}, ok, err
		}, func(context.Context) (nothing, error) { return nothing{}, call() })
	}
	if done != nil && (cloud.AlreadyExists(err) || cloud.InUse(err)) && ctx.Err() == nil {
		if ok, lookErr := done(ctx); lookErr == nil && ok {
			return nil
		}
	}
	return err
}
