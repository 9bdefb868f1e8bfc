package bake

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// defaultType is the builder's instance type where the recipe names none.
func defaultType(architecture string) string { return cloud.TypeFor(architecture, "t3.micro") }

// variants gives a recipe once for each of its architectures, with the source
// image and the instance types of that one. A recipe that names none is its only
// variant.
func variants(i *project.Image) []*project.Image {
	if len(i.Architectures) == 0 {
		return []*project.Image{i}
	}
	all := make([]*project.Image, len(i.Architectures))
	for n, architecture := range i.Architectures {
		v := i.For(architecture)
		if v.InstanceType == "" && len(v.SpotInstanceTypes) == 0 {
			v.InstanceType = defaultType(architecture)
		}
		v.SpotInstanceTypes = slices.DeleteFunc(slices.Clone(i.SpotInstanceTypes), func(kind string) bool { return !runs(kind, architecture) })
		if v.SourceAMIFilter != nil {
			filters := map[string]string{"architecture": architecture}
			v.SourceAMIFilter.Filters = tags.Merge(v.SourceAMIFilter.Filters, filters)
		}
		all[n] = v
	}
	return all
}

// runs tells whether an instance type may run an architecture, as far as its name
// tells.
func runs(kind, architecture string) bool {
	known := cloud.TypeArchitecture(kind)
	return known == "" || known == architecture
}

// checkArchitectures reports what cannot be for one of the architectures that a
// recipe names, with what would be right.
func checkArchitectures(i *project.Image, l *diag.List) {
	for key := range i.ByArchitecture {
		if len(i.Architectures) == 0 {
			l.AddHint(i.At(key), "add architectures: ["+strings.Join(tags.Keys(i.ByArchitecture[key]), ", ")+"]", "%s for each architecture, but there are no architectures", key)
			return
		}
	}
	for n, a := range i.Architectures {
		if a == "" {
			l.Addf(i.At(fmt.Sprintf("architectures[%d]", n)), "an architecture without a name")
			return
		}
		if slices.Contains(i.Architectures[:n], a) {
			l.Addf(i.At(fmt.Sprintf("architectures[%d]", n)), "architecture %s stands here twice", a)
		}
	}
	checkByArchitecture(i, l)
	if len(i.Architectures) > 1 && i.SourceAMI != "" {
		l.AddHint(i.At("source_ami"), "give one for each: "+forEach(i.Architectures, func(a string) string { return "ami-..." }), "an AMI has one architecture, and this is to be the source of %d", len(i.Architectures))
	}
	if f := i.SourceAMIFilter; f != nil && len(i.Architectures) > 0 {
		checkFilterArchitectures(i, f, l)
	}
	given := map[string]string{"instance_type": i.InstanceType}
	if i.Tests != nil {
		given["tests.instance_type"] = i.Tests.InstanceType
	}
	for _, key := range tags.Keys(given) {
		for _, a := range i.Architectures {
			if kind := given[key]; kind != "" && !runs(kind, a) {
				l.AddHint(i.At(key), rightTypes(i, kind), "%s runs %s, not %s", kind, cloud.TypeArchitecture(kind), a)
				break
			}
		}
	}
	for _, a := range i.Architectures {
		if kinds := i.SpotInstanceTypes; len(kinds) > 0 && !slices.ContainsFunc(kinds, func(kind string) bool { return runs(kind, a) }) {
			l.AddHint(i.At("spot_instance_types"), "add one such as "+cloud.TypeFor(a, kinds[0]), "none of the types runs %s", a)
		}
	}
}

// checkByArchitecture looks at the texts that a recipe gives for each
// architecture.
func checkByArchitecture(i *project.Image, l *diag.List) {
	keys := map[string]string{}
	for key := range i.ByArchitecture {
		keys[key] = ""
	}
	for _, key := range tags.Keys(keys) {
		texts := i.ByArchitecture[key]
		for _, a := range i.Architectures {
			if texts[a] == "" {
				l.Addf(i.At(key), "%s says nothing for %s", key, a)
			}
		}
		for _, a := range tags.Keys(texts) {
			switch at := i.At(key + "." + a); {
			case !slices.Contains(i.Architectures, a):
				l.AddHint(at, "add it to architectures, or leave it out here", "%s is none of architectures", a)
			case strings.HasSuffix(key, "instance_type") && !runs(texts[a], a):
				l.AddHint(at, "such as "+cloud.TypeFor(a, texts[a]), "%s runs %s, not %s", texts[a], cloud.TypeArchitecture(texts[a]), a)
			}
		}
	}
}

// spellings are how names of AMIs spell architectures.
var spellings = map[string][]string{
	string(types.ArchitectureValuesX8664): {"amd64", "x86_64", "x86-64"},
	string(types.ArchitectureValuesArm64): {"arm64", "aarch64"},
}

// checkFilterArchitectures reports a filter that leaves no source image for one of
// the architectures.
func checkFilterArchitectures(i *project.Image, f *project.AMIFilter, l *diag.List) {
	if own := f.Filters["architecture"]; own != "" {
		l.AddHint(i.At("source_ami_filter.filters.architecture"), "leave it out: architectures says it", "the filter is set for each architecture")
	}
	name := f.Filters["name"]
	for _, a := range i.Architectures {
		for other, spelt := range spellings {
			for _, word := range spelt {
				if other != a && strings.Contains(name, word) {
					l.AddHint(i.At("source_ami_filter.filters.name"), "with * in its place the architecture decides: "+strings.ReplaceAll(name, word, "*"), "no source image for %s is named so", a)
					return
				}
			}
		}
	}
}

// rightTypes is how the instance type would be given for all architectures.
func rightTypes(i *project.Image, kind string) string {
	if len(i.Architectures) == 1 {
		return "such as " + cloud.TypeFor(i.Architectures[0], kind)
	}
	return "give one for each: " + forEach(i.Architectures, func(a string) string { return cloud.TypeFor(a, kind) })
}

func forEach(architectures []string, text func(string) string) string {
	parts := make([]string, len(architectures))
	for n, a := range architectures {
		parts[n] = a + ": " + text(a)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// suits refuses instance types that cannot run the source image, before anything
// is made. EC2 says the same of what the names of types do not tell.
func (b *bake) suits() error {
	built := b.architectureOf()
	if built == "" {
		return nil
	}
	if a := b.image.Architecture; a != "" && a != built {
		return fail.Inputf("%s: the source image %s is built for %s, not for %s", b.sourceAt(), aws.ToString(b.source.ImageId), built, a)
	}
	if wantsSpot(b.image) || b.image.InstanceType == "" || runs(b.image.InstanceType, built) {
		return nil
	}
	err := fail.Inputf("%s: instance_type %s cannot run the source image %s, which is built for %s", b.image.At("instance_type"), b.image.InstanceType, aws.ToString(b.source.ImageId), built)
	return fail.WithHint(err, "such as %s", cloud.TypeFor(built, b.image.InstanceType))
}

// sourceAt is where the recipe says what it starts from.
func (b *bake) sourceAt() diag.Pos {
	for _, key := range []string{"source_ami." + b.image.Architecture, "source_ami", "source_image"} {
		if at := b.image.At(key); at != b.image.Pos {
			return at
		}
	}
	return b.image.At("source_ami_filter")
}

// label is what a bake is called where bakes of one image are told apart.
func (b *bake) label() string {
	if b.family == nil {
		return b.image.Name
	}
	return b.image.Name + "/" + b.image.Architecture
}

// architectureTag is on all that a bake for one of several architectures makes.
func (b *bake) architectureTag() map[string]string {
	if b.family == nil {
		return nil
	}
	return map[string]string{tags.Architecture: b.image.Architecture}
}

// isOf tells whether an AMI is of the architecture that the bake is for.
func (b *bake) isOf(ami types.Image) bool {
	return b.image.Architecture == "" || string(ami.Architecture) == b.image.Architecture
}

// whole drops AMIs of builds for several architectures that are not all there:
// none of those counts.
func whole(amis []types.Image) []types.Image {
	there := map[string]bool{}
	for _, ami := range amis {
		set := cloud.TagSet(ami.Tags)
		there[set[tags.Fingerprint]+" "+set[tags.Version]+" "+set[tags.Architecture]] = true
	}
	return slices.DeleteFunc(slices.Clone(amis), func(ami types.Image) bool {
		set := cloud.TagSet(ami.Tags)
		return slices.ContainsFunc(strings.Fields(set[tags.Architectures]), func(a string) bool {
			return !there[set[tags.Fingerprint]+" "+set[tags.Version]+" "+a]
		})
	})
}
