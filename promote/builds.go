package promote

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// shortestFingerprint is how much of a fingerprint names a build.
const shortestFingerprint = 6

// BuildInfo is one build: an AMI that was made from a recipe of the project.
type BuildInfo struct {
	Image        string    `json:"image"`
	AMI          string    `json:"ami"`
	Version      string    `json:"version"`
	Fingerprint  string    `json:"fingerprint"`
	Source       string    `json:"source"` // the AMI that it was made from
	Created      time.Time `json:"created"`
	State        string    `json:"state"` // EC2's: pending, available, failed, ...
	Environments []string  `json:"environments"`
	Region       string    `json:"region"`
	Account      string    `json:"account"`
	Revoked      string    `json:"revoked,omitempty"` // why it is used no more
	// Failed says of environments in which it was taken back why.
	Failed map[string]string `json:"failed,omitempty"`
	// Architecture is the AMI's. Architectures are the AMIs of a build for several,
	// by their architectures; AMI is the main one.
	Architecture  string            `json:"architecture"`
	Architectures map[string]string `json:"architectures,omitempty"`

	at       *stock
	promoted map[string]string // environment -> since when, from its tags
	passed   map[string]bool   // environments in which it is known to run well
	image    types.Image
	parts    []BuildInfo // the AMIs of a build for several architectures, the main one first
}

// Ref is the build's name.
func (b BuildInfo) Ref() Ref { return Ref{AMI: b.AMI, Version: b.Version} }

// usable refuses a build that nothing could be launched from.
func (b BuildInfo) usable(in *stock) error {
	if b.Revoked != "" {
		err := fail.Inputf("build %s is revoked: %s", b.Ref(), b.Revoked)
		return fail.WithHint(err, "goldline images list shows the builds that may be used")
	}
	if b.State == string(types.ImageStateAvailable) {
		return nil
	}
	err := fail.Inputf("build %s is not available in %s: its state is %s", b.Ref(), in.cloud.Region, b.State)
	if b.State == incomplete {
		return fail.WithHint(err, "of %s only %s is there; goldline bake %s makes the rest", strings.Join(architecturesOf(b), ", "), strings.Join(tags.Keys(b.Architectures), ", "), b.Image)
	}
	return fail.WithHint(err, "goldline images list shows the builds that are")
}

// stock is the builds of the project in one account and region.
type stock struct {
	cloud   *cloud.Cloud
	project string
	key     stockKey
	owners  []string // the other accounts of the project, which may share builds with this one

	mu     sync.Mutex
	builds []BuildInfo // the newest first; nil until they are read
	read   bool
	begun  map[string]*beginning // copies to here
}

// all lists the builds, newest first.
func (s *stock) all(ctx context.Context) ([]BuildInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.read {
		if err := s.describe(ctx); err != nil {
			return nil, err
		}
	}
	return append([]BuildInfo(nil), s.builds...), nil
}

// search gives the builds that match. Where none does, or one of them was not
// there to be used yet, it reads once more: what a run bakes goes on while its
// promotions look.
func (s *stock) search(ctx context.Context, match func(BuildInfo) bool) ([]BuildInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for fresh := false; ; fresh = true {
		if !s.read || fresh {
			if err := s.describe(ctx); err != nil {
				return nil, err
			}
			fresh = true
		}
		var found []BuildInfo
		settled := true
		for _, b := range s.builds {
			if match(b) {
				found = append(found, b)
				settled = settled && b.State != string(types.ImageStatePending) && b.State != incomplete
			}
		}
		if len(found) > 0 && settled || fresh {
			return found, nil
		}
	}
}

func (s *stock) describe(ctx context.Context) error {
	var builds []BuildInfo
	pages := ec2.NewDescribeImagesPaginator(s.cloud.EC2, &ec2.DescribeImagesInput{
		Owners:            append([]string{"self"}, s.owners...),
		Filters:           []types.Filter{cloud.Filter("tag:"+tags.Project, s.project), cloud.Filter("tag-key", tags.Image)},
		IncludeDeprecated: aws.Bool(true),
		IncludeDisabled:   aws.Bool(true), // they are refused by their state, rather than called missing
		MaxResults:        aws.Int32(1000),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list the builds in %s: %w", s.cloud.Region, err)
		}
		for _, image := range page.Images {
			// What has no fingerprint has yet to pass its tests, or failed them.
			if b := s.build(image); b.Fingerprint != "" {
				builds = append(builds, b)
			}
		}
	}
	sort.Slice(builds, func(i, j int) bool {
		a, b := builds[i], builds[j]
		if !a.Created.Equal(b.Created) {
			return a.Created.After(b.Created)
		}
		if a.Version != b.Version {
			return a.Version > b.Version
		}
		return a.AMI > b.AMI
	})
	s.builds, s.read = fold(builds), true
	return nil
}

func (s *stock) build(image types.Image) BuildInfo {
	set := cloud.TagSet(image.Tags)
	created, _ := time.Parse(time.RFC3339, aws.ToString(image.CreationDate)) // EC2 writes no other form
	b := BuildInfo{
		Image: set[tags.Image], AMI: aws.ToString(image.ImageId), Version: set[tags.Version], Fingerprint: set[tags.Fingerprint],
		Source: set[tags.SourceImage], Created: created, State: string(image.State), Environments: []string{},
		Region: s.cloud.Region, Account: s.cloud.Account, Revoked: set[tags.Revoked], Architecture: string(image.Architecture), promoted: map[string]string{}, passed: map[string]bool{}, image: image, at: s,
	}
	for key, value := range set {
		_, environment, ok := tags.InEnvironment(key)
		switch {
		case !ok:
		case key == tags.Promoted(environment):
			b.promoted[environment] = value
		case key == tags.PassedIn(environment):
			b.passed[environment] = true
		case key == tags.FailedIn(environment):
			if b.Failed == nil {
				b.Failed = map[string]string{}
			}
			b.Failed[environment] = value
		}
	}
	return b
}

// noted remembers a tag that was just written to a build.
func (s *stock) noted(ami, environment, since string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.builds {
		if s.builds[i].AMI == ami {
			known := map[string]string{environment: since} // a new map: copies of the build share the old one
			for k, v := range s.builds[i].promoted {
				if k != environment {
					known[k] = v
				}
			}
			s.builds[i].promoted = known
		}
	}
}

// find gives the one build of an image that a name means: an AMI, a version,
// or the beginning of a fingerprint, tried in this order.
func (p *Promoter) find(ctx context.Context, in *place, image, name string) (BuildInfo, error) {
	tries := []func(BuildInfo) bool{
		func(b BuildInfo) bool { return b.Version == name },
	}
	if strings.HasPrefix(name, "ami-") {
		tries = []func(BuildInfo) bool{func(b BuildInfo) bool { return b.has(name) }}
	}
	if len(name) >= shortestFingerprint {
		tries = append(tries, func(b BuildInfo) bool { return strings.HasPrefix(b.Fingerprint, name) })
	}
	found, err := in.stock.search(ctx, func(b BuildInfo) bool {
		for _, match := range tries {
			if match(b) {
				return true
			}
		}
		return false
	})
	if err != nil {
		return BuildInfo{}, err
	}
	for _, match := range tries {
		var of, others []BuildInfo
		for _, b := range found {
			switch {
			case !match(b):
			case b.Image == image:
				of = append(of, b)
			default:
				others = append(others, b)
			}
		}
		switch {
		case len(of) == 1:
			return of[0], nil
		case len(of) > 1:
			return BuildInfo{}, severalBuilds(image, name, of)
		case len(others) > 0 && strings.HasPrefix(name, "ami-"):
			return BuildInfo{}, fail.Inputf("%s is a build of %s, not of %s", name, others[0].Image, image)
		}
	}
	return BuildInfo{}, noBuild(in, image, name)
}

// severalError says that a name does not tell which build is meant.
type severalError struct {
	name, image string
	builds      int
}

func (e *severalError) Error() string {
	return fmt.Sprintf("%q means %d builds of %s", e.name, e.builds, e.image)
}

func severalBuilds(image, name string, builds []BuildInfo) error {
	names := make([]string, len(builds))
	for i, b := range builds {
		names[i] = b.AMI
	}
	err := fail.Input(&severalError{name: name, image: image, builds: len(builds)})
	return fail.WithHint(err, "name one by its AMI: %s", strings.Join(names, ", "))
}

// elsewhere tells whether a build that was not found in one place may be in another.
func elsewhere(err error) bool {
	var several *severalError
	return fail.ExitCode(err) == fail.CodeInput && !errors.As(err, &several)
}

func noBuild(in *place, image, name string) error {
	if strings.HasPrefix(name, "ami-") {
		err := fail.Inputf("build %s of %s is not present in %s of account %s", name, image, in.cloud.Region, in.cloud.Account)
		return fail.WithHint(err, "goldline images list shows the builds that are")
	}
	err := fail.Inputf("no build of %s has the version or fingerprint %q in %s of account %s", image, name, in.cloud.Region, in.cloud.Account)
	return fail.WithHint(err, "goldline images list shows them all")
}

// newest gives the newest available build of an image.
func (p *Promoter) newest(ctx context.Context, in *place, image string) (BuildInfo, error) {
	found, err := in.stock.search(ctx, func(b BuildInfo) bool {
		return b.Image == image && b.State == string(types.ImageStateAvailable) && b.Revoked == ""
	})
	if err != nil {
		return BuildInfo{}, err
	}
	if len(found) == 0 {
		err := fail.Inputf("there is no build of %s in %s of account %s", image, in.cloud.Region, in.cloud.Account)
		return BuildInfo{}, fail.WithHint(err, "bake one: goldline bake %s", image)
	}
	return found[0], nil
}
