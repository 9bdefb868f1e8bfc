package tags

import (
	"maps"
	"regexp"
	"strings"
)

// EC2 and Auto Scaling take any text in tags. IAM, Systems Manager and Elastic
// Load Balancing refuse what is not in plainForm, and Route 53 does not say: what
// goes there is written plainly.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Tag.html
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Tag.html
var plainForm = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// PlainHint says what stands in plain text.
const PlainHint = "it takes letters, digits, spaces and _ . : / = + - @"

// How long the keys and values of tags may be, in characters: the least that a
// service takes.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Tag.html
const (
	MaxKey   = 127
	MaxValue = 256
)

// IsPlain tells whether every service takes a text in tags.
func IsPlain(text string) bool { return plainForm.MatchString(text) }

// PlainName is the Name tag, as every service takes it, of a copy of a repeated
// definition: web-0.
func PlainName(name, index string) string {
	if index == "" {
		return name
	}
	return name + "-" + index
}

// Plain is a set as every service takes it: the brackets of an address, as in
// iam_role.web[0], become a colon.
func Plain(set map[string]string) map[string]string {
	address, ok := set[Address]
	if !ok || !strings.Contains(address, "[") {
		return set
	}
	plain := maps.Clone(set)
	plain[Address] = strings.TrimSuffix(strings.Replace(address, "[", ":", 1), "]")
	return plain
}

// FromPlain is the reverse. No part of an address has a colon of its own, and
// an address with brackets stays as it is.
func FromPlain(set map[string]string) map[string]string {
	name, index, ok := strings.Cut(set[Address], ":")
	if !ok {
		return set
	}
	full := maps.Clone(set)
	full[Address] = name + "[" + index + "]"
	return full
}
