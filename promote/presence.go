package promote

import (
	"context"
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

// eachAMI visits a build wherever it is: in the regions of environments, and where
// its AMIs there say that they were copied to. What goes wrong in one of them holds
// none of the others up.
func (p *Promoter) eachAMI(ctx context.Context, environments []*place, b BuildInfo, visit func(*stock, BuildInfo) error) error {
	var stocks []*stock
	var errs []error
	add := func(s *stock) {
		if !slices.ContainsFunc(stocks, func(known *stock) bool {
			return known.cloud.Account == s.cloud.Account && known.cloud.Region == s.cloud.Region
		}) {
			stocks = append(stocks, s)
		}
	}
	for _, in := range everywhere(environments) {
		add(in.stock)
	}
	for i := 0; i < len(stocks); i++ {
		there, ok, err := stocks[i].counterpart(ctx, b)
		if err == nil && ok {
			err = visit(stocks[i], there)
		}
		if errs = append(errs, err); err != nil || !ok {
			continue
		}
		for key := range cloud.TagSet(there.image.Tags) {
			to, copied := strings.CutPrefix(key, tags.CopiedTo)
			account, region, _ := strings.Cut(to, ":")
			for _, in := range environments {
				if copied && in.cloud.Account == account {
					add(p.beside(in.stock, region))
				}
			}
		}
	}
	return fail.Join(errs...)
}

// underWay tells whether a build is a copy that is not there yet: what it is a copy
// of can be used.
func (b BuildInfo) underWay() bool {
	return b.tag(tags.CopiedFrom) != "" && (b.State == string(types.ImageStatePending) || b.State == incomplete)
}

// locate finds the build that a name means in the environment, or else where it
// can be brought from: one rung below, or wherever else the project is. Whether it
// may leave rungs out is the gates' matter.
func (p *Promoter) locate(ctx context.Context, target, below *place, image, name string) (BuildInfo, error) {
	b, missing := p.find(ctx, target, image, name)
	if missing == nil && !b.underWay() || missing != nil && !elsewhere(missing) {
		return b, missing
	}
	tried := []*stock{target.stock}
	look := func(in *place) (found BuildInfo, ok bool, err error) {
		if slices.Contains(tried, in.stock) {
			return b, false, nil
		}
		tried = append(tried, in.stock)
		if missing == nil { // b is under way: what it is a copy of
			found, ok, err = in.stock.counterpart(ctx, b)
		} else {
			found, err = p.find(ctx, in, image, name)
			ok = err == nil
		}
		switch {
		case err != nil:
			return found, !elsewhere(err), err
		case ok && found.underWay():
			b, missing, ok = found, nil, false
		}
		return found, ok, nil
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
