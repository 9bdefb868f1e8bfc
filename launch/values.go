package launch

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/goldline-dev/goldline/internal/project"
)

// optional is text as EC2 takes it: nothing where there is none.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return aws.String(s)
}

// number is the same for a number, where 0 states nothing.
func number(n int) *int32 {
	if n == 0 {
		return nil
	}
	return aws.Int32(int32(n))
}

func has(list []string, s string) bool { return slices.Contains(list, s) }

// union lists the keys of maps, each once, in order.
func union[K cmp.Ordered, V any](maps ...map[K]V) []K {
	var keys []K
	for _, m := range maps {
		for k := range m {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// canonical is a block as EC2 shows it: 10.0.0.5/8 is 10.0.0.0/8 to it. What is
// no block stays as it is.
func canonical(block string) string {
	p, err := netip.ParsePrefix(block)
	if err != nil {
		return block
	}
	return p.Masked().String()
}

func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// sortedList is a list as one text, in order.
func sortedList(list []string) string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(list))), ", ")
}

// switchText is a switch as text, nothing where it is not stated.
func switchText(on *bool) string {
	if on == nil {
		return ""
	}
	return strconv.FormatBool(*on)
}

// numberText is the same for a number.
func numberText(n *int32) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(int(*n))
}

// displayName is the Name tag of a resource: web, or web[0].
func displayName(r *project.Resource) string {
	if r.Index == "" {
		return r.Name
	}
	return r.Name + "[" + r.Index + "]"
}

// accountName is the name by default of what is named once in an account:
// shop-dev-web, or shop-dev-web-0.
func (w *world) accountName(r *project.Resource) string {
	name := w.Project + "-" + w.environment + "-" + r.Name
	if r.Index != "" {
		name += "-" + r.Index
	}
	return name
}
