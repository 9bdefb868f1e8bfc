package launch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
)

// interfaceSpec is an interface that an instance has beside its own. It is
// attached while the instance runs, and moves to the successor.
type interfaceSpec struct {
	Interface   string `yaml:"network_interface" ref:"network_interface" required:"true" doc:"The network interface, in the instance's zone."`
	DeviceIndex int    `yaml:"device_index" required:"true" min:"1" max:"15" doc:"Its place among the instance's interfaces; the instance's own is 0."`
}

// checkInterfaces checks the interfaces of an instance: each place and each
// interface once, in the instance's zone.
func checkInterfaces(c *checker, d definition[instanceSpec]) {
	places := map[int]bool{}
	for i, n := range d.spec.NetworkInterfaces {
		path := fmt.Sprintf("network_interfaces[%d]", i)
		if places[n.DeviceIndex] {
			c.problems.Addf(d.At(path+".device_index"), "two interfaces at device_index %d", n.DeviceIndex)
		}
		places[n.DeviceIndex] = true
		_, r, ok := referred[networkInterfaceSpec](c, d.Resource, path+".network_interface")
		if !ok {
			continue
		}
		c.attached(d.Resource, path+".network_interface", r)
		own, _, known := referred[subnetSpec](c, d.Resource, "subnet")
		theirs, subnet, stated := referred[subnetSpec](c, r, "subnet")
		if !known || !stated {
			continue
		}
		if a, b := zoneName(c.region, own.AvailabilityZone), zoneName(c.region, theirs.AvailabilityZone); differentZones(a, b) {
			c.problems.AddHint(d.At(path+".network_interface"), "an instance takes network interfaces of its own zone only", "%s lies in zone %s with %s, and the instance in %s", r.Address, b, subnet.Address, a)
		}
	}
}

// interfacesOn are the interfaces on an instance beside its own, by place.
func interfacesOn(i types.Instance) map[string]string {
	all := map[string]string{}
	for _, n := range i.NetworkInterfaces {
		if n.Attachment == nil || n.Attachment.Status == types.AttachmentStatusDetaching || n.Attachment.Status == types.AttachmentStatusDetached {
			continue
		}
		if index := aws.ToInt32(n.Attachment.DeviceIndex); index > 0 {
			all[strconv.Itoa(int(index))] = aws.ToString(n.NetworkInterfaceId)
		}
	}
	return all
}

// ownInterface is the interface that came with an instance.
func ownInterface(i types.Instance) string {
	for _, n := range i.NetworkInterfaces {
		if n.Attachment != nil && aws.ToInt32(n.Attachment.DeviceIndex) == 0 {
			return aws.ToString(n.NetworkInterfaceId)
		}
	}
	return ""
}

func (s *instanceSpec) interfaces() map[string]string {
	all := map[string]string{}
	for _, n := range s.NetworkInterfaces {
		all[strconv.Itoa(n.DeviceIndex)] = n.Interface
	}
	return all
}

// compareInterfaces leaves alone what was attached by hand.
func compareInterfaces(d *differences, w want[instanceSpec], i instance) {
	have, wanted := interfacesOn(i.Instance), w.spec.interfaces()
	for _, index := range union(have, wanted) {
		if wanted[index] == "" && !w.world.ours(have[index]) {
			continue
		}
		d.set("network_interfaces["+index+"]", have[index], wanted[index])
	}
}

// updateInterfaces takes off what the instance should not have, and attaches
// what it should.
func (k instances) updateInterfaces(ctx context.Context, t *task, w want[instanceSpec], i instance) error {
	id := aws.ToString(i.InstanceId)
	have, wanted := interfacesOn(i.Instance), w.spec.interfaces()
	for _, index := range union(have) {
		if have[index] != wanted[index] && t.ours(have[index]) {
			if err := (networkInterfaces{}).free(ctx, t, have[index], id); err != nil && !cloud.NotFound(err) {
				return err
			}
		}
	}
	for _, index := range union(wanted) {
		if have[index] == wanted[index] {
			continue
		}
		if err := k.attachInterface(ctx, t, wanted[index], id, index); err != nil {
			return err
		}
	}
	return nil
}

// attachInterface attaches an interface once its instance can take it, from
// wherever in the environment it is.
func (k instances) attachInterface(ctx context.Context, t *task, eni, id, index string) error {
	if err := t.takes(ctx, id, "network interfaces"); err != nil {
		return err
	}
	nics := networkInterfaces{}
	now, err := nics.one(ctx, t, eni)
	if err != nil {
		return err
	}
	if holder := holderOf(now); holder == id && placeOf(now) == index {
		return nil
	} else if holder != "" && !t.ours(holder) && (t.made == nil || t.made.id != holder) && holder != id {
		return fmt.Errorf("network interface %s is attached to instance %s, which is not of this environment", eni, holder)
	}
	if err := nics.free(ctx, t, eni, ""); err != nil {
		return err
	}
	n, err := strconv.Atoi(index)
	if err != nil {
		return err
	}
	err = t.again(ctx, func() error {
		_, err := nics.api(t.Cloud).AttachNetworkInterface(ctx, &ec2.AttachNetworkInterfaceInput{
			NetworkInterfaceId: aws.String(eni), InstanceId: aws.String(id), DeviceIndex: aws.Int32(int32(n))})
		return err
	}, func(ctx context.Context) (bool, error) {
		now, err := nics.one(ctx, t, eni)
		return holderOf(now) == id, err
	})
	if err != nil {
		return fmt.Errorf("attach %s at device_index %s: %w", eni, index, err)
	}
	return nics.wait(ctx, t, eni, "is not attached yet", func(n types.NetworkInterface) bool {
		return holderOf(n) == id && n.Attachment.Status == types.AttachmentStatusAttached
	})
}

// holderOf is the instance that an interface is on.
func holderOf(n types.NetworkInterface) string {
	if n.Attachment == nil || n.Attachment.Status == types.AttachmentStatusDetached {
		return ""
	}
	return aws.ToString(n.Attachment.InstanceId)
}

func placeOf(n types.NetworkInterface) string {
	return strconv.Itoa(int(aws.ToInt32(n.Attachment.DeviceIndex)))
}

// free takes an interface off the instance that it is on, if that is the given
// one or whichever where none is given, and waits until it is free.
func (k networkInterfaces) free(ctx context.Context, t *task, id, from string) error {
	now, err := k.one(ctx, t, id)
	if err != nil {
		return err
	}
	holder := holderOf(now)
	if holder == "" || from != "" && holder != from {
		return nil
	}
	if now.Attachment.Status != types.AttachmentStatusDetaching {
		_, err = k.api(t.Cloud).DetachNetworkInterface(ctx, &ec2.DetachNetworkInterfaceInput{AttachmentId: now.Attachment.AttachmentId})
		// It may have let go by itself, or be about to: its instance ends.
		if err != nil && !cloud.NotFound(err) && !cloud.InUse(err) {
			return fmt.Errorf("take %s off %s: %w", id, holder, err)
		}
	}
	return k.wait(ctx, t, id, "is still attached to "+holder, func(n types.NetworkInterface) bool { return holderOf(n) != holder })
}

var errInterface = errors.New("a network interface is not as it should be yet")

// wait looks at an interface until it is as it should be.
func (k networkInterfaces) wait(ctx context.Context, t *task, id, what string, done func(types.NetworkInterface) bool) error {
	err := repeat(ctx, goingDeadline, func() error {
		now, err := k.one(ctx, t, id)
		if err == nil && !done(now) {
			err = errInterface
		}
		return err
	}, func(err error) bool { return errors.Is(err, errInterface) })
	if errors.Is(err, errInterface) {
		return fmt.Errorf("network interface %s %s after %s", id, what, goingDeadline)
	}
	return err
}

// restoreInterfaces gives the old instance back what its failed successor took.
func (k instances) restoreInterfaces(ctx context.Context, t *task, old instance) error {
	attached := interfacesOn(old.Instance)
	for _, index := range slices.Sorted(slices.Values(union(attached))) {
		if err := k.attachInterface(ctx, t, attached[index], aws.ToString(old.InstanceId), index); err != nil {
			return err
		}
	}
	return nil
}
