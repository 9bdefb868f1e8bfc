package cloud

import (
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// graviton are the families of instance types with AWS's arm64 processors: a g
// follows the generation's number, as in t4g and im4gn. g4dn and gr6 are others.
// https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
var graviton = regexp.MustCompile(`^(a1|[a-z]+[0-9]+g[a-z]*)$`)

// TypeArchitecture is the architecture that an instance type runs by its name,
// where the name tells: x86_64 for all but Graviton, and nothing for Macs and for
// what is no name of a type.
func TypeArchitecture(instanceType string) string {
	family, size, _ := strings.Cut(instanceType, ".")
	switch {
	case size == "" || strings.HasPrefix(family, "mac"):
		return ""
	case graviton.MatchString(family):
		return string(types.ArchitectureValuesArm64)
	}
	return string(types.ArchitectureValuesX8664)
}

// counterparts are families of the other architecture that are much the same.
var counterparts = map[string]string{"t": "t4g", "m": "m7g", "c": "c7g", "r": "r7g"}

// TypeFor is an instance type of an architecture that is much like another one.
func TypeFor(architecture, like string) string {
	family, size, _ := strings.Cut(like, ".")
	kind := family[:min(1, len(family))]
	switch {
	case TypeArchitecture(like) == architecture:
		return like
	case architecture == string(types.ArchitectureValuesArm64):
		if arm := counterparts[kind]; arm != "" {
			return arm + "." + size
		}
		return "m7g.large"
	case kind == "t":
		return "t3." + size
	case counterparts[kind] != "":
		return kind + "7i." + size
	}
	return "m7i.large"
}
