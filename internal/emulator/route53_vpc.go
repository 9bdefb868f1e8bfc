package emulator

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

func (s *route53Service) addZoneVPCs() {
	dnsOn(s, "ListHostedZonesByVPC", "VPCId VPCRegion MaxItems NextToken", s.listZonesByVPC)
	dnsOn(s, "AssociateVPCWithHostedZone", "HostedZoneId VPC.* Comment", s.associateVPC)
	dnsOn(s, "DisassociateVPCFromHostedZone", "HostedZoneId VPC.* Comment", s.disassociateVPC)
}

// vpc refuses a VPC that the account does not have.
func (s *route53Service) vpc(c apiCall, in *types.VPC) (zoneVPC, error) {
	v := zoneVPC{Region: string(in.VPCRegion), ID: deref(in.VPCId)}
	if v.Region == "" || v.ID == "" {
		return v, dnsInvalid("Both VPCId and VPCRegion must be specified")
	}
	there := world{Account: c.Account, Region: v.Region}
	s.cloud.ec2.furnish(apiCall{caller: c.caller, w: there, now: c.now})
	if !has(s.cloud.ec2.vpcs, there, v.ID) {
		return v, refuse("InvalidVPCId", "The VPC: %s you provided is not authorized to make the association.", v.ID)
	}
	return v, nil
}

// conflict refuses a second zone of the same name in a VPC.
func (s *route53Service) conflict(c apiCall, z hostedZoneRow, v zoneVPC) error {
	for _, other := range s.zones.all(c.w) {
		if other.ID != z.ID && other.Name == z.Name && slices.Contains(other.VPCs, v) {
			return refuse("ConflictingDomainExists", "The VPC %s in region %s has already been associated with the hosted zone %s with the same domain name.", v.ID, v.Region, other.ID)
		}
	}
	return nil
}

func (z hostedZoneRow) vpcs() []types.VPC {
	var list []types.VPC
	for _, v := range z.VPCs {
		list = append(list, types.VPC{VPCId: new(v.ID), VPCRegion: types.VPCRegion(v.Region)})
	}
	return list
}

func (s *route53Service) listZonesByVPC(c apiCall, in *route53.ListHostedZonesByVPCInput) (*route53.ListHostedZonesByVPCOutput, error) {
	size, err := dnsPage(in.MaxItems, maxZonePage)
	if err != nil {
		return nil, err
	}
	v, err := s.vpc(c, &types.VPC{VPCId: in.VPCId, VPCRegion: in.VPCRegion})
	if err != nil {
		return nil, err
	}
	rows := keep(s.zones.all(c.w), func(z hostedZoneRow) bool {
		return z.ID >= deref(in.NextToken) && slices.Contains(z.VPCs, v)
	})
	out := &route53.ListHostedZonesByVPCOutput{MaxItems: new(int32(size))}
	if len(rows) > size {
		out.NextToken, rows = new(rows[size].ID), rows[:size]
	}
	for _, z := range rows {
		out.HostedZoneSummaries = append(out.HostedZoneSummaries, types.HostedZoneSummary{
			HostedZoneId: new(z.ID), Name: new(z.Name), Owner: &types.HostedZoneOwner{OwningAccount: new(c.Account)}})
	}
	return out, nil
}

func (s *route53Service) associateVPC(c apiCall, in *route53.AssociateVPCWithHostedZoneInput) (*route53.AssociateVPCWithHostedZoneOutput, error) {
	z, v, err := s.association(c, in.HostedZoneId, in.VPC)
	if err != nil {
		return nil, err
	}
	if err := s.conflict(c, z, v); err != nil {
		return nil, err
	}
	if slices.Contains(z.VPCs, v) {
		return nil, refuse("ConflictingDomainExists", "The VPC %s in region %s has already been associated with the hosted zone %s with the same domain name.", v.ID, v.Region, z.ID)
	}
	z.VPCs = append(slices.Clone(z.VPCs), v)
	s.zones.put(c.w, z.ID, z)
	return &route53.AssociateVPCWithHostedZoneOutput{ChangeInfo: s.change(c, in.Comment)}, nil
}

func (s *route53Service) disassociateVPC(c apiCall, in *route53.DisassociateVPCFromHostedZoneInput) (*route53.DisassociateVPCFromHostedZoneOutput, error) {
	z, err := s.zone(c, in.HostedZoneId)
	if err != nil {
		return nil, err
	}
	v := zoneVPC{Region: string(in.VPC.VPCRegion), ID: deref(in.VPC.VPCId)} // which may be gone
	switch {
	case !slices.Contains(z.VPCs, v):
		return nil, dnsMissing("VPCAssociationNotFound", "The VPC: %s is not associated with the hosted zone %s", v.ID, z.ID)
	case len(z.VPCs) == 1:
		return nil, refuse("LastVPCAssociation", "The VPC that you specified is the last VPC that is associated with the hosted zone %s: a private hosted zone needs one", z.ID)
	}
	z.VPCs = slices.DeleteFunc(slices.Clone(z.VPCs), func(x zoneVPC) bool { return x == v })
	s.zones.put(c.w, z.ID, z)
	return &route53.DisassociateVPCFromHostedZoneOutput{ChangeInfo: s.change(c, in.Comment)}, nil
}

// association is a private zone with a VPC of the account.
func (s *route53Service) association(c apiCall, id *string, in *types.VPC) (z hostedZoneRow, v zoneVPC, err error) {
	if z, err = s.zone(c, id); err != nil {
		return z, v, err
	}
	if !z.Private {
		return z, v, refuse("PublicZoneVPCAssociation", "The hosted zone %s is public: a VPC can be associated with a private hosted zone only", z.ID)
	}
	v, err = s.vpc(c, in)
	return z, v, err
}
