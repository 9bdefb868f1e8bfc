package launch

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/project"
)

// What has no name of its own is told by what it belongs to: the internet
// gateway of a VPC, the list of a subnet, the volume that an instance has as a
// device. Kinds own each other in no ring, so that owners are found first.

const ownerVPC, ownerSubnet, ownerInstance = "vpc", "subnet", "instance"

// ownersOf are the definitions whose resources an adopted one belongs to. A
// record belongs to the zone that its definition states.
func (w *world) ownersOf(r *project.Resource) map[string]project.Ref {
	if r.Kind != "record" || len(r.Adopt.Owners) > 0 {
		return r.Adopt.Owners
	}
	for _, ref := range r.Refs {
		if ref.Path == "zone" && ref.Kind == "zone" {
			return map[string]project.Ref{"zone": ref}
		}
	}
	return nil
}

// ownersFirst orders kinds so that each stands behind those that own it.
func ownersFirst(names []string) []string {
	byName := kindsByName()
	var order []string
	var add func(name string)
	add = func(name string) {
		if has(order, name) {
			return
		}
		if k := byName[name]; k != nil {
			owners := k.definition().Owners
			for _, key := range union(owners) {
				add(owners[key])
			}
		}
		order = append(order, name)
	}
	for _, name := range names {
		add(name)
	}
	return slices.DeleteFunc(order, func(name string) bool { return !has(names, name) })
}

// readOwners reads the kinds of what launches made and what owns something that
// is adopted: where there is any, or nothing.
func (w *world) readOwners(ctx context.Context) error {
	var kinds []string
	for _, r := range w.resources() {
		if r.Adopt == nil {
			continue
		}
		for _, ref := range w.ownersOf(r) {
			if owner := w.book.definition(w.Topology, ref.Address); owner != nil && owner.Adopt == nil {
				kinds = appendNew(kinds, ref.Kind)
			}
		}
	}
	if len(kinds) == 0 {
		return nil
	}
	return w.readKinds(ctx, kinds)
}

// withOwners adds the kinds of what owns that which definitions of kinds adopt.
func withOwners(t *project.Topology, names []string) []string {
	all := slices.Clone(names)
	for grown := true; grown; {
		grown = false
		for _, r := range t.Resources {
			if r.Adopt == nil || !has(all, r.Kind) {
				continue
			}
			for _, ref := range r.Adopt.Owners {
				if !has(all, ref.Kind) {
					all, grown = append(all, ref.Kind), true
				}
			}
		}
	}
	return all
}

// ownersThere are the resources that one which a definition adopts belongs to;
// missing is the first that is not there.
func (w *world) ownersThere(r *project.Resource) (owners map[string]*found, missing *project.Ref) {
	owners = map[string]*found{}
	refs := w.ownersOf(r)
	for _, key := range union(refs) {
		ref := refs[key]
		if owners[key] = w.there(ref); owners[key] == nil {
			return nil, &ref
		}
	}
	return owners, nil
}

// belongsTo tells whether a resource belongs to all that are given.
func belongsTo(f *found, owners map[string]*found) bool {
	for key, owner := range owners {
		if !f.kind.belongs(f, key, owner) {
			return false
		}
	}
	return true
}

// ownerless reports an owner that is not there, unless the definition does not
// count now. One that is to be adopted itself has been reported already.
func (w *world) ownerless(r *project.Resource, ref project.Ref, problems *diag.List) {
	if !w.selected(r) {
		return
	}
	for _, other := range w.resources() {
		if other.Address == ref.Address && other.Adopt != nil {
			return
		}
	}
	problems.AddHint(ref.Pos, "what belongs to it can be adopted when it is there: launch it first, with --only "+ref.Address, "%s belongs to %s, which is not there", r.Address, ref.Address)
}

func (internetGateways) belongs(g types.InternetGateway, _ string, to *found) bool {
	return attachedTo(g) == to.id
}

func (subnets) belongs(s types.Subnet, _ string, to *found) bool {
	return aws.ToString(s.VpcId) == to.id
}

func (natGateways) belongs(g types.NatGateway, key string, to *found) bool {
	if key == ownerSubnet {
		return aws.ToString(g.SubnetId) == to.id
	}
	return aws.ToString(g.VpcId) == to.id
}

func (elasticIPs) belongs(a types.Address, _ string, to *found) bool {
	return aws.ToString(a.InstanceId) == to.id
}

func (vpcPeerings) belongs(p types.VpcPeeringConnection, key string, to *found) bool {
	if key == "peer_vpc" {
		return peeringVPC(p.AccepterVpcInfo) == to.id
	}
	return peeringVPC(p.RequesterVpcInfo) == to.id
}

func (vpcEndpoints) belongs(e types.VpcEndpoint, _ string, to *found) bool {
	return aws.ToString(e.VpcId) == to.id
}

// belongs: the options are those that the VPC uses.
func (dhcpOptions) belongs(o types.DhcpOptions, _ string, to *found) bool {
	v, ok := to.raw.(vpc)
	return ok && aws.ToString(v.DhcpOptionsId) == aws.ToString(o.DhcpOptionsId)
}

func (networkACLs) belongs(a types.NetworkAcl, key string, to *found) bool {
	if key == ownerSubnet {
		_, ok := aclSubnets(a)[to.id]
		return ok
	}
	return aws.ToString(a.VpcId) == to.id
}

func (routeTables) belongs(table types.RouteTable, key string, to *found) bool {
	if key == ownerSubnet {
		_, ok := associationsOf(table)[to.id]
		return ok
	}
	return aws.ToString(table.VpcId) == to.id
}

func (securityGroups) belongs(g types.SecurityGroup, _ string, to *found) bool {
	return aws.ToString(g.VpcId) == to.id
}

func (networkInterfaces) belongs(n types.NetworkInterface, key string, to *found) bool {
	if key == ownerInstance {
		return n.Attachment != nil && aws.ToString(n.Attachment.InstanceId) == to.id
	}
	return aws.ToString(n.SubnetId) == to.id
}

func (volumes) belongs(v types.Volume, _ string, to *found) bool {
	return slices.ContainsFunc(v.Attachments, func(a types.VolumeAttachment) bool { return aws.ToString(a.InstanceId) == to.id })
}

func (snapshots) belongs(s types.Snapshot, _ string, to *found) bool {
	return aws.ToString(s.VolumeId) == to.id
}

func (instances) belongs(i instance, _ string, to *found) bool {
	return aws.ToString(i.SubnetId) == to.id
}

func (zones) belongs(z hostedZone, _ string, to *found) bool {
	for _, v := range z.vpcs {
		if aws.ToString(v.VPCId) == to.id {
			return true
		}
	}
	return false
}

func (records) belongs(r record, _ string, to *found) bool { return r.zone == to.id }
