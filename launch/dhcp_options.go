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

type dhcpOptionsAPI interface {
	CreateDhcpOptions(context.Context, *ec2.CreateDhcpOptionsInput, ...func(*ec2.Options)) (*ec2.CreateDhcpOptionsOutput, error)
	AssociateDhcpOptions(context.Context, *ec2.AssociateDhcpOptionsInput, ...func(*ec2.Options)) (*ec2.AssociateDhcpOptionsOutput, error)
	DeleteDhcpOptions(context.Context, *ec2.DeleteDhcpOptionsInput, ...func(*ec2.Options)) (*ec2.DeleteDhcpOptionsOutput, error)
}

type dhcpOptionsSpec struct {
	VPCs               []string `yaml:"vpcs" ref:"vpc" doc:"VPCs whose instances are told these options. One that is taken off the list gets the region's own again."`
	DomainName         string   `yaml:"domain_name" change:"replaces" doc:"The domain that names without one are looked up in."`
	DomainNameServers  []string `yaml:"domain_name_servers" change:"replaces" doc:"Addresses of DNS servers, at most four, or AmazonProvidedDNS."`
	NTPServers         []string `yaml:"ntp_servers" change:"replaces" doc:"Addresses of time servers, at most four."`
	NetBIOSNameServers []string `yaml:"netbios_name_servers" change:"replaces" doc:"Addresses of NetBIOS name servers, at most four."`
	NetBIOSNodeType    string   `yaml:"netbios_node_type" enum:"1,2,4,8" change:"replaces" doc:"NetBIOS node type; AWS advises 2."`
}

// dhcpOption is one of the options by EC2's name and by the key of definitions.
type dhcpOption struct {
	name, path string
	values     []string
}

func (s *dhcpOptionsSpec) options() []dhcpOption {
	text := func(v string) []string {
		if v == "" {
			return nil
		}
		return []string{v}
	}
	return []dhcpOption{
		{"domain-name", "domain_name", text(s.DomainName)}, {"domain-name-servers", "domain_name_servers", s.DomainNameServers},
		{"ntp-servers", "ntp_servers", s.NTPServers}, {"netbios-name-servers", "netbios_name_servers", s.NetBIOSNameServers},
		{"netbios-node-type", "netbios_node_type", text(s.NetBIOSNodeType)},
	}
}

type dhcpOptions struct{}

func (dhcpOptions) api(c *cloud.Cloud) dhcpOptionsAPI { return c.EC2 }

func (dhcpOptions) about() project.Kind {
	return project.Kind{Name: "dhcp_options", Doc: "What instances of a VPC are told about names and time.", Attributes: []string{"id"}, Owners: map[string]string{"vpc": "vpc"}}
}

func (dhcpOptions) check(c *checker, d definition[dhcpOptionsSpec]) {
	stated := false
	for _, o := range d.spec.options() {
		stated = stated || len(o.values) > 0
		if len(o.values) > 4 {
			c.problems.Addf(d.At(o.path), "%d servers: EC2 takes 4", len(o.values))
		}
		for i, v := range o.values {
			if strings.HasSuffix(o.path, "servers") && v != "AmazonProvidedDNS" && !unresolved(v) && !isAddress(v) {
				c.problems.Addf(d.At(fmt.Sprintf("%s[%d]", o.path, i)), "%q is no address", v)
			}
		}
	}
	if !stated {
		c.problems.AddHint(d.Pos, "as in domain_name: example.com", "the options say nothing")
	}
	for _, ref := range d.Refs {
		for _, other := range c.before(d.Resource) {
			if ref.Kind == "vpc" && slices.ContainsFunc(other.Refs, func(r project.Ref) bool { return r.Address == ref.Address }) {
				c.problems.Addf(ref.Pos, "%s has %s already", ref.Address, other.Address)
			}
		}
	}
}

func (dhcpOptions) list(ctx context.Context, q query) ([]types.DhcpOptions, error) {
	var all []types.DhcpOptions
	err := each(ctx, ec2.NewDescribeDhcpOptionsPaginator(q.cloud.EC2, &ec2.DescribeDhcpOptionsInput{Filters: q.filters, MaxResults: aws.Int32(pageSize)}), func(page *ec2.DescribeDhcpOptionsOutput) {
		all = append(all, page.DhcpOptions...)
	})
	return all, err
}

func (dhcpOptions) read(o types.DhcpOptions) state {
	return state{id: aws.ToString(o.DhcpOptionsId), tags: cloud.TagSet(o.Tags)}
}

// dhcpVPCs are the environment's VPCs that have the options, those that it
// adopts among them.
func (w *world) dhcpVPCs(id string) []string {
	var ids []string
	all := slices.Clone(w.inventory.all)
	for _, r := range w.resources() {
		if f := w.adopted[r.UUID]; f != nil {
			all = append(all, f)
		}
	}
	for _, f := range all {
		if v, ok := f.raw.(vpc); ok && aws.ToString(v.DhcpOptionsId) == id {
			ids = append(ids, f.id)
		}
	}
	return ids
}

func (dhcpOptions) compare(w want[dhcpOptionsSpec], o types.DhcpOptions) (d differences) {
	have := map[string]string{}
	for _, c := range o.DhcpConfigurations {
		var values []string
		for _, v := range c.Values {
			values = append(values, aws.ToString(v.Value))
		}
		have[aws.ToString(c.Key)] = strings.Join(values, ", ")
	}
	for _, option := range w.spec.options() {
		d.fixed(option.path, have[option.name], strings.Join(option.values, ", "), "")
	}
	associated := w.world.dhcpVPCs(aws.ToString(o.DhcpOptionsId))
	for _, id := range w.spec.VPCs {
		if !has(associated, id) {
			d = append(d, difference{path: "vpcs", new: id})
		}
	}
	for _, id := range associated {
		if !has(w.spec.VPCs, id) {
			d = append(d, difference{path: "vpcs", old: id})
		}
	}
	return d
}

func (k dhcpOptions) create(ctx context.Context, t *task, w want[dhcpOptionsSpec]) (types.DhcpOptions, error) {
	in := &ec2.CreateDhcpOptionsInput{TagSpecifications: t.birthTags(types.ResourceTypeDhcpOptions)}
	for _, o := range w.spec.options() {
		if len(o.values) > 0 {
			in.DhcpConfigurations = append(in.DhcpConfigurations, types.NewDhcpConfiguration{Key: aws.String(o.name), Values: o.values})
		}
	}
	out, err := k.api(t.Cloud).CreateDhcpOptions(ctx, in)
	if err != nil {
		return types.DhcpOptions{}, err
	}
	return *out.DhcpOptions, nil
}

func (k dhcpOptions) update(ctx context.Context, t *task, _ want[dhcpOptionsSpec], o types.DhcpOptions, d differences) error {
	for _, x := range d {
		var err error
		switch {
		case x.path == "vpcs" && x.new != "":
			err = k.give(ctx, t, aws.ToString(o.DhcpOptionsId), x.new)
		case x.path == "vpcs":
			err = k.free(ctx, t, aws.ToString(o.DhcpOptionsId), x.old)
		}
		if err != nil {
			return fmt.Errorf("vpc %s: %w", x.old+x.new, err)
		}
	}
	return nil
}

func (k dhcpOptions) give(ctx context.Context, t *task, options, vpc string) error {
	_, err := k.api(t.Cloud).AssociateDhcpOptions(ctx, &ec2.AssociateDhcpOptionsInput{DhcpOptionsId: aws.String(options), VpcId: aws.String(vpc)})
	return err
}

// free gives VPCs the region's own options in place of these: those that have
// these now, since others may have been given to them in the meantime.
func (k dhcpOptions) free(ctx context.Context, t *task, options string, vpc ...string) error {
	filters := []types.Filter{cloud.Filter("dhcp-options-id", options)}
	if len(vpc) > 0 {
		filters = append(filters, cloud.Filter("vpc-id", vpc...))
	}
	list, err := vpcs{}.list(ctx, query{cloud: t.Cloud, filters: filters})
	if err != nil {
		return err
	}
	for _, v := range list {
		if err := k.give(ctx, t, "default", aws.ToString(v.VpcId)); err != nil && !cloud.NotFound(err) {
			return err
		}
	}
	return nil
}

func (k dhcpOptions) remove(ctx context.Context, t *task, o types.DhcpOptions) error {
	return t.patiently(ctx, "delete them", func() error {
		_, err := k.api(t.Cloud).DeleteDhcpOptions(ctx, &ec2.DeleteDhcpOptionsInput{DhcpOptionsId: o.DhcpOptionsId})
		if cloud.Code(err) != "DependencyViolation" {
			return err
		}
		if freeErr := k.free(ctx, t, aws.ToString(o.DhcpOptionsId)); freeErr != nil {
			return freeErr
		}
		return err
	})
}
