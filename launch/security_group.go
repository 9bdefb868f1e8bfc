package launch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

type securityGroupAPI interface {
	CreateSecurityGroup(context.Context, *ec2.CreateSecurityGroupInput, ...func(*ec2.Options)) (*ec2.CreateSecurityGroupOutput, error)
	DeleteSecurityGroup(context.Context, *ec2.DeleteSecurityGroupInput, ...func(*ec2.Options)) (*ec2.DeleteSecurityGroupOutput, error)
	ruleAPI
}

type securityGroupSpec struct {
	VPC         string      `yaml:"vpc" ref:"vpc" change:"replaces" doc:"The VPC that the group belongs to; by default the account's default VPC."`
	GroupName   string      `yaml:"group_name" change:"replaces" doc:"The group's name within its VPC; by default the definition's."`
	Description string      `yaml:"description" change:"replaces" doc:"What the group is for." default:"the group's name"`
	Ingress     []ruleSpec  `yaml:"ingress" doc:"Who may reach the members of the group."`
	Egress      *[]ruleSpec `yaml:"egress" doc:"Whom the members of the group may reach; by default everyone."`
}

type ruleSpec struct {
	Protocol       string   `yaml:"protocol" doc:"tcp, udp, icmp, icmpv6, a protocol's number, or all." default:"tcp with ports, all without"`
	Port           *int     `yaml:"port" min:"0" max:"65535" doc:"One port, short for from_port and to_port."`
	FromPort       *int     `yaml:"from_port" min:"-1" max:"65535" doc:"The first port, or the type of ICMP."`
	ToPort         *int     `yaml:"to_port" min:"-1" max:"65535" doc:"The last port, or the code of ICMP."`
	CIDRBlocks     []string `yaml:"cidr_blocks" doc:"Addresses, IPv4 or IPv6."`
	SecurityGroups []string `yaml:"security_groups" ref:"security_group" late:"true" doc:"Groups whose members are meant."`
	Self           bool     `yaml:"self" doc:"The members of this group are meant."`
	Description    string   `yaml:"description" doc:"What the rule is for."`
}

type securityGroups struct{}

func (securityGroups) api(c *cloud.Cloud) securityGroupAPI { return c.EC2 }

func (securityGroups) about() project.Kind {
	return project.Kind{Name: "security_group", Doc: "Who may speak to whom.", Attributes: []string{"id", "group_name", "vpc_id"}, Owners: map[string]string{"vpc": "vpc"}}
}

func (securityGroups) check(c *checker, d definition[securityGroupSpec]) {
	for i, r := range d.spec.Ingress {
		r.check(c, d.Resource, fmt.Sprintf("ingress[%d]", i))
	}
	if d.spec.Egress != nil {
		for i, r := range *d.spec.Egress {
			r.check(c, d.Resource, fmt.Sprintf("egress[%d]", i))
		}
	}
	name := groupName(d.Resource, d.spec, 1)
	if d.Adopt == nil && (strings.HasPrefix(name, "sg-") || name == "default") {
		c.problems.AddHint(d.At("group_name"), "give the group another name, or a group_name", "EC2 keeps the group name %q for itself", name)
	}
	c.groupText(d.Resource, "description", d.spec.Description)
	c.groupText(d.Resource, "group_name", d.spec.GroupName)
}

// groupName is unique within a VPC, so that the second generation of a group
// needs another.
func groupName(r *project.Resource, s *securityGroupSpec, generation int) string {
	name := s.GroupName
	if name == "" {
		name = displayName(r)
	}
	if generation > 1 {
		name = fmt.Sprintf("%s (%d)", name, generation)
	}
	return name
}

func (securityGroups) list(ctx context.Context, q query) ([]types.SecurityGroup, error) {
	var all []types.SecurityGroup
	err := each(ctx, ec2.NewDescribeSecurityGroupsPaginator(q.cloud.EC2, &ec2.DescribeSecurityGroupsInput{Filters: q.filters, MaxResults: aws.Int32(pageSize)}), func(page *ec2.DescribeSecurityGroupsOutput) {
		all = append(all, page.SecurityGroups...)
	})
	return all, err
}

func (securityGroups) read(g types.SecurityGroup) state {
	s := state{
		id: aws.ToString(g.GroupId), tags: cloud.TagSet(g.Tags), uses: []string{aws.ToString(g.VpcId)},
		attributes: map[string]string{"group_name": aws.ToString(g.GroupName), "vpc_id": aws.ToString(g.VpcId)},
	}
	for _, r := range rulesOf(g) {
		if strings.HasPrefix(r.peer, "sg-") && r.peer != s.id && !slices.Contains(s.names, r.peer) {
			s.names = append(s.names, r.peer)
		}
	}
	slices.Sort(s.names)
	return s
}

func (securityGroups) compare(w want[securityGroupSpec], g types.SecurityGroup) (d differences) {
	if w.spec.VPC != "" {
		d.fixed("vpc", aws.ToString(g.VpcId), w.spec.VPC, "")
	}
	if w.spec.Description != "" {
		d.fixed("description", aws.ToString(g.Description), w.spec.Description, "")
	}
	if w.spec.GroupName != "" && !strings.HasPrefix(aws.ToString(g.GroupName), w.spec.GroupName) {
		d.fixed("group_name", aws.ToString(g.GroupName), w.spec.GroupName, "")
	}
	add, drop, _ := ruleChanges(rulesOf(g), w.spec.rules(aws.ToString(g.GroupId)))
	for _, r := range drop {
		d.set(r.direction(), r.String(), "")
	}
	for _, r := range add {
		d.set(r.direction(), "", r.String())
	}
	for _, r := range describedAnew(rulesOf(g), w.spec.rules(aws.ToString(g.GroupId))) {
		d.set(r.rule.direction(), r.rule.String()+" "+quoted(r.old), r.rule.String()+" "+quoted(r.rule.description))
	}
	return d
}

func (k securityGroups) create(ctx context.Context, t *task, w want[securityGroupSpec]) (types.SecurityGroup, error) {
	name := groupName(w.Resource, w.spec, t.generation)
	description := w.spec.Description
	if description == "" {
		description = name
	}
	out, err := k.api(t.Cloud).CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
		GroupName: aws.String(name), Description: aws.String(description), VpcId: optional(w.spec.VPC),
		TagSpecifications: t.birthTags(types.ResourceTypeSecurityGroup),
	})
	if err != nil {
		return types.SecurityGroup{}, err
	}
	return types.SecurityGroup{
		GroupId: out.GroupId, GroupName: aws.String(name), Description: aws.String(description), VpcId: optional(w.spec.VPC), Tags: out.Tags,
		// EC2 lets members of a new group reach everyone.
		IpPermissionsEgress: []types.IpPermission{{IpProtocol: aws.String("-1"), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}},
	}, nil
}

// update adds rules before it takes others away, so that there is no moment in
// which traffic that is allowed before and after is not.
func (k securityGroups) update(ctx context.Context, t *task, w want[securityGroupSpec], g types.SecurityGroup, _ differences) error {
	add, drop, anew := ruleChanges(rulesOf(g), w.spec.rules(aws.ToString(g.GroupId)))
	left := func(r rule) bool { return w.leaves(r.direction()) }
	add, drop, anew = slices.DeleteFunc(add, left), slices.DeleteFunc(drop, left), slices.DeleteFunc(anew, left)
	if err := authorize(ctx, k.api(t.Cloud), t, g.GroupId, add); err != nil {
		return err
	}
	if err := describeRules(ctx, k.api(t.Cloud), g.GroupId, anew); err != nil {
		return err
	}
	return revoke(ctx, k.api(t.Cloud), g.GroupId, drop)
}

// loosen takes away the rules that name other groups, so that groups that name
// each other can go.
func (k securityGroups) loosen(ctx context.Context, t *task, g types.SecurityGroup) error {
	var naming []rule
	for _, r := range rulesOf(g) {
		if strings.HasPrefix(r.peer, "sg-") && r.peer != aws.ToString(g.GroupId) {
			naming = append(naming, r)
		}
	}
	return revoke(ctx, k.api(t.Cloud), g.GroupId, naming)
}

func (k securityGroups) remove(ctx context.Context, t *task, g types.SecurityGroup) error {
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: g.GroupId})
		return err
	})
}
