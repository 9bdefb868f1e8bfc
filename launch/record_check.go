package launch

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

func (records) check(c *checker, d definition[recordSpec]) {
	s := d.spec
	c.domain(d.Resource, "domain", s.Domain)
	if unresolved(s.Domain) && len(d.Lookups) == 0 {
		c.problems.AddHint(d.At("domain"), "values may be references, names may not", "the name %s is known only when something has been made", s.Domain)
	}
	c.recordName(d)
	c.recordShape(d)
	for i, value := range s.Values {
		if problem := wrongValue(s.kind(), value); problem != "" && !unresolved(value) {
			c.problems.Addf(d.At(fmt.Sprintf("values[%d]", i)), "%q: %s", value, problem)
		}
	}
}

// recordName checks that a name lies in its zone, and is not another's.
func (c *checker) recordName(d definition[recordSpec]) {
	zone := ""
	if _, z, ok := referred[zoneSpec](c, d.Resource, "zone"); ok {
		zone = zoneDomain(z)
	}
	if d.spec.Domain == "" || unresolved(d.spec.Domain) {
		return
	}
	full := fullDomain(d.spec.Domain, zone)
	switch {
	case zone != "" && !inDomain(full, zone):
		c.problems.AddHint(d.At("domain"), "write it in full, as in "+strings.SplitN(full, ".", 2)[0]+"."+zone, "%s does not lie in the zone of %s", full, zone)
		return
	case d.spec.kind() == types.RRTypeCname && full == zone:
		c.problems.AddHint(d.At("type"), "an alias can stand at a zone's own name", "a CNAME cannot stand at the zone's own name")
	case d.spec.kind() == types.RRTypeNs && full == zone:
		c.problems.Addf(d.At("type"), "the zone's own NS record is Route 53's")
	}
	if d.Adopt != nil {
		return
	}
	for _, other := range c.resources {
		s, ok := other.Spec.(*recordSpec)
		if other.Address == d.Address {
			break
		}
		if !ok || other.Adopt != nil || s.Zone != d.spec.Zone || fullDomain(s.Domain, zone) != full {
			continue
		}
		switch {
		case s.kind() == d.spec.kind() && s.SetIdentifier == d.spec.SetIdentifier:
			c.problems.AddHint(d.At("domain"), "list both values in one, or tell them apart by weight and set_identifier", "%s is %s already", recordKey{full, s.kind(), s.SetIdentifier}, other.Address)
		case s.kind() == d.spec.kind() && (s.SetIdentifier == "") != (d.spec.SetIdentifier == ""):
			c.problems.Addf(d.At("set_identifier"), "%s has the same name and type: either all or none of them share by weight", other.Address)
		case s.kind() != d.spec.kind() && (s.kind() == types.RRTypeCname || d.spec.kind() == types.RRTypeCname):
			c.problems.Addf(d.At("type"), "%s has the same name: a CNAME stands alone", other.Address)
		}
	}
}

// recordShape checks that the parts of a record go together.
func (c *checker) recordShape(d definition[recordSpec]) {
	s := d.spec
	switch {
	case s.Alias == nil && len(s.Values) == 0:
		c.problems.AddHint(d.Pos, "values: [192.0.2.1], or alias: {load_balancer: web}", "a record needs values or an alias")
	case s.Alias != nil && (len(s.Values) > 0 || s.TTL != 0):
		c.problems.Addf(d.At("alias"), "an alias has neither values nor a ttl of its own")
	case s.Alias != nil && s.kind() != types.RRTypeA && s.kind() != types.RRTypeAaaa:
		c.problems.Addf(d.At("type"), "an alias is of type A or AAAA")
	case s.kind() == types.RRTypeCname && len(s.Values) > 1:
		c.problems.Addf(d.At("values"), "a CNAME has one value")
	}
	if (s.Weight == nil) != (s.SetIdentifier == "") {
		c.problems.Addf(d.At("weight"), "weight and set_identifier go together")
	}
	if len(s.SetIdentifier) > 128 {
		c.problems.Addf(d.At("set_identifier"), "set_identifier is %d characters long: Route 53 takes 128", len(s.SetIdentifier))
	}
	a := s.Alias
	if a == nil {
		return
	}
	targets := 0
	for _, t := range []string{a.LoadBalancer, a.Record, a.DomainName} {
		if t != "" {
			targets++
		}
	}
	switch {
	case targets != 1:
		c.problems.AddHint(d.At("alias"), "give load_balancer, record or domain_name", "an alias needs one target, not %d", targets)
	case a.DomainName != "" && a.ZoneID == "":
		c.problems.Addf(d.At("alias.domain_name"), "a name of something else needs its zone_id")
	case a.Record != "" && a.ZoneID != "":
		c.problems.Addf(d.At("alias.zone_id"), "another record is of the same zone")
	case a.LoadBalancer != "" && c.target(d.Resource, "alias.load_balancer") == "" && !unresolved(a.LoadBalancer):
		c.problems.AddHint(d.At("alias.load_balancer"), "give the DNS name of another one as domain_name, with its zone_id", "%s is no load balancer of this topology", a.LoadBalancer)
	}
	if other, r, ok := referred[recordSpec](c, d.Resource, "alias.record"); ok {
		switch {
		case other.Zone != s.Zone:
			c.problems.Addf(d.At("alias.record"), "%s stands in another zone: an alias leads to its own", r.Address)
		case other.kind() != s.kind():
			c.problems.Addf(d.At("alias.record"), "%s is of type %s, the alias of type %s", r.Address, other.kind(), s.kind())
		}
	}
}

// wrongValue says what Route 53 would refuse of a value.
func wrongValue(kind types.RRType, value string) string {
	address, err := netip.ParseAddr(value)
	switch kind {
	case types.RRTypeA:
		if err != nil || !address.Is4() {
			return "no IPv4 address"
		}
	case types.RRTypeAaaa:
		if err != nil || !address.Is6() {
			return "no IPv6 address"
		}
	case types.RRTypeCname, types.RRTypeNs:
		if strings.ContainsAny(value, " \t") || value == "" {
			return "no name of a domain"
		}
	case types.RRTypeMx:
		priority, host, ok := strings.Cut(value, " ")
		if n, err := strconv.Atoi(priority); !ok || err != nil || n < 0 || n > 65535 || strings.ContainsAny(strings.TrimSpace(host), " \t") {
			return "write priority and name: 10 mail.example.com"
		}
	case types.RRTypeTxt:
		if len(value) > 4000 {
			return fmt.Sprintf("%d characters long: Route 53 takes 4000", len(value))
		}
	}
	return ""
}
