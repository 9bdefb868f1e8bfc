package launch

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/tags"
)

// templated is a project with a launch template beside what it names.
func templated() map[string]string {
	return map[string]string{
		"topology/vpcs/main.yaml":           "cidr_block: 10.0.0.0/16\n",
		"topology/security_groups/web.yaml": "vpc: main\ningress:\n  - {protocol: tcp, port: 80, cidr_blocks: [0.0.0.0/0]}\n",
		"topology/launch_templates/web.yaml": "image: web\ninstance_type: t3.micro\nsecurity_groups: [web]\nuser_data:\n  extra: {vpc: \"${vpc.main.id}\"}\n" +
			"root_block_device: {size: 20, volume_type: gp3}\n",
		"images/web.yaml": "source_ami: ami-00000000000000001\nssh_username: admin\n",
	}
}

// platformOnly is the inventory without builds and what points to them.
func (s *site) platformOnly() map[string][]string {
	s.t.Helper()
	all := s.inventory()
	for kind := range all {
		if strings.HasSuffix(kind, " image") || strings.HasSuffix(kind, " snapshot") || strings.HasSuffix(kind, " parameters") {
			delete(all, kind)
		}
	}
	return all
}

func (s *site) template(t *testing.T) (types.LaunchTemplate, types.LaunchTemplateVersion) {
	t.Helper()
	list, err := s.cloud.EC2.DescribeLaunchTemplates(context.Background(), &ec2.DescribeLaunchTemplatesInput{})
	if err != nil || len(list.LaunchTemplates) != 1 {
		t.Fatalf("templates %+v, %v", list, err)
	}
	versions, err := s.cloud.EC2.DescribeLaunchTemplateVersions(context.Background(), &ec2.DescribeLaunchTemplateVersionsInput{
		LaunchTemplateId: list.LaunchTemplates[0].LaunchTemplateId, Versions: []string{"$Default"}})
	if err != nil {
		t.Fatal(err)
	}
	return list.LaunchTemplates[0], versions.LaunchTemplateVersions[0]
}

func TestLaunchTemplate(t *testing.T) {
	s := newSite(t, templated())
	s.promote("web", "1.0.0")
	before := s.platformOnly()
	s.launch()
	s.settled()
	made, version := s.template(t)
	if *made.LaunchTemplateName != "shop-dev-web" || version.LaunchTemplateData.InstanceType != "t3.micro" {
		t.Errorf("made %s: %+v", *made.LaunchTemplateName, version.LaunchTemplateData)
	}
	set := map[string]string{}
	for _, tag := range version.LaunchTemplateData.TagSpecifications[0].Tags {
		set[*tag.Key] = *tag.Value
	}
	if set[tags.Address] != "launch_template.web" || set[tags.Version] != "1.0.0" || set[tags.UUID] != "" || set["team"] != "shop" {
		t.Errorf("instances get the tags %v", set)
	}
	for _, change := range []struct {
		name   string
		do     func()
		reason string
	}{
		{"a new build", func() { s.promote("web", "2.0.0") }, "ami"},
		{"another type", func() { s.edit("topology/launch_templates/web.yaml", "t3.micro", "t3.small") }, "instance_type"},
		{"user data", func() { s.edit("topology/launch_templates/web.yaml", "extra: {", "extra: {a: 1, ") }, "user_data"},
		{"the root volume", func() { s.edit("topology/launch_templates/web.yaml", "size: 20", "size: 30") }, "root_block_device"},
		{"a default version that another made", func() {
			if _, err := s.cloud.EC2.ModifyLaunchTemplate(context.Background(), &ec2.ModifyLaunchTemplateInput{
				LaunchTemplateId: made.LaunchTemplateId, DefaultVersion: aws.String("1")}); err != nil {
				t.Fatal(err)
			}
		}, "ami; instance_type"},
		{"a tag", func() { s.edit("goldline.yaml", "{team: shop}", "{team: shop, cost: \"7\"}") }, ""},
	} {
		change.do()
		plan := s.plan()
		if len(plan.Changes) == 0 || plan.Counts.Replace+plan.Counts.Create+plan.Counts.Delete > 0 || !strings.Contains(summaryOf(plan), change.reason) {
			t.Errorf("%s: the plan is %s", change.name, summaryOf(plan))
		}
		s.launch()
		s.settled()
		if now, version := s.template(t); *now.LaunchTemplateId != *made.LaunchTemplateId || *version.VersionNumber != *now.LatestVersionNumber {
			t.Errorf("%s: default version %d, latest %d", change.name, *version.VersionNumber, *now.LatestVersionNumber)
		}
	}
	s.destroy()
	sameInventory(t, "destroyed", before, s.platformOnly())
	s.launch()
	s.settled()
}

// TestLaunchTemplateBack: what there was before is an earlier version, which
// becomes the default one again.
func TestLaunchTemplateBack(t *testing.T) {
	s := newSite(t, templated())
	first := s.promote("web", "1.0.0")
	s.launch()
	second := s.promote("web", "2.0.0")
	s.launch()
	for _, want := range []struct {
		ami     string
		version int64
	}{{first, 1}, {second, 2}, {first, 1}} {
		s.point("web", want.ami)
		s.launch()
		s.settled()
		if now, version := s.template(t); *version.VersionNumber != want.version || *now.LatestVersionNumber != 2 {
			t.Errorf("%s: default version %d, latest %d", want.ami, *version.VersionNumber, *now.LatestVersionNumber)
		}
	}
}

func TestLaunchTemplateDefinitions(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"neither image nor ami": {"instance_type: t3.micro\n", "a launch template needs one of image and ami"},
		"no type":               {"ami: ami-00000000000000001\ninstance_type: big\n", "\"big\" is no instance type"},
		"a root too large":      {"ami: ami-00000000000000001\ninstance_type: t3.micro\nroot_block_device: {size: 20000, volume_type: gp2}\n", "20000 GiB"},
		"a key of instances":    {"ami: ami-00000000000000001\ninstance_type: t3.micro\nprivate_ip: 10.0.0.5\n", "private_ip"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, map[string]string{"topology/launch_templates/web.yaml": test.text})
			_, err := s.topology()
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "web.yaml:") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	s := newSite(t, map[string]string{"topology/vpcs/main.yaml": "cidr_block: 10.0.0.0/16\ncount: 2\n"})
	topology, err := s.topology()
	if err != nil {
		t.Fatal(err)
	}
	r := topology.Resources[1]
	for _, test := range []struct {
		project    string
		generation int
		limit      int
		want       string
	}{
		{"shop", 1, 32, "shop-dev-main-1"},
		{"shop", 2, 32, "shop-dev-main-1-2"},
		{"a_shop.of ours", 1, 32, "a-shop-of-ours-dev-main-1"},
	} {
		if got := resourceName(test.project, "dev", r, test.generation, test.limit); got != test.want {
			t.Errorf("name %q, not %q", got, test.want)
		}
	}
	long := resourceName("a-shop-with-a-long-name", "development", r, 2, 32)
	if len(long) > 32 || !strings.HasSuffix(long, "-2") || long == resourceName("a-shop-with-a-long-name", "development", topology.Resources[0], 2, 32) {
		t.Errorf("long name %q", long)
	}
}
