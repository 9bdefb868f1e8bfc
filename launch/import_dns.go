package launch

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/goldline-dev/goldline/internal/project"
)

// How names are written down.

func (zones) express(x *expression, z hostedZone) zoneSpec {
	s := zoneSpec{Domain: z.domain()}
	if z.Config != nil {
		s.Comment = aws.ToString(z.Config.Comment)
	}
	for _, v := range z.vpcs {
		id := aws.ToString(v.VPCId)
		switch name, ok := x.named(id); {
		case ok:
			s.VPCs = append(s.VPCs, name)
			continue
		case string(v.VPCRegion) == x.region:
			s.VPCs = append(s.VPCs, id)
		default:
			s.OtherVPCs = append(s.OtherVPCs, zoneVPCSpec{VPCID: id, VPCRegion: string(v.VPCRegion)})
		}
		x.leave("vpcs", "no definition has %s, whose ID holds for this account only", id)
	}
	slices.Sort(s.VPCs)
	return s
}

// called: a domain may have a public zone and private ones.
func (zones) called(z hostedZone) string {
	if z.private() {
		return z.domain() + "-private"
	}
	return z.domain()
}

// unsayable: a service that makes a zone keeps it to itself.
func (zones) unsayable(z hostedZone) string {
	if z.LinkedService == nil {
		return ""
	}
	return "the service " + aws.ToString(z.LinkedService.ServicePrincipal) + " looks after it"
}

func (records) express(x *expression, r record) recordSpec {
	k := keyOf(r.ResourceRecordSet)
	s := recordSpec{Zone: x.ref("zone", &r.zone), Domain: k.domain, Type: string(k.kind), TTL: int(aws.ToInt64(r.TTL)), SetIdentifier: k.set}
	if r.Weight != nil {
		s.Weight = aws.Int(int(*r.Weight))
	}
	for _, v := range r.ResourceRecords {
		s.Values = append(s.Values, valueText(k.kind, aws.ToString(v.Value)))
	}
	if r.AliasTarget != nil {
		s.Alias = x.alias(r, k)
	}
	return s
}

// valueText is a value as people write it: without quotation marks and the dot
// at the end of a name, where it means the same.
func valueText(kind types.RRType, value string) string {
	plain := strings.TrimSuffix(value, ".")
	if kind == types.RRTypeTxt {
		plain = strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`)
	}
	if normalValue(kind, plain) == normalValue(kind, value) {
		return plain
	}
	return value
}

// alias is what an alias stands for: a load balancer or a record that has a
// definition, or a name of something else.
func (x *expression) alias(r record, k recordKey) *aliasSpec {
	a := r.AliasTarget
	s := &aliasSpec{EvaluateTargetHealth: a.EvaluateTargetHealth}
	target, zone := plainDomain(aws.ToString(a.DNSName)), zoneID(a.HostedZoneId)
	for _, i := range x.byID {
		switch raw := i.raw.(type) {
		case record:
			if other := keyOf(raw.ResourceRecordSet); zone == r.zone && raw.zone == zone && other.domain == target && other.kind == k.kind && (s.Record == "" || i.name < s.Record) {
				s.Record = i.name
			}
		case loadBalancer:
			name := plainDomain(aws.ToString(raw.DNSName))
			if zone != aws.ToString(raw.CanonicalHostedZoneId) || !strings.HasSuffix(target, name) || name == "" {
				continue
			}
			if target == name {
				s.LoadBalancer = i.name
				return s
			}
			// Consoles put a word before the name: dualstack.
			s.DomainName = strings.TrimSuffix(target, name) + project.TextReference("load_balancer", i.name, "dns_name")
			s.ZoneID = project.TextReference("load_balancer", i.name, "canonical_hosted_zone_id")
			return s
		}
	}
	if s.Record == "" {
		s.DomainName, s.ZoneID = target, zone
	}
	return s
}

// called: a record is the one of its name and type.
func (records) called(r record) string {
	k := keyOf(r.ResourceRecordSet)
	name := strings.Replace(k.domain, "*", "any", 1)
	if k.kind != types.RRTypeA {
		name += "-" + strings.ToLower(string(k.kind))
	}
	if k.set != "" {
		name += "-" + k.set
	}
	return name
}

func (records) key() []string { return []string{"domain", "type", "set_identifier"} }

// unsayable: what shares traffic in ways that a definition does not know would
// lose them by any change.
func (records) unsayable(r record) string {
	kind := string(r.Type)
	switch {
	case r.HealthCheckId != nil:
		return "it counts only while a health check is passed"
	case r.TrafficPolicyInstanceId != nil:
		return "a traffic policy looks after it"
	case r.Region != "" || r.Failover != "" || r.GeoLocation != nil || r.GeoProximityLocation != nil || r.CidrRoutingConfig != nil || r.MultiValueAnswer != nil:
		return "it is neither simple nor weighted"
	case !has(project.Enum(&recordSpec{}, "type"), kind):
		return "Goldline knows no records of type " + kind
	}
	return wrongDomain(keyOf(r.ResourceRecordSet).domain, true)
}
