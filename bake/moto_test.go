package bake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/mototest"
	"github.com/goldline-dev/goldline/internal/project"
)

// An EC2 of other people's making, whose instances run nothing, and an SSH
// server on loopback in their place.
func TestBakeAgainstMoto(t *testing.T) {
	provider, c := moto(t)
	server := realSSH(t)
	source, err := c.EC2.DescribeImages(context.Background(), &ec2.DescribeImagesInput{Owners: []string{"amazon"}, Filters: []types.Filter{cloud.Filter("architecture", "x86_64")}})
	if err != nil || len(source.Images) == 0 {
		t.Fatalf("moto's images: %v", err)
	}
	dir := folder(t, map[string]string{"web.sh": "echo provisioned by $PACKER_BUILD_NAME"})
	image := &project.Image{
		Name: "web", Dir: dir, File: "images/web.yaml", SSHUsername: "root", SourceAMI: aws.ToString(source.Images[0].ImageId),
		SSHHost: "127.0.0.1", SSHPort: server.port, SSHHostPublicKey: server.hostKey, SSHPrivateKeyFile: server.keyFile, AMIName: "web-{{timestamp}}",
		Provisioners: []*project.Provisioner{{Type: "shell", Options: &Shell{Script: "web.sh", RemoteFolder: t.TempDir()}}},
	}
	var said bytes.Buffer
	options := Options{Project: "shop", Dir: dir, Environment: "dev", Cloud: c, Run: "r1", Sink: lockedSink(&said)}
	before := provider.Calls().ByAction()
	build, err := New(options).Bake(context.Background(), image)
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	t.Logf("one: %v", provider.Calls().ByAction())
	atMost(t, 10, 6, before, provider.Calls().ByAction())
	if !strings.Contains(said.String(), "provisioned by web") {
		t.Errorf("no output of the script in\n%s", said.String())
	}
	total := provider.Calls().Total()
	again, err := New(options).Bake(context.Background(), image)
	if err != nil {
		t.Fatal(err)
	}
	if calls := provider.Calls().Total() - total; !again.Reused || again.AMI != build.AMI || calls > 3 {
		t.Errorf("second bake %+v with %d calls, want %s reused with at most 3", again, calls, build.AMI)
	}
}

// Four images in one run, with temporary key pairs and groups.
func TestFourAgainstMoto(t *testing.T) {
	provider, c := moto(t)
	server := stubSSH(t)
	source, err := c.EC2.DescribeImages(context.Background(), &ec2.DescribeImagesInput{Owners: []string{"amazon"}, Filters: []types.Filter{cloud.Filter("architecture", "x86_64")}})
	if err != nil || len(source.Images) == 0 {
		t.Fatalf("moto's images: %v", err)
	}
	var said bytes.Buffer
	baker := New(Options{Project: "shop", Dir: t.TempDir(), Environment: "dev", Cloud: c, Run: "r1", Sink: lockedSink(&said)})
	for _, n := range []int{1, 4} {
		before := provider.Calls().ByAction()
		err = graph.Each(context.Background(), 0, n, func(ctx context.Context, i int) error {
			_, err := baker.Bake(ctx, &project.Image{
				Name: fmt.Sprintf("svc%d-%d", n, i), Dir: t.TempDir(), SSHUsername: "root", SourceAMI: aws.ToString(source.Images[0].ImageId),
				SSHHost: "127.0.0.1", SSHPort: server.port, SSHHostPublicKey: server.hostKey,
			})
			return err
		})
		if err != nil {
			t.Fatalf("%v\n%s", err, said.String())
		}
		t.Logf("%d images", n)
		atMost(t, map[int]int{1: 12, 4: 44}[n], map[int]int{1: 6, 4: 12}[n], before, provider.Calls().ByAction())
	}
}

// atMost bounds the calls between two counts: what changes something exactly
// (of several images at the worst, when a busy machine gathers nothing); what
// reads with room for the polls that it makes of one wait.
func atMost(t *testing.T, writes, reads int, before, after map[string]int) {
	t.Helper()
	const polls = 10
	did := [2]int{}
	for action, n := range after {
		kind := 0
		if _, name, _ := strings.Cut(action, ":"); strings.HasPrefix(name, "Describe") || strings.HasPrefix(name, "Get") {
			kind = 1
		}
		did[kind] += n - before[action]
	}
	t.Logf("%d calls: %d that change, %d that read", did[0]+did[1], did[0], did[1])
	if did[0] > writes || did[1] > reads+polls {
		t.Errorf("%d calls that change something and %d that read, want at most %d and %d (and %d polls more): %v", did[0], did[1], writes, reads, polls, after)
	}
}

// moto is the cloud of a moto_server of the test's own.
func moto(t *testing.T) (*cloud.Provider, *cloud.Cloud) {
	t.Helper()
	mototest.Serve(t, "eu-central-1")
	provider := cloud.NewProvider(cloud.Config{PollMin: 20 * time.Millisecond, PollMax: 100 * time.Millisecond})
	c, err := provider.For(context.Background(), cloud.Target{Region: "eu-central-1"})
	if err != nil {
		t.Fatal(err)
	}
	return provider, c
}

func lockedSink(to io.Writer) event.Sink {
	gate := make(chan struct{}, 1)
	return event.Func(func(e event.Event) {
		gate <- struct{}{}
		defer func() { <-gate }()
		fmt.Fprintf(to, "[%s] %s %s\n", e.Item, e.Kind, e.Message)
	})
}
