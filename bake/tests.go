package bake

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Tests are no input of a build: the AMI is the same whatever is asked of it. So
// they are not part of the fingerprint but have a digest of their own, which
// stands in a tag of what has passed them. A build whose tests have changed since
// is tested again, and not made again.

// testsDigest is a digest of all that a recipe's tests say, scripts included; ""
// where there are none. The user data of their environment is not part of it:
// telling whether that has changed would take as many calls as a plan.
func testsDigest(image *project.Image) (string, error) {
	if image.Tests == nil {
		return "", nil
	}
	text, err := json.Marshal(image.Tests)
	if err != nil {
		return "", fmt.Errorf("tests: %w", err)
	}
	parts := []string{string(text)}
	for n, c := range image.Tests.Checks {
		if c.Script == "" {
			continue
		}
		digest, err := digestPath(resolve(image, c.Script))
		if err != nil {
			return "", fail.Inputf("%s: script: %w", image.At(fmt.Sprintf("tests.checks[%d].script", n)), err)
		}
		parts = append(parts, digest)
	}
	return digestOf(parts...), nil
}

// isCandidate tells whether an AMI has yet to pass its tests.
func isCandidate(set map[string]string) bool {
	return set[tags.Candidate] != "" && set[tags.Fingerprint] == "" && set[tags.Failed] == ""
}

// fingerprintOf is the fingerprint of a build, or what a candidate's would be.
func fingerprintOf(set map[string]string) string {
	return orText(set[tags.Fingerprint], set[tags.Candidate])
}

// abandoned tells whether an AMI is being removed, or was to be when its bake
// died. One that has passed its tests, and only kept the marks of a candidate,
// is not.
func abandoned(set map[string]string) bool {
	_, expires := set[tags.Expires]
	return expires && !(set[tags.Candidate] != "" && set[tags.Fingerprint] != "")
}

// onTrial tells whether an AMI of the bake counts only later: when its tests are
// passed, and the AMIs of the other architectures are there.
func (b *bake) onTrial() bool { return b.image.Tests != nil || b.family != nil }

// accept makes a build of an AMI that has passed the recipe's tests, together with
// those of the other architectures.
func (b *bake) accept(ctx context.Context, ami types.Image) error {
	var err error
	if b.family != nil {
		began := time.Now()
		err = b.family.pass(ctx, &ami)
		b.waitedFor(trialStep{}.name(), "the other architectures", began)
	} else {
		err = b.markBuilds(ctx, []types.Image{ami}, func() { b.accepted = true })
	}
	if err != nil {
		return err
	}
	set := tags.Merge(cloud.TagSet(ami.Tags), b.marks())
	delete(set, tags.Candidate)
	delete(set, tags.Expires)
	ami.Tags = cloud.Tags(set)
	b.settled(ami, !b.fresh)
	return nil
}

// marks are the tags that make a build of an AMI.
func (b *bake) marks() map[string]string {
	marks := map[string]string{tags.Fingerprint: b.fingerprint}
	if b.tests != "" {
		marks[tags.Tested] = b.tests
	}
	return marks
}

// markBuilds makes builds of AMIs: first they get what builds are found by, then
// they lose what marks them as temporary. Whoever dies in between leaves builds:
// then done was called.
func (b *bake) markBuilds(ctx context.Context, amis []types.Image, done func()) error {
	_, err := b.cloud.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: withSnapshots(amis), Tags: cloud.Tags(b.marks())})
	if err != nil {
		return fmt.Errorf("mark %s as a build: %w", named(amis), err)
	}
	done()
	candidates := slices.DeleteFunc(slices.Clone(amis), func(ami types.Image) bool { return cloud.TagSet(ami.Tags)[tags.Candidate] == "" })
	if len(candidates) == 0 {
		return nil
	}
	return b.unmark(ctx, candidates, tags.Candidate, tags.Expires)
}

// unmark takes tags off AMIs and their snapshots.
func (b *bake) unmark(ctx context.Context, amis []types.Image, keys ...string) error {
	var going []types.Tag
	for _, key := range keys {
		going = append(going, types.Tag{Key: aws.String(key)})
	}
	_, err := b.cloud.EC2.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: withSnapshots(amis), Tags: going})
	if err != nil {
		return fmt.Errorf("take the marks of a candidate off %s: %w", named(amis), err)
	}
	return nil
}

// withSnapshots lists AMIs with their snapshots.
func withSnapshots(amis []types.Image) []string {
	var all []string
	for _, ami := range amis {
		all = append(append(all, aws.ToString(ami.ImageId)), cloud.SnapshotsOf(ami)...)
	}
	return all
}

// named lists AMIs for messages.
func named(amis []types.Image) string {
	names := make([]string, len(amis))
	for i, ami := range amis {
		names[i] = aws.ToString(ami.ImageId)
	}
	return strings.Join(names, " and ")
}

// settled makes an AMI the result of the bake.
func (b *bake) settled(ami types.Image, reused bool) {
	b.accepted = true
	b.remember(ami)
	results := b.build.Tests
	b.build = b.buildOf(ami, reused)
	b.build.Tests = results
}

// pattern is what a check expects of a text: a part of it, or a regular
// expression between slashes.
func pattern(text string) (*regexp.Regexp, error) {
	if inner, ok := strings.CutPrefix(text, "/"); ok && strings.HasSuffix(inner, "/") && len(inner) > 1 {
		return regexp.Compile("(?m)" + strings.TrimSuffix(inner, "/"))
	}
	return regexp.Compile(regexp.QuoteMeta(text))
}

// checkTests reports what is wrong with a recipe's tests.
func checkTests(i *project.Image, l *diag.List) {
	t := i.Tests
	if t == nil {
		return
	}
	if i.SkipCreateAMI {
		l.Addf(i.At("tests"), "there is nothing to test: skip_create_ami makes no AMI")
	}
	if t.Address != "" && t.Environment == "" {
		l.AddHint(i.At("tests.address"), "give tests.environment", "an address is one of an environment")
	}
	if len(t.Checks) == 0 {
		l.AddHint(i.At("tests"), "such as checks: [{command: systemctl is-active nginx}]", "tests without checks")
	}
	for n, c := range t.Checks {
		checkCheck(i, l, fmt.Sprintf("tests.checks[%d]", n), c)
	}
}

func checkCheck(i *project.Image, l *diag.List, at string, c project.Check) {
	subjects := given(map[string]bool{"command": c.Command != "", "script": c.Script != "", "port": c.Port != 0, "file": c.File != "", "console": c.Console != ""})
	switch {
	case len(subjects) == 0:
		l.AddHint(i.At(at), "give one of command, script, port, file, console", "a check of nothing")
		return
	case len(subjects) > 1:
		l.AddHint(i.At(at+"."+subjects[1]), "make two checks of it", "%s exclude each other", strings.Join(subjects, " and "))
		return
	}
	runs, file := c.Command != "" || c.Script != "", c.File != ""
	for _, key := range given(map[string]bool{"code": c.Code != nil && !runs, "output": c.Output != "" && !runs}) {
		l.Addf(i.At(at+"."+key), "%s is of command and script, not of %s", key, subjects[0])
	}
	for _, key := range given(map[string]bool{"exists": c.Exists != nil && !file, "mode": c.Mode != "" && !file, "content": c.Content != "" && !file}) {
		l.Addf(i.At(at+"."+key), "%s is of file, not of %s", key, subjects[0])
	}
	if file && !strings.HasPrefix(c.File, "/") {
		l.AddHint(i.At(at+".file"), "give the whole path on the instance", "%q does not begin with /", c.File)
	}
	if c.Exists != nil && !*c.Exists && (c.Mode != "" || c.Content != "") {
		l.Addf(i.At(at+".exists"), "a file that is not there has neither mode nor content")
	}
	if _, err := strconv.ParseUint(c.Mode, 8, 12); c.Mode != "" && err != nil {
		l.AddHint(i.At(at+".mode"), `such as "0644", between quotes`, "mode: %q is not octal", c.Mode)
	}
	checkFile(i, l, at+".script", c.Script)
	for key, text := range map[string]string{"output": c.Output, "content": c.Content, "console": c.Console} {
		if _, err := pattern(text); err != nil {
			l.Addf(i.At(at+"."+key), "%s: %v", key, err)
		}
	}
}

// given lists the keys that are true, in order.
func given(keys map[string]bool) []string {
	set := map[string]string{}
	for key, is := range keys {
		if is {
			set[key] = ""
		}
	}
	return tags.Keys(set)
}
