package emulator

import (
	"fmt"
	"hash/fnv"
	"slices"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

// hostedZoneRow is a zone. Its records are rows of their own.
type hostedZoneRow struct {
	ID        string
	Name      string
	Reference string
	Comment   *string           `json:",omitempty"`
	Private   bool              `json:",omitempty"`
	VPCs      []zoneVPC         `json:",omitempty"`
	Servers   []string          // the name servers
	Tags      map[string]string `json:",omitempty"`
}

// zoneVPC is a VPC that a private zone is seen in.
type zoneVPC struct{ Region, ID string }

func (s *route53Service) addZones() {
	dnsOn(s, "CreateHostedZone", "Name CallerReference VPC.* HostedZoneConfig.*", s.createZone)
	dnsOn(s, "GetHostedZone", "Id", s.getZone)
	dnsOn(s, "GetHostedZoneCount", "", func(c apiCall, _ *route53.GetHostedZoneCountInput) (*route53.GetHostedZoneCountOutput, error) {
		return &route53.GetHostedZoneCountOutput{HostedZoneCount: new(int64(len(s.zones.all(c.w))))}, nil
	})
	dnsOn(s, "ListHostedZones", "Marker MaxItems HostedZoneType", s.listZones)
	dnsOn(s, "ListHostedZonesByName", "DNSName HostedZoneId MaxItems", s.listZonesByName)
	dnsOn(s, "UpdateHostedZoneComment", "Id Comment", s.updateComment)
	dnsOn(s, "DeleteHostedZone", "Id", s.deleteZone)
}

func (s *route53Service) zone(c apiCall, id *string) (hostedZoneRow, error) {
	z, ok := s.zones.get(c.w, plainID(id))
	if !ok {
		return z, dnsMissing("NoSuchHostedZone", "No hosted zone found with ID: %s", plainID(id))
	}
	return z, nil
}

func (s *route53Service) show(c apiCall, z hostedZoneRow) *types.HostedZone {
	return &types.HostedZone{
		Id: new("/hostedzone/" + z.ID), Name: new(z.Name), CallerReference: new(z.Reference), ResourceRecordSetCount: new(int64(len(s.recordsOf(c, z)))),
		Config: &types.HostedZoneConfig{Comment: z.Comment, PrivateZone: z.Private},
	}
}

// delegation is there for public zones alone.
func (z hostedZoneRow) delegation() *types.DelegationSet {
	if z.Private {
		return nil
	}
	return &types.DelegationSet{NameServers: z.Servers}
}

// maxComment is how long a zone's comment may be.
const maxComment = 256

func (s *route53Service) createZone(c apiCall, in *route53.CreateHostedZoneInput) (*route53.CreateHostedZoneOutput, error) {
	name, err := checkDomain(*in.Name)
	if err != nil {
		return nil, err
	}
	config := deref(in.HostedZoneConfig)
	switch {
	case *in.CallerReference == "" || len(*in.CallerReference) > 128:
		return nil, dnsInvalid("1 validation error detected: Value at 'callerReference' failed to satisfy constraint: Member must have length between 1 and 128")
	case len(deref(config.Comment)) > maxComment:
		return nil, dnsInvalid("1 validation error detected: Value at 'hostedZoneConfig.comment' failed to satisfy constraint: Member must have length less than or equal to %d", maxComment)
	case config.PrivateZone && in.VPC == nil:
		return nil, dnsInvalid("When you're creating a private hosted zone (when you specify true for PrivateZone), you must also specify values for VPCId and VPCRegion.")
	case has(s.references, c.w, *in.CallerReference):
		return nil, iamConflict("HostedZoneAlreadyExists", "A hosted zone has already been created with the specified caller reference.")
	}
	z := hostedZoneRow{ID: dnsID("Z"), Name: name, Reference: *in.CallerReference, Comment: config.Comment, Private: in.VPC != nil}
	z.Servers = nameServers(z)
	if in.VPC != nil {
		v, err := s.vpc(c, in.VPC)
		if err != nil {
			return nil, err
		}
		if err := s.conflict(c, z, v); err != nil {
			return nil, err
		}
		z.VPCs = []zoneVPC{v}
	}
	s.references.put(c.w, z.Reference, z.ID)
	s.zones.put(c.w, z.ID, z)
	for _, set := range z.ownRecords() {
		s.putRecord(c, z, set)
	}
	return &route53.CreateHostedZoneOutput{
		HostedZone: s.show(c, z), ChangeInfo: s.change(c, nil), DelegationSet: z.delegation(), VPC: in.VPC,
		Location: new("https://route53.amazonaws.com/2013-04-01/hostedzone/" + z.ID),
	}, nil
}

// nameServers are four, of four top-level domains; those of private zones are
// always the same.
func nameServers(z hostedZoneRow) []string {
	set := uint32(0)
	if !z.Private {
		h := fnv.New32a()
		_, _ = h.Write([]byte(z.ID)) // never fails
		set = h.Sum32()
	}
	var list []string
	for i, top := range []string{"com", "net", "org", "co.uk"} {
		n := set >> (8 * i) & 0xff
		list = append(list, fmt.Sprintf("ns-%d.awsdns-%02d.%s", uint32(i)*512+n, n&0x3f, top))
	}
	return list
}

// ownRecords are those that a zone has from the beginning and keeps.
func (z hostedZoneRow) ownRecords() []types.ResourceRecordSet {
	ns := types.ResourceRecordSet{Name: new(z.Name), Type: types.RRTypeNs, TTL: new(int64(172800))}
	for _, server := range z.Servers {
		ns.ResourceRecords = append(ns.ResourceRecords, types.ResourceRecord{Value: new(server + ".")})
	}
	return []types.ResourceRecordSet{ns, {Name: new(z.Name), Type: types.RRTypeSoa, TTL: new(int64(900)), ResourceRecords: []types.ResourceRecord{
		{Value: new(z.Servers[0] + ". awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400")}}}}
}

func (s *route53Service) getZone(c apiCall, in *route53.GetHostedZoneInput) (*route53.GetHostedZoneOutput, error) {
	z, err := s.zone(c, in.Id)
	if err != nil {
		return nil, err
	}
	return &route53.GetHostedZoneOutput{HostedZone: s.show(c, z), DelegationSet: z.delegation(), VPCs: z.vpcs()}, nil
}

// maxZonePage is how many zones a page holds.
const maxZonePage = 100

func (s *route53Service) listZones(c apiCall, in *route53.ListHostedZonesInput) (*route53.ListHostedZonesOutput, error) {
	size, err := dnsPage(in.MaxItems, maxZonePage)
	if err != nil {
		return nil, err
	}
	rows := keep(s.zones.all(c.w), func(z hostedZoneRow) bool {
		return z.ID >= deref(in.Marker) && (in.HostedZoneType == "" || z.Private)
	})
	out := &route53.ListHostedZonesOutput{Marker: in.Marker, MaxItems: new(int32(size)), IsTruncated: len(rows) > size}
	if out.IsTruncated {
		out.NextMarker, rows = new(rows[size].ID), rows[:size]
	}
	for _, z := range rows {
		out.HostedZones = append(out.HostedZones, *s.show(c, z))
	}
	return out, nil
}

func (s *route53Service) listZonesByName(c apiCall, in *route53.ListHostedZonesByNameInput) (*route53.ListHostedZonesByNameOutput, error) {
	size, err := dnsPage(in.MaxItems, maxZonePage)
	if err != nil {
		return nil, err
	}
	from := ""
	if in.DNSName != nil {
		name, err := checkDomain(*in.DNSName)
		if err != nil {
			return nil, err
		}
		from = reversed(name)
	} else if in.HostedZoneId != nil {
		return nil, dnsInvalid("The hosted zone ID needs a DNS name beside it")
	}
	from += " " + plainID(in.HostedZoneId)
	order := func(z hostedZoneRow) string { return reversed(z.Name) + " " + z.ID }
	rows := keep(s.zones.all(c.w), func(z hostedZoneRow) bool { return order(z) >= strings.TrimPrefix(from, " ") })
	sort.Slice(rows, func(i, j int) bool { return order(rows[i]) < order(rows[j]) })
	out := &route53.ListHostedZonesByNameOutput{DNSName: in.DNSName, HostedZoneId: in.HostedZoneId, MaxItems: new(int32(size)), IsTruncated: len(rows) > size}
	if out.IsTruncated {
		out.NextDNSName, out.NextHostedZoneId, rows = new(rows[size].Name), new(rows[size].ID), rows[:size]
	}
	for _, z := range rows {
		out.HostedZones = append(out.HostedZones, *s.show(c, z))
	}
	return out, nil
}

func (s *route53Service) updateComment(c apiCall, in *route53.UpdateHostedZoneCommentInput) (*route53.UpdateHostedZoneCommentOutput, error) {
	z, err := s.zone(c, in.Id)
	if err != nil {
		return nil, err
	}
	if len(deref(in.Comment)) > maxComment {
		return nil, dnsInvalid("1 validation error detected: Value at 'comment' failed to satisfy constraint: Member must have length less than or equal to %d", maxComment)
	}
	z.Comment = in.Comment
	s.zones.put(c.w, z.ID, z)
	return &route53.UpdateHostedZoneCommentOutput{HostedZone: s.show(c, z)}, nil
}

func (s *route53Service) deleteZone(c apiCall, in *route53.DeleteHostedZoneInput) (*route53.DeleteHostedZoneOutput, error) {
	z, err := s.zone(c, in.Id)
	if err != nil {
		return nil, err
	}
	records := s.recordsOf(c, z)
	if slices.ContainsFunc(records, func(r recordRow) bool { return !z.keeps(r.Set) }) {
		return nil, refuse("HostedZoneNotEmpty", "The specified hosted zone contains non-required resource record sets and so cannot be deleted.")
	}
	for _, r := range records {
		s.records.remove(c.w, r.key())
	}
	s.zones.remove(c.w, z.ID)
	return &route53.DeleteHostedZoneOutput{ChangeInfo: s.change(c, nil)}, nil
}
