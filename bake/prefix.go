package bake

import (
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/project"
)

// prefix is what a builder holds after a provisioner, as far as it follows from
// the recipe.
type prefix struct {
	n           int // index of the provisioner
	fingerprint string
}

// prefixFormat is the version of what a prefix's fingerprint takes in.
const prefixFormat = "step 1"

// builderKeys are the keys of a recipe, besides its source and provisioners, that
// what is on the builder follows from: those of countedKeys but for what only the
// AMI has.
var builderKeys = []string{"user_data", "encrypt_boot", "kms_key_id", "launch_block_device_mappings", "ssh_username"}

// actor is a provisioner that may do something on this side, which a bake that
// starts after it would leave out.
type actor interface{ actsHere() bool }

func (f *File) actsHere() bool       { return f.download() || f.Generated } // what is generated may differ each time
func (s *ShellLocal) actsHere() bool { return true }
func (s *Breakpoint) actsHere() bool { return !s.Disable }

// prefixes are those of a recipe with cache: steps that an image may be kept of,
// the shortest first: all before the first provisioner that acts on this side.
// The name of the build counts, since scripts get it.
func prefixes(image *project.Image, source, architecture string, hide redactor) ([]prefix, error) {
	if image.Cache == "" {
		return nil, nil
	}
	if image.Lasting != nil {
		image = image.Lasting
	}
	inputs := []Input{
		{Name: "format", Digest: prefixFormat}, {Name: "build", Digest: buildName(image)},
		{Name: "source image", Digest: source}, {Name: "architecture", Digest: architecture},
	}
	keys, err := recipeInputs(image, builderKeys, hide)
	if err != nil {
		return nil, err
	}
	inputs = append(inputs, keys...)
	var all []prefix
	for n, p := range image.Provisioners {
		if !applies(p, image.Name) {
			continue
		}
		if a, ok := p.Options.(actor); ok && a.actsHere() {
			break
		}
		more, err := provisionerInputs(image, n, p, hide)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, more...)
		all = append(all, prefix{n, digestInputs(inputs)})
	}
	return all, nil
}

// checkCache reports what would have no effect.
func checkCache(i *project.Image, l *diag.List) {
	const hint = "give the recipe cache: steps"
	if i.Cache == "" {
		if i.CacheAfter != 0 {
			l.AddHint(i.At("cache_after"), hint, "cache_after without cache")
		}
		if i.CacheKeep != 0 {
			l.AddHint(i.At("cache_keep"), hint, "cache_keep without cache")
		}
	}
	acted := ""
	for _, p := range i.Provisioners {
		if a, ok := p.Options.(actor); ok && a.actsHere() && acted == "" {
			acted = p.Pos.String()
		}
		switch {
		case p.Cache == nil:
		case i.Cache == "":
			l.AddHint(p.At("cache"), hint, "cache of a provisioner without cache of the recipe")
		case *p.Cache && acted != "":
			l.AddHint(p.At("cache"), "move that one behind", "no image can be kept after a provisioner that acts on this side (%s): a bake that starts from the image would leave it out", acted)
		}
	}
}
