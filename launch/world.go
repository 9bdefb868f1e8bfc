package launch

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// world is what is known beside the definitions: the environment, what it has,
// and which builds are current. Once read it does not change.
type world struct {
	Options
	abroad
	destroying          bool // what is adopted may be gone
	environment, region string
	inventory           *inventory
	memo                *memo            // what several kinds have read for the inventory
	thorough            bool             // look also where hardly anything can be
	builds              map[string]build // current, by image
	amis                map[string]build // by AMI
	// variants are the AMIs of current builds for several architectures, by image
	// and architecture.
	variants map[string]map[string]build
	offered  map[string][]string // architectures of the instance types that were asked for
	ipv4     map[string]int      // private addresses an interface, of those of the types that say it
	unbuilt  map[string]error    // images without a build that can be launched
	adopted  map[string]*found   // what definitions adopt, by their UUID
	book     *nameBook
	reading  *memo             // what the inventory and adoption read of one place
	keys     map[string]string // ARNs of KMS keys, by the aliases that definitions give; "" where nobody told
}

// build is an AMI as far as a launch cares.
type build struct {
	ami, version string
	root         string // name of the root device
	architecture string
	fingerprint  string
	revoked      string // why it may not be used; "" if it may
	disabled     bool
}

func newWorld(o Options) (*world, error) {
	if o.Topology == nil || o.Topology.Environment == nil {
		return nil, errors.New("launch: no topology")
	}
	env := o.Topology.Environment
	o.Topology = withDomains(o.Project, o.Topology)
	w := &world{Options: o, environment: env.Name, region: env.Region, inventory: newInventory(nil), book: newNameBook(), reading: &memo{}}
	if o.Cloud != nil && o.Cloud.Region != "" {
		w.region = o.Cloud.Region
	}
	return w, nil
}

func (w *world) resources() []*project.Resource { return w.Topology.Resources }

// read reads what there is: every kind and the pointers at the same time, then
// the AMIs that those name.
func (w *world) read(ctx context.Context) error {
	if err := w.resolve(ctx); err != nil {
		return err
	}
	var pointers map[string]cloud.Pointer
	var adoptions map[string]*adoption
	images, fixed := w.imagesNamed()
	err := graph.Each(ctx, 0, 4, func(ctx context.Context, i int) error {
		var err error
		switch i {
		case 0:
			return w.readInventory(ctx)
		case 1:
			adoptions, err = w.listAdopted(ctx)
			return err
		case 2:
			return w.readKeys(ctx)
		}
		if len(images) == 0 {
			return nil
		}
		pointers, err = w.Cloud.Pointers(ctx, w.Project, w.environment)
		return err
	})
	if err != nil {
		return err
	}
	if err := w.settleAdopted(adoptions); err != nil {
		return err
	}
	return w.readBuilds(ctx, images, fixed, pointers)
}

// imagesNamed are the images and the AMIs that the definitions name.
func (w *world) imagesNamed() (images, amis []string) {
	for _, r := range w.resources() {
		s := runsOf(r.Spec)
		if s == nil || !w.selected(r) {
			continue
		}
		if s.Image != "" && !has(images, s.Image) {
			images = append(images, s.Image)
		}
		if s.AMI != "" && !has(amis, s.AMI) {
			amis = append(amis, s.AMI)
		}
	}
	return images, amis
}

// runsOf is what a definition says about what instances run; nil for one that
// launches none.
func runsOf(spec any) *instanceSpec {
	switch s := spec.(type) {
	case *instanceSpec:
		return s
	case *launchTemplateSpec:
		return s.runs()
	}
	return nil
}

// readBuilds reads the AMIs in one call: those that are to run, and those that
// do, for the words of the plan. An image without a current build, or with one
// that is not there, is wrong input; all of them are reported at once.
func (w *world) readBuilds(ctx context.Context, images, fixed []string, pointers map[string]cloud.Pointer) error {
	w.builds, w.amis = map[string]build{}, map[string]build{}
	asked := slices.Clone(fixed)
	for _, image := range images {
		if p, ok := pointers[image]; ok {
			asked = append(asked, p.AMI)
			for _, other := range p.Others {
				asked = append(asked, other.AMI)
			}
		}
	}
	for _, f := range w.inventory.all {
		if i, ok := f.raw.(instance); ok {
			asked = append(asked, aws.ToString(i.ImageId))
		}
	}
	asked = slices.DeleteFunc(asked, func(ami string) bool { return ami == "" }) // a first promotion was cut short
	slices.Sort(asked)
	if err := w.readAMIs(ctx, slices.Compact(asked)); err != nil {
		return fmt.Errorf("describe the images: %w", err)
	}
	var errs []error
	w.unbuilt = map[string]error{}
	for _, image := range images {
		p := pointers[image]
		b, there := w.amis[p.AMI]
		if err := w.unfit(image, p.AMI, b, there); err != nil {
			w.unbuilt[image] = err
			continue
		}
		w.builds[image] = b
	}
	for _, ami := range fixed {
		switch b, ok := w.amis[ami]; {
		case !ok:
			errs = append(errs, fail.Inputf("no AMI %s in %s that account %s may use", ami, w.region, w.Cloud.Account))
		case b.disabled:
			errs = append(errs, fail.Inputf("AMI %s in %s is disabled: nothing can be launched from it", ami, w.region))
		}
	}
	return fail.Join(append(errs, w.readVariants(ctx, images, pointers))...)
}

// unfit says why an image's current build cannot be launched; nil where it can.
func (w *world) unfit(image, ami string, b build, there bool) error {
	promote := fmt.Sprintf("goldline promote %s --to %s", image, w.environment)
	if ami == "" {
		return fail.WithHint(fail.Inputf("image %s has no current build in %s", image, w.environment), "promote one: %s", promote)
	}
	current := fmt.Sprintf("the current build of image %s in %s is %s, which is ", image, w.environment, ami)
	switch {
	case !there:
		return fail.WithHint(fail.Inputf("%snot there", current), "promote another: %s", promote)
	case b.revoked != "":
		return fail.WithHint(fail.Inputf("%srevoked: %s", current, b.revoked), "go back, or promote another: goldline rollback %s --env %s", image, w.environment)
	case b.disabled:
		return fail.WithHint(fail.Inputf("%sdisabled", current), "enable it, or promote another: %s", promote)
	}
	return nil
}

func (w *world) readAMIs(ctx context.Context, ids []string) error {
	return cloud.Batches(ids, 200, func(ids []string) error {
		in := &ec2.DescribeImagesInput{Filters: []types.Filter{cloud.Filter("image-id", ids...)}, IncludeDeprecated: aws.Bool(true), IncludeDisabled: aws.Bool(true), MaxResults: aws.Int32(pageSize)}
		return each(ctx, ec2.NewDescribeImagesPaginator(w.Cloud.EC2, in), func(page *ec2.DescribeImagesOutput) {
			for _, i := range page.Images {
				id := aws.ToString(i.ImageId)
				set := cloud.TagSet(i.Tags)
				w.amis[id] = build{ami: id, version: set[tags.Version], fingerprint: set[tags.Fingerprint], revoked: set[tags.Revoked], disabled: i.State == types.ImageStateDisabled, root: aws.ToString(i.RootDeviceName), architecture: string(i.Architecture)}
			}
		})
	})
}

// build is what an instance is to run.
func (w *world) build(s *instanceSpec) build {
	if s.Image != "" {
		return w.variant(s)
	}
	b := w.amis[s.AMI]
	b.ami = s.AMI
	return b
}

func (w *world) ami(s *instanceSpec) string { return w.build(s).ami }

// imageReason says why another image replaces an instance.
func (w *world) imageReason(s *instanceSpec, old string) string {
	new := w.build(s)
	name := func(b build, ami string) string {
		if b.version != "" {
			return b.version
		}
		return orNothing(ami)
	}
	if s.Image == "" {
		return fmt.Sprintf("ami: %s -> %s", orNothing(old), orNothing(new.ami))
	}
	return fmt.Sprintf("image %s: build %s -> %s (%s -> %s)", s.Image, name(w.amis[old], old), name(new, new.ami), orNothing(old), orNothing(new.ami))
}

// ours tells whether a resource carries the environment's tags.
func (w *world) ours(id string) bool { return w.inventory.byID[id] != nil }

// zone is a zone's full name; a single letter is that of the region.
func (w *world) zone(name string) string { return zoneName(w.region, name) }

func zoneName(region, name string) string {
	if len(name) == 1 {
		return region + name
	}
	return name
}

// differentZones tells whether two names are of different zones for certain: a
// numbered zone (zones[0]) may be any, but for another numbered one.
func differentZones(a, b string) bool {
	if a == "" || b == "" || unresolved(a) || unresolved(b) || a == b {
		return false
	}
	_, numbered := project.ZoneNumber(a)
	_, too := project.ZoneNumber(b)
	return numbered == too
}

// needsDigest tells whether the tag with an instance's digest is missing
// although a definition wants the instance.
func needsDigest(q query, list []types.Tag) bool {
	set := cloud.TagSet(list)
	_, wanted := q.specs[set[tags.UUID]]
	return wanted && set[tags.Digest] == ""
}
