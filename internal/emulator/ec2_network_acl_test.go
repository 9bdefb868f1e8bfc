package emulator

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestNetworkACLs(t *testing.T) {
	c := newTestCloud(t, Options{})
	ctx := t.Context()
	vpc := makeVPC(t, c, "10.0.0.0/16")
	subnet := makeSubnet(t, c, vpc, "10.0.1.0/24")
	under := func() types.NetworkAcl {
		list := must(c.ec2.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: where("association.subnet-id", subnet)}))(t).NetworkAcls
		if len(list) != 1 {
			t.Fatalf("lists of the subnet: %+v", list)
		}
		return list[0]
	}
	first := under()
	id := *must(c.ec2.CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{VpcId: &vpc}))(t).NetworkAcl.NetworkAclId
	entry := &ec2.CreateNetworkAclEntryInput{NetworkAclId: &id, Egress: new(false), RuleNumber: new(int32(100)), Protocol: new("6"), RuleAction: types.RuleActionAllow, CidrBlock: new("10.0.0.0/8")}
	_, err := c.ec2.CreateNetworkAclEntry(ctx, entry)
	wantCode(t, err, "MissingParameter")
	entry.PortRange = &types.PortRange{From: new(int32(80)), To: new(int32(80))}
	must(c.ec2.CreateNetworkAclEntry(ctx, entry))(t)
	_, err = c.ec2.CreateNetworkAclEntry(ctx, entry)
	wantCode(t, err, "NetworkAclEntryAlreadyExists")
	_, err = c.ec2.DeleteNetworkAclEntry(ctx, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: &id, Egress: new(true), RuleNumber: new(int32(100))})
	wantCode(t, err, "InvalidNetworkAclEntry.NotFound")
	must(c.ec2.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: first.Associations[0].NetworkAclAssociationId, NetworkAclId: &id}))(t)
	now := under()
	if *now.NetworkAclId != id || len(now.Entries) != 3 || deref(now.IsDefault) {
		t.Errorf("the subnet's list: %+v", now)
	}
	_, err = c.ec2.DeleteNetworkAcl(ctx, &ec2.DeleteNetworkAclInput{NetworkAclId: &id})
	wantCode(t, err, "DependencyViolation")
	_, err = c.ec2.DeleteNetworkAcl(ctx, &ec2.DeleteNetworkAclInput{NetworkAclId: first.NetworkAclId})
	wantCode(t, err, "InvalidParameterValue")
	must(c.ec2.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: now.Associations[0].NetworkAclAssociationId, NetworkAclId: first.NetworkAclId}))(t)
	must(c.ec2.DeleteNetworkAcl(ctx, &ec2.DeleteNetworkAclInput{NetworkAclId: &id}))(t)
}
