package launch

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

type networkACLAPI interface {
	CreateNetworkAcl(context.Context, *ec2.CreateNetworkAclInput, ...func(*ec2.Options)) (*ec2.CreateNetworkAclOutput, error)
	DeleteNetworkAcl(context.Context, *ec2.DeleteNetworkAclInput, ...func(*ec2.Options)) (*ec2.DeleteNetworkAclOutput, error)
	CreateNetworkAclEntry(context.Context, *ec2.CreateNetworkAclEntryInput, ...func(*ec2.Options)) (*ec2.CreateNetworkAclEntryOutput, error)
	ReplaceNetworkAclEntry(context.Context, *ec2.ReplaceNetworkAclEntryInput, ...func(*ec2.Options)) (*ec2.ReplaceNetworkAclEntryOutput, error)
	DeleteNetworkAclEntry(context.Context, *ec2.DeleteNetworkAclEntryInput, ...func(*ec2.Options)) (*ec2.DeleteNetworkAclEntryOutput, error)
	ReplaceNetworkAclAssociation(context.Context, *ec2.ReplaceNetworkAclAssociationInput, ...func(*ec2.Options)) (*ec2.ReplaceNetworkAclAssociationOutput, error)
}

type networkACLSpec struct {
	VPC     string         `yaml:"vpc" ref:"vpc" required:"true" change:"replaces" doc:"The VPC that the list belongs to."`
	Subnets []string       `yaml:"subnets" ref:"subnet" doc:"Subnets whose traffic the list filters. One that is taken off gets the VPC's default list again."`
	Ingress []aclEntrySpec `yaml:"ingress" doc:"What may come in. What no entry allows is denied."`
	Egress  []aclEntrySpec `yaml:"egress" doc:"What may go out: answers too, since the list does not remember who began."`
}

type aclEntrySpec struct {
	RuleNumber int    `yaml:"rule_number" required:"true" min:"1" max:"32766" doc:"Place of the entry: the lowest that matches decides."`
	RuleAction string `yaml:"rule_action" enum:"allow,deny" doc:"What becomes of the traffic." default:"allow"`
	Protocol   string `yaml:"protocol" enum:"all,tcp,udp,icmp" doc:"Protocol of the traffic." default:"tcp with ports, icmp with an icmp_type, all without"`
	CIDRBlock  string `yaml:"cidr_block" required:"true" doc:"The addresses at the other end."`
	FromPort   *int   `yaml:"from_port" min:"0" max:"65535" doc:"The first port."`
	ToPort     *int   `yaml:"to_port" min:"0" max:"65535" doc:"The last port." default:"from_port"`
	ICMPType   *int   `yaml:"icmp_type" min:"-1" max:"255" doc:"Type of ICMP message: 8 asks for an echo, 0 is the answer; -1 is all." default:"-1"`
	ICMPCode   *int   `yaml:"icmp_code" min:"-1" max:"255" doc:"Code of the message within its type; -1 is all." default:"-1"`
}

// aclKey is the place of an entry.
type aclKey struct {
	egress bool
	number int32
}

func (k aclKey) path() string {
	if k.egress {
		return "egress[" + strconv.Itoa(int(k.number)) + "]"
	}
	return "ingress[" + strconv.Itoa(int(k.number)) + "]"
}

// aclProtocols are EC2's numbers, which it wants in place of names.
var aclProtocols = [...]struct{ name, number string }{{"all", "-1"}, {"icmp", "1"}, {"tcp", "6"}, {"udp", "17"}}

func (e aclEntrySpec) entry(egress bool) types.NetworkAclEntry {
	name := e.Protocol
	if name == "" && (e.ICMPType != nil || e.ICMPCode != nil) {
		name = "icmp"
	} else if name == "" && e.FromPort == nil {
		name = "all"
	} else if name == "" {
		name = "tcp"
	}
	out := types.NetworkAclEntry{Egress: aws.Bool(egress), RuleNumber: aws.Int32(int32(e.RuleNumber)), CidrBlock: aws.String(canonical(e.CIDRBlock)), RuleAction: types.RuleAction(e.RuleAction)}
	if out.RuleAction == "" {
		out.RuleAction = types.RuleActionAllow
	}
	for _, p := range aclProtocols {
		if p.name == name {
			out.Protocol = aws.String(p.number)
		}
	}
	switch name {
	case "all":
		return out
	case "icmp":
		out.IcmpTypeCode = &types.IcmpTypeCode{Type: aws.Int32(orAll(e.ICMPType)), Code: aws.Int32(orAll(e.ICMPCode))}
		return out
	}
	from, to := 0, 65535
	if e.FromPort != nil {
		from, to = *e.FromPort, *e.FromPort
	}
	if e.ToPort != nil {
		to = *e.ToPort
	}
	out.PortRange = &types.PortRange{From: aws.Int32(int32(from)), To: aws.Int32(int32(to))}
	return out
}

// orAll is a type or a code of ICMP; EC2 writes all of them as -1.
func orAll(n *int) int32 {
	if n == nil {
		return -1
	}
	return int32(*n)
}

// aclText is an entry for people, and for comparing.
func aclText(e types.NetworkAclEntry) string {
	name := aws.ToString(e.Protocol)
	for _, p := range aclProtocols {
		if p.number == name {
			name = p.name
		}
	}
	text := fmt.Sprintf("%s %s %s", e.RuleAction, name, aws.ToString(e.CidrBlock)+aws.ToString(e.Ipv6CidrBlock))
	if i := e.IcmpTypeCode; i != nil && name == "icmp" {
		text += fmt.Sprintf(" type %d code %d", aws.ToInt32(i.Type), aws.ToInt32(i.Code))
	}
	if e.PortRange != nil && (name == "tcp" || name == "udp") {
		text += fmt.Sprintf(" %d-%d", aws.ToInt32(e.PortRange.From), aws.ToInt32(e.PortRange.To))
	}
	return text
}

// entries are those of a definition, by place.
func (s *networkACLSpec) entries() map[aclKey]types.NetworkAclEntry {
	all := map[aclKey]types.NetworkAclEntry{}
	for egress, list := range map[bool][]aclEntrySpec{false: s.Ingress, true: s.Egress} {
		for _, e := range list {
			all[aclKey{egress, int32(e.RuleNumber)}] = e.entry(egress)
		}
	}
	return all
}

// lastACLEntry is the place of the entry that denies the rest and stays.
const lastACLEntry = 32767

func aclEntries(a types.NetworkAcl) map[aclKey]types.NetworkAclEntry {
	all := map[aclKey]types.NetworkAclEntry{}
	for _, e := range a.Entries {
		if n := aws.ToInt32(e.RuleNumber); n < lastACLEntry {
			all[aclKey{aws.ToBool(e.Egress), n}] = e
		}
	}
	return all
}

type networkACLs struct{}

func (networkACLs) api(c *cloud.Cloud) networkACLAPI { return c.EC2 }

func (networkACLs) about() project.Kind {
	return project.Kind{Name: "network_acl", Doc: "A list of what may enter and leave subnets.", Attributes: []string{"id"}, Traits: []string{"default"}, Owners: map[string]string{"subnet": "subnet", "vpc": "vpc"}}
}

func (networkACLs) check(c *checker, d definition[networkACLSpec]) {
	for side, list := range map[string][]aclEntrySpec{"ingress": d.spec.Ingress, "egress": d.spec.Egress} {
		seen := map[int]bool{}
		for i, e := range list {
			path := fmt.Sprintf("%s[%d]", side, i)
			if seen[e.RuleNumber] {
				c.problems.Addf(d.At(path+".rule_number"), "a second entry %d", e.RuleNumber)
			}
			seen[e.RuleNumber] = true
			c.block(d.Resource, path+".cidr_block", e.CIDRBlock, 0, 32)
			switch {
			case e.Protocol == "icmp" && (e.FromPort != nil || e.ToPort != nil):
				c.problems.AddHint(d.At(path+".protocol"), "give icmp_type and icmp_code", "icmp has no ports")
			case (e.ICMPType != nil || e.ICMPCode != nil) && (e.Protocol != "" && e.Protocol != "icmp" || e.FromPort != nil || e.ToPort != nil):
				c.problems.Addf(d.At(path), "icmp_type and icmp_code are for protocol icmp, which has no ports")
			case e.ICMPCode != nil && *e.ICMPCode >= 0 && orAll(e.ICMPType) < 0:
				c.problems.Addf(d.At(path+".icmp_code"), "a code is one of a type: give icmp_type, too")
			case e.Protocol == "all" && (e.FromPort != nil || e.ToPort != nil):
				c.problems.Addf(d.At(path+".protocol"), "all protocols have no ports")
			case e.ToPort != nil && (e.FromPort == nil || *e.FromPort > *e.ToPort):
				c.problems.Addf(d.At(path+".to_port"), "to_port needs a from_port that is no higher")
			}
		}
	}
	for _, ref := range d.Refs {
		for _, other := range c.before(d.Resource) {
			if ref.Kind == "subnet" && slices.ContainsFunc(other.Refs, func(r project.Ref) bool { return r.Address == ref.Address }) {
				c.problems.Addf(ref.Pos, "%s is filtered by %s already", ref.Address, other.Address)
			}
		}
	}
}

func (networkACLs) list(ctx context.Context, q query) ([]types.NetworkAcl, error) {
	var all []types.NetworkAcl
	err := each(ctx, ec2.NewDescribeNetworkAclsPaginator(q.cloud.EC2, &ec2.DescribeNetworkAclsInput{Filters: q.filters, MaxResults: aws.Int32(pageSize)}), func(page *ec2.DescribeNetworkAclsOutput) {
		all = append(all, page.NetworkAcls...)
	})
	return all, err
}

func aclSubnets(a types.NetworkAcl) map[string]string {
	all := map[string]string{}
	for _, x := range a.Associations {
		all[aws.ToString(x.SubnetId)] = aws.ToString(x.NetworkAclAssociationId)
	}
	return all
}

func (networkACLs) read(a types.NetworkAcl) state {
	return state{id: aws.ToString(a.NetworkAclId), tags: cloud.TagSet(a.Tags), uses: []string{aws.ToString(a.VpcId)}, names: union(aclSubnets(a)), attributes: map[string]string{"default": strconv.FormatBool(aws.ToBool(a.IsDefault))}}
}

func (networkACLs) compare(w want[networkACLSpec], a types.NetworkAcl) (d differences) {
	d.fixed("vpc", aws.ToString(a.VpcId), w.spec.VPC, "")
	have, wanted := aclEntries(a), w.spec.entries()
	for _, k := range aclKeys(have, wanted) {
		old, new := "", ""
		if e, ok := have[k]; ok {
			old = aclText(e)
		}
		if e, ok := wanted[k]; ok {
			new = aclText(e)
		}
		d.set(k.path(), old, new)
	}
	associated := aclSubnets(a)
	for _, id := range w.spec.Subnets {
		if _, ok := associated[id]; !ok {
			d = append(d, difference{path: "subnets", new: id})
		}
	}
	for _, id := range union(associated) {
		if !has(w.spec.Subnets, id) {
			d = append(d, difference{path: "subnets", old: id})
		}
	}
	return d
}

// aclKeys are the places of both, ingress first, by number.
func aclKeys(maps ...map[aclKey]types.NetworkAclEntry) []aclKey {
	var all []aclKey
	for _, m := range maps {
		for k := range m {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b aclKey) int {
		if a.egress != b.egress {
			if b.egress {
				return -1
			}
			return 1
		}
		return int(a.number - b.number)
	})
	return slices.Compact(all)
}

func (k networkACLs) create(ctx context.Context, t *task, w want[networkACLSpec]) (types.NetworkAcl, error) {
	out, err := k.api(t.Cloud).CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{
		VpcId: aws.String(w.spec.VPC), ClientToken: t.token(), TagSpecifications: t.birthTags(types.ResourceTypeNetworkAcl)})
	if err != nil {
		return types.NetworkAcl{}, err
	}
	return *out.NetworkAcl, nil
}

// update changes the entries before subnets come under them.
func (k networkACLs) update(ctx context.Context, t *task, w want[networkACLSpec], a types.NetworkAcl, d differences) error {
	have, wanted := aclEntries(a), w.spec.entries()
	for _, key := range aclKeys(have, wanted) {
		old, was := have[key]
		new, is := wanted[key]
		if was && is && aclText(old) == aclText(new) {
			continue
		}
		if err := k.entry(ctx, t, a.NetworkAclId, key, was, is, new); err != nil {
			return fmt.Errorf("%s: %w", key.path(), err)
		}
	}
	var come, leave []string
	for _, x := range d {
		if x.path == "subnets" && x.new != "" {
			come = append(come, x.new)
		} else if x.path == "subnets" {
			leave = append(leave, x.old)
		}
	}
	if err := k.associate(ctx, t, aws.ToString(a.NetworkAclId), come, func(string) bool { return true }); err != nil {
		return err
	}
	return k.giveBack(ctx, t, a, leave)
}

func (k networkACLs) entry(ctx context.Context, t *task, id *string, key aclKey, was, is bool, e types.NetworkAclEntry) error {
	if !is {
		_, err := k.api(t.Cloud).DeleteNetworkAclEntry(ctx, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: id, Egress: aws.Bool(key.egress), RuleNumber: aws.Int32(key.number)})
		if cloud.NotFound(err) {
			return nil
		}
		return err
	}
	replace := func() error {
		_, err := k.api(t.Cloud).ReplaceNetworkAclEntry(ctx, &ec2.ReplaceNetworkAclEntryInput{
			NetworkAclId: id, Egress: e.Egress, RuleNumber: e.RuleNumber, Protocol: e.Protocol, RuleAction: e.RuleAction, CidrBlock: e.CidrBlock, PortRange: e.PortRange, IcmpTypeCode: e.IcmpTypeCode})
		return err
	}
	if was {
		return replace()
	}
	_, err := k.api(t.Cloud).CreateNetworkAclEntry(ctx, &ec2.CreateNetworkAclEntryInput{
		NetworkAclId: id, Egress: e.Egress, RuleNumber: e.RuleNumber, Protocol: e.Protocol, RuleAction: e.RuleAction, CidrBlock: e.CidrBlock, PortRange: e.PortRange, IcmpTypeCode: e.IcmpTypeCode})
	if cloud.AlreadyExists(err) {
		return replace() // a try whose answer was lost has made it
	}
	return err
}

// associate puts subnets under a list, those that are under one that from
// takes. A subnet is under one list at any moment.
func (k networkACLs) associate(ctx context.Context, t *task, to string, subnets []string, from func(acl string) bool) error {
	if len(subnets) == 0 {
		return nil
	}
	list, err := k.list(ctx, query{cloud: t.Cloud, filters: []types.Filter{cloud.Filter("association.subnet-id", subnets...)}})
	if err != nil {
		return err
	}
	for _, a := range list {
		associated := aclSubnets(a)
		for _, subnet := range union(associated) {
			if !has(subnets, subnet) || aws.ToString(a.NetworkAclId) == to || !from(aws.ToString(a.NetworkAclId)) {
				continue
			}
			_, err := k.api(t.Cloud).ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: aws.String(associated[subnet]), NetworkAclId: aws.String(to)})
			if err != nil && !cloud.NotFound(err) {
				return fmt.Errorf("subnet %s: %w", subnet, err)
			}
		}
	}
	return nil
}

// giveBack puts subnets that are under a list under the VPC's default one.
func (k networkACLs) giveBack(ctx context.Context, t *task, a types.NetworkAcl, subnets []string) error {
	if len(subnets) == 0 {
		return nil
	}
	list, err := k.list(ctx, query{cloud: t.Cloud, filters: []types.Filter{cloud.Filter("vpc-id", aws.ToString(a.VpcId)), cloud.Filter("default", "true")}})
	if err != nil || len(list) == 0 {
		return err
	}
	return k.associate(ctx, t, aws.ToString(list[0].NetworkAclId), subnets, func(acl string) bool { return acl == aws.ToString(a.NetworkAclId) })
}

func (k networkACLs) remove(ctx context.Context, t *task, a types.NetworkAcl) error {
	if err := k.giveBack(ctx, t, a, union(aclSubnets(a))); err != nil {
		return err
	}
	return t.patiently(ctx, "delete it", func() error {
		_, err := k.api(t.Cloud).DeleteNetworkAcl(ctx, &ec2.DeleteNetworkAclInput{NetworkAclId: a.NetworkAclId})
		return err
	})
}
