package launch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
)

// secondaryAddresses are the private addresses that an interface is to have
// beside its primary one: a list, or a number of them.
type secondaryAddresses struct {
	list  []string
	count *int
	// first are those that a number is made up of before free ones are: what the
	// interface's predecessor had.
	first []string
	// from tells whether an interface may lose an address to this one.
	from func(types.NetworkInterface) bool
}

func (s secondaryAddresses) compare(d *differences, have []string) {
	if s.count != nil {
		d.set("secondary_private_ip_count", fmt.Sprint(len(have)), fmt.Sprint(*s.count))
		return
	}
	d.members("secondary_private_ips", have, s.list)
}

// differ tells whether any of the differences is about secondary addresses.
func (secondaryAddresses) differ(d differences) bool {
	return d.has("secondary_private_ips") || d.has("secondary_private_ip_count")
}

// lacking says what an interface that has some addresses is still to get, by name
// and by number, and what it has too many.
func (s secondaryAddresses) lacking(have []string) (named []string, number int, drop []string) {
	if s.count == nil {
		return except(s.list, have), 0, except(have, s.list)
	}
	number = *s.count - len(have)
	if number <= 0 {
		return nil, 0, have[*s.count:]
	}
	named = except(s.first, have)
	named = named[:min(number, len(named))]
	return named, number - len(named), nil
}

// except are the elements of a list that another has not.
func except(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(x string) bool { return has(other, x) })
}

// secondary are an interface's other private addresses, as EC2 lists them.
func secondary(n types.NetworkInterface) []string {
	var ips []string
	for _, a := range n.PrivateIpAddresses {
		if !aws.ToBool(a.Primary) {
			ips = append(ips, aws.ToString(a.PrivateIpAddress))
		}
	}
	return ips
}

// readdress brings the secondary addresses of an interface to what is wanted,
// from what they are now: a number of addresses that is asked for twice is given
// twice.
func (k networkInterfaces) readdress(ctx context.Context, t *task, s secondaryAddresses, id string) error {
	now, err := k.one(ctx, t, id)
	if err != nil {
		return err
	}
	named, number, drop := s.lacking(secondary(now))
	if len(named) > 0 {
		if err := k.assign(ctx, t, now, named, s.from); err != nil {
			return err
		}
	}
	if number > 0 {
		_, err := k.api(t.Cloud).AssignPrivateIpAddresses(ctx, &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: aws.String(id), SecondaryPrivateIpAddressCount: aws.Int32(int32(number))})
		if err != nil {
			return fmt.Errorf("assign %d more: %w", number, err)
		}
	}
	if len(drop) > 0 {
		return k.unassign(ctx, t, id, drop)
	}
	return nil
}

// assign gives an interface addresses, from the interfaces that have them where
// those may lose them. EC2 moves them, each with the elastic IP address at it, in
// one step.
func (k networkInterfaces) assign(ctx context.Context, t *task, to types.NetworkInterface, ips []string, from func(types.NetworkInterface) bool) error {
	id := aws.ToString(to.NetworkInterfaceId)
	in := &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: to.NetworkInterfaceId, PrivateIpAddresses: ips}
	holders, err := k.list(ctx, query{cloud: t.Cloud, filters: []types.Filter{cloud.Filter("addresses.private-ip-address", ips...), cloud.Filter("vpc-id", aws.ToString(to.VpcId))}})
	if err != nil {
		return fmt.Errorf("look for %s: %w", strings.Join(ips, ", "), err)
	}
	for _, n := range holders {
		if aws.ToString(n.NetworkInterfaceId) == id {
			continue
		}
		if has(ips, aws.ToString(n.PrivateIpAddress)) {
			return fmt.Errorf("%s is the primary private address of %s, which does not move", aws.ToString(n.PrivateIpAddress), nameOfInterface(n))
		}
		if from == nil || !from(n) {
			return fmt.Errorf("%s has %s, and is not of this environment", nameOfInterface(n), sortedList(common(ips, secondary(n))))
		}
		in.AllowReassignment = aws.Bool(true)
		t.progress("moving %s from %s to %s", sortedList(common(ips, secondary(n))), nameOfInterface(n), nameOfInterface(to))
	}
	if _, err := k.api(t.Cloud).AssignPrivateIpAddresses(ctx, in); err != nil {
		return fmt.Errorf("assign %s: %w", strings.Join(ips, ", "), err)
	}
	return nil
}

// unassign takes addresses away. One that another definition has taken meanwhile
// is gone already, of which EC2 says that a parameter is invalid.
func (k networkInterfaces) unassign(ctx context.Context, t *task, id string, ips []string) error {
	take := func() error {
		_, err := k.api(t.Cloud).UnassignPrivateIpAddresses(ctx, &ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: aws.String(id), PrivateIpAddresses: ips})
		return err
	}
	err := take()
	if cloud.Code(err) == "InvalidParameterValue" {
		now, lookErr := k.one(ctx, t, id)
		if left := common(ips, secondary(now)); lookErr == nil && len(left) < len(ips) {
			if ips, err = left, nil; len(left) > 0 {
				err = take()
			}
		}
	}
	if err != nil {
		return fmt.Errorf("take %s away: %w", strings.Join(ips, ", "), err)
	}
	return nil
}

// common are the elements that two lists have.
func common(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(x string) bool { return !has(b, x) })
}

// nameOfInterface is what people know an interface by: its instance, if it is on
// one.
func nameOfInterface(n types.NetworkInterface) string {
	if holder := holderOf(n); holder != "" {
		return holder
	}
	return aws.ToString(n.NetworkInterfaceId)
}

// loses tells whether an interface may lose addresses to what the task is about:
// it, or the instance that it is on, is of this environment.
func (t *task) loses(n types.NetworkInterface) bool {
	return t.ours(aws.ToString(n.NetworkInterfaceId)) || t.ours(holderOf(n))
}

// associated tells whether a public address is at any of an interface's addresses.
func associated(list []types.NetworkInterfacePrivateIpAddress) bool {
	return slices.ContainsFunc(list, func(a types.NetworkInterfacePrivateIpAddress) bool { return a.Association != nil })
}
