package launch

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
)

// The secondary private addresses of an instance belong to its place. A
// successor that is launched beside its predecessor gets them from it, with the
// elastic IP addresses at them, when it answers its status checks: until then the
// predecessor answers there. Where that one has stopped, it gets them as soon as
// it runs.

// secondaryOf are the secondary addresses of an instance's own interface.
func secondaryOf(i types.Instance) []string {
	var ips []string
	for _, n := range i.NetworkInterfaces {
		if n.Attachment == nil || aws.ToInt32(n.Attachment.DeviceIndex) != 0 {
			continue
		}
		for _, a := range n.PrivateIpAddresses {
			if !aws.ToBool(a.Primary) {
				ips = append(ips, aws.ToString(a.PrivateIpAddress))
			}
		}
	}
	return ips
}

// addresses are the secondary ones that a definition states; ok is false for one
// that leaves them as they are.
func (s *instanceSpec) addresses() (wanted secondaryAddresses, ok bool) {
	return secondaryAddresses{list: s.SecondaryIPs, count: s.SecondaryCount}, s.SecondaryIPs != nil || s.SecondaryCount != nil
}

// addressesAtBirth are those that an instance can be launched with: what nothing
// else of the environment has, by name or by number. What a predecessor had that
// is gone by now comes back.
func (t *task) addressesAtBirth(s *instanceSpec) (named []string, number int) {
	wanted, ok := s.addresses()
	if !ok {
		return nil, 0
	}
	taken, before := map[string]bool{}, []string(nil)
	for _, f := range t.inventory.all {
		i, isInstance := f.raw.(instance)
		n, isInterface := f.raw.(types.NetworkInterface)
		var ips []string
		switch {
		case f.gone:
		case isInstance && f.uuid() == t.uuid && len(t.old) == 0 && aws.ToString(i.SubnetId) == s.Subnet:
			before = append(before, secondaryOf(i.Instance)...)
		case isInstance:
			ips = secondaryOf(i.Instance)
		case isInterface:
			ips = secondary(n)
		}
		for _, ip := range ips {
			taken[ip] = true
		}
	}
	if wanted.count == nil {
		return slices.DeleteFunc(slices.Clone(wanted.list), func(ip string) bool { return taken[ip] }), 0
	}
	if wanted.first = before; len(t.predecessors()) > 0 {
		return nil, 0
	}
	if named, number, _ = wanted.lacking(nil); len(named) > 0 {
		return named, 0 // EC2 takes one of the two
	}
	return nil, number
}

// predecessors are the instances whose place an instance takes and that have
// secondary addresses, as they were seen when the plan was made.
func (t *task) predecessors() []instance {
	var all []instance
	for _, f := range t.old {
		if i, ok := f.raw.(instance); ok && !f.gone && len(secondaryOf(i.Instance)) > 0 {
			all = append(all, i)
		}
	}
	return all
}

// updateAddresses gives an instance the secondary addresses of its place.
func (k instances) updateAddresses(ctx context.Context, t *task, w want[instanceSpec], i instance, d differences) error {
	wanted, _ := w.spec.addresses()
	if !wanted.differ(d) {
		return nil
	}
	id, runs := aws.ToString(i.InstanceId), false
	for _, old := range t.predecessors() {
		wanted.first = append(wanted.first, secondaryOf(old.Instance)...)
		now, err := t.instance(ctx, aws.ToString(old.InstanceId), "be seen", stopDeadline, func(types.Instance, bool) (bool, error) { return true, nil })
		if err != nil {
			return err
		}
		runs = runs || stateSeen(now) == types.InstanceStateNameRunning
	}
	if runs {
		if err := t.booted(ctx, id); err != nil {
			return err
		}
	}
	wanted.from = t.loses
	own, err := k.interfaceOf(ctx, t, i)
	if err != nil {
		return err
	}
	err = t.again(ctx, func() error { return networkInterfaces{}.readdress(ctx, t, wanted, own) }, nil)
	if err != nil {
		return fmt.Errorf("secondary private addresses: %w", err)
	}
	return nil
}

// booted waits until an instance answers its status checks, where its roll-out
// looks at them.
func (t *task) booted(ctx context.Context, id string) error {
	if t.answers != nil {
		return t.answers(ctx, id)
	}
	return instances{}.answers(ctx, t, id)
}

// interfaceOf is an instance's own interface, which its launch's answer may not
// show yet.
func (k instances) interfaceOf(ctx context.Context, t *task, i instance) (string, error) {
	if own := ownInterface(i.Instance); own != "" {
		return own, nil
	}
	now, err := t.instance(ctx, aws.ToString(i.InstanceId), "show its network interface", runDeadline, func(i types.Instance, found bool) (bool, error) {
		return found && (over(i) || ownInterface(i) != ""), nil
	})
	if err != nil || now == nil {
		return "", err
	}
	return ownInterface(*now), nil
}

// restoreAddresses gives the old instance back the secondary addresses that it
// had, from the successors that are to go. In a replacement that an earlier run
// has begun it had those of the successors.
func (k instances) restoreAddresses(ctx context.Context, t *task, old instance, successors []instance) error {
	had := secondaryOf(old.Instance)
	ids := map[string]bool{}
	for _, i := range successors {
		ids[aws.ToString(i.InstanceId)] = true
		if t.resumed {
			had = append(had, except(secondaryOf(i.Instance), had)...)
		}
	}
	if t.made != nil {
		ids[t.made.id] = true
	}
	own := ownInterface(old.Instance)
	if len(had) == 0 || own == "" {
		return nil
	}
	err := t.again(ctx, func() error {
		nics := networkInterfaces{}
		now, err := nics.one(ctx, t, own)
		if err != nil {
			return err
		}
		lacking := except(had, secondary(now))
		if len(lacking) == 0 {
			return nil
		}
		return nics.assign(ctx, t, now, lacking, func(n types.NetworkInterface) bool { return ids[holderOf(n)] || t.loses(n) })
	}, nil)
	if err != nil && !cloud.NotFound(err) {
		return fmt.Errorf("give %s its addresses back: %w", aws.ToString(old.InstanceId), err)
	}
	return nil
}
