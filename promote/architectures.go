package promote

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/tags"
)

// A build for several architectures has an AMI for each, with the same version and
// fingerprint. It is one build here: it is promoted, gone back to and revoked as a
// whole, under the name of its main AMI.

// incomplete is the state of a build of which an AMI is missing.
const incomplete = "incomplete"

// all are the AMIs of a build, the main one first.
func (b BuildInfo) all() []BuildInfo {
	if len(b.parts) == 0 {
		return []BuildInfo{b}
	}
	return b.parts
}

// ids are the AMIs of a build by their IDs, the main one first.
func (b BuildInfo) ids() []string {
	var ids []string
	for _, part := range b.all() {
		ids = append(ids, part.AMI)
	}
	return ids
}

// flat lists the AMIs of builds.
func flat(builds []BuildInfo) []BuildInfo {
	var amis []BuildInfo
	for _, b := range builds {
		amis = append(amis, b.all()...)
	}
	return amis
}

// has tells whether an AMI is one of the build's.
func (b BuildInfo) has(ami string) bool { return slices.Contains(b.ids(), ami) }

// others are the AMIs of a build besides the main one.
func (b BuildInfo) others() []BuildInfo {
	return slices.DeleteFunc(slices.Clone(b.parts), func(part BuildInfo) bool { return part.AMI == b.AMI })
}

// architecturesOf are those that an AMI's build has; none for a build with one AMI.
func architecturesOf(b BuildInfo) []string {
	names := strings.Fields(cloud.TagSet(b.image.Tags)[tags.Architectures])
	if len(names) < 2 {
		return nil
	}
	return names
}

// fold makes one build of the AMIs that are one, in the place of the first. What
// is there of a build twice, such as a copy beside a shared AMI, is another one.
func fold(amis []BuildInfo) []BuildInfo {
	var builds []BuildInfo
	for _, ami := range amis {
		at := slices.IndexFunc(builds, func(b BuildInfo) bool {
			return len(b.parts) > 0 && b.Image == ami.Image && b.Version == ami.Version && b.Fingerprint == ami.Fingerprint &&
				!slices.ContainsFunc(b.parts, func(part BuildInfo) bool { return part.Architecture == ami.Architecture })
		})
		switch {
		case architecturesOf(ami) == nil:
			builds = append(builds, ami)
		case at < 0:
			one := ami
			one.parts = []BuildInfo{ami}
			builds = append(builds, one)
		default:
			builds[at].parts = append(builds[at].parts, ami)
		}
	}
	for i, b := range builds {
		if len(b.parts) > 0 {
			builds[i] = joined(b.parts)
		}
	}
	return builds
}

// joined is the build that AMIs are the parts of. It is called by its main AMI, or
// else by the first that is there.
func joined(parts []BuildInfo) BuildInfo {
	order := architecturesOf(parts[0])
	slices.SortStableFunc(parts, func(a, b BuildInfo) int {
		return slices.Index(order, a.Architecture) - slices.Index(order, b.Architecture)
	})
	by := map[string]string{}
	for _, part := range parts {
		by[part.Architecture] = part.AMI
	}
	whole := parts[0]
	whole.parts = parts
	for i := range parts {
		parts[i].Architectures = by
		if whole.State == string(types.ImageStateAvailable) {
			whole.State = parts[i].State
		}
		if whole.Revoked == "" {
			whole.Revoked = parts[i].Revoked
		}
	}
	whole.Architectures = by
	if len(by) < len(order) {
		whole.State = incomplete
	}
	return whole
}
