package promote

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
)

// Detail is everything about one build.
type Detail struct {
	BuildInfo
	Name        string            `json:"name"`
	Description string            `json:"description"`
	RootDevice  string            `json:"root_device"`
	Snapshots   []string          `json:"snapshots"`
	Promoted    map[string]string `json:"promoted"` // environment -> first promoted there (RFC 3339)
	Tags        map[string]string `json:"tags"`
	// Ancestry is what it was made from, and that from, back to an AMI that is
	// not the project's.
	Ancestry []Ancestor `json:"ancestry"`
}

// Ancestor is an AMI that a build goes back to.
type Ancestor struct {
	AMI     string    `json:"ami"`
	Image   string    `json:"image"` // recipe; empty for an AMI that is not the project's
	Version string    `json:"version"`
	Name    string    `json:"name"`
	Owner   string    `json:"owner"`
	Created time.Time `json:"created"`
	Exists  bool      `json:"exists"` // it can still be seen
}

// Show gives one build by its AMI, its version, or the beginning of its
// fingerprint. One that is not the project's, and a name that means several, are
// wrong input.
func (p *Promoter) Show(ctx context.Context, name string) (Detail, error) {
	builds, err := p.List(ctx, "")
	if err != nil {
		return Detail{}, err
	}
	b, err := p.meant(builds, name)
	if err != nil {
		return Detail{}, err
	}
	d := b.detail()
	d.Ancestry, err = p.ancestry(ctx, b, builds)
	return d, err
}

// meant is the build that a name means. Copies of one in several regions are
// the same to a version and a fingerprint: the first is it.
func (p *Promoter) meant(builds []BuildInfo, name string) (BuildInfo, error) {
	var of []BuildInfo
	for _, b := range builds {
		switch {
		case b.has(name):
			one := b.all()[slices.Index(b.ids(), name)]
			one.Environments = b.Environments
			return one, nil
		case b.Version == name, len(name) >= shortestFingerprint && strings.HasPrefix(b.Fingerprint, name):
			of = append(of, b)
		}
	}
	if len(of) == 0 {
		return BuildInfo{}, fail.WithHint(fail.Inputf("project %s has no build %s", p.project.Name, name), "goldline images list shows them all")
	}
	var names []string
	for _, b := range of {
		if b.Fingerprint != of[0].Fingerprint || b.Image != of[0].Image {
			names = append(names, fmt.Sprintf("%s (%s)", b.AMI, b.Image))
		}
	}
	if len(names) > 0 {
		names = append([]string{fmt.Sprintf("%s (%s)", of[0].AMI, of[0].Image)}, names...)
		return BuildInfo{}, fail.WithHint(fail.Inputf("%q means several builds", name), "name one by its AMI: %s", strings.Join(names, ", "))
	}
	return of[0], nil
}

func (b BuildInfo) detail() Detail {
	return Detail{
		BuildInfo: b, Name: aws.ToString(b.image.Name), Description: aws.ToString(b.image.Description),
		RootDevice: aws.ToString(b.image.RootDeviceName), Snapshots: cloud.SnapshotsOf(b.image), Promoted: b.promoted, Tags: cloud.TagSet(b.image.Tags),
	}
}

// ancestry follows what builds say of their source, as far as that is known.
func (p *Promoter) ancestry(ctx context.Context, b BuildInfo, builds []BuildInfo) ([]Ancestor, error) {
	byAMI := map[string]BuildInfo{}
	for _, other := range builds {
		for _, part := range other.all() {
			byAMI[part.AMI] = part
		}
	}
	line := []Ancestor{}
	seen := map[string]bool{b.AMI: true}
	for b.Source != "" && !seen[b.Source] {
		seen[b.Source] = true
		source, ours := byAMI[b.Source]
		if !ours {
			foreign, err := p.foreign(ctx, b)
			return append(line, foreign), err
		}
		line = append(line, Ancestor{
			AMI: source.AMI, Image: source.Image, Version: source.Version, Name: aws.ToString(source.image.Name),
			Owner: source.Account, Created: source.Created, Exists: true,
		})
		b = source
	}
	return line, nil
}

// foreign is the source of a build that is no build of the project itself.
func (p *Promoter) foreign(ctx context.Context, b BuildInfo) (Ancestor, error) {
	a := Ancestor{AMI: b.Source}
	places, err := p.reachable(ctx)
	if err != nil {
		return a, err
	}
	for _, in := range places {
		if in.cloud.Region != b.Region || in.cloud.Account != b.Account {
			continue
		}
		out, err := in.cloud.EC2.DescribeImages(ctx, &ec2.DescribeImagesInput{
			Filters: []types.Filter{cloud.Filter("image-id", b.Source)}, IncludeDeprecated: aws.Bool(true),
		})
		if err != nil {
			return a, fmt.Errorf("source image %s: %w", b.Source, err)
		}
		if len(out.Images) > 0 {
			i := out.Images[0]
			a.Name, a.Owner, a.Exists = aws.ToString(i.Name), aws.ToString(i.OwnerId), true
			a.Created, _ = time.Parse(time.RFC3339, aws.ToString(i.CreationDate)) // EC2 writes no other form
		}
		return a, nil
	}
	return a, nil
}
