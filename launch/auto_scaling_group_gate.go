package launch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

type gateAPI interface {
	PutLifecycleHook(context.Context, *autoscaling.PutLifecycleHookInput, ...func(*autoscaling.Options)) (*autoscaling.PutLifecycleHookOutput, error)
	DeleteLifecycleHook(context.Context, *autoscaling.DeleteLifecycleHookInput, ...func(*autoscaling.Options)) (*autoscaling.DeleteLifecycleHookOutput, error)
	CompleteLifecycleAction(context.Context, *autoscaling.CompleteLifecycleActionInput, ...func(*autoscaling.Options)) (*autoscaling.CompleteLifecycleActionOutput, error)
	RecordLifecycleActionHeartbeat(context.Context, *autoscaling.RecordLifecycleActionHeartbeatInput, ...func(*autoscaling.Options)) (*autoscaling.RecordLifecycleActionHeartbeatOutput, error)
	DeleteTags(context.Context, *autoscaling.DeleteTagsInput, ...func(*autoscaling.Options)) (*autoscaling.DeleteTagsOutput, error)
}

const (
	// gateHook is the lifecycle hook that a roll-out adds to a group for as long as
	// it lasts.
	gateHook = "goldline-rollout"
	// leastHold and mostHold bound how long the hook holds an instance up of which
	// nobody says anything any more. Auto Scaling takes 30 to 7200 seconds.
	// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html
	leastHold, mostHold = 5 * time.Minute, 2 * time.Hour
	// beats is how often an instance's time is made longer within it.
	beats = 3
	// proceed lets an instance go into service.
	proceed = "CONTINUE"
)

// gate holds the new instances of a refresh up before they go into service and get
// traffic, until they have proved themselves. It is a lifecycle hook of the group:
// the group's own are left alone. An instance that nobody speaks for goes into
// service when the hook's time is over, so that a group never depends on a Goldline
// that has died.
//
// A tag on the group says that the hook may be there. It comes before the hook and
// goes after it, so that whichever run comes next knows of one that was left.
type gate struct {
	k       autoScalingGroups
	t       *task
	roll    *groupRoll
	group   string
	new     []string // the versions that have to prove themselves
	hold    time.Duration
	opened  bool
	proving context.Context
	cancel  context.CancelFunc

	mu       sync.Mutex
	proofs   map[string]*proof // by instance
	serving  map[string]bool   // new instances in service
	watching bool              // those are looked at
	failed   error
}

// proof is that of one instance.
type proof struct {
	wait func() error
	beat time.Time // when its time was last made longer
	over bool
}

func (autoScalingGroups) gateAPI(c *cloud.Cloud) gateAPI { return c.AutoScaling }

// newGate is the one of a refresh; nil where Auto Scaling sees all that counts.
func (k autoScalingGroups) newGate(t *task, g types.AutoScalingGroup, versions []string) *gate {
	if t.roll == nil || !t.roll.r.spec.Health.Probes() && !t.roll.stated(func(h *project.Hooks) []string { return h.AfterReplace }) {
		return nil
	}
	hold := min(max(t.roll.r.spec.Within()+time.Minute, leastHold), mostHold)
	return &gate{k: k, t: t, roll: t.roll, group: aws.ToString(g.AutoScalingGroupName), new: versions, hold: hold, proofs: map[string]*proof{}}
}

// open puts the hook on the group, or finds the one that an earlier run has left.
func (w *gate) open(ctx context.Context) error {
	if w == nil || w.opened {
		return nil
	}
	w.opened = true
	w.proving, w.cancel = context.WithCancel(ctx)
	if err := w.t.again(ctx, func() error {
		return w.k.mark(ctx, w.t, types.AutoScalingGroup{AutoScalingGroupName: &w.group}, map[string]string{tags.Gate: gateHook})
	}, nil); err != nil {
		return err
	}
	err := w.t.again(ctx, func() error {
		_, err := w.k.gateAPI(w.t.Cloud).PutLifecycleHook(ctx, &autoscaling.PutLifecycleHookInput{AutoScalingGroupName: &w.group, LifecycleHookName: aws.String(gateHook),
			LifecycleTransition: aws.String("autoscaling:EC2_INSTANCE_LAUNCHING"), DefaultResult: aws.String(proceed), HeartbeatTimeout: aws.Int32(int32(wholeSeconds(w.hold)))})
		return err
	}, nil)
	if err != nil {
		return fmt.Errorf("put a lifecycle hook on it: %w", err)
	}
	return nil
}

// shut takes the hook off the group. What waits for it goes into service where the
// roll-out was successful, and where it has nothing to do with the roll-out; the
// rest is abandoned by Auto Scaling. Opened or left by an earlier run, it is gone
// in the end.
func (w *gate) shut(ctx context.Context, successful bool) error {
	if w == nil || !w.opened {
		return nil
	}
	w.end()
	g, found, err := w.k.byName(ctx, w.t, w.group)
	if err != nil || !found {
		return err
	}
	for _, i := range g.Instances {
		if i.LifecycleState == types.LifecycleStatePendingWait && (successful || !w.proves(i)) {
			if err := w.complete(ctx, aws.ToString(i.InstanceId)); err != nil {
				return err
			}
		}
	}
	err = w.t.again(ctx, func() error {
		_, err := w.k.gateAPI(w.t.Cloud).DeleteLifecycleHook(ctx, &autoscaling.DeleteLifecycleHookInput{AutoScalingGroupName: &w.group, LifecycleHookName: aws.String(gateHook)})
		return passed(err)
	}, nil)
	if err != nil {
		return fmt.Errorf("remove the lifecycle hook %s: %w", gateHook, err)
	}
	err = w.t.again(ctx, func() error {
		_, err := w.k.gateAPI(w.t.Cloud).DeleteTags(ctx, &autoscaling.DeleteTagsInput{Tags: []types.Tag{
			{Key: aws.String(tags.Gate), ResourceId: &w.group, ResourceType: aws.String("auto-scaling-group")}}})
		return err
	}, nil)
	if err != nil {
		return fmt.Errorf("remove the tag %s: %w", tags.Gate, err)
	}
	w.opened = false
	return nil
}

// passed is the error of a call about a hook or an instance, unless what it was
// about is over already: Auto Scaling has no other code for that.
func passed(err error) error {
	if cloud.Code(err) == "ValidationError" {
		return nil
	}
	return err
}

// end ends the proofs, and waits for them.
func (w *gate) end() {
	if w.cancel != nil {
		w.cancel()
	}
	w.mu.Lock()
	list := make([]*proof, 0, len(w.proofs))
	for _, p := range w.proofs {
		list = append(list, p)
	}
	clear(w.proofs)
	w.mu.Unlock()
	for _, p := range list {
		_ = p.wait() // what it found stands in failed
	}
}

// proves tells whether an instance has to prove itself: one of another version is
// launched because the group grows, or goes back.
func (w *gate) proves(i types.Instance) bool {
	return slices.Contains(w.new, versionedID(i.LaunchTemplate))
}

// complete lets an instance go into service. One that does not wait any more is
// nobody's business.
func (w *gate) complete(ctx context.Context, id string) error {
	err := w.t.again(ctx, func() error {
		_, err := w.k.gateAPI(w.t.Cloud).CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{AutoScalingGroupName: &w.group,
			LifecycleHookName: aws.String(gateHook), InstanceId: &id, LifecycleActionResult: aws.String(proceed)})
		return passed(err)
	}, nil)
	if err != nil {
		return fmt.Errorf("let %s go into service: %w", id, err)
	}
	return nil
}

// tend looks after the instances that wait: those that need not prove themselves go
// on, the others are proved, each beside the others, for as long as that takes. It
// fails when one of them has failed. busy tells that some are being proved.
func (w *gate) tend(ctx context.Context, g types.AutoScalingGroup, status types.InstanceRefreshStatus) (busy bool, err error) {
	if w == nil {
		return false, nil
	}
	w.roll.see(inService(g))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serving = map[string]bool{}
	young := 0
	for _, i := range g.Instances {
		id, waits := aws.ToString(i.InstanceId), i.LifecycleState == types.LifecycleStatePendingWait
		switch {
		case waits && !w.proves(i):
			err = errors.Join(err, w.complete(ctx, id))
		case waits && w.proofs[id] == nil:
			w.start(id, false)
		case waits:
			w.refreshes(ctx, id, w.proofs[id])
		case i.LifecycleState == types.LifecycleStateInService && w.proves(i):
			w.serving[id] = true
		}
		if w.proves(i) && !leaving(i) {
			young++
		}
	}
	w.watching = w.watches(status, young)
	for id := range w.serving {
		if w.watching && w.proofs[id] == nil {
			w.start(id, true) // proved in an earlier run
		}
	}
	for _, p := range w.proofs {
		busy = busy || !p.over
	}
	return busy, errors.Join(w.failed, err)
}

// watches tells whether the instances that have taken the new build are watched:
// canaries until others follow, and all while the refresh bakes.
func (w *gate) watches(status types.InstanceRefreshStatus, young int) bool {
	spec := w.roll.r.spec
	if !spec.Health.Probes() {
		return false
	}
	return status == types.InstanceRefreshStatusBaking || spec.Kind() == project.CanaryFirst && young <= spec.Canary.Instances.Of(w.roll.r.size)
}

// refreshes makes the time of an instance longer before it is over. One call that
// fails is made again at the next look.
func (w *gate) refreshes(ctx context.Context, id string, p *proof) {
	if p.over || time.Since(p.beat) < w.hold/beats {
		return
	}
	_, err := w.k.gateAPI(w.t.Cloud).RecordLifecycleActionHeartbeat(ctx, &autoscaling.RecordLifecycleActionHeartbeatInput{AutoScalingGroupName: &w.group, LifecycleHookName: aws.String(gateHook), InstanceId: &id})
	if err == nil {
		p.beat = time.Now()
	}
}

// start proves an instance beside all else, and watches it from then on.
func (w *gate) start(id string, proven bool) {
	p := &proof{beat: time.Now(), over: proven}
	w.proofs[id] = p
	p.wait = graph.Background(func() error {
		if !proven {
			err := w.roll.prove(w.proving, id, true)
			if err == nil {
				err = w.complete(w.proving, id)
			}
			if w.ends(p, err) {
				return err
			}
		}
		err := w.watch(w.proving, id)
		w.ends(p, err)
		return err
	})
}

// ends notes the end of a proof, and whether the gate is to end with it.
func (w *gate) ends(p *proof, err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.over = true
	if err != nil && w.failed == nil && w.proving.Err() == nil {
		w.failed = stuck{err}
	}
	return err != nil
}

// watch looks at an instance in service while it is to be watched. As many bad
// looks in a row as it needs good ones end it.
func (w *gate) watch(ctx context.Context, id string) error {
	if !w.roll.r.spec.Health.Probes() {
		return nil
	}
	_, look, err := w.roll.look(ctx, id)
	if err != nil {
		return err
	}
	var paced pace
	one := watching{look, streak{enough: w.roll.r.spec.InARow()}}
	for cloud.Sleep(ctx, paced.next()) == nil {
		w.mu.Lock()
		watched := w.watching && w.serving[id]
		w.mu.Unlock()
		if !watched {
			one.bad.add(false)
			continue
		}
		saw := one.look(ctx)
		if ctx.Err() == nil && one.bad.decides() {
			return fmt.Errorf("%s did not stay healthy: %s", id, saw)
		}
		if one.bad.row > 0 {
			paced.quicken()
		}
	}
	return nil
}
