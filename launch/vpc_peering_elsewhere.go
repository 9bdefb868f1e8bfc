package launch

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

// A connection between VPCs of two environments is asked for by one and
// accepted by the other: with its role, in its account and region. Which one
// that is follows from how the definition names the VPC:
// ${env.NAME.vpc.main.id}.

// neighbour is the environment at the other end of a connection.
type neighbour struct {
	environment string
	cloud       *cloud.Cloud
	vpc         *vpcSpec // as it is defined there; nil where that is not known
}

// abroad is what is known of other environments.
type abroad struct {
	neighbouring map[string]*neighbour // at the other ends of connections, by their UUID
	later        []string              // what waits for another environment
}

// otherEnvironment is one that values are asked of.
type otherEnvironment struct {
	topology *project.Topology
	cloud    *cloud.Cloud
}

// neighbours finds the environments at the other ends of connections, by the
// UUID of their definitions; it reads the definitions as they are written.
func (w *world) neighbours(others map[string]otherEnvironment) map[string]*neighbour {
	all := map[string]*neighbour{}
	for _, r := range w.resources() {
		s, ok := r.Spec.(*vpcPeeringSpec)
		if !ok {
			continue
		}
		for _, l := range r.Lookups {
			other, read := others[l.Environment]
			if !read || l.Ref.Kind != "vpc" || s.PeerVPCID != l.String() {
				continue
			}
			n := &neighbour{environment: l.Environment, cloud: other.cloud}
			for _, there := range other.topology.Resources {
				if there.Address == l.Ref.Address {
					n.vpc, _ = there.Spec.(*vpcSpec)
				}
			}
			all[r.UUID] = n
		}
	}
	return all
}

// neighbour is the environment at the other end; nil for none that is known.
func (vpcPeerings) neighbour(w want[vpcPeeringSpec]) *neighbour {
	if w.world == nil {
		return nil
	}
	return w.world.neighbouring[w.UUID]
}

// owner and region of the other end; nothing for this environment's own.
func (k vpcPeerings) place(w want[vpcPeeringSpec]) (owner, region string) {
	owner, region = w.spec.PeerOwnerID, w.spec.PeerRegion
	if n := k.neighbour(w); n != nil {
		owner, region = n.cloud.Account, n.cloud.Region
	}
	if w.world.Cloud != nil && owner == w.world.Cloud.Account {
		owner = ""
	}
	if region == w.world.region {
		region = ""
	}
	return owner, region
}

// accepts tells whether the launch accepts the connection.
func (k vpcPeerings) accepts(w want[vpcPeeringSpec]) bool {
	owner, region := k.place(w)
	return (k.neighbour(w) != nil || owner == "" && region == "") && (w.spec.AutoAccept == nil || *w.spec.AutoAccept)
}

// there is the cloud of the other end.
func (k vpcPeerings) there(w want[vpcPeeringSpec]) *cloud.Cloud {
	if n := k.neighbour(w); n != nil {
		return n.cloud
	}
	return w.world.Cloud
}

// refuse says what cannot work between two environments.
func (k vpcPeerings) refuse(w want[vpcPeeringSpec]) error {
	n, s := k.neighbour(w), w.spec
	owner, region := k.place(w)
	switch {
	case n == nil && owner == "" && region == "":
		return nil
	case n == nil && s.AutoAccept != nil && *s.AutoAccept:
		return fmt.Errorf("a connection to account %s, %s cannot be accepted from here; name its VPC as ${env.NAME.vpc.NAME.id}, or say auto_accept: false and accept it there", orHere(owner), orHere(region))
	case n == nil && s.Accepter != nil:
		return fmt.Errorf("what the other end allows can be set in its own account and region alone; name its VPC as ${env.NAME.vpc.NAME.id}, or leave accepter out")
	case n == nil:
		return nil
	case s.PeerOwnerID != "" && s.PeerOwnerID != n.cloud.Account:
		return fmt.Errorf("peer_owner_id is %s, and environment %s lives in account %s; leave it out", s.PeerOwnerID, n.environment, n.cloud.Account)
	case s.PeerRegion != "" && s.PeerRegion != n.cloud.Region:
		return fmt.Errorf("peer_region is %s, and environment %s lives in %s; leave it out", s.PeerRegion, n.environment, n.cloud.Region)
	}
	return k.overlapping(w, n)
}

// overlapping: EC2 connects no VPCs whose blocks overlap.
func (vpcPeerings) overlapping(w want[vpcPeeringSpec], n *neighbour) error {
	ours, _ := w.world.referred(w.Resource, "vpc").(*vpcSpec)
	if ours == nil || n.vpc == nil {
		return nil
	}
	for _, a := range ours.blocks() {
		for _, b := range n.vpc.blocks() {
			if a.Overlaps(b) {
				return fmt.Errorf("%s of environment %s overlaps %s: EC2 connects no such VPCs", b, n.environment, netip.Prefix.String(a))
			}
		}
	}
	return nil
}

// referred is the definition that a field names; nil for none.
func (w *world) referred(r *project.Resource, path string) any {
	for _, ref := range r.Refs {
		if ref.Path != path {
			continue
		}
		for _, other := range w.resources() {
			if other.Address == ref.Address {
				return other.Spec
			}
		}
	}
	return nil
}

func orHere(place string) string {
	if place == "" {
		return "this one"
	}
	return place
}

// disconnect deletes the connections to a VPC that others have asked for: none
// outlives its VPC, and either end may delete it.
func (vpcPeerings) disconnect(ctx context.Context, t *task, vpc string) error {
	list, err := vpcPeerings{}.list(ctx, query{cloud: t.Cloud, filters: []types.Filter{cloud.Filter("accepter-vpc-info.vpc-id", vpc)}})
	if err != nil {
		return err
	}
	for _, p := range list {
		if (vpcPeerings{}).read(p).gone {
			continue
		}
		t.progress("deleting the connection %s, which %s of account %s has asked for", aws.ToString(p.VpcPeeringConnectionId), peeringVPC(p.RequesterVpcInfo), aws.ToString(p.RequesterVpcInfo.OwnerId))
		_, err := t.Cloud.EC2.DeleteVpcPeeringConnection(ctx, &ec2.DeleteVpcPeeringConnectionInput{VpcPeeringConnectionId: p.VpcPeeringConnectionId})
		if err != nil && !cloud.NotFound(err) && cloud.Code(err) != "InvalidStateTransition" {
			return fmt.Errorf("delete the connection %s: %w", aws.ToString(p.VpcPeeringConnectionId), err)
		}
	}
	return nil
}
