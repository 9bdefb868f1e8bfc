package launch

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/project"
)

// definition is a resource as it is written, references unresolved.
type definition[S any] struct {
	*project.Resource
	spec *S
}

// checker gathers what is wrong with a topology.
type checker struct {
	problems    diag.List
	environment string
	region      string
	rollout     func(*project.Resource) *project.Rollout // that holds for a resource; nil for none
	resources   []*project.Resource
	byAddress   map[string]*project.Resource
	attachments map[string]*project.Resource // who has each volume
	forwarded   map[string]*project.Resource // whose load balancer each target group serves
	at          int                          // of the resource that is being checked
}

// CheckTopology reports what EC2 would refuse, or what cannot be meant, as far
// as the definitions alone can tell: everything at once, with positions, and
// without a call.
func CheckTopology(t *project.Topology) diag.List {
	c := &checker{byAddress: map[string]*project.Resource{}, attachments: map[string]*project.Resource{}, forwarded: map[string]*project.Resource{}, resources: t.Resources,
		rollout: func(r *project.Resource) *project.Rollout { return r.Rollout }}
	if t.Environment != nil {
		c.environment, c.region = t.Environment.Name, t.Environment.Region
		c.rollout = func(r *project.Resource) *project.Rollout { return t.Effective(nil, r) }
	}
	for _, r := range t.Resources {
		c.byAddress[r.Address] = r
	}
	byName := kindsByName()
	for i, r := range t.Resources {
		c.at = i
		if k, ok := byName[r.Kind]; ok {
			c.checkOne(k, r)
			c.checkTags(k, r)
		}
	}
	return c.problems
}

// checkOne checks a definition. One that adopts may leave out what others must
// give, so of it only what is given can be wrong.
func (c *checker) checkOne(k kind, r *project.Resource) {
	before := len(c.problems)
	k.check(c, r)
	if r.Adopt != nil {
		given := slices.DeleteFunc(slices.Clone(c.problems[before:]), func(p diag.Problem) bool { return p.Pos == r.Pos })
		c.problems = append(c.problems[:before], given...)
	}
}

// maxTags leaves room for Goldline's own among the 50 that AWS takes.
const maxTags = 39

// before are the resources of the same kind that stand before one.
func (c *checker) before(r *project.Resource) []*project.Resource {
	var all []*project.Resource
	for _, other := range c.resources[:c.at] {
		if other.Kind == r.Kind {
			all = append(all, other)
		}
	}
	return all
}

// target is the address that a field refers to; a value that is no reference
// stands for itself.
func (c *checker) target(r *project.Resource, path string) string {
	for _, ref := range r.Refs {
		if ref.Path == path {
			return ref.Address
		}
	}
	return ""
}

// referred is the definition that a field refers to. ok is false where it
// refers to none of this topology.
func referred[S any](c *checker, r *project.Resource, path string) (spec *S, other *project.Resource, ok bool) {
	other = c.byAddress[c.target(r, path)]
	if other == nil {
		return nil, nil, false
	}
	spec, ok = other.Spec.(*S)
	return spec, other, ok
}

// unresolved tells whether a value is known only when something has been made.
func unresolved(s string) bool { return strings.Contains(s, "${") }

// block checks an IP block: its form, and its size in bits.
func (c *checker) block(r *project.Resource, path, text string, min, max int) (netip.Prefix, bool) {
	if text == "" || unresolved(text) {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		hint := "write address and length: 10.0.0.0/16"
		if _, err := netip.ParseAddr(text); err == nil {
			hint = "one address is " + text + "/32"
		}
		c.problems.AddHint(r.At(path), hint, "%q is no CIDR block", text)
		return netip.Prefix{}, false
	case p.Masked() != p:
		c.problems.AddHint(r.At(path), "the block that it lies in is "+p.Masked().String(), "%s has bits beyond its length", text)
		return netip.Prefix{}, false
	case p.Bits() < min || p.Bits() > max:
		c.problems.Addf(r.At(path), "%s: EC2 takes blocks of /%d to /%d here", text, min, max)
		return netip.Prefix{}, false
	}
	return p, true
}

var zoneForm = regexp.MustCompile(`^([a-z]{2}(-[a-z]+)+-\d+)([a-z]|-[a-z0-9-]+)$`)

// zone checks that a zone lies in the environment's region.
func (c *checker) zone(r *project.Resource, path, name string) {
	if _, numbered := project.ZoneNumber(name); numbered {
		return
	}
	if name == "" || unresolved(name) || len(name) == 1 && name >= "a" && name <= "z" {
		return
	}
	switch {
	case !zoneForm.MatchString(name):
		c.problems.AddHint(r.At(path), "as in eu-central-1a, or a for the zone of that letter", "%q is no zone", name)
	case c.region != "" && !strings.HasPrefix(name, c.region):
		c.problems.AddHint(r.At(path), "a for the zone of that letter works in every region", "zone %s is not in the environment's region %s", name, c.region)
	}
}
