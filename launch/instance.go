package launch

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
	"github.com/goldline-dev/goldline/userdata"
)

// instance is an EC2 instance with those attributes that EC2 gives only one by
// one, where its definition states them.
type instance struct {
	types.Instance
	protected bool
	shutdown  string
	digest    string // of its user data, where the tag that says it is missing
	identity  identity
	on        []string // the volumes that are on it, as listed
	groups    []string // the target groups that it is in, as listed
}

type instances struct{}

func (instances) about() project.Kind {
	return project.Kind{Name: "instance", Doc: "A server.", Rolls: true, Attributes: []string{"id", "private_ip", "public_ip", "availability_zone", "ami", "subnet_id"}, Owners: map[string]string{"subnet": "subnet"}}
}

func (instances) list(ctx context.Context, q query) ([]instance, error) {
	var all []instance
	err := each(ctx, ec2.NewDescribeInstancesPaginator(q.cloud.EC2, &ec2.DescribeInstancesInput{Filters: q.filters, MaxResults: aws.Int32(pageSize)}), func(page *ec2.DescribeInstancesOutput) {
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				all = append(all, instance{Instance: i, identity: identify(q, i), on: volumesOn(i)})
			}
		}
	})
	if err != nil {
		return nil, err
	}
	registered := map[string][]target{}
	if !q.importing { // which has the instances from the groups: whoever may not read those may read instances
		if registered, err = q.registrations(ctx); err != nil {
			return nil, err
		}
	}
	for i := range all {
		all[i].groups = registeredIn(registered, aws.ToString(all[i].InstanceId))
	}
	return all, readInstanceAttributes(ctx, q, all)
}

// over tells whether an instance is terminated, or is going to be.
func over(i types.Instance) bool {
	return i.State != nil && (i.State.Name == types.InstanceStateNameTerminated || i.State.Name == types.InstanceStateNameShuttingDown)
}

func stateOf(i types.Instance) types.InstanceStateName {
	if i.State == nil {
		return ""
	}
	return i.State.Name
}

// stateSeen is the state of an instance that was waited for; "" if it was never
// seen.
func stateSeen(i *types.Instance) types.InstanceStateName {
	if i == nil {
		return ""
	}
	return stateOf(*i)
}

func (instances) read(i instance) state {
	s := state{
		id: aws.ToString(i.InstanceId), tags: cloud.TagSet(i.Tags), gone: over(i.Instance),
		attributes: map[string]string{
			"private_ip": aws.ToString(i.PrivateIpAddress), "public_ip": aws.ToString(i.PublicIpAddress),
			"ami": aws.ToString(i.ImageId), "subnet_id": aws.ToString(i.SubnetId),
		},
		uses: []string{aws.ToString(i.SubnetId), aws.ToString(i.VpcId)}, freedBy: i.groups,
	}
	if i.Placement != nil {
		s.attributes["availability_zone"] = aws.ToString(i.Placement.AvailabilityZone)
	}
	s.uses = append(s.uses, groupsOf(i.SecurityGroups)...)
	for _, id := range attachmentsOf(i.Instance) {
		s.uses = append(s.uses, id)
	}
	for _, id := range interfacesOn(i.Instance) {
		s.uses = append(s.uses, id)
	}
	sort.Strings(s.uses)
	if unnamed(i.Instance) {
		s.identity, s.along = i.identity, volumesWith(i.Instance)
	}
	if i.PublicIpAddress != nil || slices.ContainsFunc(i.NetworkInterfaces, func(n types.InstanceNetworkInterface) bool {
		return slices.ContainsFunc(n.PrivateIpAddresses, func(a types.InstancePrivateIpAddress) bool { return a.Association != nil })
	}) {
		s.mapped = aws.ToString(i.VpcId)
	}
	return s
}

// groupsOf are the IDs of security groups, sorted.
func groupsOf(list []types.GroupIdentifier) []string {
	var ids []string
	for _, g := range list {
		ids = append(ids, aws.ToString(g.GroupId))
	}
	sort.Strings(ids)
	return ids
}

// attachmentsOf are the volumes on an instance by device, but for the root's
// and those that go with the instance: they are the image's.
func attachmentsOf(i types.Instance) map[string]string {
	all := map[string]string{}
	for _, m := range i.BlockDeviceMappings {
		device := aws.ToString(m.DeviceName)
		if m.Ebs == nil || device == aws.ToString(i.RootDeviceName) || aws.ToBool(m.Ebs.DeleteOnTermination) {
			continue
		}
		if m.Ebs.Status == types.AttachmentStatusDetached || m.Ebs.Status == types.AttachmentStatusDetaching {
			continue
		}
		all[device] = aws.ToString(m.Ebs.VolumeId)
	}
	return all
}

func (k instances) compare(w want[instanceSpec], i instance) (d differences) {
	s := w.spec
	if ami := w.world.ami(s); ami != aws.ToString(i.ImageId) {
		d.fixed("ami", aws.ToString(i.ImageId), ami, w.world.imageReason(s, aws.ToString(i.ImageId)))
	}
	k.compareSize(&d, w, i)
	if s.Subnet != "" {
		d.fixed("subnet", aws.ToString(i.SubnetId), s.Subnet, "")
	}
	if s.PrivateIP != "" {
		d.fixed("private_ip", aws.ToString(i.PrivateIpAddress), s.PrivateIP, "")
	}
	d.fixed("key_name", aws.ToString(i.KeyName), s.key(), "")
	if s.Tenancy != "" && i.Placement != nil {
		d.fixed("tenancy", string(i.Placement.Tenancy), s.Tenancy, "")
	}
	compareInputs(&d, w, i)
	if w.world.swapsRoot(w.Resource) {
		d.rootInPlace()
	}
	d.set("iam_instance_profile", profileOf(i.Instance), s.IAMInstanceProfile)
	if len(s.SecurityGroups) > 0 {
		wanted := slices.Sorted(slices.Values(s.SecurityGroups))
		d.set("security_groups", strings.Join(groupsOf(i.SecurityGroups), ", "), strings.Join(slices.Compact(wanted), ", "))
	}
	if s.ElasticIP != "" {
		d.set("elastic_ip", elasticOn(i.Instance), w.world.publicIP(s.ElasticIP))
	}
	d.flag("source_dest_check", aws.ToBool(i.SourceDestCheck), s.SourceDestCheck)
	d.flag("monitoring", i.Monitoring != nil && (i.Monitoring.State == types.MonitoringStateEnabled || i.Monitoring.State == types.MonitoringStatePending), s.Monitoring)
	d.flag("disable_api_termination", i.protected, s.DisableAPITermination)
	if s.ShutdownBehavior != "" {
		d.set("instance_initiated_shutdown_behavior", i.shutdown, s.ShutdownBehavior)
	}
	compareMetadata(&d, s.metadata(w.Resource), i.MetadataOptions)
	compareAttachments(&d, w, i)
	compareInterfaces(&d, w, i)
	if wanted, ok := s.addresses(); ok {
		wanted.compare(&d, secondaryOf(i.Instance))
	}
	d.set("target_groups", sortedList(w.world.own(i.groups, s.TargetGroups)), sortedList(s.TargetGroups))
	if state := stateOf(i.Instance); state == types.InstanceStateNameStopped || state == types.InstanceStateNameStopping {
		d.set("state", string(state), string(types.InstanceStateNameRunning))
	}
	return d
}

// compareInputs compares what EC2 doesn't give back, or only in a call for each
// instance, by the digest that the instance carries on a tag.
func compareInputs(d *differences, w want[instanceSpec], i instance) {
	old := cloud.TagSet(i.Tags)[tags.Digest]
	if old == "" {
		old = i.digest
	}
	new := w.world.inputs(w.Resource, w.spec)
	if old == new {
		return
	}
	was, is := inputParts(old), inputParts(new)
	for _, part := range union(was, is) {
		if was[part] == is[part] || old == i.digest && part != "user_data" {
			continue // without the tag only the user data is known
		}
		reason := strings.ReplaceAll(part, "_", " ") + " changed"
		if part == "user_data" && w.world.ami(w.spec) != aws.ToString(i.ImageId) {
			reason = d.replaces()[0] // the image's version is part of the user data
		}
		*d = append(*d, difference{path: part, old: was[part], new: is[part], replace: reason})
	}
}

// elasticOn is the elastic IP address of an instance: a public one that is not
// Amazon's to take back.
func elasticOn(i types.Instance) string {
	for _, n := range i.NetworkInterfaces {
		if n.Attachment != nil && aws.ToInt32(n.Attachment.DeviceIndex) == 0 && n.Association != nil && aws.ToString(n.Association.IpOwnerId) != "amazon" {
			return aws.ToString(n.Association.PublicIp)
		}
	}
	return ""
}

// publicIP is the address of an elastic_ip, given as it or as its allocation;
// one that is made in this launch has none yet that something could be at.
func (w *world) publicIP(elastic string) string {
	if f := w.inventory.byID[elastic]; f != nil {
		return f.attributes["public_ip"]
	}
	return elastic
}

// follows: an elastic IP address needs a way to the internet.
func (instances) follows(w want[instanceSpec]) []string {
	if w.spec.ElasticIP == "" {
		return nil
	}
	return w.world.gatewaysOf(w.Resource)
}

func compareAttachments(d *differences, w want[instanceSpec], i instance) {
	have, wanted := attachmentsOf(i.Instance), map[string]string{}
	for _, a := range w.spec.Volumes {
		wanted[a.Device] = a.Volume
	}
	for _, device := range union(have, wanted) {
		if wanted[device] == "" && !w.world.takes(have[device]) {
			continue
		}
		d.set("volumes["+device+"]", have[device], wanted[device])
	}
}

// takes tells whether an instance gives up a volume that it should not have:
// not one that was attached by hand, or by a definition of its own.
func (w *world) takes(volume string) bool { return w.ours(volume) && !w.attachedBy(volume) }

func compareMetadata(d *differences, want metadataSpec, have *types.InstanceMetadataOptionsResponse) {
	if have == nil {
		return
	}
	d.set("metadata_options.http_tokens", string(have.HttpTokens), want.HTTPTokens)
	if want.HTTPPutResponseHopLimit != 0 {
		d.set("metadata_options.http_put_response_hop_limit", strconv.Itoa(int(aws.ToInt32(have.HttpPutResponseHopLimit))), strconv.Itoa(want.HTTPPutResponseHopLimit))
	}
	if want.InstanceMetadataTags != "" {
		d.set("metadata_options.instance_metadata_tags", string(have.InstanceMetadataTags), want.InstanceMetadataTags)
	}
}

// metadata are the options with the defaults that differ from EC2's: instances
// that share their user data learn from their tags which they are.
func (s *instanceSpec) metadata(r *project.Resource) metadataSpec {
	m := metadataSpec{}
	if s.MetadataOptions != nil {
		m = *s.MetadataOptions
	}
	if m.HTTPTokens == "" {
		m.HTTPTokens = string(types.HttpTokensStateRequired)
	}
	if m.InstanceMetadataTags == "" && alike(r, s) {
		m.InstanceMetadataTags = string(types.InstanceMetadataTagsStateEnabled)
	}
	return m
}

// key is the name of the key pair for logging in.
func (s *instanceSpec) key() string {
	if s.KeyPair != "" {
		return s.KeyPair
	}
	return s.KeyName
}

// tags make an instance tell what it runs, so that nobody has to look up its
// image, and hold the digest.
func (instances) tags(w want[instanceSpec]) map[string]string {
	set := map[string]string{tags.Digest: w.world.inputs(w.Resource, w.spec)}
	if w.spec.Image != "" {
		set[tags.Image] = w.spec.Image
		if b, ok := w.world.builds[w.spec.Image]; ok && b.version != "" {
			set[tags.Version] = b.version
		}
	}
	return set
}

// excludes: a private address cannot be given twice, and only a secondary one can
// move to be another's secondary one; a volume is on one instance at a time. From
// its own predecessor an instance takes volumes over while both exist.
func (instances) excludes(w want[instanceSpec], i instance) bool {
	s := w.spec
	if aws.ToString(i.SubnetId) == s.Subnet {
		primary := aws.ToString(i.PrivateIpAddress)
		if s.PrivateIP != "" && (s.PrivateIP == primary || has(secondaryOf(i.Instance), s.PrivateIP)) || primary != "" && has(s.SecondaryIPs, primary) {
			return true
		}
	}
	if !slices.ContainsFunc(s.Volumes, func(a attachmentSpec) bool { return has(i.on, a.Volume) }) {
		return false
	}
	return cloud.TagSet(i.Tags)[tags.UUID] != w.UUID
}

// inputs is the digest of what an instance was launched with that EC2 doesn't
// give back: name=digest, as tags can hold it. It is Unknown if the user data
// holds something that is not known yet.
func (w *world) inputs(r *project.Resource, s *instanceSpec) string {
	document, err := w.userData(r, s)
	if err != nil || strings.Contains(string(document), Unknown) {
		return Unknown
	}
	parts := []string{"user_data=" + shortDigest(document)}
	if s.RootBlockDevice != nil {
		text, _ := json.Marshal(s.RootBlockDevice) // numbers and strings: it cannot fail
		parts = append(parts, "root_block_device="+shortDigest(text))
	}
	if s.AssociatePublicIPAddress != nil {
		parts = append(parts, "associate_public_ip_address="+strconv.FormatBool(*s.AssociatePublicIPAddress))
	}
	return strings.Join(parts, " ")
}

func inputParts(digest string) map[string]string {
	if digest == Unknown {
		return map[string]string{"user_data": Unknown}
	}
	parts := map[string]string{}
	for _, part := range strings.Fields(digest) {
		if name, value, ok := strings.Cut(part, "="); ok {
			parts[name] = value
		}
	}
	return parts
}

func shortDigest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:10])
}

// userData renders the document that an instance is launched with.
func (w *world) userData(r *project.Resource, s *instanceSpec) ([]byte, error) {
	d := userdata.Document{
		Project: w.Project, Environment: w.environment, Region: w.region, Image: s.Image,
		Version: w.build(s).version, Address: r.Address, UUID: r.UUID,
	}
	if alike(r, s) {
		d.Address, d.UUID = definitionAddress(r), ""
	}
	if s.UserData != nil {
		d.Extra = s.UserData.Extra
	}
	return d.Render()
}

// digestOf is the digest of user data as EC2 gives it back.
func digestOf(encoded string) string {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	return "user_data=" + shortDigest(raw)
}
