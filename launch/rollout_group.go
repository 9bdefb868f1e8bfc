package launch

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/probe"
	"github.com/goldline-dev/goldline/internal/project"
)

// groupRoll is the roll-out of a group as far as Goldline looks and acts itself:
// Auto Scaling connects to no port, and runs no command. Its instances are no items
// of the plan; they become members when they are launched.
type groupRoll struct {
	e     *execution
	r     *rolling
	begun bool // before_replace has been run
}

// groupRolls are the roll-outs of groups that have probes or hooks.
func (e *execution) groupRolls() []*rolling {
	var all []*rolling
	for _, it := range e.items {
		if it.have == nil || !it.works() {
			continue
		}
		g, ok := it.have.raw.(astypes.AutoScalingGroup)
		spec := e.Topology.Effective(e.Rollout, it.Resource)
		if !ok || spec == nil || !spec.Health.Probes() && spec.Hooks == nil {
			continue
		}
		beside := it.action == Replace && spec.Kind() == project.BlueGreen && len(e.pairsOf(it.UUID)) > 0
		if !beside && !it.diffs.has("refresh") && !it.diffs.has(traffic) {
			continue
		}
		r := &rolling{definition: it.Address, spec: spec, of: it, size: sizeOf(g), inService: inService(g), members: map[string]*member{}}
		if len(g.Instances) > 0 {
			r.from = aws.ToString(g.Instances[0].ImageId)
		}
		e.grouped[it.Address] = &groupRoll{e: e, r: r}
		all = append(all, r)
	}
	return all
}

// before runs before_replace, once.
func (g *groupRoll) before(ctx context.Context) error {
	if g == nil || g.begun {
		return nil
	}
	g.begun = true
	return g.e.hook(ctx, g.r, g.r.definition, types.Instance{}, "before_replace")
}

// stated tells whether a hook has a command.
func (g *groupRoll) stated(of func(*project.Hooks) []string) bool {
	return g != nil && g.r.spec.Hooks != nil && len(of(g.r.spec.Hooks)) > 0
}

// see notes how many instances of the group are in service.
func (g *groupRoll) see(serving int) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	g.r.inService = serving
}

// look sees an instance, and gives the probe that it has to pass.
func (g *groupRoll) look(ctx context.Context, id string) (types.Instance, probe.Probe, error) {
	i, err := g.e.Cloud.Instances.See(ctx, cloud.Wait[types.Instance]{ID: id, For: "instance " + id + " to be seen", Deadline: comingDeadline,
		Done: func(_ types.Instance, found bool) (bool, error) { return found, nil }})
	if err != nil {
		return types.Instance{}, nil, err
	}
	probes, err := g.e.ownProbes(g.r, *i, g.r.definition)
	return *i, probe.All(probes...), err
}

// prove waits until an instance has passed its probes as often as it has to, and
// runs after_replace for it, where hooks says so.
func (g *groupRoll) prove(ctx context.Context, id string, hooks bool) error {
	r := g.r
	r.joins(id)
	i, look, err := g.look(ctx, id)
	if err == nil {
		g.e.tell(r, r.definition, event.Progress, "%s runs: waiting for its health", id)
		err = g.e.becomesHealthy(ctx, r, r.definition, time.Now().Add(r.spec.Within()), about(id, look))
	}
	if err == nil && hooks {
		if err = g.e.hook(ctx, r, r.definition, i, "after_replace"); err != nil {
			err = fmt.Errorf("%s: %w", id, err)
		}
	}
	if err != nil {
		r.note(id, func(m *member) { m.fail(StateFailed, err); m.Seconds = time.Since(m.began).Seconds() })
		return err
	}
	r.note(id, func(m *member) {
		m.State, m.To, m.Seconds = StateTaken, aws.ToString(i.ImageId), time.Since(m.began).Seconds()
	})
	g.e.tell(r, r.definition, event.Progress, "%s is healthy: %s run the new build", id, r.fields("")["taken"])
	return nil
}

// about has a probe say of which instance it speaks: the address does not tell.
func about(id string, look probe.Probe) probe.Probe {
	return func(ctx context.Context) (bool, string, error) {
		ok, saw, err := look(ctx)
		if err != nil {
			err = fmt.Errorf("%s: %w", id, err)
		}
		return ok, id + ": " + saw, err
	}
}

// proveAll proves all instances of a group that are in service, also those that
// come meanwhile.
func (g *groupRoll) proveAll(ctx context.Context, k autoScalingGroups, name string, hooks bool) error {
	proven := map[string]bool{}
	for {
		now, found, err := k.byName(ctx, g.e.task(g.r.definition), name)
		if err == nil && !found {
			err = fmt.Errorf("%s is gone", name)
		}
		if err != nil {
			return err
		}
		g.see(inService(now))
		var ids []string
		for _, i := range now.Instances {
			if id := aws.ToString(i.InstanceId); i.LifecycleState == astypes.LifecycleStateInService && !proven[id] {
				ids, proven[id] = append(ids, id), true
			}
		}
		if len(ids) == 0 {
			return nil
		}
		if err := graph.Each(ctx, 0, len(ids), func(ctx context.Context, n int) error { return g.prove(ctx, ids[n], hooks) }); err != nil {
			return err
		}
	}
}

// joins makes a new instance of a group a member of its roll-out.
func (r *rolling) joins(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members[id] == nil {
		r.members[id] = &member{Rolled: Rolled{Address: r.definition, New: id, From: r.from}}
		r.order = append(r.order, id)
	}
	r.members[id].State, r.members[id].began = StateReplacing, time.Now()
}

// ends says what became of the members of a roll-out that failed.
func (g *groupRoll) ends(state string, cause error) {
	if g == nil {
		return
	}
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	for _, id := range g.r.order {
		m := g.r.members[id]
		if m.Reason == "" && cause != nil {
			m.Reason = cause.Error()
		}
		m.State = state
	}
}
