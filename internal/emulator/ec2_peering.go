package emulator

import (
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// peeringRow is a VPC peering connection. Both sides see it, so it lies in no
// account's world; its tags are each side's own.
type peeringRow struct {
	Peering types.VpcPeeringConnection
	Due     types.VpcPeeringConnectionStateReasonCode // what the change under way ends in
}

func (r peeringRow) id() string { return *r.Peering.VpcPeeringConnectionId }

func (r peeringRow) status() types.VpcPeeringConnectionStateReasonCode { return r.Peering.Status.Code }

// lives says that the connection stands, or may come to.
func (r peeringRow) lives() bool {
	switch r.status() {
	case types.VpcPeeringConnectionStateReasonCodeInitiatingRequest, types.VpcPeeringConnectionStateReasonCodePendingAcceptance,
		types.VpcPeeringConnectionStateReasonCodeProvisioning, types.VpcPeeringConnectionStateReasonCodeActive:
		return true
	}
	return false
}

func sideOf(w world, side *types.VpcPeeringConnectionVpcInfo) bool {
	return *side.OwnerId == w.Account && *side.Region == w.Region
}

// between says whether a VPC is on one of the sides.
func (r peeringRow) between(vpc string) bool {
	return *r.Peering.RequesterVpcInfo.VpcId == vpc || *r.Peering.AccepterVpcInfo.VpcId == vpc
}

// peeringMemory is how long EC2 shows a connection that is deleted or failed: two
// hours, to the side that did it.
const peeringMemory = 2 * time.Hour

func (s *ec2Service) addPeerings() {
	on(s, "CreateVpcPeeringConnection", "VpcId PeerVpcId PeerOwnerId PeerRegion TagSpecifications.*", s.createPeering)
	on(s, "DescribeVpcPeeringConnections", "VpcPeeringConnectionIds Filters.* MaxResults NextToken", s.describePeerings)
	on(s, "AcceptVpcPeeringConnection", "VpcPeeringConnectionId", s.acceptPeering)
	on(s, "RejectVpcPeeringConnection", "VpcPeeringConnectionId", s.rejectPeering)
	on(s, "DeleteVpcPeeringConnection", "VpcPeeringConnectionId", s.deletePeering)
	on(s, "ModifyVpcPeeringConnectionOptions", "VpcPeeringConnectionId AccepterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc"+
		" RequesterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc", s.modifyPeering)
	s.settler("ec2-peering", s.settlePeering)
	s.settler("ec2-peering-forgotten", s.forgetPeering)
}

// peer finds a connection that a world sees.
func (s *ec2Service) peer(w world, id *string) (peeringRow, error) {
	row, err := need(s.peerings, world{}, peeringID, id)
	if err == nil && !sideOf(w, row.Peering.RequesterVpcInfo) && !sideOf(w, row.Peering.AccepterVpcInfo) {
		err = peeringID.missing(*id)
	}
	return row, err
}

func (s *ec2Service) peeringSide(w world, vpc vpcRow) *types.VpcPeeringConnectionVpcInfo {
	side := &types.VpcPeeringConnectionVpcInfo{
		VpcId: vpc.Vpc.VpcId, OwnerId: new(w.Account), Region: new(w.Region), CidrBlock: vpc.Vpc.CidrBlock,
		PeeringOptions: &types.VpcPeeringConnectionOptionsDescription{
			AllowDnsResolutionFromRemoteVpc: new(false), AllowEgressFromLocalClassicLinkToRemoteVpc: new(false), AllowEgressFromLocalVpcToRemoteClassicLink: new(false),
		},
	}
	for _, a := range vpc.Vpc.CidrBlockAssociationSet {
		side.CidrBlockSet = append(side.CidrBlockSet, types.CidrBlock{CidrBlock: a.CidrBlock})
	}
	return side
}

func (s *ec2Service) createPeering(c apiCall, in *ec2.CreateVpcPeeringConnectionInput) (*ec2.CreateVpcPeeringConnectionOutput, error) {
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeVpcPeeringConnection)
	if err != nil {
		return nil, err
	}
	vpc, err := need(s.vpcs, c.w, vpcID, in.VpcId)
	if err != nil {
		return nil, err
	}
	there := world{Account: pick(deref(in.PeerOwnerId) == "", c.w.Account, deref(in.PeerOwnerId)), Region: pick(deref(in.PeerRegion) == "", c.w.Region, deref(in.PeerRegion))}
	peer, err := need(s.vpcs, there, vpcID, in.PeerVpcId)
	if err != nil {
		return nil, err
	}
	if *peer.Vpc.VpcId == *vpc.Vpc.VpcId {
		return nil, refuse("InvalidParameterValue", "A VPC cannot be peered with itself")
	}
	for _, other := range s.peerings.all(world{}) {
		if other.lives() && other.between(*vpc.Vpc.VpcId) && other.between(*peer.Vpc.VpcId) {
			return nil, refuse("VpcPeeringConnectionAlreadyExists", "A VPC peering connection between %s and %s exists: %s", *in.VpcId, *in.PeerVpcId, other.id())
		}
	}
	row := peeringRow{Due: types.VpcPeeringConnectionStateReasonCodePendingAcceptance, Peering: types.VpcPeeringConnection{
		VpcPeeringConnectionId: new(peeringID.make()), ExpirationTime: new(c.now.Add(7 * 24 * time.Hour)),
		RequesterVpcInfo: s.peeringSide(c.w, vpc), AccepterVpcInfo: s.peeringSide(there, peer),
		Status: &types.VpcPeeringConnectionStateReason{Code: types.VpcPeeringConnectionStateReasonCodeInitiatingRequest, Message: new("Initiating Request to " + there.Account)},
	}}
	if overlapping(vpc, peer) {
		row.Due = types.VpcPeeringConnectionStateReasonCodeFailed
	}
	s.turn(row)
	if err := s.born(c, peeringID, row.id(), tags); err != nil {
		return nil, err
	}
	return &ec2.CreateVpcPeeringConnectionOutput{VpcPeeringConnection: new(s.showPeering(c.w, row))}, nil
}

func overlapping(a, b vpcRow) bool {
	for _, ours := range a.Vpc.CidrBlockAssociationSet {
		for _, theirs := range b.Vpc.CidrBlockAssociationSet {
			if netip.MustParsePrefix(*ours.CidrBlock).Overlaps(netip.MustParsePrefix(*theirs.CidrBlock)) {
				return true
			}
		}
	}
	return false
}

// turn keeps a connection whose status is changing.
func (s *ec2Service) turn(row peeringRow) {
	s.peerings.put(world{}, row.id(), row)
	s.laterAtBoth(row, s.later(), "ec2-peering")
}

// laterAtBoth schedules a change of a connection for the requests of either
// side's region, whichever comes first.
func (s *ec2Service) laterAtBoth(row peeringRow, delay time.Duration, kind string) {
	for _, side := range []*types.VpcPeeringConnectionVpcInfo{row.Peering.RequesterVpcInfo, row.Peering.AccepterVpcInfo} {
		s.cloud.schedule(world{Region: *side.Region}, delay, kind, row.id())
	}
}

func (s *ec2Service) settlePeering(_ world, id string) {
	row, ok := s.peerings.get(world{}, id)
	if !ok || row.Due == "" {
		return
	}
	row.Peering.Status = &types.VpcPeeringConnectionStateReason{Code: row.Due, Message: new(map[types.VpcPeeringConnectionStateReasonCode]string{
		types.VpcPeeringConnectionStateReasonCodePendingAcceptance: "Pending Acceptance by " + *row.Peering.AccepterVpcInfo.OwnerId,
		types.VpcPeeringConnectionStateReasonCodeFailed:            "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range",
		types.VpcPeeringConnectionStateReasonCodeActive:            "Active",
		types.VpcPeeringConnectionStateReasonCodeRejected:          "Rejected",
		types.VpcPeeringConnectionStateReasonCodeDeleted:           "Deleted",
	}[row.Due])}
	row.Due = ""
	s.peerings.put(world{}, id, row)
	if !row.lives() {
		s.laterAtBoth(row, peeringMemory, "ec2-peering-forgotten")
	}
}

func (s *ec2Service) forgetPeering(_ world, id string) {
	row, ok := s.peerings.get(world{}, id)
	if !ok {
		return
	}
	s.peerings.remove(world{}, id)
	for _, side := range []*types.VpcPeeringConnectionVpcInfo{row.Peering.RequesterVpcInfo, row.Peering.AccepterVpcInfo} {
		s.gone(world{Account: *side.OwnerId, Region: *side.Region}, id)
	}
}

func (s *ec2Service) showPeering(w world, row peeringRow) types.VpcPeeringConnection {
	p := row.Peering
	p.Tags = s.tagList(w, row.id())
	return p
}

func (s *ec2Service) describePeerings(c apiCall, in *ec2.DescribeVpcPeeringConnectionsInput) (*ec2.DescribeVpcPeeringConnectionsOutput, error) {
	if err := noPagesOfIDs(in.VpcPeeringConnectionIds, "vpcPeeringConnectionIds", in.MaxResults); err != nil {
		return nil, err
	}
	var rows []peeringRow
	for _, id := range in.VpcPeeringConnectionIds {
		row, err := s.peer(c.w, &id)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	if len(in.VpcPeeringConnectionIds) == 0 {
		rows = keep(s.peerings.all(world{}), func(r peeringRow) bool {
			return sideOf(c.w, r.Peering.RequesterVpcInfo) || sideOf(c.w, r.Peering.AccepterVpcInfo)
		})
	}
	f := filters[peeringRow]{
		"vpc-peering-connection-id": func(r peeringRow) []string { return one(r.id()) },
		"status-code":               func(r peeringRow) []string { return one(r.status()) },
		"status-message":            func(r peeringRow) []string { return opt(r.Peering.Status.Message) },
	}
	for name, side := range map[string]func(peeringRow) *types.VpcPeeringConnectionVpcInfo{
		"requester-vpc-info.": func(r peeringRow) *types.VpcPeeringConnectionVpcInfo { return r.Peering.RequesterVpcInfo },
		"accepter-vpc-info.":  func(r peeringRow) *types.VpcPeeringConnectionVpcInfo { return r.Peering.AccepterVpcInfo },
	} {
		f[name+"vpc-id"] = func(r peeringRow) []string { return opt(side(r).VpcId) }
		f[name+"owner-id"] = func(r peeringRow) []string { return opt(side(r).OwnerId) }
		f[name+"cidr-block"] = func(r peeringRow) []string { return opt(side(r).CidrBlock) }
	}
	rows, err := choose(s, c.w, rows, peeringRow.id, f, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, peeringRow.id, paging{in.MaxResults, in.NextToken, 5, 1000})
	out := &ec2.DescribeVpcPeeringConnectionsOutput{NextToken: next}
	for _, row := range rows {
		out.VpcPeeringConnections = append(out.VpcPeeringConnections, s.showPeering(c.w, row))
	}
	return out, err
}

// pending finds a connection that the caller's side may accept or reject.
func (s *ec2Service) pending(c apiCall, id *string) (peeringRow, error) {
	row, err := s.peer(c.w, id)
	switch {
	case err != nil:
	case !sideOf(c.w, row.Peering.AccepterVpcInfo):
		err = refuse("OperationNotPermitted", "User %s cannot accept or reject peering %s", c.Account, row.id())
	case row.status() != types.VpcPeeringConnectionStateReasonCodePendingAcceptance:
		err = refuse("InvalidStateTransition", "The peering %s is %s", row.id(), row.status())
	}
	return row, err
}

func (s *ec2Service) acceptPeering(c apiCall, in *ec2.AcceptVpcPeeringConnectionInput) (*ec2.AcceptVpcPeeringConnectionOutput, error) {
	row, err := s.pending(c, in.VpcPeeringConnectionId)
	if err != nil {
		return nil, err
	}
	row.Peering.Status = &types.VpcPeeringConnectionStateReason{Code: types.VpcPeeringConnectionStateReasonCodeProvisioning, Message: new("Provisioning")}
	row.Peering.ExpirationTime, row.Due = nil, types.VpcPeeringConnectionStateReasonCodeActive
	s.turn(row)
	return &ec2.AcceptVpcPeeringConnectionOutput{VpcPeeringConnection: new(s.showPeering(c.w, row))}, nil
}

func (s *ec2Service) rejectPeering(c apiCall, in *ec2.RejectVpcPeeringConnectionInput) (*ec2.RejectVpcPeeringConnectionOutput, error) {
	row, err := s.pending(c, in.VpcPeeringConnectionId)
	if err != nil {
		return nil, err
	}
	row.Due = types.VpcPeeringConnectionStateReasonCodeRejected
	s.turn(row)
	return &ec2.RejectVpcPeeringConnectionOutput{Return: new(true)}, nil
}

func (s *ec2Service) deletePeering(c apiCall, in *ec2.DeleteVpcPeeringConnectionInput) (*ec2.DeleteVpcPeeringConnectionOutput, error) {
	row, err := s.peer(c.w, in.VpcPeeringConnectionId)
	if err != nil {
		return nil, err
	}
	switch {
	case row.status() == types.VpcPeeringConnectionStateReasonCodeDeleting || row.status() == types.VpcPeeringConnectionStateReasonCodeDeleted:
	case !row.lives() && row.status() != types.VpcPeeringConnectionStateReasonCodeFailed:
		return nil, refuse("InvalidStateTransition", "Invalid state transition for %s, attempted to transition from %s to deleting", row.id(), row.status())
	default:
		row.Peering.Status = &types.VpcPeeringConnectionStateReason{Code: types.VpcPeeringConnectionStateReasonCodeDeleting, Message: new("Deleting")}
		row.Due = types.VpcPeeringConnectionStateReasonCodeDeleted
		s.turn(row)
	}
	return &ec2.DeleteVpcPeeringConnectionOutput{Return: new(true)}, nil
}

func (s *ec2Service) modifyPeering(c apiCall, in *ec2.ModifyVpcPeeringConnectionOptionsInput) (*ec2.ModifyVpcPeeringConnectionOptionsOutput, error) {
	row, err := s.peer(c.w, in.VpcPeeringConnectionId)
	if err != nil {
		return nil, err
	}
	if row.status() != types.VpcPeeringConnectionStateReasonCodeActive {
		return nil, refuse("OperationNotPermitted", "Peering %s is not active: peering options can be added only to active peerings.", row.id())
	}
	out := &ec2.ModifyVpcPeeringConnectionOptionsOutput{}
	set := func(side **types.VpcPeeringConnectionVpcInfo, wanted *types.PeeringConnectionOptionsRequest) (*types.PeeringConnectionOptions, error) {
		if wanted == nil {
			return nil, nil
		}
		if !sideOf(c.w, *side) {
			return nil, refuse("OperationNotPermitted", "User %s cannot change the other side of peering %s", c.Account, row.id())
		}
		changed, options := **side, *(*side).PeeringOptions
		options.AllowDnsResolutionFromRemoteVpc = new(deref(wanted.AllowDnsResolutionFromRemoteVpc))
		changed.PeeringOptions = &options
		*side = &changed
		return &types.PeeringConnectionOptions{AllowDnsResolutionFromRemoteVpc: options.AllowDnsResolutionFromRemoteVpc}, nil
	}
	if out.RequesterPeeringConnectionOptions, err = set(&row.Peering.RequesterVpcInfo, in.RequesterPeeringConnectionOptions); err != nil {
		return nil, err
	}
	if out.AccepterPeeringConnectionOptions, err = set(&row.Peering.AccepterVpcInfo, in.AccepterPeeringConnectionOptions); err != nil {
		return nil, err
	}
	s.peerings.put(world{}, row.id(), row)
	return out, nil
}
