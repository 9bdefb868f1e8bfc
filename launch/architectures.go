package launch

import (
	"context"
	"fmt"
	"slices"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/project"
)

// A build for several architectures has an AMI for each. Which of them an instance
// runs follows from its type.

// readVariants keeps, of images whose build has an AMI for several architectures,
// those of the current build. A pointer beside the main one that shows another
// build belongs to an earlier one, or to a promotion that was cut short. The types
// of what runs such an image are asked for, by one call.
func (w *world) readVariants(ctx context.Context, images []string, pointers map[string]cloud.Pointer) error {
	w.variants = map[string]map[string]build{}
	for _, image := range images {
		main, ok := w.builds[image]
		for _, p := range pointers[image].Others {
			other, there := w.amis[p.AMI]
			if !ok || !there || other.version != main.version || other.fingerprint != main.fingerprint || other.revoked != "" {
				continue
			}
			if w.variants[image] == nil {
				w.variants[image] = map[string]build{main.architecture: main}
			}
			w.variants[image][other.architecture] = other
		}
	}
	var kinds []string
	for _, r := range w.resources() {
		if s := runsOf(r.Spec); s != nil && w.selected(r) && w.variants[s.Image] != nil && !unresolved(s.InstanceType) {
			kinds = append(kinds, s.InstanceType)
		}
	}
	if len(kinds) == 0 {
		return nil
	}
	slices.Sort(kinds)
	_, err := w.instanceTypes(ctx, slices.Compact(kinds))
	if cloud.Denied(err) {
		return nil // their names tell
	}
	if err != nil {
		return fmt.Errorf("describe the instance types: %w", err)
	}
	return nil
}

// variant is the build of an image for an instance type; the main one where there
// is none for it, which the plan refuses.
func (w *world) variant(s *instanceSpec) build {
	runs := w.offered[s.InstanceType]
	if len(runs) == 0 {
		runs = []string{cloud.TypeArchitecture(s.InstanceType)}
	}
	for _, architecture := range runs {
		if b, ok := w.variants[s.Image][architecture]; ok {
			return b
		}
	}
	return w.builds[s.Image]
}

// typeUse is an instance type that something of the plan is to use, and the AMI
// that it is to run there.
type typeUse struct {
	item *item
	path string // of the type in the definition
	kind string
	runs build
	of   *instanceSpec
}

// typeUses lists the instance types that are new in the plan.
func (p *planner) typeUses() []typeUse {
	var uses []typeUse
	add := func(it *item, path, kind string, s *instanceSpec) {
		if kind != "" && !unresolved(kind) {
			uses = append(uses, typeUse{item: it, path: path, kind: kind, runs: p.build(s), of: s})
		}
	}
	for _, it := range p.items {
		switch s := it.spec.(type) {
		case *instanceSpec:
			if it.made() || it.diffs.has("instance_type") {
				add(it, "instance_type", s.InstanceType, s)
			}
		case *launchTemplateSpec:
			if it.made() || it.diffs.has("instance_type") || it.diffs.has("image") || it.diffs.has("ami") {
				add(it, "instance_type", s.InstanceType, s.runs())
			}
		case *autoScalingGroupSpec:
			if m := s.MixedInstancesPolicy; m != nil && it.action != None {
				for i, o := range m.Overrides {
					path := fmt.Sprintf("mixed_instances_policy.overrides[%d]", i)
					if t := p.templateOf(it.Resource, path+".launch_template", "launch_template"); t != nil {
						add(it, path+".instance_type", o.InstanceType, t)
					}
				}
			}
		}
	}
	return uses
}

// templateOf is what the instances of the first launch template run that one of
// the fields refers to; nil where they refer to none of this topology.
func (p *planner) templateOf(r *project.Resource, paths ...string) *instanceSpec {
	for _, path := range paths {
		for _, ref := range r.Refs {
			if ref.Path != path {
				continue
			}
			if it := p.byAddress[ref.Address]; it != nil {
				return runsOf(it.Spec)
			}
			return nil
		}
	}
	return nil
}

// verifyTypes reports types that the region has not, and those that cannot run
// what they are to run.
func (p *planner) verifyTypes(ctx context.Context, problems *diag.List) error {
	uses := p.typeUses()
	if len(uses) == 0 {
		return nil
	}
	var names []string
	for _, u := range uses {
		names = append(names, u.kind)
	}
	slices.Sort(names)
	offered, err := p.instanceTypes(ctx, slices.Compact(names))
	if cloud.Denied(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("describe the instance types: %w", err)
	}
	for _, u := range uses {
		architectures, ok := offered[u.kind]
		at := u.item.At(u.path)
		switch {
		case !ok:
			problems.Addf(at, "%s: no instance type %s in %s", u.item.Address, u.kind, p.region)
		case u.runs.architecture != "" && len(architectures) > 0 && !has(architectures, u.runs.architecture):
			problems.AddHint(at, u.hint(p.world, architectures), "%s: %s cannot run its image %s, which is built for %s", u.item.Address, u.kind, u.runs.ami, u.runs.architecture)
		}
	}
	return nil
}

// hint says what would be right.
func (u typeUse) hint(w *world, architectures []string) string {
	runs := fmt.Sprintf("%s runs %v", u.kind, architectures)
	if u.of.Image == "" {
		return runs
	}
	for _, a := range architectures {
		if w.variants[u.of.Image][a].ami != "" {
			return fmt.Sprintf("%s; the build has %s for it, which a launch template of such a type would run", runs, w.variants[u.of.Image][a].ami)
		}
	}
	return fmt.Sprintf("%s; take a type such as %s, or bake %s with architectures: [%s, %s] and promote that", runs,
		cloud.TypeFor(u.runs.architecture, u.kind), u.of.Image, u.runs.architecture, architectures[0])
}
