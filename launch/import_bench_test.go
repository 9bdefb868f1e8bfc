package launch

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// BenchmarkImport imports security groups that something else made, and plans
// the definitions that come of it: twice as many of one kind are to take twice
// as long.
func BenchmarkImport(b *testing.B) {
	for _, n := range []int{500, 1000, 2000} {
		s := manyGroups(b, n)
		o := s.options()
		b.Run(fmt.Sprintf("import/%d", n), func(b *testing.B) {
			for b.Loop() {
				if found, err := NewImport(context.Background(), o, ImportOptions{}); err != nil || len(found.Definitions) != n+2 {
					b.Fatal(err)
				}
			}
		})
		s.importAll(ImportOptions{})
		o = s.options()
		b.Run(fmt.Sprintf("plan/%d", n), func(b *testing.B) {
			for b.Loop() {
				if plan, err := NewPlan(context.Background(), o); err != nil || !plan.Empty() {
					b.Fatal(err, summaryOf(plan))
				}
			}
		})
	}
}

// manyGroups is a site with two VPCs that hold n security groups between them.
// Of each name there are two, one in each, so that a name alone tells none apart,
// and each lets in the one before it.
func manyGroups(t testing.TB, n int) *site {
	t.Helper()
	s := newSite(t, nil)
	var vpcs []*string
	for i := range 2 {
		out, err := s.cloud.EC2.CreateVpc(context.Background(), &ec2.CreateVpcInput{CidrBlock: aws.String(fmt.Sprintf("10.%d.0.0/16", i)), TagSpecifications: spec(types.ResourceTypeVpc, "vpc-"+strings.Repeat("x", i))})
		if err != nil {
			t.Fatal(err)
		}
		vpcs = append(vpcs, out.Vpc.VpcId)
	}
	var groups []string
	for i := range n {
		in := &ec2.CreateSecurityGroupInput{GroupName: aws.String(fmt.Sprintf("group-%d", i/2)), Description: aws.String("of something else"), VpcId: vpcs[i%2], TagSpecifications: spec(types.ResourceTypeSecurityGroup, fmt.Sprintf("group-%d", i/2), "team", "shop")}
		out, err := s.cloud.EC2.CreateSecurityGroup(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		if groups = append(groups, *out.GroupId); i < 2 {
			continue
		}
		rule := types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(80), ToPort: aws.Int32(80), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &groups[i-2]}}}
		if _, err := s.cloud.EC2.AuthorizeSecurityGroupIngress(context.Background(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: out.GroupId, IpPermissions: []types.IpPermission{rule}}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}
