package bake

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
	"golang.org/x/crypto/ssh"
)

// recipe is how a bake goes. It is read from top to bottom; clean-up goes the
// other way.
func recipe() []step {
	return []step{
		sweepStep{}, // remove what dead runs left, where one is known of
		together{"look up", []step{
			sourceStep{}, // find the source image
			buildsStep{}, // and the builds that there are
		}},
		fingerprintStep{},       // take in every input
		reuseStep{},             // end here if the build exists
		sweepStep{baking: true}, // beside the rest
		expectStep{},            // what its tests need
		baseStep{},              // the last step of an earlier bake that is unchanged
		networkStep{},           // find VPC, subnet and groups by the recipe's filters
		together{"access", []step{
			keyPairStep{},
			securityGroupStep{},
			profileStep{},
		}},
		builderStep{}, // launch the builder, wait until it runs
		connectStep{}, // SSH, with the host key known
		provisionStep{},
		sealStep{},     // list what is installed; take out of the file system what was put in to bake
		endEarlyStep{}, // end here if no AMI is wanted
		easeStep{},     // give the root volume back what the AMI is to say of it
		stopStep{},
		easedStep{},
		attributeStep{}, // what the AMI takes over from the builder
		imageStep{},     // CreateImage
		finishStep{},    // wait for the AMI while the builder is given back
		trialStep{},     // test it before it counts
		publishStep{},   // copies, permissions, deprecation
		recordStep{},    // remember the inputs, for --explain
		tidyStep{},      // remove images of steps that are no longer the recipe's
	}
}

// bake is one bake under way: what its steps share. Each field is written by
// the step that it is listed under.
type bake struct {
	*Baker
	family  *family // the bakes of the recipe's other architectures; nil where there is one at most
	image   *project.Image
	cloud   *cloud.Cloud
	sink    event.Sink
	hide    *secrets
	started time.Time
	version string

	source types.Image // sourceStep

	inputs      []Input // fingerprintStep
	fingerprint string

	build Build // reuseStep or finishStep

	prefixes []prefix   // baseStep: what images may be kept of
	bases    []keptStep // and what the builder may be launched from, the longest first
	kept     []string   // provisionStep: fingerprints of the steps that it kept images of

	login     ssh.Signer // keyPairStep
	loginText string     // its private half
	keyName   string     // of the EC2 key pair that the builder gets
	keyPair   *shared    // the temporary one
	keyLine   string     // its public half as it stands in authorized_keys
	vpcID     string     // networkStep
	subnet    string
	groups    []string  // networkStep or securityGroupStep: what the builder gets
	group     *shared   // the temporary one
	profile   made      // profileStep
	profiled  time.Time // and when that was made
	host      hostKey   // builderStep
	builder   made
	ending    bool // the builder is being terminated
	spot      bool // it is a spot instance
	instance  types.Instance
	eased     string // easeStep: the root volume that it changes
	pre       made   // provisionStep: the snapshot that is taken ahead
	password  string // connectStep: of the user that WinRM takes
	remote    *remote
	bastion   *bastion
	last      *project.Provisioner // provisionStep: no other comes after it
	closed    bool                 // sealStep, or the last provisioner: what sealStep does is done
	packages  packages
	unremoved []string // provisionStep: what it could not remove from the builder
	ami       made     // imageStep
	amiName   string
	instead   string      // reuseStep: the revoked AMI with the same inputs, in whose place another is made
	untagged  []types.Tag // tags that the snapshots have still to get
	accepted  bool        // finishStep or trialStep: the AMI stays
	tests     string      // fingerprintStep: digest of the recipe's tests
	testData  []byte      // expectStep: user data of the test instance
	candidate types.Image // finishStep, or reuseStep in a bake that tests an AMI again: what is to be tested
	retest    bool        // reuseStep: candidate is to be tested, and nothing to be built
	fresh     bool        // imageStep: this bake made the AMI
	refuted   bool        // trialStep: it failed its tests
	probe     *bake       // trialStep: the test instance
	trial     bool        // this is such a probe

	mu     sync.Mutex
	steps  []StepTime
	waited map[string]wait  // by step
	stuck  map[string]error // by step: what could not be put back
	asides []func() error   // what goes on beside the steps
	err    error
}

type wait struct {
	what string
	took time.Duration
}

// made is something temporary in the cloud. tried says that a call to make it
// was sent, so that it may exist even where id is not known.
type made struct {
	tried bool
	id    string
}

// Bake gives the build of an image: an existing one whose inputs are the same,
// or a new one. A recipe that starts from another recipe's image takes the
// build that this Baker made of it, or else its newest.
//
// It may be called for many images at once. When ctx ends, whatever was made is
// removed before Bake returns. An error carries its meaning (package fail): what
// could not be removed is listed with the command that removes it.
func (b *Baker) Bake(ctx context.Context, image *project.Image) (Build, error) {
	leave, err := b.enter(ctx, image.Name)
	if err != nil {
		return Build{}, fmt.Errorf("bake %s: %w", image.Name, err)
	}
	defer leave()
	var build Build
	if all := variants(image); len(all) > 1 {
		build, err = b.bakeFamily(ctx, all)
	} else {
		build, err = b.bakeOne(ctx, all[0])
	}
	if err != nil {
		return build, fmt.Errorf("bake %s: %w", image.Name, err)
	}
	return build, nil
}

// bakeOne bakes a recipe for one architecture.
func (b *Baker) bakeOne(ctx context.Context, image *project.Image) (Build, error) {
	b.count(1)
	defer b.count(-1)
	k, err := b.begin(image)
	if err == nil {
		if err = k.work(ctx); err == nil && k.build.AMI != "" {
			err = k.postProcess(ctx)
		}
	}
	return k.build, err
}

// work carries out the bake, clean-up included.
func (b *bake) work(ctx context.Context) error {
	b.follow(ctx, recipe())
	if b.retest && b.err == nil && ctx.Err() == nil {
		b.follow(ctx, b.resumption())
	}
	b.joinAsides()
	b.dropTrace()
	return b.outcome(ctx)
}

func (b *Baker) begin(image *project.Image) (*bake, error) { return b.beginOf(image, nil) }

// beginOf begins a bake, perhaps as a member of a family.
func (b *Baker) beginOf(image *project.Image, f *family) (*bake, error) {
	k := &bake{
		Baker:   b,
		family:  f,
		image:   image,
		cloud:   b.options.Cloud,
		hide:    &secrets{known: newRedactor(image)},
		started: time.Now().UTC(),
		waited:  map[string]wait{},
		stuck:   map[string]error{},
	}
	k.sink = event.Scope(event.Func(func(e event.Event) {
		e.Message = k.hide.text(e.Message)
		b.options.Sink.Emit(e)
	}), "", k.label())
	if image.Region != "" && image.Region != b.options.Cloud.Region {
		return k, fail.Inputf("%s: the recipe's region is %s, but environment %s is in %s", image.At("region"), image.Region, b.options.Environment, b.options.Cloud.Region)
	}
	version, err := k.render("version", image.Version, nil)
	if err != nil {
		return k, err
	}
	if version == "" {
		version = k.started.Format("20060102.150405")
	}
	k.version = version
	return k, nil
}

// outcome is what became of the bake.
func (b *bake) outcome(ctx context.Context) error {
	b.build.Steps = b.steps
	err := b.err
	if err == nil && b.build.AMI == "" && ctx.Err() != nil {
		err = ctx.Err()
	}
	cleanUp := b.cleanUpError()
	switch {
	case err == nil && cleanUp == nil:
		return nil
	case err == nil:
		return fail.Dirty(fmt.Errorf("%s is ready, but not everything temporary was removed: %w", b.build.AMI, cleanUp))
	case cleanUp != nil:
		return fail.Dirty(fail.Join(err, cleanUp))
	case len(fail.LeftOf(err)) > 0:
		return err
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("interrupted; everything was put back: %w", ctx.Err())
	}
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return err
	}
	return fail.Clean(err)
}

// stays is the error for something that could not be removed, with the command
// that removes it.
func (b *bake) stays(err error, what, command string, args ...any) error {
	return fail.Dirty(err, fail.Left{
		What:    what,
		Command: "aws ec2 " + fmt.Sprintf(command, args...) + " --region " + b.cloud.Region,
	})
}

func (b *bake) say(kind event.Kind, format string, args ...any) {
	b.sink.Emit(event.Event{Kind: kind, Message: fmt.Sprintf(format, args...)})
}

// tell is say of something in the cloud, with its ID for the ledger.
func (b *bake) tell(kind event.Kind, id, format string, args ...any) {
	b.sink.Emit(event.Event{Kind: kind, Message: fmt.Sprintf(format, args...), Fields: map[string]string{"id": id}})
}

// uncleaned notes files on the builder that have still to be removed.
func (b *bake) uncleaned(files []string) { b.unremoved = append(b.unremoved, files...) }

// waitedFor notes what a step waited for, and for how long. The longest counts.
func (b *bake) waitedFor(step, what string, since time.Time) {
	took := time.Since(since)
	b.mu.Lock()
	defer b.mu.Unlock()
	if took > b.waited[step].took {
		b.waited[step] = wait{what, took}
	}
}

// temporary are the tags of what a bake makes besides the AMI.
func (b *bake) temporary(extra map[string]string) map[string]string {
	return tags.Merge(b.options.Tags, extra, b.architectureTag(), map[string]string{
		tags.Name:        "goldline bake " + b.image.Name,
		tags.Project:     b.options.Project,
		tags.Environment: b.options.Environment,
		tags.Image:       b.image.Name,
		tags.Run:         b.options.Run,
		tags.Expires:     b.expiry().Format(time.RFC3339),
	})
}

// expiry is when everything temporary of the bake is certainly nobody's. A bake
// whose AMI does not count at once needs some of it until the AMI is there.
func (b *bake) expiry() time.Time {
	at := b.started.Add(b.selfDestruct() + 10*time.Minute)
	if b.onTrial() {
		at = at.Add(imageTime)
	}
	return at
}

// selfDestruct is how long a builder lives that nobody removes.
func (b *bake) selfDestruct() time.Duration { return b.image.SelfDestruct.Or(2 * time.Hour) }

// mine are filters that find what this bake made.
func (b *bake) mine() []types.Filter {
	filters := []types.Filter{
		cloud.Filter("tag:"+tags.Project, b.options.Project),
		cloud.Filter("tag:"+tags.Image, b.image.Name),
		cloud.Filter("tag:"+tags.Run, b.options.Run),
	}
	for key, value := range b.architectureTag() {
		filters = append(filters, cloud.Filter("tag:"+key, value))
	}
	return filters
}

// buildOf describes an AMI as a build.
func (b *bake) buildOf(ami types.Image, reused bool) Build {
	set := cloud.TagSet(ami.Tags)
	created, _ := time.Parse(time.RFC3339, aws.ToString(ami.CreationDate)) // zero where AWS gives none
	base := ""
	if !reused && len(b.bases) > 0 {
		base = b.bases[0].id()
	}
	return Build{
		Image:        b.image.Name,
		Region:       b.cloud.Region,
		AMI:          aws.ToString(ami.ImageId),
		Architecture: string(ami.Architecture),
		Version:      set[tags.Version],
		Fingerprint:  set[tags.Fingerprint],
		Name:         aws.ToString(ami.Name),
		SourceAMI:    set[tags.SourceImage],
		Reused:       reused,
		Base:         base,
		Created:      created,
		Inputs:       b.inputs,
	}
}
