package launch

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

type elasticIPAPI interface {
	AllocateAddress(context.Context, *ec2.AllocateAddressInput, ...func(*ec2.Options)) (*ec2.AllocateAddressOutput, error)
	AssociateAddress(context.Context, *ec2.AssociateAddressInput, ...func(*ec2.Options)) (*ec2.AssociateAddressOutput, error)
	DescribeAddresses(context.Context, *ec2.DescribeAddressesInput, ...func(*ec2.Options)) (*ec2.DescribeAddressesOutput, error)
	DisassociateAddress(context.Context, *ec2.DisassociateAddressInput, ...func(*ec2.Options)) (*ec2.DisassociateAddressOutput, error)
	ReleaseAddress(context.Context, *ec2.ReleaseAddressInput, ...func(*ec2.Options)) (*ec2.ReleaseAddressOutput, error)
}

type elasticIPSpec struct {
	Instance         string `yaml:"instance" ref:"instance" doc:"Instance that has the address. It moves to a successor of it once that answers its status checks."`
	NetworkInterface string `yaml:"network_interface" ref:"network_interface" doc:"Network interface that has the address, in place of an instance: it stays there whatever instance the interface is on."`
	PrivateIP        string `yaml:"private_ip" doc:"Which of the private addresses there it is at; by default the primary one. At a secondary one it moves with that."`
}

type elasticIPs struct{}

func (elasticIPs) api(c *cloud.Cloud) elasticIPAPI { return c.EC2 }

func (elasticIPs) about() project.Kind {
	return project.Kind{Name: "elastic_ip", Doc: "A public address that stays.", Attributes: []string{"id", "public_ip"}, Owners: map[string]string{"instance": "instance"}}
}

// check reports a second holder: an address is at one place at a time.
func (elasticIPs) check(c *checker, d definition[elasticIPSpec]) {
	first := ""
	if d.spec.Instance != "" {
		first = c.target(d.Resource, "instance")
	}
	if d.spec.NetworkInterface != "" {
		if first != "" {
			c.problems.Addf(d.At("network_interface"), "an address is at one of instance and network_interface")
		}
		first = c.target(d.Resource, "network_interface")
	}
	checkElasticAt(c, d)
	for _, r := range c.resources {
		for _, ref := range r.Refs {
			if ref.Address != d.Address || !holdsAddress(r.Kind, ref) {
				continue
			}
			if first != "" && first != r.Address {
				c.problems.Addf(r.At(ref.Path), "%s is at %s already", d.Address, first)
			}
			first = r.Address
		}
	}
}

// checkElasticAt checks which private address it is at, where its holder says all
// that it has.
func checkElasticAt(c *checker, d definition[elasticIPSpec]) {
	text, field := d.spec.PrivateIP, "instance"
	switch {
	case text == "" || unresolved(text):
		return
	case d.spec.NetworkInterface != "":
		field = "network_interface"
	case d.spec.Instance == "":
		c.problems.AddHint(d.At("private_ip"), "give instance or network_interface, too", "an address of what?")
		return
	}
	if _, err := netip.ParseAddr(text); err != nil {
		c.problems.Addf(d.At("private_ip"), "%q is no address", text)
		return
	}
	holder := c.byAddress[c.target(d.Resource, field)]
	if holder == nil {
		return
	}
	primary, list := privateAddresses(holder.Spec)
	if len(list) > 0 && primary != text && !has(list, text) {
		c.problems.AddHint(d.At("private_ip"), "its secondary_private_ips are "+strings.Join(list, ", "), "%s has no address %s", holder.Address, text)
	}
}

// holdsAddress tells whether a reference to an elastic_ip puts it somewhere,
// as text that only shows the address does not.
func holdsAddress(kind string, ref project.Ref) bool {
	return (kind == "instance" || kind == "nat_gateway") && ref.Path == "elastic_ip"
}

func (k elasticIPs) list(ctx context.Context, q query) ([]types.Address, error) {
	out, err := k.api(q.cloud).DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: q.filters}) // EC2 has no pages of these
	if err != nil {
		return nil, err
	}
	return out.Addresses, nil
}

func (elasticIPs) read(a types.Address) state {
	return state{
		id: aws.ToString(a.AllocationId), tags: cloud.TagSet(a.Tags),
		attributes: map[string]string{"public_ip": aws.ToString(a.PublicIp)},
	}
}

func (k elasticIPs) compare(w want[elasticIPSpec], a types.Address) differences {
	d := k.compareHolder(w, a)
	if w.spec.PrivateIP != "" {
		d.set("private_ip", aws.ToString(a.PrivateIpAddress), w.spec.PrivateIP)
	}
	return d
}

// compareHolder leaves alone an address that another definition puts somewhere,
// and one that somebody has put on something that is not of this environment.
func (elasticIPs) compareHolder(w want[elasticIPSpec], a types.Address) (d differences) {
	at := aws.ToString(a.InstanceId)
	if w.spec.NetworkInterface != "" {
		d.set("network_interface", aws.ToString(a.NetworkInterfaceId), w.spec.NetworkInterface)
		return d
	}
	if eni := aws.ToString(a.NetworkInterfaceId); eni != "" && w.world.ours(eni) {
		if w.spec.Instance == "" {
			d.set("network_interface", eni, "")
		} else {
			d.set("instance", eni, w.spec.Instance)
		}
		return d
	}
	if w.spec.Instance != "" {
		d.set("instance", at, w.spec.Instance)
		return d
	}
	if at == "" || !w.world.ours(at) {
		return nil
	}
	for _, r := range w.world.resources() {
		for _, ref := range r.Refs {
			if ref.Address == w.Address && holdsAddress(r.Kind, ref) {
				return nil
			}
		}
	}
	d.set("instance", at, "")
	return d
}

// follows: EC2 associates an address only where there is a way to the internet.
func (elasticIPs) follows(w want[elasticIPSpec]) []string { return w.world.gatewaysOf(w.Resource) }

func (k elasticIPs) create(ctx context.Context, t *task, _ want[elasticIPSpec]) (types.Address, error) {
	out, err := k.api(t.Cloud).AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc, TagSpecifications: t.birthTags(types.ResourceTypeElasticIp)})
	if err != nil {
		return types.Address{}, err
	}
	return types.Address{AllocationId: out.AllocationId, PublicIp: out.PublicIp}, nil
}

func (k elasticIPs) update(ctx context.Context, t *task, w want[elasticIPSpec], a types.Address, _ differences) error {
	switch {
	case w.spec.NetworkInterface != "":
		return k.associateWith(ctx, t, &ec2.AssociateAddressInput{AllocationId: a.AllocationId, NetworkInterfaceId: aws.String(w.spec.NetworkInterface), PrivateIpAddress: optional(w.spec.PrivateIP)})
	case w.spec.Instance == "":
		return k.disassociate(ctx, t, a)
	}
	return k.associate(ctx, t, aws.ToString(a.AllocationId), w.spec.Instance, w.spec.PrivateIP)
}

// associate puts an address on an instance, at one of its private addresses or at
// the primary one, taking it from where it is in the same step. Doing so twice is
// harmless.
func (k elasticIPs) associate(ctx context.Context, t *task, allocation, instance, private string) error {
	err := k.associateWith(ctx, t, &ec2.AssociateAddressInput{AllocationId: aws.String(allocation), InstanceId: aws.String(instance), PrivateIpAddress: optional(private)})
	if cloud.Code(err) != "InvalidInstanceID" {
		return err
	}
	// It has several interfaces: its own is meant.
	i, lookErr := t.instance(ctx, instance, "be seen", runDeadline, func(_ types.Instance, found bool) (bool, error) { return found, nil })
	if lookErr != nil || ownInterface(*i) == "" {
		return err
	}
	return k.associateWith(ctx, t, &ec2.AssociateAddressInput{AllocationId: aws.String(allocation), NetworkInterfaceId: aws.String(ownInterface(*i)), PrivateIpAddress: optional(private)})
}

func (k elasticIPs) associateWith(ctx context.Context, t *task, in *ec2.AssociateAddressInput) error {
	in.AllowReassociation = aws.Bool(true)
	_, err := k.api(t.Cloud).AssociateAddress(ctx, in)
	if cloud.Code(err) == "Gateway.NotAttached" {
		return fail.WithHint(err, "an elastic IP address needs an internet_gateway in its VPC")
	}
	return err
}

// give puts an address, given as it or as its allocation, on an instance. It
// takes none from what is not of this environment.
func (k elasticIPs) give(ctx context.Context, t *task, elastic, instance string) error {
	if !isAddress(elastic) {
		return k.associate(ctx, t, elastic, instance, "")
	}
	list, err := k.list(ctx, query{cloud: t.Cloud, filters: []types.Filter{cloud.Filter("public-ip", elastic)}})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fail.Inputf("account %s holds no elastic IP address %s in %s", t.Cloud.Account, elastic, t.region)
	}
	at := aws.ToString(list[0].InstanceId)
	if at == instance {
		return nil
	}
	if list[0].AssociationId != nil && !t.ours(at) {
		return fmt.Errorf("%s is at %s, which is not of this environment", elastic, orNothing(at+aws.ToString(list[0].NetworkInterfaceId)))
	}
	return k.associate(ctx, t, aws.ToString(list[0].AllocationId), instance, "")
}

func (k elasticIPs) disassociate(ctx context.Context, t *task, a types.Address) error {
	if a.AssociationId == nil {
		return nil
	}
	_, err := k.api(t.Cloud).DisassociateAddress(ctx, &ec2.DisassociateAddressInput{AssociationId: a.AssociationId})
	if cloud.NotFound(err) {
		return nil
	}
	return err
}

func (k elasticIPs) remove(ctx context.Context, t *task, a types.Address) error {
	if a.InstanceId != nil || t.ours(aws.ToString(a.NetworkInterfaceId)) { // what else holds it, such as a NAT gateway, has gone before
		if err := k.disassociate(ctx, t, a); err != nil {
			return fmt.Errorf("take it off %s: %w", aws.ToString(a.NetworkInterfaceId), err)
		}
	}
	return t.patiently(ctx, "release it", func() error {
		_, err := k.api(t.Cloud).ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: a.AllocationId})
		return err
	})
}

// isAddress tells whether an elastic_ip is given as the address itself.
func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// gatewaysOf are the internet gateways of the VPCs that a resource stands in,
// which it needs although it does not name them.
func (w *world) gatewaysOf(r *project.Resource) []string {
	byAddress := map[string]*project.Resource{}
	for _, other := range w.resources() {
		byAddress[other.Address] = other
	}
	vpcs, seen := map[string]bool{}, map[string]bool{}
	var walk func(r *project.Resource)
	walk = func(r *project.Resource) {
		for _, ref := range r.Refs {
			other := byAddress[ref.Address]
			if ref.Late || other == nil || seen[ref.Address] {
				continue
			}
			seen[ref.Address] = true
			vpcs[ref.Address] = other.Kind == "vpc"
			walk(other)
		}
	}
	walk(r)
	var all []string
	for _, other := range w.resources() {
		if other.Kind != "internet_gateway" {
			continue
		}
		for _, ref := range other.Refs {
			if vpcs[ref.Address] {
				all = append(all, other.Address)
			}
		}
	}
	return all
}
