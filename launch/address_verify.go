package launch

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
)

// readdressed are the instances that the plan gives secondary addresses, or a type
// that may take fewer of them.
func (p *planner) readdressed() []*item {
	var all []*item
	for _, it := range p.items {
		s, ok := it.spec.(*instanceSpec)
		if !ok || len(s.SecondaryIPs) == 0 && (s.SecondaryCount == nil || *s.SecondaryCount == 0) {
			continue
		}
		if it.made() || (secondaryAddresses{}).differ(it.diffs) || it.diffs.has("instance_type") {
			all = append(all, it)
		}
	}
	return all
}

// verifyAddresses reports secondary addresses that EC2 would refuse: more than the
// instance's type takes, and those that something else has.
func (p *planner) verifyAddresses(ctx context.Context, problems *diag.List) error {
	wanted := p.readdressed()
	if len(wanted) == 0 {
		return nil
	}
	if err := p.verifyAddressLimits(ctx, problems, wanted); err != nil {
		return err
	}
	return p.verifyHolders(ctx, problems, wanted)
}

func (p *planner) verifyAddressLimits(ctx context.Context, problems *diag.List, wanted []*item) error {
	var kinds []string
	for _, it := range wanted {
		if kind := it.spec.(*instanceSpec).InstanceType; !unresolved(kind) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	if _, err := p.instanceTypes(ctx, slices.Compact(kinds)); cloud.Denied(err) {
		return nil // whoever may not ask is told by the call that assigns them
	} else if err != nil {
		return fmt.Errorf("describe the instance types: %w", err)
	}
	for _, it := range wanted {
		s := it.spec.(*instanceSpec)
		number, path := len(s.SecondaryIPs), "secondary_private_ips"
		if s.SecondaryCount != nil {
			number, path = *s.SecondaryCount, "secondary_private_ip_count"
		}
		if most := p.ipv4[s.InstanceType]; most > 0 && number >= most {
			problems.AddHint(it.At(path), "take a larger type, or put some of them on a network_interface", "%s: %s has %d private addresses an interface, one of which is the primary one, and here are %d more", it.Address, s.InstanceType, most, number)
		}
	}
	return nil
}

// verifyHolders looks, by one call, for who has the addresses that are to be
// assigned. What is of this environment gives them up; what is primary somewhere
// moves never.
func (p *planner) verifyHolders(ctx context.Context, problems *diag.List, wanted []*item) error {
	by := map[string]*item{}
	for _, it := range wanted {
		s := it.spec.(*instanceSpec)
		var have []string
		if it.have != nil {
			have = secondaryOf(it.have.raw.(instance).Instance)
		}
		for _, ip := range except(s.SecondaryIPs, have) {
			if !unresolved(ip) && s.Subnet != Unknown {
				by[s.Subnet+" "+ip] = it
			}
		}
	}
	var ips []string
	for _, key := range union(by) {
		ips = append(ips, key[len(by[key].spec.(*instanceSpec).Subnet)+1:])
	}
	return cloud.Batches(ips, maxFilterValues, func(ips []string) error {
		list, err := networkInterfaces{}.list(ctx, query{cloud: p.Cloud, filters: []types.Filter{cloud.Filter("addresses.private-ip-address", ips...)}})
		if cloud.Denied(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for private addresses: %w", err)
		}
		for _, n := range list {
			for _, a := range n.PrivateIpAddresses {
				ip := aws.ToString(a.PrivateIpAddress)
				it := by[aws.ToString(n.SubnetId)+" "+ip]
				if it == nil || it.have != nil && it.have.id == holderOf(n) || p.vacates(holderOf(n)) {
					continue
				}
				at := it.At("secondary_private_ips")
				switch {
				case aws.ToBool(a.Primary):
					problems.AddHint(at, "a primary address does not move: take another one", "%s: %s is the primary private address of %s", it.Address, ip, nameOfInterface(n))
				case !p.ours(aws.ToString(n.NetworkInterfaceId)) && !p.ours(holderOf(n)):
					problems.AddHint(at, "take another one, or take it away there first", "%s: %s has %s, and is not of this environment", it.Address, nameOfInterface(n), ip)
				}
			}
		}
		return nil
	})
}

// vacates tells whether the plan removes an instance, with its addresses.
func (p *planner) vacates(id string) bool {
	return id != "" && slices.ContainsFunc(p.going(), func(f *found) bool { return f.id == id })
}
