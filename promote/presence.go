package promote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// A build is present in an environment when its account can launch it in its
// region. Where it is not, promoting makes it so: within an account by a copy to
// the region; between accounts by sharing it, or by a copy that the
// environment's account makes for itself.
//
// A copy is another AMI. It is known as the same build by its tags, which it gets
// in the call that makes it; a shared AMI gets them in the account that it is
// shared with, since tags are seen only by the account that set them.

// copyTime bounds the wait for a copy. AWS names no bound; a terabyte between
// continents takes about an hour.
const copyTime = 3 * time.Hour

// same tells whether two AMIs are one build; of a build for several architectures
// they are of the same one.
func (b BuildInfo) same(other BuildInfo) bool {
	return b.AMI == other.AMI || b.Version != "" && b.Image == other.Image && b.Version == other.Version && b.Fingerprint == other.Fingerprint &&
		(len(b.parts) > 0 || b.Architecture == other.Architecture) && b.sameBake(other)
}

// sameBake tells whether AMIs come from the same bakes: the same inputs may be baked
// again under the same version, and what was revoked or approved of one build is
// not of the other.
func (b BuildInfo) sameBake(other BuildInfo) bool {
	for _, part := range b.all() {
		for _, there := range other.all() {
			one, two := part.tag(tags.Run), there.tag(tags.Run)
			if part.Architecture == there.Architecture && one != "" && two != "" && one != two {
				return false
			}
		}
	}
	return true
}

// counterpart gives a build as it is in an account and region, or false.
func (s *stock) counterpart(ctx context.Context, b BuildInfo) (BuildInfo, bool, error) {
	if b.at == s {
		return b, true, nil
	}
	builds, err := s.all(ctx)
	if err != nil {
		return b, false, err
	}
	if len(b.parts) == 0 {
		builds = flat(builds)
	}
	for _, there := range builds {
		if b.same(there) && there.State != string(types.ImageStateFailed) && there.State != string(types.ImageStateError) {
			return there, true, nil
		}
	}
	return b, false, nil
}

// locate finds the build that a name means in the environment, or else where it
// can be brought from: one rung below, or wherever else the project is. Whether it
// may leave rungs out is the gates' matter.
func (p *Promoter) locate(ctx context.Context, target, below *place, image, name string) (BuildInfo, error) {
	b, missing := p.find(ctx, target, image, name)
	if fail.ExitCode(missing) != fail.CodeInput {
		return b, missing
	}
	tried := []*stock{target.stock}
	look := func(in *place) (BuildInfo, bool, error) {
		if slices.Contains(tried, in.stock) {
			return b, false, nil
		}
		tried = append(tried, in.stock)
		found, err := p.find(ctx, in, image, name)
		return found, err == nil || fail.ExitCode(err) != fail.CodeInput, err
	}
	if below != nil {
		if found, ok, err := look(below); ok {
			return found, err
		}
	}
	places, err := p.reachable(ctx)
	if err != nil {
		return b, err
	}
	for _, in := range places {
		if found, ok, err := look(in); ok {
			return found, err
		}
	}
	return b, missing
}

// present makes a build present in an environment, and gives it as it is there.
func (p *Promoter) present(ctx context.Context, target *place, b BuildInfo) (BuildInfo, error) {
	there, ok, err := target.stock.counterpart(ctx, b)
	if err != nil {
		return b, err
	}
	if ok && (there.State != string(types.ImageStatePending) && there.State != incomplete || b.at == target.stock) {
		return there, nil
	}
	if err := b.permitted(target); err != nil {
		return b, err
	}
	if b, err = p.home(ctx, b); err != nil {
		return b, err
	}
	for _, part := range b.all() {
		if err := p.unlocked(ctx, target, part); err != nil {
			return b, err
		}
	}
	_, looked, err := target.look(ctx)
	if err != nil {
		return b, err
	}
	ctx, moved, err := p.lease.Hold(ctx, target.cloud, target.env.Name, looked)
	if err != nil {
		return b, err
	}
	if moved {
		target.forget()
		target.stock.forget()
		return b, errMoved
	}
	return p.bringAll(ctx, target, b)
}

// home gives a build as the account that owns it sees it: only that one can
// share it.
func (p *Promoter) home(ctx context.Context, b BuildInfo) (BuildInfo, error) {
	if !b.foreign() {
		return b, nil
	}
	owner := aws.ToString(b.image.OwnerId)
	var refused error
	for _, env := range p.project.Environments() {
		if env.Account != owner {
			continue
		}
		in, err := p.place(ctx, env.Name)
		if err != nil {
			refused = err
			continue
		}
		there, ok, err := p.beside(in.stock, b.Region).counterpart(ctx, b)
		if ok || err != nil {
			return there, err
		}
	}
	if refused != nil {
		return b, fmt.Errorf("build %s belongs to account %s: %w", b.Ref(), owner, refused)
	}
	return b, fail.Inputf("build %s belongs to account %s, in which the project has no environment", b.Ref(), owner)
}

// permitted refuses to bring a build on that AWS would not let be used.
func (b BuildInfo) permitted(target *place) error {
	if b.State != string(types.ImageStateAvailable) {
		return b.usable(b.at)
	}
	if at, err := time.Parse(time.RFC3339, aws.ToString(b.image.DeprecationTime)); err == nil && time.Now().After(at) {
		err := fail.Inputf("build %s is deprecated since %s", b.Ref(), at.Format(time.RFC3339))
		return fail.WithHint(err, "promote a newer one to %s", target.env.Name)
	}
	return nil
}

func (p *Promoter) bring(ctx context.Context, target *place, b BuildInfo) (BuildInfo, error) {
	env := target.env
	copyOnly := copying{to: target.stock, key: env.ImageKMSKeyID}
	if b.Account == target.cloud.Account {
		return p.copyBuild(ctx, b, copyOnly)
	}
	if env.ImageAccess == project.ImageCopy {
		if err := p.permit(ctx, b, target.cloud.Account); err != nil {
			return b, err
		}
		return p.copyBuild(ctx, b, copyOnly)
	}
	if b.Region != target.cloud.Region {
		var err error
		if b, err = p.copyBuild(ctx, b, copying{to: p.beside(b.at, target.cloud.Region)}); err != nil {
			return b, err
		}
	}
	return p.share(ctx, target, b)
}

// beside is the stock of the same account in another region.
func (p *Promoter) beside(of *stock, region string) *stock {
	o := p.opened
	o.mu.Lock()
	defer o.mu.Unlock()
	key := of.key
	key.region = region
	if o.stocks[key] == nil {
		o.stocks[key] = &stock{cloud: of.cloud.In(region), project: of.project, key: key}
	}
	return o.stocks[key]
}

// permit lets another account launch a build and read its snapshots. The
// snapshots come first: where they are encrypted with a key that cannot be
// shared, nothing was changed.
func (p *Promoter) permit(ctx context.Context, b BuildInfo, account string) error {
	c := b.at.cloud
	for _, snapshot := range cloud.SnapshotsOf(b.image) {
		_, err := c.EC2.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{
			SnapshotId: aws.String(snapshot), Attribute: types.SnapshotAttributeNameCreateVolumePermission,
			OperationType: types.OperationTypeAdd, UserIds: []string{account},
		})
		if err != nil {
			return fmt.Errorf("share %s with account %s: %w", snapshot, account, err)
		}
	}
	_, err := c.EC2.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{
		ImageId: aws.String(b.AMI), LaunchPermission: &types.LaunchPermissionModifications{Add: []types.LaunchPermission{{UserId: aws.String(account)}}},
	})
	if err != nil {
		return fmt.Errorf("share %s with account %s: %w", b.AMI, account, err)
	}
	return nil
}

// share lets an environment's account use a build, and tells that account what
// the build is.
func (p *Promoter) share(ctx context.Context, target *place, b BuildInfo) (BuildInfo, error) {
	if err := p.permit(ctx, b, target.cloud.Account); err != nil {
		return b, err
	}
	set := b.copyTags()
	in := &ec2.CreateTagsInput{Resources: []string{b.AMI}, Tags: cloud.Tags(set)}
	_, err := target.cloud.EC2.CreateTags(ctx, in)
	for _, pause := range []time.Duration{1, 2, 4, 8, 16} {
		if !cloud.NotFound(err) {
			break
		}
		if err := cloud.Sleep(ctx, pause*target.cloud.Pace()); err != nil {
			return b, err
		}
		_, err = target.cloud.EC2.CreateTags(ctx, in) // what was shared moments ago shows in time
	}
	if err != nil {
		return b, fmt.Errorf("tag %s in account %s: %w", b.AMI, target.cloud.Account, err)
	}
	event.Scope(p.sink, "", b.Image).Emit(event.Event{Kind: event.Changed, Message: fmt.Sprintf("%s is shared with account %s", b.Ref(), target.cloud.Account), Fields: map[string]string{"ami": b.AMI}})
	return target.stock.fetch(ctx, b.AMI)
}

// where names an AMI for an account or region that does not see it.
func (b BuildInfo) where() string { return b.AMI + "/" + b.Region + "/" + b.Account }

// portable are the tags that say what a build is, without those that say what
// became of one AMI of it.
func (b BuildInfo) portable() map[string]string {
	set := map[string]string{}
	for key, value := range cloud.TagSet(b.image.Tags) {
		if _, _, there := tags.InEnvironment(key); there || key == tags.Published || strings.HasPrefix(key, tags.CopiedTo) || strings.HasPrefix(key, "aws:") {
			continue
		}
		set[key] = value
	}
	return set
}

// copyTags are the tags of a build elsewhere: what it is, and of which AMI.
func (b BuildInfo) copyTags() map[string]string {
	set := b.portable()
	set[tags.CopiedFrom] = b.where()
	return set
}

// copying says where to copy a build, and under which key. Without a key it is
// encrypted as it was.
type copying struct {
	to  *stock
	key string
}

// copyBuild gives the copy of a build in another region or account: one that is
// there, or is being made by a run that was killed, or a new one. Both sides say
// of which AMI the other is a copy.
func (p *Promoter) copyBuild(ctx context.Context, b BuildInfo, how copying) (BuildInfo, error) {
	copied, err := p.copied(ctx, b, how)
	if err != nil {
		return b, fmt.Errorf("copy %s to %s of account %s: %w", b.AMI, how.to.cloud.Region, how.to.cloud.Account, err)
	}
	key := tags.CopiedTo + how.to.cloud.Account + ":" + how.to.cloud.Region
	_, err = b.at.cloud.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{b.AMI}, Tags: cloud.Tags(map[string]string{key: copied.AMI})})
	if err != nil {
		return b, fmt.Errorf("tag %s: %w", b.AMI, err)
	}
	return copied, nil
}

func (p *Promoter) copied(ctx context.Context, b BuildInfo, how copying) (BuildInfo, error) {
	there, ok, err := how.to.counterpart(ctx, b)
	if err != nil {
		return b, err
	}
	id := there.AMI
	if !ok {
		if id, err = p.copyAnew(ctx, b, how); err != nil {
			return b, err
		}
	}
	sink := event.Scope(p.sink, "", b.Image)
	image, err := how.to.cloud.Images.Wait(ctx, cloud.Wait[types.Image]{
		ID: id, For: "image " + id + " to be available", Deadline: copyTime,
		Done: func(image types.Image, found bool) (bool, error) { return ready(id, image, found) },
		Show: func(image types.Image) string { return string(image.State) },
		Progress: func(shown string) {
			sink.Emit(event.Event{Kind: event.Waiting, Message: "image " + id + " is " + shown})
		},
	})
	if err != nil {
		return b, err
	}
	if cloud.TagSet(image.Tags)[tags.CopiedFrom] == "" {
		// An EC2 that copies without the tags that it was given, as some do that
		// are not AWS's.
		_, err := how.to.cloud.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: cloud.Tags(b.copyTags())})
		if err != nil {
			return b, fmt.Errorf("tag %s: %w", id, err)
		}
	}
	if b.image.ImdsSupport == types.ImdsSupportValuesV20 {
		if err := how.to.cloud.RequireIMDSv2(ctx, &image); err != nil {
			return b, err
		}
	}
	return how.to.fetch(ctx, id)
}

func ready(id string, image types.Image, found bool) (bool, error) {
	switch {
	case !found || image.State == types.ImageStatePending:
		return false, nil
	case image.State == types.ImageStateAvailable:
		return true, nil
	}
	reason := "EC2 gives no reason"
	if image.StateReason != nil {
		reason = aws.ToString(image.StateReason.Message)
	}
	return false, fmt.Errorf("image %s is %s: %s", id, image.State, reason)
}

func (p *Promoter) copyAnew(ctx context.Context, b BuildInfo, how copying) (string, error) {
	set := b.copyTags()
	to := how.to.cloud
	in := &ec2.CopyImageInput{
		Name: b.image.Name, Description: b.image.Description, SourceImageId: aws.String(b.AMI), SourceRegion: aws.String(b.Region),
		// A copy that was removed since still holds its token, hence the run.
		ClientToken:       aws.String(token("copy", p.run, b.AMI, to.Account, to.Region)),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeImage, set), cloud.TagSpec(types.ResourceTypeSnapshot, set)},
	}
	if how.key != "" {
		in.Encrypted, in.KmsKeyId = aws.Bool(true), aws.String(how.key)
	}
	id, err := cloud.Once(ctx, to, func(ctx context.Context) (string, bool, error) {
		how.to.forget()
		there, ok, err := how.to.counterpart(ctx, b)
		return there.AMI, ok, err
	}, func(ctx context.Context) (string, error) {
		out, err := to.EC2.CopyImage(ctx, in)
		if err != nil {
			return "", err
		}
		return aws.ToString(out.ImageId), nil
	})
	if cloud.AlreadyExists(err) {
		err = fail.WithHint(fmt.Errorf("the name %q is taken there", aws.ToString(b.image.Name)), "give ami_name a part that changes, such as {{timestamp}}, in the recipe of %s", b.Image)
	}
	if err == nil {
		event.Scope(p.sink, "", b.Image).Emit(event.Event{Kind: event.Created, Message: fmt.Sprintf("image %s in %s of account %s, a copy of %s", id, to.Region, to.Account, b.AMI), Fields: map[string]string{"id": id, "kind": "image"}})
	}
	return id, err
}

func token(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// fetch reads the builds again and gives the one that was just brought there.
func (s *stock) fetch(ctx context.Context, ami string) (BuildInfo, error) {
	for _, pause := range []time.Duration{0, 1, 4, 8} {
		if err := cloud.Sleep(ctx, pause*s.cloud.Pace()); err != nil {
			return BuildInfo{}, err
		}
		s.forget()
		builds, err := s.all(ctx)
		if err != nil {
			return BuildInfo{}, err
		}
		for _, b := range flat(builds) {
			if b.AMI == ami {
				return b, nil
			}
		}
	}
	return BuildInfo{}, errors.New(ami + " is there, but its tags do not show")
}

// forget makes the next look read the builds again.
func (s *stock) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = false
}

// foreign tells whether a build belongs to another account, which shares it.
func (b BuildInfo) foreign() bool {
	owner := aws.ToString(b.image.OwnerId)
	return owner != "" && owner != b.Account
}

// seenAtHome tells whether another account shares a build, and one of some places
// is where it comes from: there it is seen with all of its tags. A copy that was made
// to be shared in another region lies where its account has no environment.
func (b BuildInfo) seenAtHome(places []*place) bool {
	return b.foreign() && slices.ContainsFunc(places, func(in *place) bool {
		return in.cloud.Account == aws.ToString(b.image.OwnerId) && in.cloud.Region == b.Region
	})
}
