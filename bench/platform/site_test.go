package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/goldline-dev/goldline/bake"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
	"github.com/goldline-dev/goldline/launch"
)

const region = "eu-central-1"

// site is a project over a local cloud of its own, whose instances run nothing.
// It is used within a bubble of testing/synctest: all clocks in there, the
// cloud's, the limiter's and those of waits, are one that moves on when nothing is
// left to do.
type site struct {
	t        *testing.T
	local    *emulator.Cloud
	cut      atomic.Bool // the process is gone: no call gets through
	onDie    func()
	paced    bool
	cloud    *cloud.Cloud
	dir, env string
}

func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.cut.Load() {
		return nil, errGone{}
	}
	return s.local.Transport().RoundTrip(r)
}

type errGone struct{}

func (errGone) Error() string        { return "the process is gone" }
func (errGone) RetryableError() bool { return false }

// open opens the cloud; the test closes it, within its bubble.
func (s *site) open(o emulator.Options) {
	s.t.Helper()
	o.Machine = emulator.NoMachines
	o.OnDie = func() {
		s.cut.Store(true)
		if s.onDie != nil {
			s.onDie()
		}
	}
	local, err := emulator.Open(context.Background(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.local = local
	s.connect()
}

func (s *site) close() {
	if err := s.local.Close(); err != nil {
		s.t.Error(err)
	}
}

// connect reaches the cloud as a new process does, polling at AWS's pace.
func (s *site) connect() {
	s.t.Helper()
	provider := cloud.NewProvider(cloud.Config{Transport: s, Paced: s.paced})
	c, err := provider.For(context.Background(), cloud.Target{Account: cloud.LocalAccount, Region: region})
	if err != nil {
		s.t.Fatal(err)
	}
	s.cloud = c
}

func (s *site) options() launch.Options {
	s.t.Helper()
	p, err := project.Load(s.dir, project.Vocabulary{Resources: launch.Kinds(), Provisioners: bake.Provisioners(), CheckTopology: launch.CheckTopology})
	if err != nil {
		s.t.Fatal(err)
	}
	topology, err := p.Topology(s.env, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return launch.Options{Project: p.Name, Tags: p.Tags, Topology: topology, Cloud: s.cloud, LoseContents: true, Run: "run"}
}

func (s *site) plan() *launch.Plan {
	s.t.Helper()
	plan, err := launch.NewPlan(context.Background(), s.options())
	if err != nil {
		s.t.Fatal(err)
	}
	return plan
}

func (s *site) launch(ctx context.Context) error {
	o := s.options()
	plan, err := launch.NewPlan(ctx, o)
	if err == nil {
		_, err = launch.Apply(ctx, o, plan)
	}
	return err
}

func (s *site) destroy(ctx context.Context) error {
	o := s.options()
	plan, err := launch.NewDestroyPlan(ctx, o)
	if err == nil {
		_, err = launch.Apply(ctx, o, plan)
	}
	return err
}

// ami is a public image of the local cloud.
func (s *site) ami() string {
	s.t.Helper()
	out, err := s.cloud.EC2.DescribeImages(context.Background(), &ec2.DescribeImagesInput{Filters: []types.Filter{cloud.Filter("architecture", "x86_64")}})
	if err != nil || len(out.Images) == 0 {
		s.t.Fatalf("no image: %v", err)
	}
	return aws.ToString(out.Images[0].ImageId)
}

// promote makes a new build of an image current.
func (s *site) promote(image, version string) {
	s.t.Helper()
	ctx := context.Background()
	out, err := s.cloud.EC2.CopyImage(ctx, &ec2.CopyImageInput{
		Name: aws.String(image + "-" + version), SourceImageId: aws.String(s.ami()), SourceRegion: aws.String(region),
		TagSpecifications: []types.TagSpecification{cloud.TagSpec(types.ResourceTypeImage, map[string]string{tags.Image: image, tags.Version: version})},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.cloud.Images.Wait(ctx, cloud.Wait[types.Image]{ID: *out.ImageId, For: "the image", Deadline: time.Minute,
		Done: func(i types.Image, found bool) (bool, error) {
			return found && i.State == types.ImageStateAvailable, nil
		}})
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.cloud.SSM.PutParameter(ctx, &ssm.PutParameterInput{
		Name: aws.String(tags.Pointer("shop", s.env, image)), Value: out.ImageId, Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true)})
	if err != nil {
		s.t.Fatal(err)
	}
}

var (
	anyID = regexp.MustCompile(`\b[a-z]+-[0-9a-f]{17}\b|\bZ[0-9A-Z]{20}\b|\bns-\d+\.awsdns-\d+\b`)
	// anyAddress is what a record says of an instance: which free address that got
	// is EC2's choice.
	anyAddress = regexp.MustCompile(`( A  \d+ \d+) [\d.]+`)
)

// shape is everything that exists, without what differs from one launch to the
// next.
func (s *site) shape() string {
	s.t.Helper()
	all, err := s.local.Inventory()
	if err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for kind, list := range all {
		for _, line := range list {
			lines = append(lines, kind+" "+anyAddress.ReplaceAllString(anyID.ReplaceAllString(line, "ID"), "$1 IP"))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// platformOf writes the platform of one customer.
func platformOf(t *testing.T, instances int, ami string) (dir string) {
	t.Helper()
	dir = t.TempDir() + "/platform"
	if err := run([]string{"--instances", fmt.Sprint(instances), "--ami", ami, "--out", dir}, io.Discard); err != nil {
		t.Fatal(err)
	}
	return dir
}

// throttled counts the calls that were refused for their number.
func (s *site) throttled() (n int) {
	for _, call := range s.local.Calls() {
		if call.Code == "RequestLimitExceeded" || call.Code == "ThrottlingException" || call.Code == "Throttling" {
			n++
		}
	}
	return n
}
