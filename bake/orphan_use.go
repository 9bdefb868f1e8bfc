package bake

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/tags"
)

// failedTime is how long an AMI that AWS gave up is left to its bake.
const failedTime = 3 * time.Hour

// addFailed adds AMIs of the project that AWS could not make. They carry the
// tags of builds and no expiry, but nothing can be launched from them.
func (s *sweeper) addFailed(ctx context.Context, all []Orphan) ([]Orphan, error) {
	failed, err := describeAMIs(ctx, s.cloud, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{
		cloud.Filter("tag:"+tags.Project, s.project), cloud.Filter("tag-key", tags.Image), cloud.Filter("state", "failed", "error", "invalid"),
	}})
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, o := range all {
		known[o.ID] = true
	}
	for _, ami := range failed {
		set := cloud.TagSet(ami.Tags)
		created, _ := time.Parse(time.RFC3339, aws.ToString(ami.CreationDate)) // zero, which is old, where AWS gives none
		o := Orphan{
			Kind: "image", ID: aws.ToString(ami.ImageId), Account: s.cloud.Account, Region: s.cloud.Region,
			Image: set[tags.Image], Run: set[tags.Run], Created: created, tags: set,
		}
		o.Remove, o.Why = true, (&brokenAMI{id: o.ID, state: string(ami.State), reason: ami.StateReason}).Error()
		dead := s.dead != nil && s.dead(o.Run)
		switch {
		case s.alive != nil && s.alive(o.Run):
			o.keep("run %s goes on", o.Run)
		case !dead && time.Since(created) < failedTime:
			o.keep("%s, but its run may go on elsewhere", o.Why)
		}
		for _, snapshot := range cloud.SnapshotsOf(ami) {
			of := o
			of.Kind, of.ID = "snapshot", snapshot
			if !known[snapshot] {
				all = append(all, of)
			}
		}
		if !known[o.ID] {
			all = append(all, o)
		}
	}
	return all, nil
}

// lookout is what EC2 says of things that may be orphans.
type lookout struct {
	*sweeper
	byID  map[string]*Orphan
	kinds map[string][]string // IDs by kind
}

// look drops what is gone already, and leaves what is too young or in use.
// Builders come first, since what only a removable builder uses is not in use;
// images come before their snapshots for the same reason.
func (s *sweeper) look(ctx context.Context, all []Orphan) ([]Orphan, error) {
	l := &lookout{sweeper: s, byID: map[string]*Orphan{}, kinds: map[string][]string{}}
	for i := range all {
		o := &all[i]
		l.byID[o.ID] = o
		l.kinds[o.Kind] = append(l.kinds[o.Kind], o.ID)
	}
	for _, ask := range []struct {
		kind string
		of   func(context.Context, []string) error
	}{
		{"instance", l.instances}, {"volume", l.volumes}, {"key-pair", l.keyPairs}, {"security-group", l.groups},
		{"image", l.images}, {"snapshot", l.snapshots},
	} {
		err := cloud.Batches(l.kinds[ask.kind], 200, func(ids []string) error { return ask.of(ctx, ids) })
		if err != nil {
			return nil, fmt.Errorf("%ss: %w", ask.kind, err)
		}
	}
	var there []Orphan
	for _, o := range all {
		if o.seen {
			there = append(there, o)
		}
	}
	return there, nil
}

// saw notes that something is there, and leaves it when it is too young.
func (l *lookout) saw(id *string, created *time.Time) *Orphan {
	o := l.byID[aws.ToString(id)]
	if o == nil {
		return &Orphan{} // not asked for
	}
	o.seen = true
	l.aged(o, created)
	return o
}

// aged notes the age of something, and leaves what is too young.
func (s *sweeper) aged(o *Orphan, created *time.Time) {
	if created != nil {
		o.Created = created.UTC()
	}
	if s.olderThan <= 0 {
		return
	}
	since := o.Created
	if since.IsZero() {
		since = begun(o.Run)
	}
	if since.IsZero() {
		o.keep("its age is not known")
	} else if age := time.Since(since); age < s.olderThan {
		o.keep("younger than %s", s.olderThan)
	}
}

// begun is when a run began, which its ID says.
func begun(run string) time.Time {
	const form = "20060102T150405Z"
	at, err := time.Parse(form, run[:min(len(run), len(form))])
	if err != nil {
		return time.Time{}
	}
	return at
}

// removable tells whether something is going to be removed itself.
func (l *lookout) removable(id string) bool {
	o := l.byID[id]
	return o != nil && o.seen && o.Remove
}

func (l *lookout) instances(ctx context.Context, ids []string) error {
	live, err := describeLive(ctx, l.cloud, cloud.Filter("instance-id", ids...))
	for _, i := range live {
		l.saw(i.InstanceId, i.LaunchTime)
	}
	return err
}

func (l *lookout) volumes(ctx context.Context, ids []string) error {
	pages := ec2.NewDescribeVolumesPaginator(l.cloud.EC2, &ec2.DescribeVolumesInput{Filters: []types.Filter{cloud.Filter("volume-id", ids...)}, MaxResults: aws.Int32(500)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, v := range page.Volumes {
			o := l.saw(v.VolumeId, v.CreateTime)
			for _, a := range v.Attachments {
				if id := aws.ToString(a.InstanceId); l.removable(id) {
					o.users = append(o.users, id)
				} else {
					o.keep("%s is attached to %s", o.ID, id)
				}
			}
		}
	}
	return nil
}

func (l *lookout) keyPairs(ctx context.Context, ids []string) error {
	out, err := l.cloud.EC2.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{Filters: []types.Filter{cloud.Filter("key-pair-id", ids...)}})
	if err != nil || len(out.KeyPairs) == 0 {
		return err
	}
	named := map[string]*Orphan{}
	for _, k := range out.KeyPairs {
		named[aws.ToString(k.KeyName)] = l.saw(k.KeyPairId, k.CreateTime)
	}
	live, err := describeLive(ctx, l.cloud, cloud.Filter("key-name", slices.Sorted(maps.Keys(named))...))
	for _, i := range live {
		if id := aws.ToString(i.InstanceId); !l.removable(id) {
			named[aws.ToString(i.KeyName)].keep("instance %s was launched with it", id)
		}
	}
	return err
}

func (l *lookout) groups(ctx context.Context, ids []string) error {
	out, err := l.cloud.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{cloud.Filter("group-id", ids...)}})
	if err != nil || len(out.SecurityGroups) == 0 {
		return err
	}
	for _, g := range out.SecurityGroups {
		l.saw(g.GroupId, nil)
	}
	cards := ec2.NewDescribeNetworkInterfacesPaginator(l.cloud.EC2, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{cloud.Filter("group-id", ids...)}, MaxResults: aws.Int32(1000)})
	for cards.HasMorePages() {
		page, err := cards.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, card := range page.NetworkInterfaces {
			builder := ""
			if card.Attachment != nil {
				builder = aws.ToString(card.Attachment.InstanceId)
			}
			for _, g := range card.Groups {
				switch o := l.byID[aws.ToString(g.GroupId)]; {
				case o == nil:
				case l.removable(builder):
					o.users = append(o.users, builder)
				default:
					o.keep("network interface %s is in it", aws.ToString(card.NetworkInterfaceId))
				}
			}
		}
	}
	return l.named(ctx, ids)
}

// named leaves groups that the rules of others name.
func (l *lookout) named(ctx context.Context, ids []string) error {
	for _, filter := range []string{"ip-permission.group-id", "egress.ip-permission.group-id"} {
		out, err := l.cloud.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{cloud.Filter(filter, ids...)}})
		if err != nil {
			return err
		}
		for _, g := range out.SecurityGroups {
			for _, rule := range append(g.IpPermissions, g.IpPermissionsEgress...) {
				for _, pair := range rule.UserIdGroupPairs {
					if o := l.byID[aws.ToString(pair.GroupId)]; o != nil && aws.ToString(g.GroupId) != o.ID {
						o.keep("a rule of %s names it", aws.ToString(g.GroupId))
					}
				}
			}
		}
	}
	return nil
}

func (l *lookout) images(ctx context.Context, ids []string) error {
	found, err := describeAMIs(ctx, l.cloud, &ec2.DescribeImagesInput{Filters: []types.Filter{cloud.Filter("image-id", ids...)}, IncludeDisabled: aws.Bool(true)})
	if err != nil || len(found) == 0 {
		return err
	}
	for _, ami := range found {
		var created *time.Time
		if at, err := time.Parse(time.RFC3339, aws.ToString(ami.CreationDate)); err == nil {
			created = &at
		}
		o := l.saw(ami.ImageId, created)
		if o.tags[tags.Candidate] != "" && o.tags[tags.Fingerprint] != "" {
			o.keep("it has passed its tests: it is a build")
		}
		for _, key := range tags.Keys(o.tags) {
			if env, ok := tags.PromotedTo(key); ok {
				o.keep("it was promoted to %s", env)
			}
		}
	}
	live, err := describeLive(ctx, l.cloud, cloud.Filter("image-id", ids...))
	if err != nil {
		return err
	}
	for _, i := range live {
		if id := aws.ToString(i.InstanceId); !l.removable(id) {
			l.byID[aws.ToString(i.ImageId)].keep("instance %s runs from it", id)
		}
	}
	if err := l.launched(ctx, ids); err != nil {
		return err
	}
	return l.pointedAt(ctx)
}

// launched leaves images that launch templates name.
func (l *lookout) launched(ctx context.Context, ids []string) error {
	pages := ec2.NewDescribeLaunchTemplateVersionsPaginator(l.cloud.EC2, &ec2.DescribeLaunchTemplateVersionsInput{
		Versions: []string{"$Latest", "$Default"}, Filters: []types.Filter{cloud.Filter("image-id", ids...)}, MaxResults: aws.Int32(200),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, v := range page.LaunchTemplateVersions {
			if v.LaunchTemplateData != nil {
				if o := l.byID[aws.ToString(v.LaunchTemplateData.ImageId)]; o != nil {
					o.keep("launch template %s names it", aws.ToString(v.LaunchTemplateId))
				}
			}
		}
	}
	return nil
}

// pointedAt leaves images that are current in an environment.
func (l *lookout) pointedAt(ctx context.Context) error {
	pages := ssm.NewGetParametersByPathPaginator(l.cloud.SSM, &ssm.GetParametersByPathInput{Path: aws.String(tags.AllPointers(l.project)), Recursive: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, p := range page.Parameters {
			if o := l.byID[aws.ToString(p.Value)]; o != nil {
				o.keep("%s points at it", aws.ToString(p.Name))
			}
		}
	}
	return nil
}

func (l *lookout) snapshots(ctx context.Context, ids []string) error {
	pages := ec2.NewDescribeSnapshotsPaginator(l.cloud.EC2, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{cloud.Filter("snapshot-id", ids...)}, MaxResults: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, s := range page.Snapshots {
			l.saw(s.SnapshotId, s.StartTime)
		}
	}
	users, err := describeAMIs(ctx, l.cloud, &ec2.DescribeImagesInput{
		Owners: []string{"self"}, Filters: []types.Filter{cloud.Filter("block-device-mapping.snapshot-id", ids...)}, IncludeDisabled: aws.Bool(true),
	})
	for _, ami := range users {
		id := aws.ToString(ami.ImageId)
		for _, snapshot := range cloud.SnapshotsOf(ami) {
			switch o := l.byID[snapshot]; {
			case o == nil:
			case l.removable(id):
				o.users = append(o.users, id)
			default:
				o.keep("image %s has it", id)
			}
		}
	}
	return err
}
