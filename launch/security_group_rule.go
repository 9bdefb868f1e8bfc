package launch

import (
	"context"
	"fmt"
	"net/netip"
	"sort"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

type ruleAPI interface {
	AuthorizeSecurityGroupIngress(context.Context, *ec2.AuthorizeSecurityGroupIngressInput, ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupIngressOutput, error)
	AuthorizeSecurityGroupEgress(context.Context, *ec2.AuthorizeSecurityGroupEgressInput, ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupEgressOutput, error)
	RevokeSecurityGroupIngress(context.Context, *ec2.RevokeSecurityGroupIngressInput, ...func(*ec2.Options)) (*ec2.RevokeSecurityGroupIngressOutput, error)
	RevokeSecurityGroupEgress(context.Context, *ec2.RevokeSecurityGroupEgressInput, ...func(*ec2.Options)) (*ec2.RevokeSecurityGroupEgressOutput, error)
	UpdateSecurityGroupRuleDescriptionsIngress(context.Context, *ec2.UpdateSecurityGroupRuleDescriptionsIngressInput, ...func(*ec2.Options)) (*ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput, error)
	UpdateSecurityGroupRuleDescriptionsEgress(context.Context, *ec2.UpdateSecurityGroupRuleDescriptionsEgressInput, ...func(*ec2.Options)) (*ec2.UpdateSecurityGroupRuleDescriptionsEgressOutput, error)
}

// rule is one rule in the form in which rules are compared: one peer, EC2's
// names of protocols. All but the description is its identity to EC2.
type rule struct {
	egress      bool
	protocol    string // tcp, udp, icmp, icmpv6, -1 for all, or a number
	from, to    int    // -1, -1 where ports mean nothing
	peer        string // a block, or a group's ID
	description string
}

func (r rule) key() rule { r.description = ""; return r }

func (r rule) direction() string {
	if r.egress {
		return "egress"
	}
	return "ingress"
}

// String is the rule for people: tcp 80 from 0.0.0.0/0.
func (r rule) String() string {
	what := r.protocol
	switch {
	case r.protocol == "-1":
		what = "all"
	case r.from == -1 && r.to == -1:
	case r.from == r.to:
		what += " " + strconv.Itoa(r.from)
	default:
		what += fmt.Sprintf(" %d-%d", r.from, r.to)
	}
	if r.egress {
		return what + " to " + r.peer
	}
	return what + " from " + r.peer
}

func quoted(s string) string { return "(" + strconv.Quote(s) + ")" }

// protocolName is EC2's name of a protocol.
func protocolName(s string) string {
	switch strings.ToLower(s) {
	case "all", "-1":
		return "-1"
	case "6":
		return "tcp"
	case "17":
		return "udp"
	case "1":
		return "icmp"
	case "58":
		return "icmpv6"
	}
	return strings.ToLower(s)
}

// parts are the protocol and ports that a definition of a rule means.
func (r ruleSpec) parts() (protocol string, from, to int) {
	from, to = -1, -1
	if r.Port != nil {
		from, to = *r.Port, *r.Port
	}
	if r.FromPort != nil {
		from = *r.FromPort
		to = from
	}
	if r.ToPort != nil {
		to = *r.ToPort
	}
	protocol = protocolName(r.Protocol)
	switch {
	case protocol == "" && from >= 0:
		protocol = "tcp"
	case protocol == "":
		protocol = "-1"
	}
	switch protocol {
	case "-1":
		from, to = -1, -1
	case "tcp", "udp":
		if from == -1 && to == -1 {
			from, to = 0, 65535
		}
	}
	return protocol, from, to
}

func (r ruleSpec) check(c *checker, owner *project.Resource, path string) {
	at := owner.At(path)
	protocol, from, to := r.parts()
	switch protocol {
	case "tcp", "udp":
		if from > to || from < 0 {
			c.problems.Addf(at, "ports %d to %d: the first must not be above the last", from, to)
		}
	case "icmp", "icmpv6", "-1":
	default:
		if n, err := strconv.Atoi(protocol); err != nil || n < 0 || n > 255 {
			c.problems.AddHint(owner.At(path+".protocol"), "tcp, udp, icmp, icmpv6, all or a number", "unknown protocol %q", r.Protocol)
		}
	}
	if r.Port != nil && (r.FromPort != nil || r.ToPort != nil) {
		c.problems.AddHint(at, "give port, or from_port and to_port", "port beside from_port or to_port")
	}
	if protocol == "-1" && (r.Port != nil || r.FromPort != nil && *r.FromPort > 0) {
		c.problems.AddHint(owner.At(path+".protocol"), "name a protocol: tcp", "ports mean nothing with all protocols")
	}
	if len(r.CIDRBlocks) == 0 && len(r.SecurityGroups) == 0 && !r.Self {
		c.problems.AddHint(at, "give cidr_blocks, security_groups or self", "the rule names no peer")
	}
	for i, block := range r.CIDRBlocks {
		c.block(owner, fmt.Sprintf("%s.cidr_blocks[%d]", path, i), block, 0, 128)
	}
	c.groupText(owner, path+".description", r.Description)
}

// rules are those that a definition asks for; group is the group's own ID.
func (s *securityGroupSpec) rules(group string) []rule {
	var all []rule
	add := func(list []ruleSpec, egress bool) {
		for _, r := range list {
			protocol, from, to := r.parts()
			one := rule{egress: egress, protocol: protocol, from: from, to: to, description: r.Description}
			for _, peer := range r.peers(group) {
				one.peer = peer
				all = append(all, one)
			}
		}
	}
	add(s.Ingress, false)
	if s.Egress == nil {
		all = append(all, rule{egress: true, protocol: "-1", from: -1, to: -1, peer: "0.0.0.0/0"})
	} else {
		add(*s.Egress, true)
	}
	return all
}

func (r ruleSpec) peers(group string) []string {
	var peers []string
	for _, block := range r.CIDRBlocks {
		peers = append(peers, canonical(block))
	}
	peers = append(peers, r.SecurityGroups...)
	if r.Self {
		peers = append(peers, group)
	}
	return peers
}

// rulesOf are the rules that a group has.
func rulesOf(g types.SecurityGroup) []rule {
	var all []rule
	add := func(list []types.IpPermission, egress bool) {
		for _, p := range list {
			one := rule{egress: egress, protocol: protocolName(aws.ToString(p.IpProtocol)), from: -1, to: -1}
			if one.protocol != "-1" && p.FromPort != nil && p.ToPort != nil {
				one.from, one.to = int(*p.FromPort), int(*p.ToPort)
			}
			peer := func(id, description *string) {
				one.peer, one.description = aws.ToString(id), aws.ToString(description)
				all = append(all, one)
			}
			for _, r := range p.IpRanges {
				peer(r.CidrIp, r.Description)
			}
			for _, r := range p.Ipv6Ranges {
				peer(r.CidrIpv6, r.Description)
			}
			for _, r := range p.UserIdGroupPairs {
				peer(r.GroupId, r.Description)
			}
			for _, r := range p.PrefixListIds {
				peer(r.PrefixListId, r.Description)
			}
		}
	}
	add(g.IpPermissions, false)
	add(g.IpPermissionsEgress, true)
	return all
}

// described is a rule that is there with another description.
type described struct {
	rule rule
	old  string
}

// ruleChanges compares rules as sets: each is there or not, whatever the
// order and however they are grouped.
func ruleChanges(have, wanted []rule) (add, drop []rule, anew []rule) {
	is, should := map[rule]rule{}, map[rule]rule{}
	for _, r := range have {
		is[r.key()] = r
	}
	for _, r := range wanted {
		should[r.key()] = r
	}
	for k, r := range should {
		old, ok := is[k]
		switch {
		case !ok:
			add = append(add, r)
		case old.description != r.description:
			anew = append(anew, r)
		}
	}
	for k, r := range is {
		if _, ok := should[k]; !ok {
			drop = append(drop, r)
		}
	}
	for _, list := range [][]rule{add, drop, anew} {
		sort.Slice(list, func(i, j int) bool {
			if list[i].egress != list[j].egress {
				return list[j].egress
			}
			return list[i].String() < list[j].String()
		})
	}
	return add, drop, anew
}

func describedAnew(have, wanted []rule) []described {
	old := map[rule]string{}
	for _, r := range have {
		old[r.key()] = r.description
	}
	_, _, anew := ruleChanges(have, wanted)
	var all []described
	for _, r := range anew {
		all = append(all, described{r, old[r.key()]})
	}
	return all
}

// permissions are the rules of one direction as EC2 takes them.
func permissions(rules []rule, egress bool) []types.IpPermission {
	var all []types.IpPermission
	for _, r := range rules {
		if r.egress != egress {
			continue
		}
		p := types.IpPermission{IpProtocol: aws.String(r.protocol)}
		if r.protocol != "-1" && (r.from != -1 || r.to != -1 || strings.HasPrefix(r.protocol, "icmp")) {
			p.FromPort, p.ToPort = aws.Int32(int32(r.from)), aws.Int32(int32(r.to))
		}
		description := optional(r.description)
		block, err := netip.ParsePrefix(r.peer)
		switch {
		case err == nil && block.Addr().Is4():
			p.IpRanges = []types.IpRange{{CidrIp: aws.String(r.peer), Description: description}}
		case err == nil:
			p.Ipv6Ranges = []types.Ipv6Range{{CidrIpv6: aws.String(r.peer), Description: description}}
		case strings.HasPrefix(r.peer, "pl-"):
			p.PrefixListIds = []types.PrefixListId{{PrefixListId: aws.String(r.peer), Description: description}}
		default:
			p.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: aws.String(r.peer), Description: description}}
		}
		all = append(all, p)
	}
	return all
}

// authorize adds rules. EC2 takes all rules of a direction in one call, and
// either adds all of them or none.
func authorize(ctx context.Context, api ruleAPI, t *task, group *string, rules []rule) error {
	there := func(egress bool) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			list, err := securityGroups{}.list(ctx, query{cloud: t.Cloud, filters: []types.Filter{cloud.Filter("group-id", aws.ToString(group))}})
			if err != nil || len(list) == 0 {
				return false, err
			}
			missing, _, _ := ruleChanges(rulesOf(list[0]), rules)
			return len(permissions(missing, egress)) == 0, nil
		}
	}
	if list := permissions(rules, false); len(list) > 0 {
		err := t.again(ctx, func() error {
			_, err := api.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: list})
			return err
		}, there(false))
		if err != nil {
			return fmt.Errorf("ingress: %w", err)
		}
	}
	if list := permissions(rules, true); len(list) > 0 {
		err := t.again(ctx, func() error {
			_, err := api.AuthorizeSecurityGroupEgress(ctx, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: group, IpPermissions: list})
			return err
		}, there(true))
		if err != nil {
			return fmt.Errorf("egress: %w", err)
		}
	}
	return nil
}

// revoke takes rules away; those that are gone already are no error.
func revoke(ctx context.Context, api ruleAPI, group *string, rules []rule) error {
	if list := permissions(rules, false); len(list) > 0 {
		_, err := api.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: group, IpPermissions: list})
		if err != nil && !cloud.NotFound(err) {
			return fmt.Errorf("ingress: %w", err)
		}
	}
	if list := permissions(rules, true); len(list) > 0 {
		_, err := api.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: group, IpPermissions: list})
		if err != nil && !cloud.NotFound(err) {
			return fmt.Errorf("egress: %w", err)
		}
	}
	return nil
}

func describeRules(ctx context.Context, api ruleAPI, group *string, rules []rule) error {
	if list := permissions(rules, false); len(list) > 0 {
		_, err := api.UpdateSecurityGroupRuleDescriptionsIngress(ctx, &ec2.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: group, IpPermissions: list})
		if err != nil {
			return fmt.Errorf("ingress: %w", err)
		}
	}
	if list := permissions(rules, true); len(list) > 0 {
		_, err := api.UpdateSecurityGroupRuleDescriptionsEgress(ctx, &ec2.UpdateSecurityGroupRuleDescriptionsEgressInput{GroupId: group, IpPermissions: list})
		if err != nil {
			return fmt.Errorf("egress: %w", err)
		}
	}
	return nil
}
