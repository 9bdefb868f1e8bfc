package launch

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

type vpcPeeringAPI interface {
	CreateVpcPeeringConnection(context.Context, *ec2.CreateVpcPeeringConnectionInput, ...func(*ec2.Options)) (*ec2.CreateVpcPeeringConnectionOutput, error)
	AcceptVpcPeeringConnection(context.Context, *ec2.AcceptVpcPeeringConnectionInput, ...func(*ec2.Options)) (*ec2.AcceptVpcPeeringConnectionOutput, error)
	ModifyVpcPeeringConnectionOptions(context.Context, *ec2.ModifyVpcPeeringConnectionOptionsInput, ...func(*ec2.Options)) (*ec2.ModifyVpcPeeringConnectionOptionsOutput, error)
	DeleteVpcPeeringConnection(context.Context, *ec2.DeleteVpcPeeringConnectionInput, ...func(*ec2.Options)) (*ec2.DeleteVpcPeeringConnectionOutput, error)
}

type vpcPeeringSpec struct {
	VPC         string           `yaml:"vpc" ref:"vpc" required:"true" change:"replaces" doc:"The VPC that asks for the connection."`
	PeerVPC     string           `yaml:"peer_vpc" ref:"vpc" change:"replaces" doc:"The VPC at the other end, if it is of this environment."`
	PeerVPCID   string           `yaml:"peer_vpc_id" change:"replaces" doc:"ID of the VPC at the other end, if it is of another environment: ${env.NAME.vpc.main.id}, which also tells its account and region."`
	PeerOwnerID string           `yaml:"peer_owner_id" pattern:"^([0-9]{12}|.*\\$\\{.*)$" change:"replaces" doc:"Account of the other end." default:"that of the environment that peer_vpc_id names, or this one's"`
	PeerRegion  string           `yaml:"peer_region" change:"replaces" doc:"Region of the other end." default:"likewise"`
	AutoAccept  *bool            `yaml:"auto_accept" doc:"Whether the launch accepts the connection: in its own account and region, or with the role of the environment that peer_vpc_id names. Elsewhere somebody has to accept it there." default:"true"`
	Requester   *peeringSideSpec `yaml:"requester" doc:"What this end allows."`
	Accepter    *peeringSideSpec `yaml:"accepter" doc:"What the other end allows, where the launch accepts the connection."`
}

type peeringSideSpec struct {
	AllowDNSResolutionFromRemoteVPC *bool `yaml:"allow_dns_resolution_from_remote_vpc" doc:"Whether public names of instances here resolve to private addresses over there." default:"false"`
}

// peer is the VPC at the other end.
func (s *vpcPeeringSpec) peer() string {
	if s.PeerVPC != "" {
		return s.PeerVPC
	}
	return s.PeerVPCID
}

type vpcPeerings struct{}

func (vpcPeerings) api(c *cloud.Cloud) vpcPeeringAPI { return c.EC2 }

func (vpcPeerings) about() project.Kind {
	return project.Kind{Name: "vpc_peering", Doc: "A connection between two VPCs. Traffic takes it where route tables of both lead through it.", Attributes: []string{"id"}, Owners: map[string]string{"peer_vpc": "vpc", "vpc": "vpc"}}
}

func (vpcPeerings) check(c *checker, d definition[vpcPeeringSpec]) {
	s := d.spec
	if (s.PeerVPC == "") == (s.PeerVPCID == "") {
		c.problems.AddHint(d.Pos, "give peer_vpc, or peer_vpc_id for one of another environment", "a peering needs one of peer_vpc and peer_vpc_id")
	}
	if s.PeerVPCID != "" && !strings.HasPrefix(s.PeerVPCID, "vpc-") && !unresolved(s.PeerVPCID) {
		c.problems.Addf(d.At("peer_vpc_id"), "%q is no ID of a VPC", s.PeerVPCID)
	}
	elsewhere := s.PeerOwnerID != "" || s.PeerRegion != "" && s.PeerRegion != c.region
	if s.PeerVPC != "" && elsewhere {
		c.problems.Addf(d.At("peer_vpc"), "peer_owner_id and peer_region are for a VPC of another environment, with peer_vpc_id")
	}
	ours, _, ok := referred[vpcSpec](c, d.Resource, "vpc")
	theirs, peer, ok2 := referred[vpcSpec](c, d.Resource, "peer_vpc")
	if !ok || !ok2 {
		return
	}
	if ours == theirs {
		c.problems.Addf(d.At("peer_vpc"), "a VPC is not peered with itself")
		return
	}
	for _, a := range ours.blocks() {
		for _, b := range theirs.blocks() {
			if a.Overlaps(b) {
				c.problems.Addf(d.At("peer_vpc"), "%s of %s overlaps %s: EC2 connects no such VPCs", b, peer.Address, netip.Prefix.String(a))
			}
		}
	}
}

func (vpcPeerings) list(ctx context.Context, q query) ([]types.VpcPeeringConnection, error) {
	var all []types.VpcPeeringConnection
	err := each(ctx, ec2.NewDescribeVpcPeeringConnectionsPaginator(q.cloud.EC2, &ec2.DescribeVpcPeeringConnectionsInput{Filters: q.filters, MaxResults: aws.Int32(pageSize)}), func(page *ec2.DescribeVpcPeeringConnectionsOutput) {
		all = append(all, page.VpcPeeringConnections...)
	})
	return all, err
}

func peeringStatus(p types.VpcPeeringConnection) types.VpcPeeringConnectionStateReasonCode {
	if p.Status == nil {
		return ""
	}
	return p.Status.Code
}

func peeringVPC(side *types.VpcPeeringConnectionVpcInfo) string {
	if side == nil {
		return ""
	}
	return aws.ToString(side.VpcId)
}

func (vpcPeerings) read(p types.VpcPeeringConnection) state {
	s := state{id: aws.ToString(p.VpcPeeringConnectionId), tags: cloud.TagSet(p.Tags), uses: []string{peeringVPC(p.RequesterVpcInfo), peeringVPC(p.AccepterVpcInfo)}}
	switch peeringStatus(p) {
	case types.VpcPeeringConnectionStateReasonCodeDeleted, types.VpcPeeringConnectionStateReasonCodeDeleting, types.VpcPeeringConnectionStateReasonCodeFailed,
		types.VpcPeeringConnectionStateReasonCodeExpired, types.VpcPeeringConnectionStateReasonCodeRejected:
		s.gone = true // EC2 removes what it still shows
	}
	return s
}

func (k vpcPeerings) compare(w want[vpcPeeringSpec], p types.VpcPeeringConnection) (d differences) {
	d.fixed("vpc", peeringVPC(p.RequesterVpcInfo), w.spec.VPC, "")
	path := "peer_vpc"
	if w.spec.PeerVPC == "" {
		path = "peer_vpc_id"
	}
	d.fixed(path, peeringVPC(p.AccepterVpcInfo), w.spec.peer(), "")
	if k.accepts(w) {
		d.set("status", string(peeringStatus(p)), string(types.VpcPeeringConnectionStateReasonCodeActive))
	}
	for _, side := range []struct {
		path string
		spec *peeringSideSpec
		have *types.VpcPeeringConnectionVpcInfo
	}{{"requester", w.spec.Requester, p.RequesterVpcInfo}, {"accepter", w.spec.Accepter, p.AccepterVpcInfo}} {
		if side.spec == nil || !k.accepts(w) && peeringStatus(p) != types.VpcPeeringConnectionStateReasonCodeActive {
			continue // EC2 takes options only of a connection that is accepted
		}
		have := side.have != nil && side.have.PeeringOptions != nil && aws.ToBool(side.have.PeeringOptions.AllowDnsResolutionFromRemoteVpc)
		d.flag(side.path+".allow_dns_resolution_from_remote_vpc", have, side.spec.AllowDNSResolutionFromRemoteVPC)
	}
	return d
}

// excludes: there is one connection between two VPCs.
func (vpcPeerings) excludes(w want[vpcPeeringSpec], p types.VpcPeeringConnection) bool {
	a, b := peeringVPC(p.RequesterVpcInfo), peeringVPC(p.AccepterVpcInfo)
	return a == w.spec.VPC && b == w.spec.peer() || b == w.spec.VPC && a == w.spec.peer()
}

func (k vpcPeerings) create(ctx context.Context, t *task, w want[vpcPeeringSpec]) (types.VpcPeeringConnection, error) {
	owner, region := k.place(w)
	out, err := k.api(t.Cloud).CreateVpcPeeringConnection(ctx, &ec2.CreateVpcPeeringConnectionInput{
		VpcId: aws.String(w.spec.VPC), PeerVpcId: aws.String(w.spec.peer()), PeerOwnerId: optional(owner), PeerRegion: optional(region),
		TagSpecifications: t.birthTags(types.ResourceTypeVpcPeeringConnection),
	})
	if err != nil {
		return types.VpcPeeringConnection{}, err
	}
	t.begun = aws.ToString(out.VpcPeeringConnection.VpcPeeringConnectionId)
	p, err := k.until(ctx, t, t.begun, func(code types.VpcPeeringConnectionStateReasonCode) bool {
		return code != types.VpcPeeringConnectionStateReasonCodeInitiatingRequest && code != ""
	})
	if err == nil && k.read(p).gone {
		err = fmt.Errorf("peering %s is %s: %s", aws.ToString(p.VpcPeeringConnectionId), peeringStatus(p), orNothing(aws.ToString(p.Status.Message)))
	}
	if err == nil && !k.accepts(w) && peeringStatus(p) == types.VpcPeeringConnectionStateReasonCodePendingAcceptance {
		t.emit(event.Warning, map[string]string{"id": aws.ToString(p.VpcPeeringConnectionId)}, "%s has to be accepted in account %s, %s, within a week",
			aws.ToString(p.VpcPeeringConnectionId), aws.ToString(p.AccepterVpcInfo.OwnerId), orNothing(aws.ToString(p.AccepterVpcInfo.Region)))
	}
	return p, err
}

// until waits for a status of a connection.
func (k vpcPeerings) until(ctx context.Context, t *task, id string, done func(types.VpcPeeringConnectionStateReasonCode) bool) (p types.VpcPeeringConnection, err error) {
	err = repeat(ctx, comingDeadline, func() error {
		list, err := k.list(ctx, query{cloud: t.Cloud, filters: []types.Filter{cloud.Filter("vpc-peering-connection-id", id)}})
		if err != nil {
			return err
		}
		code := types.VpcPeeringConnectionStateReasonCode("")
		if len(list) > 0 {
			p, code = list[0], peeringStatus(list[0])
		}
		if !done(code) {
			return fmt.Errorf("peering %s is %s: %w", id, orNothing(string(code)), errComing)
		}
		return nil
	}, func(err error) bool { return errors.Is(err, errComing) })
	return p, err
}

// accept accepts a connection at its other end and waits until it is active. It
// may have been accepted already, and may not be seen there yet: so it goes on
// for as long as the connection is not there.
func (k vpcPeerings) accept(ctx context.Context, t *task, w want[vpcPeeringSpec], id string) error {
	return repeat(ctx, comingDeadline, func() error {
		in := &ec2.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: aws.String(id)}
		if _, err := k.api(k.there(w)).AcceptVpcPeeringConnection(ctx, in); err != nil && cloud.Code(err) != "InvalidStateTransition" {
			return fmt.Errorf("accept it: %w", err)
		}
		p, err := k.until(ctx, t, id, func(code types.VpcPeeringConnectionStateReasonCode) bool {
			return code != types.VpcPeeringConnectionStateReasonCodeProvisioning && code != ""
		})
		switch code := peeringStatus(p); {
		case err != nil || code == types.VpcPeeringConnectionStateReasonCodeActive:
			return err
		case code == types.VpcPeeringConnectionStateReasonCodeInitiatingRequest || code == types.VpcPeeringConnectionStateReasonCodePendingAcceptance:
			return fmt.Errorf("peering %s is %s: %w", id, code, errComing)
		default:
			return fail.WithHint(fmt.Errorf("peering %s is %s", id, code), "run the same command again, which makes another")
		}
	}, func(err error) bool { return errors.Is(err, errComing) })
}

func (k vpcPeerings) update(ctx context.Context, t *task, w want[vpcPeeringSpec], p types.VpcPeeringConnection, d differences) error {
	if d.has("status") {
		if err := k.accept(ctx, t, w, aws.ToString(p.VpcPeeringConnectionId)); err != nil {
			return err
		}
	}
	// Each end is told by its own account, in its own region.
	if d.below("requester") {
		in := &ec2.ModifyVpcPeeringConnectionOptionsInput{VpcPeeringConnectionId: p.VpcPeeringConnectionId,
			RequesterPeeringConnectionOptions: &types.PeeringConnectionOptionsRequest{AllowDnsResolutionFromRemoteVpc: w.spec.Requester.AllowDNSResolutionFromRemoteVPC}}
		if _, err := k.api(t.Cloud).ModifyVpcPeeringConnectionOptions(ctx, in); err != nil {
			return fmt.Errorf("requester: %w", err)
		}
	}
	if d.below("accepter") {
		in := &ec2.ModifyVpcPeeringConnectionOptionsInput{VpcPeeringConnectionId: p.VpcPeeringConnectionId,
			AccepterPeeringConnectionOptions: &types.PeeringConnectionOptionsRequest{AllowDnsResolutionFromRemoteVpc: w.spec.Accepter.AllowDNSResolutionFromRemoteVPC}}
		if _, err := k.api(k.there(w)).ModifyVpcPeeringConnectionOptions(ctx, in); err != nil {
			return fmt.Errorf("accepter: %w", err)
		}
	}
	return nil
}

func (k vpcPeerings) remove(ctx context.Context, t *task, p types.VpcPeeringConnection) error {
	_, err := k.api(t.Cloud).DeleteVpcPeeringConnection(ctx, &ec2.DeleteVpcPeeringConnectionInput{VpcPeeringConnectionId: p.VpcPeeringConnectionId})
	if err != nil && !cloud.NotFound(err) && cloud.Code(err) != "InvalidStateTransition" {
		return fmt.Errorf("delete it: %w", err)
	}
	_, err = k.until(ctx, t, aws.ToString(p.VpcPeeringConnectionId), func(code types.VpcPeeringConnectionStateReasonCode) bool {
		return code == "" || code != types.VpcPeeringConnectionStateReasonCodeDeleting && code != types.VpcPeeringConnectionStateReasonCodeActive
	})
	return err
}
