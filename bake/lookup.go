package bake

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/tags"
)

// describeAMIs gives all AMIs that match, the newest first.
func describeAMIs(ctx context.Context, c *cloud.Cloud, in *ec2.DescribeImagesInput) ([]types.Image, error) {
	in.IncludeDeprecated = aws.Bool(true)
	if len(in.ImageIds) == 0 {
		in.MaxResults = aws.Int32(1000)
	}
	var found []types.Image
	pages := ec2.NewDescribeImagesPaginator(c.EC2, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		found = append(found, page.Images...)
	}
	sortNewest(found)
	return found, nil
}

// describeLive gives the instances that are not, and are not being, terminated.
func describeLive(ctx context.Context, c *cloud.Cloud, filters ...types.Filter) ([]types.Instance, error) {
	filters = append(filters, cloud.Filter("instance-state-name", "pending", "running", "stopping", "stopped"))
	var live []types.Instance
	pages := ec2.NewDescribeInstancesPaginator(c.EC2, &ec2.DescribeInstancesInput{Filters: filters, MaxResults: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Reservations {
			live = append(live, r.Instances...)
		}
	}
	return live, nil
}

// sortNewest puts the newest first, and of those of one second the one with the
// greater ID, so that every run takes the same.
func sortNewest(images []types.Image) {
	sort.SliceStable(images, func(i, j int) bool {
		a, b := images[i], images[j]
		if at, bt := aws.ToString(a.CreationDate), aws.ToString(b.CreationDate); at != bt {
			return at > bt
		}
		return aws.ToString(a.ImageId) > aws.ToString(b.ImageId)
	})
}

// buildsOf gives the builds of an image that may be used, the newest first.
func (b *Baker) buildsOf(ctx context.Context, image string) ([]types.Image, error) {
	all, err := b.imagesOf(ctx, image)
	return whole(slices.DeleteFunc(all, func(i types.Image) bool {
		set := cloud.TagSet(i.Tags)
		return isCandidate(set) || abandoned(set)
	})), err
}

// imagesOf gives the builds of an image, and the AMIs that have yet to pass
// their tests, the newest first: those that were there as the run began, which
// one call finds for all images, and those made since. What is revoked is none of
// them: it is baked anew.
func (b *Baker) imagesOf(ctx context.Context, image string) ([]types.Image, error) {
	all, err := b.allOf(ctx, image)
	return slices.DeleteFunc(all, func(i types.Image) bool { return cloud.TagSet(i.Tags)[tags.Revoked] != "" }), err
}

// revoked gives the AMI of an image with a fingerprint that is used no more, and
// why; empty where there is none.
func (b *Baker) revoked(ctx context.Context, image, fingerprint string) (ami, why string, err error) {
	all, err := b.allOf(ctx, image)
	for _, i := range all {
		if set := cloud.TagSet(i.Tags); set[tags.Revoked] != "" && set[tags.Fingerprint] == fingerprint {
			return aws.ToString(i.ImageId), set[tags.Revoked], err
		}
	}
	return "", "", err
}

// allOf is imagesOf with what is revoked.
func (b *Baker) allOf(ctx context.Context, image string) ([]types.Image, error) {
	own, err := b.ownImages(ctx)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	known := append(append([]types.Image(nil), b.made...), own...)
	b.mu.Unlock()
	var builds []types.Image
	seen := map[string]bool{}
	for _, i := range known {
		set := cloud.TagSet(i.Tags)
		if id := aws.ToString(i.ImageId); set[tags.Image] == image && (isCandidate(set) || set[tags.Fingerprint] != "" && !abandoned(set)) && !seen[id] {
			seen[id] = true
			builds = append(builds, i)
		}
	}
	sortNewest(builds)
	return builds, nil
}

// ownImages gives the project's images, of all recipes, as the run began.
func (b *Baker) ownImages(ctx context.Context) ([]types.Image, error) {
	own, err := b.own.get(ctx, func(ctx context.Context) ([]types.Image, error) {
		return describeAMIs(ctx, b.options.Cloud, &ec2.DescribeImagesInput{
			Owners:  []string{"self"},
			Filters: []types.Filter{cloud.Filter("tag:"+tags.Project, b.options.Project), cloud.Filter("tag-key", tags.Image)},
		})
	})
	if err != nil {
		return nil, fmt.Errorf("look for existing builds: %w", err)
	}
	return own, nil
}

// buildsStep begins to look for existing builds while the source image is looked
// for. What goes wrong shows when they are needed.
type buildsStep struct{}

func (buildsStep) name() string                      { return "builds" }
func (buildsStep) undo(context.Context, *bake) error { return nil }

func (buildsStep) run(ctx context.Context, b *bake) error {
	_, _ = b.imagesOf(ctx, b.image.Name)
	return nil
}

// remember keeps a build that this Baker made or reused.
func (b *Baker) remember(ami types.Image) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made = append([]types.Image{ami}, b.made...)
}

// current is the build of an image that this Baker made or reused last, for an
// architecture, or the main one when that is empty. It goes before a newer one
// that it has not: the recipe that it belongs to may have been changed back.
func (b *Baker) current(image, architecture string) (types.Image, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ami := range b.made {
		if cloud.TagSet(ami.Tags)[tags.Image] == image && serves(ami, architecture) {
			return ami, true
		}
	}
	return types.Image{}, false
}

// serves tells whether an AMI is the one of its build for an architecture; for
// none it is the main one.
func serves(ami types.Image, architecture string) bool {
	if architecture != "" {
		return string(ami.Architecture) == architecture
	}
	set := cloud.TagSet(ami.Tags)
	main, _, _ := strings.Cut(set[tags.Architectures], " ")
	return set[tags.Architecture] == main
}

// sourcesFor gives the AMIs that match, with one call for all recipes that ask
// for the same.
func (b *Baker) sourcesFor(ctx context.Context, in *ec2.DescribeImagesInput) ([]types.Image, error) {
	key, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("source filter: %w", err)
	}
	b.mu.Lock()
	known, ok := b.sources[string(key)]
	if !ok {
		fresh := newMemo[[]types.Image]()
		known = &fresh
		b.sources[string(key)] = known
	}
	b.mu.Unlock()
	return known.get(ctx, func(ctx context.Context) ([]types.Image, error) { return describeAMIs(ctx, b.options.Cloud, in) })
}
