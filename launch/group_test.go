package launch

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/tags"
)

// called counts the calls of an action since ResetCalls.
func (s *site) called(action string) int {
	n := 0
	for _, c := range s.local.Calls() {
		if c.Action == action {
			n++
		}
	}
	return n
}

// fleet is a platform with many equal instances, each with a volume.
func fleet(t *testing.T, n int) *site {
	t.Helper()
	s := newPlatform(t)
	s.write(map[string]string{
		"topology/volumes/data.yaml":  fmt.Sprintf("count: %d\navailability_zone: b\nsize: 8\n", n),
		"topology/instances/web.yaml": fmt.Sprintf("image: web\ninstance_type: t3.micro\ncount: %d\nsubnet: public-b\nsecurity_groups: [web]\nvolumes: [{volume: \"data[${index}]\", device: /dev/sdf}]\n", n),
	})
	return s
}

func TestEqualInstancesLaunchTogether(t *testing.T) {
	s := fleet(t, 103)
	s.local.ResetCalls()
	r := s.launch()
	if n := s.called("RunInstances"); n != 3 { // 100, 3 and db
		t.Errorf("%d calls of RunInstances", n)
	}
	s.settled()
	uuids := map[string]bool{}
	for _, i := range r.Instances {
		if i.UUID == "" || uuids[i.UUID] || !strings.HasPrefix(i.Address, "instance.") {
			t.Errorf("instance %+v", i)
		}
		uuids[i.UUID] = true
	}
	// The tags say of each root volume, too, whose it is.
	out, err := s.cloud.EC2.DescribeVolumes(context.Background(), &ec2.DescribeVolumesInput{})
	if err != nil {
		t.Fatal(err)
	}
	owners := map[string]int{}
	for _, v := range out.Volumes {
		owners[cloud.TagSet(v.Tags)[tags.Address]]++
	}
	for n := range 103 {
		if owners[fmt.Sprintf("instance.web[%d]", n)] != 1 || owners[fmt.Sprintf("volume.data[%d]", n)] != 1 {
			t.Fatalf("volumes by owner: %v", owners)
		}
	}
	s.edit("topology/instances/web.yaml", "count: 103", "count: 105")
	s.edit("topology/volumes/data.yaml", "count: 103", "count: 105")
	s.local.ResetCalls()
	s.launch()
	if n := s.called("RunInstances"); n != 1 {
		t.Errorf("%d calls of RunInstances for two more", n)
	}
	s.settled()
}

// TestGroupBeforeItsTags stops a launch before its instances have tags of their
// own: which is which is known all the same, also of those that no definition
// wants any more.
func TestGroupBeforeItsTags(t *testing.T) {
	for _, kind := range []emulator.FaultKind{emulator.Die, emulator.Error} {
		t.Run(string(kind), func(t *testing.T) {
			s := fleet(t, 3)
			s.local.Inject(emulator.Fault{Action: "CreateTags", Kind: kind, Code: "UnauthorizedOperation", Times: -1})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			s.onDie = cancel
			if _, err := s.tryLaunch(ctx); err == nil {
				t.Fatal("the launch succeeds")
			}
			s.reconnect()
			list, err := Instances(context.Background(), s.options())
			if err != nil {
				t.Fatal(err)
			}
			ids := map[string]string{}
			for _, i := range list {
				ids[i.Address] = i.ID
			}
			s.edit("topology/instances/web.yaml", "count: 3", "count: 2")
			s.local.ResetCalls()
			r := s.launch()
			if n := s.called("RunInstances"); n != 0 && ids["instance.db"] != "" || n > 1 {
				t.Errorf("%d calls of RunInstances to complete a group", n)
			}
			s.settled()
			for _, i := range r.Instances {
				if before := ids[i.Address]; before != "" && before != i.ID {
					t.Errorf("%s was %s and is %s", i.Address, before, i.ID)
				}
			}
			s.destroy()
		})
	}
}

func TestWhatLaunchesAlone(t *testing.T) {
	for name, text := range map[string]string{
		"no metadata tags":    "metadata_options: {instance_metadata_tags: disabled}\n",
		"user data of one":    "user_data: {extra: {n: \"${index}\"}}\n",
		"tags of one":         "tags: {n: \"${index}\"}\n",
		"keys that stay away": "tags: {\"a b\": c}\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := newPlatform(t)
			s.write(map[string]string{"topology/instances/web.yaml": "image: web\ninstance_type: t3.micro\ncount: 2\nsubnet: public-b\nsecurity_groups: [web]\n" + text})
			s.local.ResetCalls()
			r := s.launch()
			if n := s.called("RunInstances"); n != 3 {
				t.Errorf("%d calls of RunInstances, want one each", n)
			}
			s.settled()
			out, err := s.cloud.EC2.DescribeInstanceAttribute(context.Background(), &ec2.DescribeInstanceAttributeInput{
				InstanceId: aws.String(r.Instances[1].ID), Attribute: "userData"})
			if err != nil || out.UserData == nil {
				t.Fatal(err)
			}
		})
	}
}

// TestGroupOfTerminated launches a group whose client token belongs to
// instances that are gone.
func TestGroupOfTerminated(t *testing.T) {
	s := fleet(t, 2)
	s.launch()
	s.destroy()
	r := s.launch()
	if len(r.Instances) != 3 {
		t.Errorf("%d instances", len(r.Instances))
	}
	s.settled()
	s.promote("web", "2.0.0")
	s.launch()
	s.settled()
}
