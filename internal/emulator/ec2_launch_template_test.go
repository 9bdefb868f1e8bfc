package emulator

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// newTemplate makes a launch template of small Debian instances.
func newTemplate(t *testing.T, c *testCloud, name string) string {
	t.Helper()
	return *must(c.ec2.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: &name, ClientToken: new("token-" + name), TagSpecifications: tagging("launch-template", "Name", name),
		LaunchTemplateData: &types.RequestLaunchTemplateData{
			ImageId: new(debian(t, c)), InstanceType: "t3.micro", UserData: new("aGVsbG8="),
			MetadataOptions: &types.LaunchTemplateInstanceMetadataOptionsRequest{HttpTokens: "required"},
			TagSpecifications: []types.LaunchTemplateTagSpecificationRequest{{
				ResourceType: "instance", Tags: []types.Tag{{Key: new("Name"), Value: new(name)}, {Key: new("from"), Value: new("template")}}}},
		},
	}))(t).LaunchTemplate.LaunchTemplateId
}

func TestLaunchTemplateVersions(t *testing.T) {
	c, _ := driven(t)
	ctx := t.Context()
	id := newTemplate(t, c, "web")
	if again := newTemplate(t, c, "web"); again != id {
		t.Errorf("the same token made %s beside %s", again, id)
	}
	second := must(c.ec2.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: &id, SourceVersion: new("1"), LaunchTemplateData: &types.RequestLaunchTemplateData{InstanceType: "t3.small"}}))(t).LaunchTemplateVersion
	if *second.VersionNumber != 2 || *second.DefaultVersion || second.LaunchTemplateData.InstanceType != "t3.small" || deref(second.LaunchTemplateData.UserData) != "aGVsbG8=" {
		t.Errorf("second version: %+v", second)
	}
	list := must(c.ec2.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{Filters: where("tag:Name", "web")}))(t).LaunchTemplates
	if len(list) != 1 || *list[0].DefaultVersionNumber != 1 || *list[0].LatestVersionNumber != 2 {
		t.Errorf("described: %+v", list)
	}
	out := must(c.ec2.DeleteLaunchTemplateVersions(ctx, &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateName: new("web"), Versions: []string{"1", "7"}}))(t)
	if len(out.UnsuccessfullyDeletedLaunchTemplateVersions) != 2 {
		t.Errorf("the default version was deleted: %+v", out)
	}
	must(c.ec2.ModifyLaunchTemplate(ctx, &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: &id, DefaultVersion: new("2")}))(t)
	versions := must(c.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Default", "$Latest"}}))(t).LaunchTemplateVersions
	if len(versions) != 1 || *versions[0].VersionNumber != 2 {
		t.Errorf("$Default and $Latest are %+v", versions)
	}
	must(c.ec2.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: &id}))(t)
}

func TestLaunchFromTemplate(t *testing.T) {
	c, _ := driven(t)
	id := newTemplate(t, c, "web")
	out := must(c.ec2.RunInstances(t.Context(), &ec2.RunInstancesInput{
		LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateId: &id, Version: new("$Latest")},
		MinCount:       new(int32(1)), MaxCount: new(int32(1)), InstanceType: "t3.small", TagSpecifications: tagging("instance", "Name", "mine"),
	}))(t)
	made := out.Instances[0]
	tags := map[string]string{}
	for _, tag := range made.Tags {
		tags[*tag.Key] = *tag.Value
	}
	if made.InstanceType != "t3.small" || made.MetadataOptions.HttpTokens != "required" || tags["Name"] != "mine" || tags["from"] != "template" || tags[templateTag] != id || tags[templateVersionTag] != "1" {
		t.Errorf("launched %s, %s, tags %v", made.InstanceType, made.MetadataOptions.HttpTokens, tags)
	}
}

func TestLaunchTemplateErrors(t *testing.T) {
	c, _ := driven(t)
	ctx := t.Context()
	id := newTemplate(t, c, "web")
	data := &types.RequestLaunchTemplateData{InstanceType: "t3.micro"}
	run := func(template *types.LaunchTemplateSpecification) error {
		_, err := c.ec2.RunInstances(ctx, &ec2.RunInstancesInput{LaunchTemplate: template, MinCount: new(int32(1)), MaxCount: new(int32(1))})
		return err
	}
	create := func(name string, data *types.RequestLaunchTemplateData) error {
		_, err := c.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: data})
		return err
	}
	for _, test := range []struct {
		name, code string
		err        error
	}{
		{"a name twice", "InvalidLaunchTemplateName.AlreadyExistsException", create("web", data)},
		{"a name that is none", "InvalidLaunchTemplateName.MalformedException", create("w", data)},
		{"user data that is not base64", "InvalidParameterValue", create("other", &types.RequestLaunchTemplateData{UserData: new("!")})},
		{"a parameter that nothing carries out", "UnsupportedOperation", create("other", &types.RequestLaunchTemplateData{KernelId: new("aki-1")})},
		{"an unknown version", "InvalidLaunchTemplateId.VersionNotFound", run(&types.LaunchTemplateSpecification{LaunchTemplateId: &id, Version: new("9")})},
		{"an unknown ID", "InvalidLaunchTemplateId.NotFound", run(&types.LaunchTemplateSpecification{LaunchTemplateId: new("lt-00000000000000000")})},
		{"an unknown name", "InvalidLaunchTemplateName.NotFoundException", run(&types.LaunchTemplateSpecification{LaunchTemplateName: new("db")})},
	} {
		t.Run(test.name, func(t *testing.T) { wantCode(t, test.err, test.code) })
	}
}
