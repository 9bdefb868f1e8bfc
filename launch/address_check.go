package launch

import (
	"fmt"
	"net/netip"

	"github.com/goldline-dev/goldline/internal/project"
)

// addressIn checks a private address: its form, and that it is one of the subnet
// that another field names which can be had.
func (c *checker) addressIn(r *project.Resource, path, text, subnet string) (netip.Addr, bool) {
	if text == "" || unresolved(text) {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		c.problems.Addf(r.At(path), "%q is no address", text)
		return ip, false
	}
	s, other, ok := referred[subnetSpec](c, r, subnet)
	if !ok {
		return ip, true
	}
	block, err := netip.ParsePrefix(s.CIDRBlock)
	switch {
	case err != nil:
	case !block.Contains(ip):
		c.problems.AddHint(r.At(path), fmt.Sprintf("the block of %s is %s", other.Address, block), "%s lies outside %s", ip, other.Address)
	case reserved(block.Masked(), ip):
		c.problems.AddHint(r.At(path), "the first four addresses of a subnet and the last are reserved", "%s is an address of %s that AWS keeps", ip, other.Address)
	}
	return ip, true
}

// reserved tells whether AWS keeps an address of a subnet for itself.
// https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
func reserved(block netip.Prefix, ip netip.Addr) bool {
	first := block.Addr()
	for range 4 {
		if ip == first {
			return true
		}
		first = first.Next()
	}
	return !block.Contains(ip.Next())
}

// checkAddresses checks the private addresses of an interface, or of an instance's
// own: each once in a subnet, and those beside the primary one by list or by number.
func (c *checker) checkAddresses(r *project.Resource, primary string, list []string, number *int) {
	seen := map[netip.Addr]string{}
	one := func(path, text string) {
		ip, ok := c.addressIn(r, path, text, "subnet")
		if !ok {
			return
		}
		if first := seen[ip]; first != "" {
			c.problems.Addf(r.At(path), "%s stands in %s already", ip, first)
		} else if other := c.addressTaken(r, ip); other != "" {
			c.problems.Addf(r.At(path), "%s has the address %s already", other, ip)
		}
		seen[ip] = path
	}
	one("private_ip", primary)
	for i, text := range list {
		one(fmt.Sprintf("secondary_private_ips[%d]", i), text)
	}
	if len(list) > 0 && number != nil {
		c.problems.AddHint(r.At("secondary_private_ip_count"), "the list says how many", "an interface takes one of secondary_private_ips and secondary_private_ip_count")
	}
}

// addressTaken is what stands before a definition and has an address in its
// subnet; "" for nothing.
func (c *checker) addressTaken(r *project.Resource, ip netip.Addr) string {
	for _, other := range c.resources[:c.at] {
		primary, list := privateAddresses(other.Spec)
		if primary == "" && len(list) == 0 || c.target(other, "subnet") != c.target(r, "subnet") {
			continue
		}
		for _, text := range append([]string{primary}, list...) {
			if addr, err := netip.ParseAddr(text); err == nil && addr == ip {
				return other.Address
			}
		}
	}
	return ""
}

// privateAddresses are the private addresses that a definition gives: the primary one
// and the others.
func privateAddresses(spec any) (primary string, list []string) {
	switch s := spec.(type) {
	case *instanceSpec:
		return s.PrivateIP, s.SecondaryIPs
	case *networkInterfaceSpec:
		return s.PrivateIP, s.SecondaryIPs
	}
	return "", nil
}
