package launch

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

type launchTemplateAPI interface {
	CreateLaunchTemplate(context.Context, *ec2.CreateLaunchTemplateInput, ...func(*ec2.Options)) (*ec2.CreateLaunchTemplateOutput, error)
	CreateLaunchTemplateVersion(context.Context, *ec2.CreateLaunchTemplateVersionInput, ...func(*ec2.Options)) (*ec2.CreateLaunchTemplateVersionOutput, error)
	ModifyLaunchTemplate(context.Context, *ec2.ModifyLaunchTemplateInput, ...func(*ec2.Options)) (*ec2.ModifyLaunchTemplateOutput, error)
	DeleteLaunchTemplate(context.Context, *ec2.DeleteLaunchTemplateInput, ...func(*ec2.Options)) (*ec2.DeleteLaunchTemplateOutput, error)
}

type launchTemplateSpec struct {
	Image                    string        `yaml:"image" ref:"image" doc:"The image whose build is current in the environment."`
	AMI                      string        `yaml:"ami" pattern:"^(ami-[0-9a-f]+|\\$\\{.*)$" doc:"ID of the AMI, in place of an image."`
	InstanceType             string        `yaml:"instance_type" required:"true" doc:"Type of the instances: t3.micro."`
	SecurityGroups           []string      `yaml:"security_groups" ref:"security_group" doc:"The groups that the instances are members of; by default that of their VPC."`
	AssociatePublicIPAddress *bool         `yaml:"associate_public_ip_address" doc:"Whether the instances get public addresses; by default what the subnet says."`
	KeyName                  string        `yaml:"key_name" doc:"EC2 key pair for logging in."`
	IAMInstanceProfile       string        `yaml:"iam_instance_profile" doc:"Name of the instance profile."`
	UserData                 *userDataSpec `yaml:"user_data" doc:"What the instances are told. They all are told the same, under the template's own address."`
	RootBlockDevice          *rootSpec     `yaml:"root_block_device" doc:"The root volume; by default as the image has it."`
	MetadataOptions          *metadataSpec `yaml:"metadata_options" doc:"How the instances read their metadata."`
	Monitoring               *bool         `yaml:"monitoring" doc:"Whether CloudWatch looks at them every minute." default:"false"`
	EBSOptimized             *bool         `yaml:"ebs_optimized" doc:"Whether they are EBS optimised."`
	DisableAPITermination    *bool         `yaml:"disable_api_termination" doc:"Whether EC2 refuses to terminate them." default:"false"`
	ShutdownBehavior         string        `yaml:"instance_initiated_shutdown_behavior" enum:"stop,terminate" doc:"What becomes of one that shuts itself down." default:"stop"`
	Tenancy                  string        `yaml:"tenancy" enum:"default,dedicated,host" doc:"Whether other customers' instances share their hardware." default:"default"`
}

// runs is the part of the definition that says what instances run.
func (s *launchTemplateSpec) runs() *instanceSpec {
	return &instanceSpec{Image: s.Image, AMI: s.AMI, InstanceType: s.InstanceType, UserData: s.UserData, MetadataOptions: s.MetadataOptions}
}

// launchTemplate is a template with the data of its default version, which is
// the one that counts: going back to what there was before makes an earlier
// version the default one again.
type launchTemplate struct {
	types.LaunchTemplate
	data types.ResponseLaunchTemplateData
}

type launchTemplates struct{}

func (launchTemplates) api(c *cloud.Cloud) launchTemplateAPI { return c.EC2 }

func (launchTemplates) about() project.Kind {
	return project.Kind{
		Name: "launch_template", Doc: "What the instances of an Auto Scaling group are launched with. A change makes a new version the default one, or an earlier one that is equal.",
		Attributes: []string{"id", "name", "default_version", "latest_version", "versioned_id"},
	}
}

func (launchTemplates) check(c *checker, d definition[launchTemplateSpec]) {
	s := d.spec
	checkRuns(c, d.Resource, s.Image, s.AMI, s.InstanceType)
	checkRoot(c, d.Resource, s.RootBlockDevice)
	checkDocument(c, d.Resource, s.Image, s.UserData)
}

// templatePage is the largest page of launch templates that EC2 gives.
const templatePage = 200

func (launchTemplates) list(ctx context.Context, q query) ([]launchTemplate, error) {
	var all []launchTemplate
	err := each(ctx, ec2.NewDescribeLaunchTemplatesPaginator(q.cloud.EC2, &ec2.DescribeLaunchTemplatesInput{Filters: q.filters, MaxResults: aws.Int32(templatePage)}),
		func(page *ec2.DescribeLaunchTemplatesOutput) {
			for _, t := range page.LaunchTemplates {
				all = append(all, launchTemplate{LaunchTemplate: t})
			}
		})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	// The default versions of all templates come in one call, if none is named.
	in := &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Default"}, MaxResults: aws.Int32(templatePage)}
	if len(all) == 1 {
		in.LaunchTemplateId = all[0].LaunchTemplateId
	}
	current := map[string]types.ResponseLaunchTemplateData{}
	err = each(ctx, ec2.NewDescribeLaunchTemplateVersionsPaginator(q.cloud.EC2, in), func(page *ec2.DescribeLaunchTemplateVersionsOutput) {
		for _, v := range page.LaunchTemplateVersions {
			if v.LaunchTemplateData != nil {
				current[aws.ToString(v.LaunchTemplateId)] = *v.LaunchTemplateData
			}
		}
	})
	if err != nil && !cloud.NotFound(err) { // the only one may be gone since
		return nil, err
	}
	for i := range all {
		all[i].data = current[aws.ToString(all[i].LaunchTemplateId)]
	}
	return all, nil
}

func (launchTemplates) read(t launchTemplate) state {
	id, current := aws.ToString(t.LaunchTemplateId), versionText(t.DefaultVersionNumber)
	return state{
		id: id, tags: cloud.TagSet(t.Tags), uses: templateGroups(t.data),
		attributes: map[string]string{"name": aws.ToString(t.LaunchTemplateName), "default_version": current, "latest_version": versionText(t.LatestVersionNumber), "versioned_id": id + ":" + current},
	}
}

func versionText(n *int64) string { return strconv.FormatInt(aws.ToInt64(n), 10) }

// moves: any change makes another version the default one.
func (launchTemplates) moves(d differences) []string {
	if len(d) > 0 {
		return []string{"default_version", "latest_version", "versioned_id"}
	}
	return nil
}

// settle: what refers to the template's version takes the one that update has
// noted, which EC2's describes may not show for a while.
func (launchTemplates) settle(_ context.Context, _ *task, have launchTemplate) (launchTemplate, error) {
	return have, nil
}

func (launchTemplates) fresh(launchTemplate) bool { return false }

func templateGroups(d types.ResponseLaunchTemplateData) []string {
	if len(d.NetworkInterfaces) > 0 {
		return d.NetworkInterfaces[0].Groups
	}
	return d.SecurityGroupIds
}

func (k launchTemplates) compare(w want[launchTemplateSpec], t launchTemplate) (d differences) {
	have, wanted := describeTemplate(t.data), describeTemplate(k.data(w))
	for _, path := range union(have, wanted) {
		d.set(path, have[path], wanted[path])
	}
	return d
}

// describeTemplate is template data as text, by path, for comparing.
func describeTemplate(d types.ResponseLaunchTemplateData) map[string]string {
	all := map[string]string{
		"ami": aws.ToString(d.ImageId), "instance_type": string(d.InstanceType), "key_name": aws.ToString(d.KeyName),
		"security_groups": sortedList(templateGroups(d)), "user_data": documentDigest(aws.ToString(d.UserData)),
		"instance_initiated_shutdown_behavior": string(d.InstanceInitiatedShutdownBehavior),
		"ebs_optimized":                        switchText(d.EbsOptimized), "disable_api_termination": switchText(d.DisableApiTermination),
	}
	if d.IamInstanceProfile != nil {
		all["iam_instance_profile"] = aws.ToString(d.IamInstanceProfile.Name)
	}
	if d.Monitoring != nil {
		all["monitoring"] = switchText(d.Monitoring.Enabled)
	}
	if d.Placement != nil {
		all["tenancy"] = string(d.Placement.Tenancy)
	}
	if len(d.NetworkInterfaces) > 0 {
		all["associate_public_ip_address"] = switchText(d.NetworkInterfaces[0].AssociatePublicIpAddress)
	}
	if m := d.MetadataOptions; m != nil {
		all["metadata_options.http_tokens"] = string(m.HttpTokens)
		all["metadata_options.http_put_response_hop_limit"] = numberText(m.HttpPutResponseHopLimit)
		all["metadata_options.instance_metadata_tags"] = string(m.InstanceMetadataTags)
	}
	for _, b := range d.BlockDeviceMappings {
		if e := b.Ebs; e != nil {
			all["root_block_device"] = fmt.Sprintf("%s %s %s %s %s %s %s", aws.ToString(b.DeviceName), numberText(e.VolumeSize), e.VolumeType,
				numberText(e.Iops), numberText(e.Throughput), switchText(e.Encrypted), aws.ToString(e.KmsKeyId))
		}
	}
	for _, spec := range d.TagSpecifications {
		if spec.ResourceType == types.ResourceTypeLaunchTemplate {
			continue // the template's own, which moto keeps here
		}
		text, _ := json.Marshal(cloud.TagSet(spec.Tags)) // text to text: it cannot fail
		all["tags of the "+string(spec.ResourceType)] = string(text)
	}
	for path, value := range all {
		if value == "" {
			delete(all, path)
		}
	}
	return all
}

// documentDigest stands for user data, which is too long to show.
func documentDigest(encoded string) string {
	if encoded == Unknown || encoded == "" {
		return encoded
	}
	return strings.TrimPrefix(digestOf(encoded), "user_data=")
}

// data is what the default version should hold.
func (k launchTemplates) data(w want[launchTemplateSpec]) types.ResponseLaunchTemplateData {
	var d types.ResponseLaunchTemplateData
	text, _ := json.Marshal(k.request(w)) // the SDK's own fields: it cannot fail
	_ = json.Unmarshal(text, &d)          // the same fields by the same names
	return d
}

func (launchTemplates) request(w want[launchTemplateSpec]) *types.RequestLaunchTemplateData {
	s := w.spec
	metadata := s.runs().metadata(nil)
	d := &types.RequestLaunchTemplateData{
		ImageId: aws.String(w.world.ami(s.runs())), InstanceType: types.InstanceType(s.InstanceType), KeyName: optional(s.KeyName),
		UserData: aws.String(w.world.templateDocument(w.Resource, s)), EbsOptimized: s.EBSOptimized, DisableApiTermination: s.DisableAPITermination,
		InstanceInitiatedShutdownBehavior: types.ShutdownBehavior(s.ShutdownBehavior),
		MetadataOptions: &types.LaunchTemplateInstanceMetadataOptionsRequest{
			HttpTokens: types.LaunchTemplateHttpTokensState(metadata.HTTPTokens), HttpPutResponseHopLimit: number(metadata.HTTPPutResponseHopLimit),
			InstanceMetadataTags: types.LaunchTemplateInstanceMetadataTagsState(metadata.InstanceMetadataTags),
		},
	}
	if s.IAMInstanceProfile != "" {
		d.IamInstanceProfile = &types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: aws.String(s.IAMInstanceProfile)}
	}
	if s.Monitoring != nil {
		d.Monitoring = &types.LaunchTemplatesMonitoringRequest{Enabled: s.Monitoring}
	}
	if s.Tenancy != "" {
		d.Placement = &types.LaunchTemplatePlacementRequest{Tenancy: types.Tenancy(s.Tenancy)}
	}
	if r := s.RootBlockDevice; r != nil {
		d.BlockDeviceMappings = []types.LaunchTemplateBlockDeviceMappingRequest{{DeviceName: optional(w.world.build(s.runs()).root), Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{
			DeleteOnTermination: aws.Bool(true), VolumeSize: number(r.Size), VolumeType: types.VolumeType(r.VolumeType),
			Iops: number(r.IOPS), Throughput: number(r.Throughput), Encrypted: r.Encrypted, KmsKeyId: optional(r.KmsKeyID),
		}}}
	}
	if s.AssociatePublicIPAddress != nil {
		d.NetworkInterfaces = []types.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{
			DeviceIndex: aws.Int32(0), Groups: s.SecurityGroups, AssociatePublicIpAddress: s.AssociatePublicIPAddress, DeleteOnTermination: aws.Bool(true)}}
	} else {
		d.SecurityGroupIds = s.SecurityGroups
	}
	for _, of := range []types.ResourceType{types.ResourceTypeInstance, types.ResourceTypeVolume} {
		d.TagSpecifications = append(d.TagSpecifications, types.LaunchTemplateTagSpecificationRequest{ResourceType: of, Tags: cloud.Tags(w.world.templateTags(w))})
	}
	return d
}

// templateTags are on whatever is launched from the template: all of its own
// but the identity, which one resource alone can have.
func (w *world) templateTags(t want[launchTemplateSpec]) map[string]string {
	set := w.tagsOf(t.Resource, of(launchTemplates{}), t.spec)
	delete(set, tags.UUID)
	if b := w.builds[t.spec.Image]; t.spec.Image != "" && b.version != "" {
		set[tags.Version] = b.version
	}
	return set
}

// templateDocument is the user data in base64, or Unknown if it holds something
// that is not known yet.
func (w *world) templateDocument(r *project.Resource, s *launchTemplateSpec) string {
	document, err := w.userData(r, s.runs())
	if err != nil || strings.Contains(string(document), Unknown) {
		return Unknown
	}
	return base64.StdEncoding.EncodeToString(document)
}

// tags tell what the template is for. Which build is on what it launches: the
// template has a version for each.
func (launchTemplates) tags(w want[launchTemplateSpec]) map[string]string {
	if w.spec.Image == "" {
		return nil
	}
	return map[string]string{tags.Image: w.spec.Image}
}

func (k launchTemplates) create(ctx context.Context, t *task, w want[launchTemplateSpec]) (launchTemplate, error) {
	out, err := k.api(t.Cloud).CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String(t.name(w.Resource, maxTemplateName)), LaunchTemplateData: k.request(w),
		ClientToken: t.token(), TagSpecifications: t.birthTags(types.ResourceTypeLaunchTemplate),
	})
	if err != nil {
		return launchTemplate{}, err
	}
	return launchTemplate{LaunchTemplate: *out.LaunchTemplate, data: k.data(w)}, nil
}

func (k launchTemplates) update(ctx context.Context, t *task, w want[launchTemplateSpec], have launchTemplate, _ differences) error {
	version, err := k.equal(ctx, t, w, have)
	if err == nil && version == 0 {
		version, err = k.newVersion(ctx, t, w, have)
	}
	if err != nil {
		return err
	}
	*have.DefaultVersionNumber = version // for settle
	return k.makeDefault(ctx, t, have.LaunchTemplateId, version)
}

// equal is the newest version that holds what is wanted, 0 for none: what runs
// it already, or is kept, need not be replaced for a version that says the
// same.
func (k launchTemplates) equal(ctx context.Context, t *task, w want[launchTemplateSpec], have launchTemplate) (int64, error) {
	wanted := describeTemplate(k.data(w))
	pages := ec2.NewDescribeLaunchTemplateVersionsPaginator(t.Cloud.EC2, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: have.LaunchTemplateId, MaxResults: aws.Int32(templatePage)})
	var newest int64
	err := each(ctx, pages, func(page *ec2.DescribeLaunchTemplateVersionsOutput) {
		for _, v := range page.LaunchTemplateVersions {
			if v.LaunchTemplateData != nil && maps.Equal(describeTemplate(*v.LaunchTemplateData), wanted) {
				newest = max(newest, aws.ToInt64(v.VersionNumber))
			}
		}
	})
	if err != nil {
		return 0, fmt.Errorf("describe its versions: %w", err)
	}
	return newest, nil
}

func (k launchTemplates) newVersion(ctx context.Context, t *task, w want[launchTemplateSpec], have launchTemplate) (int64, error) {
	request := k.request(w)
	text, _ := json.Marshal(request) // the SDK's own fields: it cannot fail
	// Tried again, the same change of the same version makes no second one.
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d %s", *t.token(), aws.ToString(have.LaunchTemplateId), aws.ToInt64(have.LatestVersionNumber), text))
	out, err := k.api(t.Cloud).CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: have.LaunchTemplateId, LaunchTemplateData: request,
		ClientToken: aws.String("goldline-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:24]))),
	})
	if err != nil {
		return 0, fmt.Errorf("new version: %w", err)
	}
	*have.LatestVersionNumber = aws.ToInt64(out.LaunchTemplateVersion.VersionNumber) // for settle
	return *have.LatestVersionNumber, nil
}

func (k launchTemplates) makeDefault(ctx context.Context, t *task, id *string, version int64) error {
	_, err := k.api(t.Cloud).ModifyLaunchTemplate(ctx, &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: id, DefaultVersion: aws.String(strconv.FormatInt(version, 10))})
	if err != nil {
		return fmt.Errorf("make version %d the default: %w", version, err)
	}
	return nil
}

func (k launchTemplates) remove(ctx context.Context, t *task, have launchTemplate) error {
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: have.LaunchTemplateId})
		return err
	})
}
