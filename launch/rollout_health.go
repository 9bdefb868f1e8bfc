package launch

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/leash"
	"github.com/goldline-dev/goldline/internal/probe"
	"github.com/goldline-dev/goldline/internal/project"
)

// How instances are looked at in a roll-out.
const (
	oneLook     = 2 * time.Minute  // how long EC2 may take to say what it sees
	tellPause   = 15 * time.Second // between two words about a wait where nothing changes
	changePause = time.Second      // where something does
)

// healthOf is what an instance must show in a roll-out, as one probe.
func (e *execution) healthOf(r *rolling, i types.Instance, address string, groups []string) (probe.Probe, error) {
	h := r.spec.Health
	if h == nil {
		h = &project.Health{}
	}
	id := aws.ToString(i.InstanceId)
	var probes []probe.Probe
	status, targets := h.Checks()
	if status {
		probes = append(probes, e.statusProbe(id))
	}
	for _, arn := range groups {
		if targets {
			probes = append(probes, e.targetProbe(arn, id))
		}
	}
	own, err := e.ownProbes(r, i, address)
	return probe.All(append(probes, own...)...), err
}

// ownProbes are those that Goldline asks itself.
func (e *execution) ownProbes(r *rolling, i types.Instance, address string) ([]probe.Probe, error) {
	h, id := r.spec.Health, aws.ToString(i.InstanceId)
	if h == nil {
		return nil, nil
	}
	var probes []probe.Probe
	ips := Instance{PrivateIP: aws.ToString(i.PrivateIpAddress), PublicIP: aws.ToString(i.PublicIpAddress)}.Addresses()
	if h.HTTP != nil {
		probes = append(probes, probe.HTTP(e.Cloud.Dial, ips, probe.Request{Port: h.HTTP.Port, Path: h.HTTP.Path, Status: h.HTTP.Status, Contains: h.HTTP.Contains}))
	}
	if h.TCP != 0 {
		probes = append(probes, probe.TCP(e.Cloud.Dial, ips, h.TCP))
	}
	if h.Console != "" {
		pattern, err := regexp.Compile("(?m)" + h.Console)
		if err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		probes = append(probes, probe.Console(func(ctx context.Context) (string, error) { return e.Cloud.Console(ctx, id) }, pattern))
	}
	if len(h.Command) > 0 {
		local := leash.Command{Argv: h.Command, Dir: e.Dir, Env: e.environ(r, address, i)}
		probes = append(probes, probe.Command(local, func(string) {}))
	}
	return probes, nil
}

// statusProbe asks for EC2's status checks, together with everybody who asks.
func (e *execution) statusProbe(id string) probe.Probe {
	return func(ctx context.Context) (ok bool, saw string, err error) {
		saw = "no status checks yet"
		_, err = e.Cloud.Statuses.Wait(ctx, cloud.Wait[types.InstanceStatus]{ID: id, For: "the status checks of instance " + id, Deadline: oneLook,
			Done: func(s types.InstanceStatus, found bool) (bool, error) {
				if found {
					saw = fmt.Sprintf("status checks: instance %s, system %s", summary(s.InstanceStatus), summary(s.SystemStatus))
					ok = summary(s.InstanceStatus) == types.SummaryStatusOk && summary(s.SystemStatus) == types.SummaryStatusOk
					if s.InstanceState != nil && s.InstanceState.Name != types.InstanceStateNameRunning {
						ok, saw = false, "it is "+string(s.InstanceState.Name)
					}
				}
				return true, nil
			}})
		return ok, saw, err
	}
}

func (e *execution) targetProbe(arn, id string) probe.Probe {
	return func(ctx context.Context) (ok bool, saw string, err error) {
		_, err = e.Cloud.Targets.Wait(ctx, cloud.Wait[[]elbtypes.TargetHealthDescription]{ID: arn, For: "the targets of " + targetGroupName(arn), Deadline: oneLook,
			Done: func(list []elbtypes.TargetHealthDescription, found bool) (bool, error) {
				all := ofTarget(list, id)
				ok = !found || len(all) > 0 && !slices.ContainsFunc(all, func(d elbtypes.TargetHealthDescription) bool { return !serves(d) })
				saw = "in target group " + targetGroupName(arn) + ": " + healthText(all)
				return true, nil
			}})
		return ok, saw, err
	}
}

// becomesHealthy waits until an instance has been healthy as often in a row as
// the roll-out wants, until its deadline at the latest. What it saw last stands in
// the error.
func (e *execution) becomesHealthy(ctx context.Context, r *rolling, address string, ends time.Time, look probe.Probe) error {
	limit, told := r.spec.Within(), time.Now()
	ctx, cancel := context.WithDeadlineCause(ctx, ends, errUnhealthy)
	defer cancel()
	saw, shown := "nothing", ""
	var paced pace
	good := streak{enough: r.spec.InARow()}
	for {
		ok, now, err := look(ctx)
		good.add(ok && err == nil)
		switch {
		case good.decides():
			return nil
		case ok && err == nil:
			paced.quicken()
			saw = fmt.Sprintf("healthy %d of %d times in a row", good.row, good.enough)
		case ctx.Err() != nil && saw == "nothing":
			saw = "no look at it came to an end in that time"
		case ctx.Err() != nil:
		case err != nil && !cloud.Ambiguous(err):
			return err
		case err != nil:
			saw = err.Error()
		default:
			saw = now
		}
		brief := strings.TrimSuffix(firstLine(saw), "; its last lines:")
		if since := time.Since(told); since > tellPause || since > changePause && brief != shown {
			told, shown = time.Now(), brief
			e.tell(r, address, event.Waiting, "its health, %s left of %s: %s", time.Until(ends).Round(time.Second), limit, brief)
		}
		if cloud.Sleep(ctx, paced.next()) != nil {
			if errors.Is(context.Cause(ctx), errUnhealthy) {
				return fmt.Errorf("not healthy within %s: %s", limit, saw)
			}
			return ctx.Err()
		}
	}
}

// healthyBy is until when the instance of a task may take, from when it is looked
// at first.
func (r *rolling) healthyBy(t *task) time.Time {
	if t.ends.IsZero() {
		t.ends = time.Now().Add(r.spec.Within())
	}
	return t.ends
}

var errUnhealthy = errors.New("the deadline for its health is over")

// serves waits until an instance is healthy in its predecessor's place.
func (e *execution) serves(ctx context.Context, r *rolling, t *task, i types.Instance) error {
	if err := (instances{}).takesOver(ctx, t, aws.ToString(i.InstanceId)); err != nil {
		return err
	}
	look, err := e.healthOf(r, i, t.address, t.groups)
	if err != nil {
		return err
	}
	e.tell(r, t.address, event.Progress, "%s runs: waiting for its health (%s) for at most %s", aws.ToString(i.InstanceId),
		orNothing(strings.Join(healthWords(r.spec.Health, len(t.groups) > 0), ", ")), time.Until(r.healthyBy(t)).Round(time.Second))
	return e.becomesHealthy(ctx, r, t.address, r.healthyBy(t), look)
}

// answers waits until an instance answers its status checks, if the roll-out looks
// at those.
func (e *execution) answers(ctx context.Context, r *rolling, t *task, id string) error {
	if status, _ := r.spec.Health.Checks(); !status {
		return nil
	}
	e.tell(r, t.address, event.Progress, "%s runs: waiting for its status checks before its addresses move", id)
	return e.becomesHealthy(ctx, r, t.address, r.healthyBy(t), e.statusProbe(id))
}

// healthyNow waits for the health of one that has taken the new build.
func (e *execution) healthyNow(ctx context.Context, r *rolling, it *item) error {
	i, ok := e.now(it.Address).raw.(instance)
	if !ok {
		return nil
	}
	look, err := e.healthOf(r, i.Instance, it.Address, e.groupsOf(r, it))
	if err != nil {
		return err
	}
	return e.becomesHealthy(ctx, r, it.Address, time.Now().Add(r.spec.Within()), look)
}

// groupsOf are the target groups that an item's instance is in.
func (e *execution) groupsOf(r *rolling, it *item) []string {
	if m := r.member(it.Address); m.task != nil {
		return m.task.groups
	}
	if i, ok := it.have.raw.(instance); ok {
		return i.groups
	}
	return nil
}

// watch looks at instances for some time. One that fails as many looks in a row
// as it needs to count as healthy ends it.
func (e *execution) watch(ctx context.Context, r *rolling, list []*item, limit time.Duration) error {
	all, err := e.toWatch(r, list)
	if err != nil {
		return err
	}
	began := time.Now()
	told := began
	who := strings.Join(addressesOf(list), ", ")
	if len(list) > 3 {
		who = fmt.Sprintf("%d instances", len(list))
	}
	e.tell(r, r.definition, event.Waiting, "watching %s for %s", who, limit)
	var paced pace
	for {
		for i := range all {
			saw := all[i].look(ctx)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if all[i].bad.decides() {
				return fmt.Errorf("%s did not stay healthy: after %s of %s: %s", all[i].address, time.Since(began).Round(time.Second), limit, saw)
			}
		}
		left := limit - time.Since(began)
		if left <= 0 {
			e.tell(r, r.definition, event.Progress, "%s stayed healthy for %s", who, limit)
			return nil
		}
		if time.Since(told) > tellPause {
			told = time.Now()
			e.tell(r, r.definition, event.Waiting, "watching %s: all healthy, %s left of %s", who, left.Round(time.Second), limit)
		}
		if err := cloud.Sleep(ctx, min(paced.next(), left)); err != nil {
			return err
		}
	}
}

// watchedInstance is an instance that is watched.
type watchedInstance struct {
	address string
	watching
}

// toWatch are the instances of items, those that there are.
func (e *execution) toWatch(r *rolling, list []*item) ([]watchedInstance, error) {
	var all []watchedInstance
	for _, it := range list {
		i, ok := e.now(it.Address).raw.(instance)
		if !ok {
			continue
		}
		look, err := e.healthOf(r, i.Instance, it.Address, e.groupsOf(r, it))
		if err != nil {
			return nil, err
		}
		all = append(all, watchedInstance{it.Address, watching{look, streak{enough: r.spec.InARow()}}})
	}
	return all, nil
}
