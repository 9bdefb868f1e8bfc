package launch

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/project"
)

// An instance's `domain` is short for a record of its own, which follows from
// the instance and the zones of the topology.

// withDomains gives a topology the records that the domains of its instances
// stand for, and aliases of load balancers the zones of these. One that has them
// already keeps them as they follow now.
func withDomains(projectName string, t *project.Topology) *project.Topology {
	c := *t
	c.Resources = make([]*project.Resource, 0, len(t.Resources))
	for _, r := range t.Resources {
		if r.From == "" || r.Kind != "record" {
			c.Resources = append(c.Resources, withAliasZone(r))
		}
	}
	environment := ""
	if t.Environment != nil {
		environment = t.Environment.Name
	}
	for _, r := range t.Resources {
		s, ok := r.Spec.(*instanceSpec)
		if !ok {
			continue
		}
		for i, domain := range s.Domain {
			if z := zoneFor(t.Resources, domain, holdsElastic(t.Resources, r, s)); z != nil {
				c.Resources = append(c.Resources, domainRecord(projectName, environment, t.Resources, r, i, domain, z))
			}
		}
	}
	return &c
}

// withAliasZone completes an alias of a load balancer: its name and its zone go
// together.
func withAliasZone(r *project.Resource) *project.Resource {
	s, ok := r.Spec.(*recordSpec)
	if !ok || s.Alias == nil || s.Alias.LoadBalancer == "" || s.Alias.ZoneID != "" {
		return r
	}
	for _, ref := range r.Refs {
		if ref.Path != "alias.load_balancer" {
			continue
		}
		same, spec, alias := *r, *s, *s.Alias
		alias.ZoneID = "${" + ref.Address + ".canonical_hosted_zone_id}"
		spec.Alias, same.Spec = &alias, &spec
		return &same
	}
	return r
}

// zoneFor is the zone that holds a domain: that of the longest name. Of a public
// and a private zone of one name an elastic IP belongs into the public one.
func zoneFor(resources []*project.Resource, domain string, elastic bool) *project.Resource {
	var best *project.Resource
	for _, r := range resources {
		name := ""
		if r.Kind == "zone" {
			name = zoneDomain(r)
		}
		if name == "" || !inDomain(domain, name) {
			continue
		}
		switch {
		case best == nil || len(name) > len(zoneDomain(best)):
			best = r
		case len(name) == len(zoneDomain(best)) && isPrivate(best) == elastic && isPrivate(r) != elastic:
			best = r
		}
	}
	return best
}

// isPrivate tells whether a zone's definition is that of a private one.
func isPrivate(r *project.Resource) bool {
	s, ok := r.Spec.(*zoneSpec)
	return ok && s.private() || r.Adopt != nil && (r.Adopt.Keys["private"] == "true" || r.Adopt.Owners[ownerVPC].Address != "")
}

func holdsElastic(resources []*project.Resource, r *project.Resource, s *instanceSpec) bool {
	text, _ := elasticAddress(resources, r, s)
	return text != ""
}

// elasticAddress is the elastic IP address of an instance as a value, with what
// it refers to: that which the instance names, or that which names the instance.
func elasticAddress(resources []*project.Resource, r *project.Resource, s *instanceSpec) (text string, ref project.Ref) {
	address := ""
	for _, ref := range r.Refs {
		if ref.Path == "elastic_ip" && ref.Kind == "elastic_ip" {
			address = ref.Address
		}
	}
	if address == "" && isAddress(s.ElasticIP) {
		return s.ElasticIP, ref
	}
	for _, other := range resources {
		if other.Kind != "elastic_ip" || address != "" {
			continue
		}
		for _, ref := range other.Refs {
			if ref.Path == "instance" && ref.Address == r.Address {
				address = other.Address
			}
		}
	}
	if address == "" {
		return "", ref
	}
	return "${" + address + ".public_ip}", project.Ref{Kind: "elastic_ip", Address: address, Attribute: "public_ip", Path: "values[0]"}
}

func domainRecord(projectName, environment string, resources []*project.Resource, r *project.Resource, i int, domain string, z *project.Resource) *project.Resource {
	s := r.Spec.(*instanceSpec)
	value := "${" + r.Address + ".private_ip}"
	ref := project.Ref{Kind: "instance", Address: r.Address, Attribute: "private_ip", Path: "values[0]"}
	if text, elastic := elasticAddress(resources, r, s); text != "" && !isPrivate(z) {
		value, ref = text, elastic
	}
	refs := []project.Ref{{Kind: "zone", Address: z.Address, Attribute: "id", Path: "zone"}}
	if ref.Address != "" {
		refs = append(refs, ref)
	}
	name := plainDomain(domain)
	return project.Derive(projectName, environment, r, fmt.Sprintf("domain[%d]", i), "record", name,
		&recordSpec{Zone: strings.TrimPrefix(z.Address, "zone."), Domain: name, Type: "A", Values: []string{value}}, refs)
}

var domainLabel = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?|\*)$`)

// domain checks the form of a name.
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html
func (c *checker) domain(r *project.Resource, path, text string) bool {
	if text == "" || text == "@" || unresolved(text) {
		return true
	}
	if wrong := wrongDomain(text, r.Kind == "record"); wrong != "" {
		c.problems.AddHint(r.At(path), "labels of 1 to 63 letters, digits, - and _, with dots between them", "%s", wrong)
		return false
	}
	return true
}

// wrongDomain says what is wrong with a name, of a record or of a zone; "" for
// nothing.
func wrongDomain(text string, ofRecord bool) string {
	name := plainDomain(text)
	for i, label := range strings.Split(name, ".") {
		if !domainLabel.MatchString(label) || label == "*" && (i > 0 || !ofRecord) {
			return fmt.Sprintf("%q is no name of a domain", text)
		}
	}
	if len(name) > maxDomain {
		return fmt.Sprintf("%s is %d characters long: Route 53 takes 255 with the record beside it that says whose it is, so at most %d", text, len(name), maxDomain)
	}
	return ""
}

// maxDomain leaves room for the name of a marker: _goldline-cname-0123abcd.
const maxDomain = 255 - len("_goldline-cname-0123abcd.") - 1

// checkDomains checks the names of an instance.
func (c *checker) checkDomains(d definition[instanceSpec]) {
	for i, domain := range d.spec.Domain {
		at := fmt.Sprintf("domain[%d]", i)
		if d.At(at) == d.Pos {
			at = "domain"
		}
		if unresolved(domain) {
			c.problems.AddHint(d.At(at), "give the record a definition of its own, with values: [${"+d.Address+".private_ip}]", "the name %s is known only where it is launched, and so is its zone", domain)
			continue
		}
		if !c.domain(d.Resource, at, domain) || zoneFor(c.resources, domain, false) != nil {
			continue
		}
		hint := "define the zone, or adopt it: `adopt: {name: example.com}`"
		var names []string
		for _, r := range c.resources {
			if name := zoneDomain(r); r.Kind == "zone" && name != "" {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			slices.Sort(names)
			hint = "there are zones of " + strings.Join(slices.Compact(names), ", ")
		}
		c.problems.AddHint(d.At(at), hint, "no zone of this topology holds %s", domain)
	}
}
