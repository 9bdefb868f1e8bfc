package hcl2

import (
	"fmt"
	"math/big"
	"net"
	"net/netip"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// networkFunctions calculate with CIDR blocks.
func networkFunctions() map[string]function.Function {
	prefix := function.Parameter{Name: "prefix", Type: cty.String}
	return map[string]function.Function{
		"cidrhost": function.New(&function.Spec{
			Params: []function.Parameter{prefix, {Name: "host", Type: cty.Number}},
			Type:   function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				host, _ := args[1].AsBigFloat().Int(nil)
				address, err := hostOf(args[0].AsString(), host)
				return cty.StringVal(address), err
			},
		}),
		"cidrnetmask": text1(func(text string) (string, error) {
			block, err := netip.ParsePrefix(text)
			if err != nil || !block.Addr().Is4() {
				return "", fmt.Errorf("%q is no IPv4 block", text)
			}
			return net.IP(net.CIDRMask(block.Bits(), 32)).String(), nil
		}),
		"cidrsubnet": function.New(&function.Spec{
			Params: []function.Parameter{prefix, {Name: "bits", Type: cty.Number}, {Name: "number", Type: cty.Number}},
			Type:   function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				bits, _ := args[1].AsBigFloat().Int64()
				number, _ := args[2].AsBigFloat().Int(nil)
				block, err := subnetOf(args[0].AsString(), int(bits), number)
				return cty.StringVal(block), err
			},
		}),
	}
}

// hostOf is the nth address of a block, from its end where n is negative.
func hostOf(text string, n *big.Int) (string, error) {
	block, err := netip.ParsePrefix(text)
	if err != nil {
		return "", fmt.Errorf("%q is no CIDR block", text)
	}
	free := block.Addr().BitLen() - block.Bits()
	size := new(big.Int).Lsh(big.NewInt(1), uint(free))
	if n.Sign() < 0 {
		n = new(big.Int).Add(size, n)
	}
	if n.Sign() < 0 || n.Cmp(size) >= 0 {
		return "", fmt.Errorf("%s has no host %s", text, n)
	}
	return plus(block, n).String(), nil
}

// subnetOf is the nth block of those that have so many bits more.
func subnetOf(text string, bits int, n *big.Int) (string, error) {
	block, err := netip.ParsePrefix(text)
	if err != nil {
		return "", fmt.Errorf("%q is no CIDR block", text)
	}
	length := block.Bits() + bits
	if bits < 0 || length > block.Addr().BitLen() || n.Sign() < 0 || n.BitLen() > bits {
		return "", fmt.Errorf("%s has no subnet %s with %d more bits", text, n, bits)
	}
	offset := new(big.Int).Lsh(n, uint(block.Addr().BitLen()-length))
	return netip.PrefixFrom(plus(block, offset), length).String(), nil
}

func plus(block netip.Prefix, n *big.Int) netip.Addr {
	first := block.Masked().Addr()
	sum := new(big.Int).Add(new(big.Int).SetBytes(first.AsSlice()), n)
	raw := sum.FillBytes(make([]byte, first.BitLen()/8))
	address, _ := netip.AddrFromSlice(raw) // the length is an address's
	return address
}
