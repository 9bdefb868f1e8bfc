package bake

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// family is the bakes of a recipe's architectures. Together they make one build:
// one version and one fingerprint, which is made of the inputs of all, and an AMI
// each. Until all of the AMIs are there, and tested where the recipe says so,
// they are candidates; then one call makes a build of them. Whoever dies before
// leaves candidates, which the next bake of the same inputs completes.
type family struct {
	members []*bake
	sourced *meeting // all source images are known
	passed  *meeting // all AMIs are there
	// marking are the AMIs that are made builds of as all have passed.
	mu      sync.Mutex
	marking []types.Image
}

// meeting is a point which all bakes of a family reach before one goes on.
type meeting struct {
	mu      sync.Mutex
	missing int
	done    chan struct{}
	err     error
}

func newMeeting(n int) *meeting { return &meeting{missing: n, done: make(chan struct{})} }

// join waits for the others. The last one does what is to be done then, with the
// same outcome for all. Who stops waiting before is counted as missing again.
func (m *meeting) join(ctx context.Context, last func(context.Context) error) error {
	m.mu.Lock()
	m.missing--
	complete := m.missing == 0
	m.mu.Unlock()
	if complete {
		m.err = graph.Guard(func() error { return last(ctx) })
		close(m.done)
		return m.err
	}
	select {
	case <-m.done:
		return m.err
	case <-ctx.Done():
	}
	m.mu.Lock()
	if m.missing > 0 {
		m.missing++
		m.mu.Unlock()
		return ctx.Err()
	}
	m.mu.Unlock()
	<-m.done // the last one is at it: what it does counts for all
	return m.err
}

// gather begins the bakes of a recipe's variants.
func (b *Baker) gather(images []*project.Image) (*family, error) {
	f := &family{sourced: newMeeting(len(images)), passed: newMeeting(len(images))}
	for _, image := range images {
		k, err := b.beginOf(image, f.ofSeveral(len(images)))
		if err != nil {
			return f, err
		}
		if len(f.members) > 0 {
			k.version = f.members[0].version
		}
		f.members = append(f.members, k)
	}
	return f, nil
}

// ofSeveral is the family where it has several members.
func (f *family) ofSeveral(n int) *family {
	if n < 2 {
		return nil
	}
	return f
}

// bakeFamily bakes a recipe for all of its architectures at once. Where one fails
// the others are stopped, and nothing of the build stays.
func (b *Baker) bakeFamily(ctx context.Context, images []*project.Image) (Build, error) {
	f, err := b.gather(images)
	if err != nil {
		return Build{}, err
	}
	b.count(len(f.members))
	defer b.count(-len(f.members))
	within, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(f.members))
	_ = graph.Each(within, 0, len(f.members), func(ctx context.Context, i int) error {
		if errs[i] = f.members[i].work(ctx); errs[i] != nil {
			stop()
		}
		return nil
	})
	if ctx.Err() == nil { // who was stopped by another's failure has none of its own
		for i, err := range errs {
			if errors.Is(err, context.Canceled) && len(fail.LeftOf(err)) == 0 {
				errs[i] = nil
			}
		}
	}
	for i, k := range f.members {
		if errs[i] == nil && within.Err() == nil && k.build.AMI != "" {
			errs[i] = k.postProcess(ctx)
		}
	}
	return f.build(), fail.Join(errs...)
}

// build describes what the family made.
func (f *family) build() Build {
	whole := f.members[0].build
	for _, k := range f.members {
		one := k.build
		one.Inputs = nil
		whole.Reused = whole.Reused && one.Reused
		whole.Architectures = append(whole.Architectures, one)
	}
	return whole
}

// takeInputs gives all bakes of the family the same fingerprint, made of the
// inputs of all, and the same version.
func (f *family) takeInputs() error {
	var inputs []Input
	var tests []string
	for n, k := range f.members {
		own, _, err := fingerprint(k.image, aws.ToString(k.source.ImageId), k.architectureOf(), k.hide.redactor())
		if err != nil {
			return err
		}
		for _, in := range own {
			switch in.Name {
			case sourceInput, architectureInput:
				in.Name += " (" + k.image.Architecture + ")"
			default:
				if n > 0 {
					continue // the same for all
				}
			}
			inputs = append(inputs, in)
		}
		digest, err := testsDigest(k.image)
		if err != nil {
			return err
		}
		tests = append(tests, digest)
	}
	all := digestInputs(inputs)
	first := f.members[0]
	sealed, err := sealInputs(first.options.Dir, inputs)
	if err != nil {
		return err
	}
	for _, k := range f.members {
		k.inputs, k.fingerprint = sealed, all
		if k.image.Tests != nil {
			k.tests = digestOf(tests...)
		}
	}
	return nil
}

// takeVersion goes on with a build that was begun: what is missing of it gets its
// version. Of several the one is taken of which the most is there, of these the
// newest.
func (f *family) takeVersion(ctx context.Context) error {
	first := f.members[0]
	known, err := first.imagesOf(ctx, first.image.Name)
	if err != nil || first.image.SkipCreateAMI {
		return err
	}
	version, most := "", 0
	for _, ami := range known { // the newest first
		set := cloud.TagSet(ami.Tags)
		parts := map[string]int{}
		for _, other := range known {
			of := cloud.TagSet(other.Tags)
			if first.reusable(of) && of[tags.Version] == set[tags.Version] && other.State != types.ImageStateFailed {
				parts[of[tags.Architecture]] = max(parts[of[tags.Architecture]], 2-rank(other))
			}
		}
		there := 0
		for _, k := range f.members {
			there += parts[k.image.Architecture]
		}
		if first.reusable(set) && there > most {
			version, most = set[tags.Version], there
		}
	}
	for _, k := range f.members {
		if version != "" {
			k.version = version
		}
	}
	return nil
}

// pass waits until all AMIs of the family are there. ami is one that is to be made
// a build of; nil stands for one that is.
func (f *family) pass(ctx context.Context, ami *types.Image) error {
	f.mu.Lock()
	if ami != nil {
		f.marking = append(f.marking, *ami)
	}
	f.mu.Unlock()
	return f.passed.join(ctx, func(ctx context.Context) error {
		if len(f.marking) == 0 {
			return nil
		}
		ctx, cancel := outlive(ctx)
		defer cancel()
		return f.members[0].markBuilds(ctx, f.marking, func() {
			for _, k := range f.members {
				k.accepted = true
			}
		})
	})
}

// names are the architectures of the family, as a tag lists them.
func (f *family) names() string {
	var names []string
	for _, k := range f.members {
		names = append(names, k.image.Architecture)
	}
	return strings.Join(names, " ")
}

// inputs finds the source images and takes in every input, and nothing more.
func (f *family) inputs(ctx context.Context) error {
	for _, k := range f.members {
		if err := (sourceStep{}).run(ctx, k); err != nil {
			return err
		}
	}
	if len(f.members) > 1 {
		return f.takeInputs()
	}
	return f.members[0].takeInputs(ctx)
}
