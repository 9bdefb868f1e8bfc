package emulator

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

// maxTTL is the longest that a record may be kept, in seconds.
const maxTTL = 1<<31 - 1

// checkShape refuses a record set whose parts do not go together.
func checkShape(action types.ChangeAction, set types.ResourceRecordSet) error {
	plain := set.TTL != nil && len(set.ResourceRecords) > 0
	some := set.TTL != nil || len(set.ResourceRecords) > 0
	found := ""
	switch {
	case set.AliasTarget == nil && !some:
		found = "none"
	case set.AliasTarget == nil && !plain:
		found = "only one of [TTL, ResourceRecords]"
	case set.AliasTarget != nil && some:
		found = "more than one"
	}
	id := "null"
	if set.SetIdentifier != nil {
		id = *set.SetIdentifier
	}
	switch {
	case found != "":
		return dnsInvalid("Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found %s in Change with [Action=%s, Name=%s, Type=%s, SetIdentifier=%s]",
			found, action, *set.Name, set.Type, id)
	case set.Weight != nil && set.SetIdentifier == nil:
		return dnsInvalid("Invalid request: Missing field 'SetIdentifier' in Change with [Action=%s, Name=%s, Type=%s, SetIdentifier=null]", action, *set.Name, set.Type)
	case set.Weight == nil && set.SetIdentifier != nil:
		return dnsInvalid("Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation, MultiValueAnswer, CidrRoutingConfig or GeoProximityLocation], but found none in Change with [Action=%s, Name=%s, Type=%s, SetIdentifier=%s]", action, *set.Name, set.Type, id)
	case set.SetIdentifier != nil && (*set.SetIdentifier == "" || len(*set.SetIdentifier) > 128):
		return dnsInvalid("1 validation error detected: Value at 'setIdentifier' failed to satisfy constraint: Member must have length between 1 and 128")
	case set.Weight != nil && (*set.Weight < 0 || *set.Weight > 255):
		return dnsInvalid("1 validation error detected: Value '%d' at 'weight' failed to satisfy constraint: Member must have value less than or equal to 255", *set.Weight)
	case set.TTL != nil && (*set.TTL < 0 || *set.TTL > maxTTL):
		return dnsInvalid("1 validation error detected: Value '%d' at 'tTL' failed to satisfy constraint: Member must have value less than or equal to 2147483647", *set.TTL)
	}
	return nil
}

// checkValues says what is wrong with the values of a record set, in Route
// 53's words; nothing if they are right.
func checkValues(set types.ResourceRecordSet) string {
	seen := map[string]bool{}
	if set.Type == types.RRTypeCname && len(set.ResourceRecords) > 1 {
		return "FATAL problem: TooManyValues (A CNAME record set holds one value) encountered with '" + *set.Name + "'"
	}
	for _, r := range set.ResourceRecords {
		value := deref(r.Value)
		if seen[value] {
			return "Duplicate Resource Record: '" + value + "'"
		}
		seen[value] = true
		if problem := checkRecordValue(set.Type, value); problem != "" {
			return "FATAL problem: " + problem + " encountered with '" + value + "'"
		}
	}
	return ""
}

var quotedStrings = regexp.MustCompile(`^"(?:[^"\\]|\\.)*"(?:\s+"(?:[^"\\]|\\.)*")*$`)

func checkRecordValue(kind types.RRType, value string) string {
	address, addressErr := netip.ParseAddr(value)
	domain := func(text string) string {
		if _, err := checkDomain(text); err != nil || strings.ContainsAny(text, " \t") {
			return "InvalidDomainName (Value is not a valid domain name)"
		}
		return ""
	}
	switch kind {
	case types.RRTypeA:
		if addressErr != nil || !address.Is4() {
			return "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"
		}
	case types.RRTypeAaaa:
		if addressErr != nil || !address.Is6() {
			return "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)"
		}
	case types.RRTypeCname, types.RRTypeNs, types.RRTypePtr:
		return domain(value)
	case types.RRTypeMx:
		priority, host, ok := strings.Cut(value, " ")
		if n, err := strconv.Atoi(priority); !ok || err != nil || n < 0 || n > 65535 {
			return "MXRRDATANotTwoFields (MX record doesn't have 2 fields)"
		}
		return domain(strings.TrimSpace(host))
	case types.RRTypeTxt, types.RRTypeSpf:
		if !quotedStrings.MatchString(value) {
			return "InvalidCharacterString (Value should be enclosed in quotation marks)"
		}
		for part := range strings.SplitSeq(strings.ReplaceAll(value, `\"`, ""), `"`) {
			if len(part) > 255 {
				return "CharacterStringTooLong (Value is too long)"
			}
		}
		if len(value) > 4000 {
			return "RRDATATooLong (Value is too long)"
		}
	}
	return ""
}

// consistent refuses what record sets of a zone cannot be beside each other,
// once the whole batch is carried out.
func (b *recordBatch) consistent(elsewhere func(types.AliasTarget) bool) {
	z := b.zone
	for _, own := range z.ownRecords() {
		if _, ok := b.sets[recordOrder(own)]; !ok {
			b.refuse("A HostedZone must contain exactly one SOA record and at least one NS record for the zone itself.")
			return
		}
	}
	byName := map[string][]types.ResourceRecordSet{}
	for _, key := range sortedKeys(b.sets) {
		byName[*b.sets[key].Name] = append(byName[*b.sets[key].Name], b.sets[key])
	}
	for _, key := range sortedKeys(b.touched) {
		set, ok := b.sets[key]
		if !ok {
			continue
		}
		name := *set.Name
		if set.Type == types.RRTypeCname && name == z.Name {
			b.refuse("RRSet of type CNAME with DNS name %s is not permitted at apex in zone %s", name, z.Name)
		}
		others := slices.DeleteFunc(slices.Clone(byName[name]), func(x types.ResourceRecordSet) bool { return recordOrder(x) == key })
		b.beside(set, others)
		if set.AliasTarget != nil {
			b.target(set, byName, elsewhere)
		}
	}
}

// beside refuses a record set for the others of its name.
func (b *recordBatch) beside(set types.ResourceRecordSet, others []types.ResourceRecordSet) {
	name := *set.Name
	for _, x := range others {
		switch {
		case x.Type != set.Type && set.Type == types.RRTypeCname:
			b.refuse("RRSet of type CNAME with DNS name %s is not permitted as it conflicts with other records with the same DNS name in zone %s", name, b.zone.Name)
			return
		case x.Type != set.Type && x.Type == types.RRTypeCname:
			b.refuse("RRSet of type %s with DNS name %s is not permitted because a conflicting RRSet of type  CNAME with the same DNS name already exists in zone %s", set.Type, name, b.zone.Name)
			return
		case x.Type == set.Type && (x.Weight == nil) != (set.Weight == nil):
			b.refuse("RRSet with DNS name %s, type %s, SetIdentifier %s cannot be created as other RRSets exist with the same name and type but another routing policy", name, set.Type, deref(set.SetIdentifier))
			return
		}
	}
}

// target refuses an alias whose target is not there.
func (b *recordBatch) target(set types.ResourceRecordSet, byName map[string][]types.ResourceRecordSet, elsewhere func(types.AliasTarget) bool) {
	a := *set.AliasTarget
	if plainID(a.HostedZoneId) != b.zone.ID {
		if !elsewhere(a) {
			b.refuse("Tried to create an alias that targets %s, type %s in zone %s, but that target was not found", *a.DNSName, set.Type, *a.HostedZoneId)
		}
		return
	}
	switch {
	case !inDomain(*a.DNSName, b.zone.Name):
		b.refuse("Tried to create an alias that targets %s, type %s in zone %s, but the alias target name does not lie within the target zone", *a.DNSName, set.Type, b.zone.ID)
	case *a.DNSName == *set.Name || !slices.ContainsFunc(byName[*a.DNSName], func(x types.ResourceRecordSet) bool { return x.Type == set.Type }):
		b.refuse("Tried to create an alias that targets %s, type %s in zone %s, but that target was not found", *a.DNSName, set.Type, b.zone.ID)
	}
}

// aliased tells whether a target outside the zone can be there: a load balancer
// of the account, or a service that the local cloud does not have.
func (s *route53Service) aliased(c apiCall, a types.AliasTarget) bool {
	id, name := plainID(a.HostedZoneId), strings.TrimSuffix(strings.TrimPrefix(deref(a.DNSName), "dualstack."), ".")
	if has(s.zones, c.w, id) {
		return false // a record of another zone is no target
	}
	if !strings.Contains(name, ".elb.") {
		return true
	}
	for _, w := range s.cloud.elb.balancers.worlds() {
		for _, row := range s.cloud.elb.balancers.all(w) {
			if strings.EqualFold(deref(row.Balancer.DNSName), name) && deref(row.Balancer.CanonicalHostedZoneId) == id {
				return true
			}
		}
	}
	return false
}
