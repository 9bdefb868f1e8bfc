package launch

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

// importAll imports into the site's project and gives what was found.
func (s *site) importAll(which ImportOptions) *Import {
	s.t.Helper()
	found, err := NewImport(context.Background(), s.options(), which)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, d := range found.Definitions {
		s.write(map[string]string{"topology/" + project.Folder(d.Kind) + "/" + d.Name + ".yaml": string(d.Text)})
	}
	return found
}

func (i *Import) text() string {
	var b strings.Builder
	for _, d := range i.Definitions {
		b.WriteString(d.Address() + "\n" + string(d.Text))
	}
	for _, l := range i.LeftOut {
		b.WriteString("left out " + l.Kind + " " + l.Name + ": " + l.Reason + "\n")
	}
	return b.String()
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// soon makes a call until EC2 is ready for it.
func soon(t *testing.T, call func() error) {
	t.Helper()
	if err := repeat(t.Context(), time.Minute, call, func(error) bool { return true }); err != nil {
		t.Fatal(err)
	}
}

func spec(of types.ResourceType, name string, more ...string) []types.TagSpecification {
	set := map[string]string{"Name": name}
	for i := 0; i+1 < len(more); i += 2 {
		set[more[i]] = more[i+1]
	}
	return []types.TagSpecification{cloud.TagSpec(of, set)}
}

const policyText = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::home/${aws:username}/*"}]}`
const trustText = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ec2.amazonaws.com"}}]}`

// byHand makes a network with something of every kind in it, with odd values,
// as people do who have no Goldline.
func byHand(t *testing.T, s *site) {
	t.Helper()
	ctx, c := t.Context(), s.cloud.EC2
	vpc := must[*ec2.CreateVpcOutput](t)(c.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.7.0.0/16"), TagSpecifications: spec(types.ResourceTypeVpc, "Läger: old & odd")})).Vpc.VpcId
	must[*ec2.ModifyVpcAttributeOutput](t)(c.ModifyVpcAttribute(ctx, &ec2.ModifyVpcAttributeInput{VpcId: vpc, EnableDnsHostnames: &types.AttributeBooleanValue{Value: aws.Bool(true)}}))
	must[*ec2.AssociateVpcCidrBlockOutput](t)(c.AssociateVpcCidrBlock(ctx, &ec2.AssociateVpcCidrBlockInput{VpcId: vpc, CidrBlock: aws.String("10.8.0.0/16")}))
	peer := must[*ec2.CreateVpcOutput](t)(c.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.9.0.0/16"), TagSpecifications: spec(types.ResourceTypeVpc, "007")})).Vpc.VpcId
	subnet := func(block, zone, name string) *string {
		return must[*ec2.CreateSubnetOutput](t)(c.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: aws.String(block), AvailabilityZone: aws.String(zone), TagSpecifications: spec(types.ResourceTypeSubnet, name)})).Subnet.SubnetId
	}
	// Two of one name: the block tells them apart.
	public, private := subnet("10.7.1.0/24", testRegion+"a", "app"), subnet("10.7.2.0/24", testRegion+"b", "app")
	must[*ec2.ModifySubnetAttributeOutput](t)(c.ModifySubnetAttribute(ctx, &ec2.ModifySubnetAttributeInput{SubnetId: public, MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: aws.Bool(true)}}))
	gateway := must[*ec2.CreateInternetGatewayOutput](t)(c.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{TagSpecifications: spec(types.ResourceTypeInternetGateway, "way out")})).InternetGateway.InternetGatewayId
	must[*ec2.AttachInternetGatewayOutput](t)(c.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: gateway, VpcId: vpc}))
	address := func(name string) *string {
		return must[*ec2.AllocateAddressOutput](t)(c.AllocateAddress(ctx, &ec2.AllocateAddressInput{TagSpecifications: spec(types.ResourceTypeElasticIp, name)})).AllocationId
	}
	natIP, bastionIP := address("nat"), address("bastion")
	must[*ec2.AllocateAddressOutput](t)(c.AllocateAddress(ctx, &ec2.AllocateAddressInput{})) // told by its address alone
	nat := must[*ec2.CreateNatGatewayOutput](t)(c.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{SubnetId: public, AllocationId: natIP, TagSpecifications: spec(types.ResourceTypeNatgateway, "nat")})).NatGateway.NatGatewayId
	peering := must[*ec2.CreateVpcPeeringConnectionOutput](t)(c.CreateVpcPeeringConnection(ctx, &ec2.CreateVpcPeeringConnectionInput{VpcId: vpc, PeerVpcId: peer, TagSpecifications: spec(types.ResourceTypeVpcPeeringConnection, "old-007")})).VpcPeeringConnection.VpcPeeringConnectionId
	soon(t, func() error {
		_, err := c.AcceptVpcPeeringConnection(ctx, &ec2.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: peering})
		return err
	})
	table := func(name string, subnet *string, block string, in *ec2.CreateRouteInput) *string {
		id := must[*ec2.CreateRouteTableOutput](t)(c.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: vpc, TagSpecifications: spec(types.ResourceTypeRouteTable, name)})).RouteTable.RouteTableId
		in.RouteTableId, in.DestinationCidrBlock = id, aws.String(block)
		must[*ec2.CreateRouteOutput](t)(c.CreateRoute(ctx, in))
		must[*ec2.AssociateRouteTableOutput](t)(c.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{RouteTableId: id, SubnetId: subnet}))
		return id
	}
	table("public", public, "0.0.0.0/0", &ec2.CreateRouteInput{GatewayId: gateway})
	inner := table("inner", private, "0.0.0.0/0", &ec2.CreateRouteInput{NatGatewayId: nat})
	soon(t, func() error {
		_, err := c.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: inner, DestinationCidrBlock: aws.String("10.9.0.0/16"), VpcPeeringConnectionId: peering})
		return err
	})
	must[*ec2.CreateVpcEndpointOutput](t)(c.CreateVpcEndpoint(ctx, &ec2.CreateVpcEndpointInput{VpcId: vpc, ServiceName: aws.String("com.amazonaws." + testRegion + ".s3"), RouteTableIds: []string{*inner}, TagSpecifications: spec(types.ResourceTypeVpcEndpoint, "s3")}))
	options := must[*ec2.CreateDhcpOptionsOutput](t)(c.CreateDhcpOptions(ctx, &ec2.CreateDhcpOptionsInput{TagSpecifications: spec(types.ResourceTypeDhcpOptions, "names"), DhcpConfigurations: []types.NewDhcpConfiguration{
		{Key: aws.String("domain-name"), Values: []string{"old.example.com"}}, {Key: aws.String("ntp-servers"), Values: []string{"10.7.0.5", "10.7.0.6"}}}})).DhcpOptions.DhcpOptionsId
	must[*ec2.AssociateDhcpOptionsOutput](t)(c.AssociateDhcpOptions(ctx, &ec2.AssociateDhcpOptionsInput{DhcpOptionsId: options, VpcId: vpc}))
	listByHand(t, s, vpc, private)
	web, db := groupsByHand(t, s, vpc)
	template, database := runByHand(t, s, public, private, web, db, bastionIP)
	peopleByHand(t, s)
	interfacesByHand(t, s, private, database)
	balancer, targets := frontByHand(t, s, vpc, []string{*public, *private}, web, database)
	scaledByHand(t, s, *template, private, targets)
	namesByHand(t, s, vpc, peer, balancer)
	namelessByHand(t, s, peer)
}

func listByHand(t *testing.T, s *site, vpc, subnet *string) {
	ctx, c := t.Context(), s.cloud.EC2
	acl := must[*ec2.CreateNetworkAclOutput](t)(c.CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{VpcId: vpc, TagSpecifications: spec(types.ResourceTypeNetworkAcl, "inner")})).NetworkAcl.NetworkAclId
	for _, egress := range []bool{true, false} {
		must[*ec2.CreateNetworkAclEntryOutput](t)(c.CreateNetworkAclEntry(ctx, &ec2.CreateNetworkAclEntryInput{NetworkAclId: acl, Egress: aws.Bool(egress), RuleNumber: aws.Int32(7), Protocol: aws.String("6"), RuleAction: types.RuleActionDeny,
			CidrBlock: aws.String("192.0.2.0/24"), PortRange: &types.PortRange{From: aws.Int32(1), To: aws.Int32(1023)}}))
		must[*ec2.CreateNetworkAclEntryOutput](t)(c.CreateNetworkAclEntry(ctx, &ec2.CreateNetworkAclEntryInput{NetworkAclId: acl, Egress: aws.Bool(egress), RuleNumber: aws.Int32(32766), Protocol: aws.String("-1"), RuleAction: types.RuleActionAllow, CidrBlock: aws.String("0.0.0.0/0")}))
	}
	lists := must[*ec2.DescribeNetworkAclsOutput](t)(c.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: []types.Filter{cloud.Filter("association.subnet-id", *subnet)}}))
	for _, a := range lists.NetworkAcls[0].Associations {
		if *a.SubnetId == *subnet {
			must[*ec2.ReplaceNetworkAclAssociationOutput](t)(c.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: a.NetworkAclAssociationId, NetworkAclId: acl}))
		}
	}
}

func groupsByHand(t *testing.T, s *site, vpc *string) (web, db *string) {
	ctx, c := t.Context(), s.cloud.EC2
	group := func(name string) *string {
		return must[*ec2.CreateSecurityGroupOutput](t)(c.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String(name), Description: aws.String("by hand: " + name), VpcId: vpc})).GroupId
	}
	web, db = group("web (public)"), group("db")
	permission := func(protocol string, from, to int32) types.IpPermission {
		return types.IpPermission{IpProtocol: aws.String(protocol), FromPort: aws.Int32(from), ToPort: aws.Int32(to)}
	}
	https, icmp, both, esp := permission("tcp", 443, 443), permission("icmp", 8, -1), permission("tcp", 5432, 5433), types.IpPermission{IpProtocol: aws.String("50")}
	https.IpRanges = []types.IpRange{{CidrIp: aws.String("0.0.0.0/0"), Description: aws.String("all; of {them}")}, {CidrIp: aws.String("192.0.2.7/32")}}
	https.Ipv6Ranges = []types.Ipv6Range{{CidrIpv6: aws.String("::/0")}}
	icmp.IpRanges, esp.IpRanges = []types.IpRange{{CidrIp: aws.String("10.0.0.0/8")}}, []types.IpRange{{CidrIp: aws.String("10.0.0.0/8")}}
	both.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: web, Description: aws.String("web")}, {GroupId: db}}
	permissions := []types.IpPermission{https, icmp}
	if s.local != nil { // moto takes no protocols by their numbers
		permissions = append(permissions, esp)
	}
	must[*ec2.AuthorizeSecurityGroupIngressOutput](t)(c.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: web, IpPermissions: permissions}))
	must[*ec2.AuthorizeSecurityGroupIngressOutput](t)(c.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: db, IpPermissions: []types.IpPermission{both}}))
	must[*ec2.RevokeSecurityGroupEgressOutput](t)(c.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: db, IpPermissions: []types.IpPermission{{IpProtocol: aws.String("-1"), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}}))
	return web, db
}

func runByHand(t *testing.T, s *site, public, private, web, db, bastionIP *string) (template, database *string) {
	ctx, c, i := t.Context(), s.cloud.EC2, s.cloud.IAM
	ami := s.someAMI()
	must[*ec2.ImportKeyPairOutput](t)(c.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{KeyName: aws.String("ops@example.com key"), PublicKeyMaterial: []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPHYLFMgqIXPrCPfeijGzVEJLYQiTZFxoMKuVl5DsLO ops")}))
	policy := must[*iam.CreatePolicyOutput](t)(i.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("home+own"), Description: aws.String("one's own"), PolicyDocument: aws.String(policyText)})).Policy.Arn
	must[*iam.CreateRoleOutput](t)(i.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("Old.Role"), Path: aws.String("/app/"), Description: aws.String("from before"), AssumeRolePolicyDocument: aws.String(trustText), MaxSessionDuration: aws.Int32(7200)}))
	must[*iam.AttachRolePolicyOutput](t)(i.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("Old.Role"), PolicyArn: policy}))
	must[*iam.AttachRolePolicyOutput](t)(i.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("Old.Role"), PolicyArn: s.managedPolicy()}))
	must[*iam.PutRolePolicyOutput](t)(i.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String("Old.Role"), PolicyName: aws.String("inline"), PolicyDocument: aws.String(policyText)}))
	must[*iam.CreateInstanceProfileOutput](t)(i.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: aws.String("old-profile")}))
	must[*iam.AddRoleToInstanceProfileOutput](t)(i.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: aws.String("old-profile"), RoleName: aws.String("Old.Role")}))
	run := func(name string, subnet, group *string, in *ec2.RunInstancesInput) *string {
		in.ImageId, in.InstanceType, in.MinCount, in.MaxCount, in.SubnetId, in.SecurityGroupIds = aws.String(ami), types.InstanceTypeT3Micro, aws.Int32(1), aws.Int32(1), subnet, []string{*group}
		in.TagSpecifications = spec(types.ResourceTypeInstance, name)
		id := *must[*ec2.RunInstancesOutput](t)(c.RunInstances(ctx, in)).Instances[0].InstanceId
		_, err := s.cloud.Instances.Wait(ctx, cloud.Wait[types.Instance]{ID: id, For: "it", Deadline: time.Minute, Done: func(i types.Instance, found bool) (bool, error) {
			return found && i.State.Name == types.InstanceStateNameRunning, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		return aws.String(id)
	}
	bastion := run("bastion", public, web, &ec2.RunInstancesInput{KeyName: aws.String("ops@example.com key"), UserData: aws.String("IyEvYmluL3NoCg=="), Monitoring: &types.RunInstancesMonitoringEnabled{Enabled: aws.Bool(true)},
		IamInstanceProfile: &types.IamInstanceProfileSpecification{Name: aws.String("old-profile")}, MetadataOptions: &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateOptional, HttpPutResponseHopLimit: aws.Int32(3)}})
	must[*ec2.AssociateAddressOutput](t)(c.AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: bastionIP, InstanceId: bastion}))
	db1 := run("db 1", private, db, &ec2.RunInstancesInput{DisableApiTermination: aws.Bool(true), InstanceInitiatedShutdownBehavior: types.ShutdownBehaviorTerminate, EbsOptimized: aws.Bool(true)})
	must[*ec2.ModifyInstanceAttributeOutput](t)(c.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: db1, SourceDestCheck: &types.AttributeBooleanValue{Value: aws.Bool(false)}}))
	volume := must[*ec2.CreateVolumeOutput](t)(c.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: aws.String(testRegion + "b"), Size: aws.Int32(11), VolumeType: types.VolumeTypeIo1, Iops: aws.Int32(300), TagSpecifications: spec(types.ResourceTypeVolume, "data", "owner", "dba")})).VolumeId
	_, err := s.cloud.Volumes.Wait(ctx, cloud.Wait[types.Volume]{ID: *volume, For: "it", Deadline: time.Minute, Done: func(v types.Volume, found bool) (bool, error) {
		return found && v.State == types.VolumeStateAvailable, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	must[*ec2.AttachVolumeOutput](t)(c.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: volume, InstanceId: db1, Device: aws.String("/dev/sdg")}))
	snapshot := must[*ec2.CreateSnapshotOutput](t)(c.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: volume, Description: aws.String("before: the move"), TagSpecifications: spec(types.ResourceTypeSnapshot, "data-1")})).SnapshotId
	_, err = s.cloud.Snapshots.Wait(ctx, cloud.Wait[types.Snapshot]{ID: *snapshot, For: "it", Deadline: time.Minute, Done: func(s types.Snapshot, found bool) (bool, error) {
		return found && s.State == types.SnapshotStateCompleted, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	made := must[*ec2.CreateLaunchTemplateOutput](t)(c.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("workers_v2"), LaunchTemplateData: &types.RequestLaunchTemplateData{
		ImageId: aws.String(ami), InstanceType: types.InstanceTypeT3Small, SecurityGroupIds: []string{*web}, UserData: aws.String("IyEvYmluL3NoCg=="), Monitoring: &types.LaunchTemplatesMonitoringRequest{Enabled: aws.Bool(true)}}}))
	return made.LaunchTemplate.LaunchTemplateId, db1
}

// someAMI is one that instances can be launched from.
func (s *site) someAMI() string {
	if s.local != nil {
		return s.build("old", "1")
	}
	first, _ := motoImages(s.t, s.cloud)
	return first
}

// managedPolicy is the ARN of a policy that AWS manages, or, since moto has none,
// of one that is as good.
func (s *site) managedPolicy() *string {
	if s.local != nil {
		return aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")
	}
	out, err := s.cloud.IAM.CreatePolicy(s.t.Context(), &iam.CreatePolicyInput{PolicyName: aws.String("managed"), PolicyDocument: aws.String(policyText)})
	if err != nil { // it is there
		return aws.String("arn:aws:iam::123456789012:policy/managed")
	}
	return out.Policy.Arn
}

// keptAsItIs: after an import a plan is empty, an audit finds nothing, a launch
// changes nothing, and a destruction removes nothing.
func (s *site) keptAsItIs() {
	s.t.Helper()
	s.settled()
	if audit, err := Audit(s.t.Context(), s.options()); err != nil || !audit.Empty() {
		s.t.Errorf("an audit finds %v, %v", audit, err)
	}
	if done := s.launch(); len(done.Changes) > 0 {
		s.t.Errorf("a launch changes %+v", done.Changes)
	}
	if plan, err := NewDestroyPlan(s.t.Context(), s.options()); err != nil || !plan.Empty() {
		s.t.Errorf("a destruction removes %v, %v", plan, err)
	}
	s.destroy()
	s.settled()
}

// TestImportOfEveryKind: after an import of what was made by hand, nothing is
// left to do, and every kind that can be imported is there.
func TestImportOfEveryKind(t *testing.T) {
	s := newSite(t, nil)
	byHand(t, s)
	before := s.inventory()
	found := s.importAll(ImportOptions{})
	sameInventory(t, "an import", before, s.inventory())
	s.keptAsItIs()
	sameInventory(t, "launch and destroy of what is adopted", before, s.inventory())
	kinds := map[string]bool{}
	for _, d := range found.Definitions {
		kinds[d.Kind] = true
		for _, line := range strings.Split(string(d.Text), "\n") {
			if anyID.MatchString(line) && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "ami: ") {
				t.Errorf("%s holds an ID: %s", d.Address(), line)
			}
		}
	}
	for _, kind := range Importable() {
		if !kinds[kind] {
			t.Errorf("no %s is imported", kind)
		}
	}
	if t.Failed() {
		t.Log(found.text())
	}
	if again := s.importAll(ImportOptions{}); len(again.Definitions) > 0 {
		t.Errorf("a second import finds %s", again.text())
	}
}

// TestImportOfWhatGoldlineMade: a platform that lost Goldline's tags is imported
// into an empty project, and nothing is left to do.
func TestImportOfWhatGoldlineMade(t *testing.T) {
	files := platform()
	files["topology/instances/web.yaml"] = strings.Replace(files["topology/instances/web.yaml"], "count: 2\n", "count: 3\n", 1)
	files["topology/vpcs/other.yaml"] = "cidr_block: 10.3.0.0/16\n"
	s := newSite(t, files)
	s.promote("web", "1.0.0")
	s.promote("db", "1.0.0")
	s.launch()
	s.loseTags()
	for name := range files {
		if strings.HasPrefix(name, "topology/") {
			s.write(map[string]string{name: ""})
		}
	}
	found := s.importAll(ImportOptions{})
	s.settled()
	text := found.text()
	for _, want := range []string{"instance.web-2\n", "instance.web-0\n", "volume: orders", "vpc.other\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the import does not hold %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// loseTags takes Goldline's tags off everything that EC2 knows.
func (s *site) loseTags() {
	s.t.Helper()
	ctx := s.t.Context()
	out, err := s.cloud.EC2.DescribeTags(ctx, &ec2.DescribeTagsInput{Filters: []types.Filter{cloud.Filter("key", "goldline:*")}})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, tag := range out.Tags {
		if tag.ResourceType == types.ResourceTypeImage || tag.ResourceType == types.ResourceTypeSnapshot {
			continue
		}
		if _, err := s.cloud.EC2.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{*tag.ResourceId}, Tags: []types.Tag{{Key: tag.Key}}}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestImportBesideDefinitions: what definitions have is referred to and not
// written again; what cannot be told apart is left out, with what to do.
func TestImportBesideDefinitions(t *testing.T) {
	s := newSite(t, map[string]string{"topology/vpcs/main.yaml": "cidr_block: 10.0.0.0/16\n", "topology/security_groups/app.yaml": "vpc: main\n"})
	s.launch()
	ctx, c := t.Context(), s.cloud.EC2
	vpc := aws.String(s.id("vpc.main"))
	must[*ec2.CreateSubnetOutput](t)(c.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: aws.String("10.0.1.0/24"), TagSpecifications: spec(types.ResourceTypeSubnet, "by hand", "team", "a")}))
	must[*ec2.CreateSecurityGroupOutput](t)(c.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String("app!"), Description: aws.String("x"), VpcId: vpc}))
	for range 2 {
		must[*ec2.CreateRouteTableOutput](t)(c.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: vpc}))
		must[*ec2.CreateDhcpOptionsOutput](t)(c.CreateDhcpOptions(ctx, &ec2.CreateDhcpOptionsInput{TagSpecifications: spec(types.ResourceTypeDhcpOptions, "twins"),
			DhcpConfigurations: []types.NewDhcpConfiguration{{Key: aws.String("domain-name"), Values: []string{"a.example"}}}}))
	}
	if only := s.importAll(ImportOptions{Tags: map[string]string{"team": "a"}}); len(only.Definitions) != 1 || only.Definitions[0].Name != "by-hand" || !strings.Contains(string(only.Definitions[0].Text), "vpc: main\n") {
		t.Errorf("by tag there is\n%s", only.text())
	}
	found := s.importAll(ImportOptions{VPC: "main"})
	text := found.text()
	if !strings.Contains(text, "security_group.app-2\n") || len(found.Definitions) != 1 || strings.Count(text, "nothing but its ID") != 0 && strings.Count(text, "left out route_table") != 2 {
		t.Errorf("in the VPC there is\n%s", text)
	}
	text = s.importAll(ImportOptions{}).text()
	if strings.Count(text, "left out dhcp_options twins: nothing but its ID tells it apart from dopt-") != 2 {
		t.Errorf("twins: %s", text)
	}
	s.settled()
	for kind, want := range map[string]string{"vcp": "no kind \"vcp\"", "attachment": "as volumes"} {
		if _, err := NewImport(ctx, s.options(), ImportOptions{Kinds: []string{kind}}); exitCode(err) != 2 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if _, err := NewImport(ctx, s.options(), ImportOptions{VPC: "nowhere"}); exitCode(err) != 2 {
		t.Errorf("no VPC: %v", err)
	}
}
