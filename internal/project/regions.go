package project

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/tags"
	"gopkg.in/yaml.v3"
)

// RegionKeys name the KMS key of each region. Keys never leave their region, so
// one name for all is an alias, or the ID of a multi-Region key, which mean another
// key in each.
type RegionKeys struct {
	Every string            // in every region; empty where By says it, or nothing does
	By    map[string]string // by region
}

// In is the key of a region; empty for none.
func (k RegionKeys) In(region string) string {
	if key := k.By[region]; key != "" {
		return key
	}
	return k.Every
}

// AllRegions are the regions in which promoted builds are present, the
// environment's own first.
func (e *Environment) AllRegions() []string { return append([]string{e.Region}, e.Regions...) }

func (d *decoder) regionKeys(n *yaml.Node, target *RegionKeys, path string) {
	switch n.Kind {
	case yaml.ScalarNode:
		target.Every = n.Value
	case yaml.MappingNode:
		d.decodeMap(n, reflect.ValueOf(&target.By).Elem(), field{}, path)
	default:
		d.mismatch(n, "the name of a key, or one for each region")
	}
}

// checkRegions checks the further regions of an environment, and that its key can
// encrypt in all of them.
func (p *Project) checkRegions(env *Environment) {
	at := func(path string) diag.Pos {
		whole := Resource{Pos: env.Pos, positions: env.positions}
		return whole.At(path)
	}
	for i, region := range env.Regions {
		pos := at(fmt.Sprintf("regions[%d]", i))
		switch {
		case region == env.Region:
			p.problems.AddHint(pos, "leave it out: regions are those besides it", "%s is the region of the environment already", region)
		case slices.Contains(env.Regions[:i], region):
			p.problems.Addf(pos, "region %s is given twice", region)
		}
	}
	keys, all := env.ImageKMSKeyID, env.AllRegions()
	if keys.By == nil {
		for _, region := range all {
			if problem, hint := strayKey(keys.Every, region, all); problem != "" {
				p.problems.AddHint(at("image_kms_key_id"), hint, "%s", problem)
				break
			}
		}
		return
	}
	for _, region := range tags.Keys(keys.By) {
		pos := at("image_kms_key_id." + region)
		problem, hint := strayKey(keys.By[region], region, nil)
		switch {
		case !slices.Contains(all, region):
			p.problems.AddHint(pos, diag.DidYouMean(region, all), "%s is no region of environment %s (%s)", region, env.Name, strings.Join(all, ", "))
		case keys.By[region] == "":
			p.problems.Addf(pos, "the key of %s must not be empty", region)
		case problem != "":
			p.problems.AddHint(pos, hint, "%s", problem)
		}
	}
	for _, region := range all {
		if _, ok := keys.By[region]; !ok {
			p.problems.AddHint(at("image_kms_key_id"), "add "+region+": and a key of that region", "there is no key for %s", region)
		}
	}
}

// checkKeyOfCopies refuses a key that nothing would be encrypted with: an
// environment whose builds are shared by another account copies none.
func (p *Project) checkKeyOfCopies(env *Environment) {
	if env.ImageAccess == ImageCopy || env.ImageKMSKeyID.Every == "" && env.ImageKMSKeyID.By == nil {
		return
	}
	rung := slices.Index(p.Ladder, env.Name)
	if rung < 1 {
		return
	}
	for _, below := range p.Ladder[:rung] {
		if other := p.environments[below]; other == nil || other.Account == "" || other.Account == env.Account {
			return // what its own account has is copied to further regions under the key
		}
	}
	whole := Resource{Pos: env.Pos, positions: env.positions}
	p.problems.AddHint(whole.At("image_kms_key_id"), "add image_access: copy, or leave the key out",
		"the key is for copies, and %s has the builds of account %s shared with it", env.Name, p.environments[p.Ladder[0]].Account)
}

var keyARN = regexp.MustCompile(`^arn:[^:]*:kms:([^:]+):[^:]*:(.+)$`)

// strayKey says why a key cannot encrypt in a region, and what can; nothing where
// that is not certain.
func strayKey(key, region string, all []string) (problem, hint string) {
	parts := keyARN.FindStringSubmatch(key)
	if parts == nil || parts[1] == region {
		return "", ""
	}
	problem = fmt.Sprintf("the key is one of %s, and cannot encrypt in %s", parts[1], region)
	id := strings.TrimPrefix(parts[2], "key/")
	switch {
	case strings.HasPrefix(id, "mrk-"):
		hint = "write its ID alone, " + id + ": it means the replica in each region"
	case strings.HasPrefix(id, "alias/"):
		hint = "write the alias alone, " + id + ": it is looked up in each region"
	case len(all) > 1:
		hint = "name an alias that every region has, or a key for each: {" + strings.Join(all, ": ..., ") + ": ...}"
	}
	return problem, hint
}
