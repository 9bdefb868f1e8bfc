package launch

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

// An instance that names target groups is put into them when it runs. Its
// successor is healthy there before it leaves, unless volumes have to move from
// one to the other: then it leaves first.

// updateTargets puts an instance into the groups that it names and takes it out
// of those that it named. A group that goes is left as it is: the load balancer
// may still forward to it.
func (instances) updateTargets(ctx context.Context, t *task, w want[instanceSpec], i instance, d differences) error {
	t.groups = w.spec.TargetGroups
	if !d.has("target_groups") {
		return nil
	}
	id := aws.ToString(i.InstanceId)
	come := slices.DeleteFunc(slices.Clone(w.spec.TargetGroups), func(arn string) bool { return has(i.groups, arn) })
	if err := t.enter(ctx, come, id); err != nil {
		return fmt.Errorf("target_groups: %w", err)
	}
	going := slices.DeleteFunc(t.own(i.groups, w.spec.TargetGroups), func(arn string) bool {
		r := t.definitionOf(arn)
		return has(w.spec.TargetGroups, arn) || r == nil || refersTo(w.Resource, r.Address)
	})
	if err := t.leave(ctx, going, id); err != nil {
		return fmt.Errorf("target_groups: %w", err)
	}
	return nil
}

// refersTo tells whether a definition refers to an address.
func refersTo(r *project.Resource, address string) bool {
	return slices.ContainsFunc(r.Refs, func(ref project.Ref) bool { return ref.Address == address })
}

// takesOver puts an instance of a roll-out into the target groups that list it:
// while the roll-out goes on, the groups' own turn is still to come.
func (k instances) takesOver(ctx context.Context, t *task, id string) error {
	listed := slices.DeleteFunc(k.listing(t), func(arn string) bool { return has(t.groups, arn) })
	if err := t.enter(ctx, listed, id); err != nil {
		return fmt.Errorf("target_groups: %w", err)
	}
	t.groups = append(slices.Clone(t.groups), listed...)
	return nil
}

// listing are the target groups whose definitions list an instance.
func (instances) listing(t *task) []string {
	var listed []string
	for _, r := range t.resources() {
		s, ok := r.Spec.(*targetGroupSpec)
		if !ok || !refersTo(r, t.address) || slices.ContainsFunc(s.Targets, func(x targetSpec) bool { return x.Port != 0 && x.Port != s.Port }) {
			continue
		}
		if list := t.inventory.of(r.UUID, r.Address, r.Kind); len(list) > 0 {
			listed = append(listed, list[0].id)
		}
	}
	return listed
}

// serving waits until an instance that takes another's place gets traffic, where
// that one did: among targets of which none is healthy it takes nothing away.
func (instances) serving(ctx context.Context, t *task, id string) error {
	if len(t.old) == 0 {
		return nil
	}
	for _, arn := range t.groups {
		if err := t.healthyAfter(ctx, arn, id); err != nil {
			return fmt.Errorf("target_groups: %w", err)
		}
	}
	return nil
}

// retire takes an instance that goes out of its target groups, and lets its
// connections end. Where all of it goes, nobody waits for that.
func (instances) retire(ctx context.Context, t *task, i instance) error {
	if t.destroying {
		return nil
	}
	groups := slices.DeleteFunc(slices.Clone(i.groups), func(arn string) bool { return t.definitionOf(arn) == nil })
	id := aws.ToString(i.InstanceId)
	for _, arn := range groups {
		if !t.replacing {
			break
		}
		if err := t.relieved(ctx, arn, id); err != nil {
			return err
		}
	}
	return t.leave(ctx, groups, id)
}

// discard ends an instance that never came to serve: nobody waits for its
// connections.
func (k instances) discard(ctx context.Context, t *task, id string, groups []string) error {
	for _, arn := range groups {
		if err := t.Cloud.Deregister(ctx, arn, id); err != nil && !cloud.NotFound(err) && cloud.Code(err) != "InvalidTarget" {
			return fmt.Errorf("take it out of %s: %w", targetGroupName(arn), err)
		}
	}
	return k.terminate(ctx, t, id)
}

// rejoin puts an instance back into the target groups that it was in.
func (instances) rejoin(ctx context.Context, t *task, i instance) error {
	for _, arn := range i.groups {
		if err := t.enter(ctx, []string{arn}, aws.ToString(i.InstanceId)); err != nil && !cloud.NotFound(err) {
			return err
		}
	}
	if t.becomesHealthy == nil {
		return nil
	}
	for _, arn := range i.groups {
		if err := t.healthy(ctx, arn, aws.ToString(i.InstanceId)); err != nil {
			return err
		}
	}
	return nil
}

// checkTargetGroups: groups of instances, of the instance's own VPC, that do not
// list it as well.
func checkTargetGroups(c *checker, d definition[instanceSpec]) {
	vpc := ""
	if subnet := c.byAddress[c.target(d.Resource, "subnet")]; subnet != nil {
		vpc = c.target(subnet, "vpc")
	}
	for i, name := range d.spec.TargetGroups {
		path := fmt.Sprintf("target_groups[%d]", i)
		if slices.Contains(d.spec.TargetGroups[:i], name) {
			c.problems.Addf(d.At(path), "the target group %s stands in the list twice", name)
		}
		s, group, ok := referred[targetGroupSpec](c, d.Resource, path)
		if !ok {
			continue
		}
		if s.TargetType == "ip" {
			c.problems.Addf(d.At(path), "%s has addresses for targets, not instances", group.Address)
		}
		if theirs := c.target(group, "vpc"); vpc != "" && theirs != "" && theirs != vpc {
			c.problems.Addf(d.At(path), "%s lies in another VPC than the instance", group.Address)
		}
		if refersTo(group, d.Address) {
			c.problems.AddHint(d.At(path), "say it in one of the two places", "%s lists the instance among its targets already", group.Address)
		}
	}
}
