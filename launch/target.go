package launch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
)

// What is in a target group is said by the group, which lists its targets, or
// by each instance, which names its groups. A group with a list decides about
// every instance of the environment that does not name it; where a group has
// none, each instance decides for itself. What is neither of the environment
// nor named stays.

type targetAPI interface {
	RegisterTargets(context.Context, *elb.RegisterTargetsInput, ...func(*elb.Options)) (*elb.RegisterTargetsOutput, error)
	DeregisterTargets(context.Context, *elb.DeregisterTargetsInput, ...func(*elb.Options)) (*elb.DeregisterTargetsOutput, error)
	DescribeTargetHealth(context.Context, *elb.DescribeTargetHealthInput, ...func(*elb.Options)) (*elb.DescribeTargetHealthOutput, error)
}

// target is an instance or an address in a target group.
type target struct {
	id   string
	port int // 0 for the group's
	zone string
}

func (x target) described() types.TargetDescription {
	return types.TargetDescription{Id: aws.String(x.id), Port: number(x.port), AvailabilityZone: optional(x.zone)}
}

// same tells whether two are one, whose group has a port.
func (x target) same(y target, port int) bool {
	own := func(n int) int {
		if n == 0 {
			return port
		}
		return n
	}
	return x.id == y.id && own(x.port) == own(y.port)
}

// targets are those that the definition lists.
func (s *targetGroupSpec) targets() []target {
	all := []target{}
	for _, x := range s.Targets {
		port := x.Port
		if port == 0 {
			port = s.Port
		}
		all = append(all, target{id: x.Instance + x.IPAddress, port: port, zone: x.AvailabilityZone})
	}
	return all
}

func targetsText(list []target) string {
	var parts []string
	for _, x := range list {
		parts = append(parts, x.id+":"+strconv.Itoa(x.port))
	}
	sort.Strings(parts)
	return strings.Join(slices.Compact(parts), ", ")
}

func idsOf(list []target) []string {
	var ids []string
	for _, x := range list {
		ids = append(ids, x.id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// registrations are what is in the environment's target groups, and in those
// that definitions adopt or name by their ARNs: a call for each group. What is
// leaving counts as gone.
func (q query) registrations(ctx context.Context) (map[string][]target, error) {
	if q.memo == nil || q.world == nil || !q.importing && !q.world.registers() {
		return nil, nil
	}
	f, err := q.frontOf(ctx)
	if err != nil {
		return nil, err
	}
	return recall(q.memo, "elb targets", func() (map[string][]target, error) {
		var groups []string
		for _, g := range f.groups {
			if arn := aws.ToString(g.TargetGroupArn); q.covers(f.tags[arn]) || q.world.fills(g, f.tags[arn]) {
				groups = append(groups, arn)
			}
		}
		var api targetAPI = q.cloud.ELB
		var mu sync.Mutex
		all := map[string][]target{}
		err := graph.Each(ctx, 0, len(groups), func(ctx context.Context, i int) error {
			out, err := api.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: aws.String(groups[i])})
			if cloud.NotFound(err) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("describe the targets of %s: %w", groups[i], err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, d := range out.TargetHealthDescriptions {
				if stays(d) {
					all[groups[i]] = append(all[groups[i]], target{id: aws.ToString(d.Target.Id), port: int(aws.ToInt32(d.Target.Port))})
				}
			}
			return nil
		})
		return all, err
	})
}

// stays tells whether a target is registered and not leaving.
func stays(d types.TargetHealthDescription) bool {
	h := d.TargetHealth
	return d.Target != nil && (h == nil || h.State != types.TargetHealthStateEnumDraining && h.Reason != types.TargetHealthReasonEnumNotRegistered)
}

// registers tells whether definitions have to do with target groups.
func (w *world) registers() bool {
	return w.thorough || slices.ContainsFunc(w.resources(), func(r *project.Resource) bool {
		i, ok := r.Spec.(*instanceSpec)
		return has(frontKinds, r.Kind) || ok && len(i.TargetGroups) > 0
	})
}

// fills tells whether a definition is about the targets of a group that is not
// the environment's.
func (w *world) fills(g types.TargetGroup, set map[string]string) bool {
	have := &found{state: targetGroups{}.read(targetGroup{TargetGroup: g, tags: set})}
	return slices.ContainsFunc(w.resources(), func(r *project.Resource) bool {
		i, ok := r.Spec.(*instanceSpec)
		return ok && has(i.TargetGroups, have.id) || r.Kind == "target_group" && r.Adopt != nil && adopts(r.Adopt, have)
	})
}

// targetGroupName is the name of a target group by its ARN.
func targetGroupName(arn string) string {
	if parts := strings.Split(arn, "/"); len(parts) == 3 {
		return parts[1]
	}
	return arn
}

// registeredIn are the groups that hold an instance.
func registeredIn(all map[string][]target, id string) []string {
	var arns []string
	for _, arn := range union(all) {
		if has(idsOf(all[arn]), id) {
			arns = append(arns, arn)
		}
	}
	return arns
}

// managed are the targets of a group that its definition decides about.
func (w *world) managed(r *project.Resource, g targetGroup, wanted []target) []target {
	var all []target
	for _, x := range g.targets {
		f := w.inventory.byID[x.id]
		listed := slices.ContainsFunc(wanted, func(y target) bool { return x.same(y, int(aws.ToInt32(g.Port))) })
		own := g.TargetType == types.TargetTypeEnumIp || f != nil && f.kindName() == "instance" && !w.names(f, r.Address)
		if listed || own {
			all = append(all, x)
		}
	}
	return all
}

// names tells whether the definition of an instance names a target group.
func (w *world) names(f *found, group string) bool {
	return slices.ContainsFunc(w.resources(), func(r *project.Resource) bool {
		return r.UUID == f.uuid() && slices.ContainsFunc(r.Refs, func(ref project.Ref) bool {
			return ref.Address == group && strings.HasPrefix(ref.Path, "target_groups")
		})
	})
}

// own are the groups that an instance decides about itself, among those that
// it is in: it names them, or they are there to stay and have no list.
func (w *world) own(in, wanted []string) []string {
	var all []string
	for _, arn := range in {
		r := w.definitionOf(arn)
		if has(wanted, arn) || r != nil && r.Spec.(*targetGroupSpec).Targets == nil {
			all = append(all, arn)
		}
	}
	return all
}

// definitionOf is the definition of a target group that stays; nil for one that
// goes or is somebody else's.
func (w *world) definitionOf(arn string) *project.Resource {
	f := w.inventory.byID[arn]
	if f == nil {
		return nil
	}
	for _, r := range w.resources() {
		if r.UUID == f.uuid() && r.Kind == "target_group" && w.inventory.of(r.UUID, r.Address, r.Kind)[0] == f {
			return r
		}
	}
	return nil
}

// How long targets may take.
const (
	healthDeadline = 15 * time.Minute
	// drainDeadline is longer than the longest deregistration_delay.
	drainDeadline = 70 * time.Minute
)

// drains is the longest time that the target groups of a definition give the
// connections of what leaves them.
func (w *world) drains(r *project.Resource) time.Duration {
	seconds := 0
	for _, ref := range r.Refs {
		if ref.Kind != "target_group" {
			continue
		}
		one := 300 // AWS's default
		for _, other := range w.resources() {
			if s, ok := other.Spec.(*targetGroupSpec); ok && other.Address == ref.Address && s.DeregistrationDelay != nil {
				one = *s.DeregistrationDelay
			}
		}
		if f := w.inventory.byID[w.idOf(ref.Address)]; f != nil {
			if g, ok := f.raw.(targetGroup); ok {
				if n, err := strconv.Atoi(g.attributes["deregistration_delay.timeout_seconds"]); err == nil {
					one = max(one, n) // it may be what the last launch left
				}
			}
		}
		seconds = max(seconds, one)
	}
	return time.Duration(seconds) * time.Second
}

// enter puts an instance into target groups.
func (t *task) enter(ctx context.Context, groups []string, id string) error {
	for _, arn := range groups {
		// An instance that was just made may be none to Elastic Load Balancing yet. One
		// that has ended, as it may when it boots, never will be.
		err := repeat(ctx, comingDeadline, func() error {
			err := t.Cloud.Register(ctx, arn, id)
			if cloud.Code(err) != "InvalidTarget" {
				return err
			}
			return cmp.Or(t.ended(ctx, id), err)
		}, func(err error) bool { return cloud.Code(err) == "InvalidTarget" })
		if err != nil {
			return fmt.Errorf("register it in %s: %w", targetGroupName(arn), err)
		}
		t.progress("%s is registered in %s", id, targetGroupName(arn))
	}
	return nil
}

// leave takes an instance out of target groups, and returns when its
// connections have ended. A group that is gone has nobody in it.
func (t *task) leave(ctx context.Context, groups []string, id string) error {
	var left []string
	for _, arn := range groups {
		err := t.Cloud.Deregister(ctx, arn, id)
		if cloud.NotFound(err) || cloud.Code(err) == "InvalidTarget" {
			continue
		}
		if err != nil {
			return fmt.Errorf("take it out of %s: %w", targetGroupName(arn), err)
		}
		left = append(left, arn)
	}
	for _, arn := range left {
		if err := t.drained(ctx, arn, []string{id}); err != nil {
			return err
		}
	}
	return nil
}

// exchange brings the targets of a group from what they are to what they
// should be: first those that come, and when these are healthy those that go.
func (t *task) exchange(ctx context.Context, group string, have, want []target) error {
	var api targetAPI = t.Cloud.ELB
	lists := func(list, but []target) (ds []types.TargetDescription, ids []string) {
		for _, x := range list {
			if !slices.ContainsFunc(but, func(y target) bool { return x.same(y, 0) }) {
				ds, ids = append(ds, x.described()), append(ids, x.id)
			}
		}
		return ds, ids
	}
	come, healthy := lists(want, have)
	going, ids := lists(have, want)
	if len(come) > 0 {
		err := repeat(ctx, comingDeadline, func() error {
			_, err := api.RegisterTargets(ctx, &elb.RegisterTargetsInput{TargetGroupArn: aws.String(group), Targets: come})
			return err
		}, func(err error) bool { return cloud.Code(err) == "InvalidTarget" })
		if err != nil {
			return err
		}
	}
	if len(going) == 0 {
		return nil
	}
	if len(come) == 0 {
		healthy = t.successors(ids, want) // which a run that was interrupted has registered
	}
	for _, id := range healthy {
		if err := t.healthy(ctx, group, id); err != nil {
			return err
		}
	}
	if _, err := api.DeregisterTargets(ctx, &elb.DeregisterTargetsInput{TargetGroupArn: aws.String(group), Targets: going}); err != nil && !cloud.NotFound(err) {
		return err
	}
	return t.drained(ctx, group, ids)
}

// successors are those of targets that take the place of others.
func (t *task) successors(of []string, want []target) []string {
	uuids := map[string]bool{}
	for _, id := range of {
		if f := t.inventory.byID[id]; f != nil {
			uuids[f.uuid()] = true
		}
	}
	var ids []string
	for _, x := range want {
		if f := t.inventory.byID[x.id]; f != nil && uuids[f.uuid()] {
			ids = append(ids, x.id)
		}
	}
	return ids
}

// healthy waits until a target is healthy, where the group is in use at all.
func (t *task) healthy(ctx context.Context, group, id string) error {
	return t.targets(ctx, group, "target "+id+" to be healthy in "+targetGroupName(group), healthDeadline, func(list []types.TargetHealthDescription) bool {
		all := ofTarget(list, id)
		return len(all) > 0 && !slices.ContainsFunc(all, func(d types.TargetHealthDescription) bool { return !serves(d) })
	}, func(list []types.TargetHealthDescription) string { return healthText(ofTarget(list, id)) })
}

// healthyAfter is healthy for a target that takes the place of the task's old
// ones. Where the group has found all of them unhealthy, and whoever else is in
// it, it need not be better than they are.
func (t *task) healthyAfter(ctx context.Context, group, id string) error {
	none := false
	unhealthy := func(d types.TargetHealthDescription) bool {
		return d.TargetHealth != nil && d.TargetHealth.State == types.TargetHealthStateEnumUnhealthy
	}
	err := t.targets(ctx, group, "target "+id+" to be healthy in "+targetGroupName(group), healthDeadline, func(list []types.TargetHealthDescription) bool {
		all := ofTarget(list, id)
		replaces := slices.ContainsFunc(t.old, func(o *found) bool { return len(ofTarget(list, o.id)) > 0 })
		none = replaces && len(all) > 0 && !slices.ContainsFunc(list, func(d types.TargetHealthDescription) bool { return !unhealthy(d) })
		return none || len(all) > 0 && !slices.ContainsFunc(all, func(d types.TargetHealthDescription) bool { return !serves(d) })
	}, func(list []types.TargetHealthDescription) string { return healthText(ofTarget(list, id)) })
	if err == nil && none {
		t.emit(event.Warning, map[string]string{"id": id}, "%s is not healthy in %s, and neither is what it replaces, nor anyone else there", id, targetGroupName(group))
	}
	return err
}

// relieved waits until somebody else in a group is healthy, where there is
// anybody else, and where the one that goes is healthy itself.
func (t *task) relieved(ctx context.Context, group, id string) error {
	others := func(list []types.TargetHealthDescription) []types.TargetHealthDescription {
		return slices.DeleteFunc(slices.Clone(list), func(d types.TargetHealthDescription) bool { return !stays(d) || aws.ToString(d.Target.Id) == id })
	}
	return t.targets(ctx, group, "others to be healthy in "+targetGroupName(group)+" before "+id+" leaves", healthDeadline, func(list []types.TargetHealthDescription) bool {
		all, own := others(list), ofTarget(list, id)
		idle := len(own) > 0 && !slices.ContainsFunc(own, serves)
		return idle || len(all) == 0 || slices.ContainsFunc(all, serves)
	}, func(list []types.TargetHealthDescription) string { return healthText(others(list)) })
}

// drained waits until targets have left a group.
func (t *task) drained(ctx context.Context, group string, ids []string) error {
	leaving := func(list []types.TargetHealthDescription) []types.TargetHealthDescription {
		return slices.DeleteFunc(slices.Clone(list), func(d types.TargetHealthDescription) bool {
			return d.Target == nil || !has(ids, aws.ToString(d.Target.Id)) || d.TargetHealth == nil || d.TargetHealth.State != types.TargetHealthStateEnumDraining
		})
	}
	return t.targets(ctx, group, "the connections of "+strings.Join(ids, ", ")+" to end", drainDeadline, func(list []types.TargetHealthDescription) bool {
		return len(leaving(list)) == 0
	}, func(list []types.TargetHealthDescription) string {
		if len(leaving(list)) == 0 {
			return "they have ended"
		}
		return healthText(leaving(list))
	})
}

// targets waits for something to be so in a group.
func (t *task) targets(ctx context.Context, group, what string, deadline time.Duration, done func([]types.TargetHealthDescription) bool, show func([]types.TargetHealthDescription) string) error {
	_, err := t.Cloud.Targets.Wait(ctx, cloud.Wait[[]types.TargetHealthDescription]{
		ID: group, For: what, Deadline: deadline, Show: show, Progress: t.waiting(what),
		Done: func(list []types.TargetHealthDescription, found bool) (bool, error) { return !found || done(list), nil },
	})
	return err
}

// serves tells whether a target gets traffic, or would if the group did.
func serves(d types.TargetHealthDescription) bool {
	return d.TargetHealth != nil && (d.TargetHealth.State == types.TargetHealthStateEnumHealthy || d.TargetHealth.State == types.TargetHealthStateEnumUnavailable ||
		d.TargetHealth.State == types.TargetHealthStateEnumUnused && d.TargetHealth.Reason == types.TargetHealthReasonEnumNotInUse)
}

func ofTarget(list []types.TargetHealthDescription, id string) []types.TargetHealthDescription {
	return slices.DeleteFunc(slices.Clone(list), func(d types.TargetHealthDescription) bool { return d.Target == nil || aws.ToString(d.Target.Id) != id })
}

// healthText says what is seen of targets: states with their reasons.
func healthText(list []types.TargetHealthDescription) string {
	var parts []string
	for _, d := range list {
		if d.TargetHealth == nil {
			continue
		}
		part := string(d.TargetHealth.State)
		if d.TargetHealth.Reason != "" {
			part += " (" + string(d.TargetHealth.Reason) + ")"
		}
		parts = append(parts, part)
	}
	sort.Strings(parts)
	return orNothing(strings.Join(slices.Compact(parts), ", "))
}
