package bake

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
	"golang.org/x/crypto/ssh"
)

// retest is how an AMI that is there is tested: one whose bake died before its
// tests were done, or whose tests have changed since.
func retest() []step {
	return []step{
		sweepStep{baking: true},
		resumeStep{},
		networkStep{},
		together{"access", []step{
			keyPairStep{},
			securityGroupStep{},
		}},
		trialStep{},
		publishStep{},
		recordStep{},
	}
}

// resumption is how a bake goes on with an AMI that is there. One without tests
// only waits for those of the other architectures.
func (b *bake) resumption() []step {
	if b.image.Tests != nil {
		return retest()
	}
	return []step{resumeStep{}, trialStep{}, publishStep{}, recordStep{}}
}

// expectStep looks, before anything is made, at what can only be seen with the
// source image and the environments at hand: whether bake_volume fits, and the
// user data that the tests name.
type expectStep struct{}

func (expectStep) name() string                      { return "prospects" }
func (expectStep) undo(context.Context, *bake) error { return nil }

func (expectStep) run(ctx context.Context, b *bake) error {
	if err := b.suits(); err != nil {
		return err
	}
	if err := b.fits(); err != nil {
		return err
	}
	t := b.image.Tests
	if t == nil || t.Environment == "" {
		return nil
	}
	if b.options.UserData == nil {
		return fail.Inputf("%s: there are no environments here", b.image.At("tests.environment"))
	}
	data, err := b.options.UserData(ctx, b.image.Name, t.Environment, t.Address)
	if err != nil {
		return fail.Input(fmt.Errorf("%s: user data of the tests: %w", b.image.At("tests.environment"), err))
	}
	b.testData = data
	return nil
}

// resumeStep takes over the AMI that reuseStep found. A candidate that fails its
// tests is removed as a new one is; a build that has passed earlier ones stays.
type resumeStep struct{}

func (resumeStep) name() string { return "existing image" }

func (resumeStep) run(ctx context.Context, b *bake) error {
	if err := b.cloud.RequireIMDSv2(ctx, &b.candidate); err != nil {
		return err
	}
	return expectStep{}.run(ctx, b)
}

func (resumeStep) undo(ctx context.Context, b *bake) error {
	set := cloud.TagSet(b.candidate.Tags)
	if b.accepted || !b.refuted || !isCandidate(set) {
		return nil
	}
	id := aws.ToString(b.candidate.ImageId)
	if err := b.removeAMI(ctx, b.candidate, true); err != nil && !cloud.NotFound(err) {
		return b.stays(fmt.Errorf("remove %s: %w", id, err), "image "+id, "deregister-image --image-id %s", id)
	}
	return nil
}

// trialStep boots an instance from the AMI and looks whether all that the
// recipe expects of it holds. Only then the AMI is a build.
type trialStep struct{}

func (trialStep) name() string { return "test" }

func (trialStep) run(ctx context.Context, b *bake) error {
	if b.accepted {
		return nil
	}
	if b.image.Tests == nil { // there are none, or those that it once waited for have gone since
		return b.accept(ctx, b.candidate)
	}
	b.probe = b.newProbe()
	if err := b.probe.boot(ctx, b.candidate, b.testData); err != nil {
		return err
	}
	results, err := b.probe.checks(ctx)
	b.build.Tests = results
	for _, w := range b.probe.waited {
		b.waitedFor(trialStep{}.name(), w.what, time.Now().Add(-w.took))
	}
	if err == nil && b.family != nil {
		b.putBack(ctx, trialStep{}) // while the others are waited for
	}
	if err == nil {
		return b.accept(ctx, b.candidate)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return b.refute(ctx, err)
}

// refute is the error of an AMI that failed its tests, which keep_failed keeps.
func (b *bake) refute(ctx context.Context, err error) error {
	id := aws.ToString(b.candidate.ImageId)
	if text := b.probe.console(ctx); text != "" {
		err = fmt.Errorf("%w\n  the instance's console ends:\n    | %s", err, text)
	}
	b.refuted = true
	switch {
	case !isCandidate(cloud.TagSet(b.candidate.Tags)):
		return fail.WithHint(fail.Clean(fmt.Errorf("%s fails tests that have changed since it was made: %w", id, err)), "it stays, since it passed earlier ones; bake another with --rebake")
	case !b.options.KeepFailed:
		return fail.WithHint(err, "--keep-failed keeps the image, marked as failed, so that it can be looked into")
	}
	_, markErr := b.cloud.EC2.CreateTags(ctx, &ec2.CreateTagsInput{
		Resources: append([]string{id}, cloud.SnapshotsOf(b.candidate)...), Tags: cloud.Tags(map[string]string{tags.Failed: time.Now().UTC().Format(time.RFC3339)}),
	})
	if markErr == nil {
		markErr = b.unmark(ctx, []types.Image{b.candidate}, tags.Candidate, tags.Expires)
	}
	if markErr != nil {
		return fail.Join(err, fmt.Errorf("keep %s: %w", id, markErr))
	}
	b.accepted = true // it stays
	return fail.Dirty(err, fail.Left{
		What:    "image " + id + ", which failed its tests",
		Command: "aws ec2 deregister-image --delete-associated-snapshots --image-id " + id + " --region " + b.cloud.Region,
	})
}

func (trialStep) undo(ctx context.Context, b *bake) error {
	if b.probe == nil {
		return nil
	}
	if err := (connectStep{}).undo(ctx, b.probe); err != nil {
		return err
	}
	return builderStep{}.undo(ctx, b.probe)
}

// newProbe is the bake once more, with the test instance in the place of the
// builder.
func (b *bake) newProbe() *bake {
	return &bake{
		Baker: b.Baker, image: b.image, cloud: b.cloud, sink: b.sink, hide: b.hide, started: time.Now().UTC(), version: b.version,
		source: b.candidate, fingerprint: b.fingerprint, login: b.login, keyName: b.keyName, keyLine: b.keyLine,
		vpcID: b.vpcID, subnet: b.subnet, groups: b.groups, group: b.group, trial: true,
		waited: map[string]wait{}, stuck: map[string]error{},
	}
}

// boot launches the test instance and connects to it. With user data of an
// environment, which nothing may be added to, its host key is learned from its
// console; otherwise it is given one.
func (b *bake) boot(ctx context.Context, ami types.Image, data []byte) error {
	var err error
	learn := len(data) > 0 && b.image.SSHHostPublicKey == ""
	if !learn {
		if b.host, err = b.newHostKey(); err != nil {
			return err
		}
	}
	if len(data) == 0 {
		if data, err = combine(b.host, b.selfDestruct(), nil); err != nil {
			return err
		}
	}
	set := tags.Merge(b.temporary(nil), map[string]string{tags.Name: "goldline test " + b.image.Name})
	in := &ec2.RunInstancesInput{
		ImageId: ami.ImageId, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		UserData:                          aws.String(base64.StdEncoding.EncodeToString(data)),
		InstanceInitiatedShutdownBehavior: types.ShutdownBehaviorTerminate,
		MetadataOptions:                   metadataOptions(nil),
		TagSpecifications: []types.TagSpecification{
			cloud.TagSpec(types.ResourceTypeInstance, set), cloud.TagSpec(types.ResourceTypeVolume, set), cloud.TagSpec(types.ResourceTypeNetworkInterface, set),
		},
	}
	if b.keyName != "" {
		in.KeyName = aws.String(b.keyName)
	}
	if profile := b.image.IAMInstanceProfile; profile != "" {
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String(profile)}
	}
	b.attachTo(in)
	kind := orText(orText(b.image.Tests.InstanceType, b.image.InstanceType), defaultType(string(ami.Architecture)))
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := b.launch(ctx, in, []offer{{kind: kind}}); err != nil {
		return err
	}
	if err := b.awaitRunning(ctx, trialStep{}.name()); err != nil {
		return err
	}
	if learn {
		if b.host, err = b.learnHostKey(ctx); err != nil {
			return err
		}
	}
	return b.reachProbe(ctx)
}

func (b *bake) reachProbe(ctx context.Context) error {
	host, err := b.address()
	if err != nil {
		return err
	}
	address := net.JoinHostPort(host, strconv.Itoa(b.port()))
	began := time.Now()
	b.remote, err = b.reach(ctx, address, b.image.SSHTimeout.Or(5*time.Minute))
	b.waitedFor(trialStep{}.name(), "SSH at "+address, began)
	if err != nil {
		b.say(event.Warning, "%s cannot be looked at", b.called())
	}
	return err
}

// errNoHostKeys says that an instance prints its host keys nowhere.
var errNoHostKeys = errors.New("the console shows no SSH host keys")

// learnHostKey waits until the instance has printed its host keys to the console,
// as cloud-init does at its end. Nobody but EC2 and the instance can write there.
func (b *bake) learnHostKey(ctx context.Context) (hostKey, error) {
	limit := b.image.SSHTimeout.Or(5 * time.Minute)
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	defer func() { b.waitedFor(trialStep{}.name(), "host keys on the console of "+b.called(), began) }()
	for pause := b.cloud.Pace(); ; pause = min(2*pause, 10*time.Second) {
		if key, ok := hostKeyIn(b.printed(within)); ok {
			return hostKey{public: key}, nil
		}
		if cloud.Sleep(within, pause) == nil {
			continue
		}
		if ctx.Err() != nil {
			return hostKey{}, ctx.Err()
		}
		err := fmt.Errorf("%s: within %s %w", b.called(), limit, errNoHostKeys)
		return hostKey{}, fail.WithHint(err, "cloud-init prints them unless ssh: {emit_keys_to_console: false} is set; without tests.environment, or with ssh_host_public_key, they are not needed")
	}
}

// The lines between which cloud-init prints host keys.
const (
	keysBegin = "-----BEGIN SSH HOST KEY KEYS-----"
	keysEnd   = "-----END SSH HOST KEY KEYS-----"
)

// hostKeyIn is the best host key that a console shows.
func hostKeyIn(console []string) (ssh.PublicKey, bool) {
	var best ssh.PublicKey
	inside := false
	for _, line := range console {
		switch {
		case containsLine(line, keysBegin):
			inside = true
		case containsLine(line, keysEnd) && best != nil:
			return best, true
		case inside:
			if key, err := parsePublicKey(keyText(line)); err == nil && (best == nil || key.Type() == ssh.KeyAlgoED25519) {
				best = key
			}
		}
	}
	return nil, false // perhaps it is still printing
}
