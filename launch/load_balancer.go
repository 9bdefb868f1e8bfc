package launch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

type loadBalancerAPI interface {
	CreateLoadBalancer(context.Context, *elb.CreateLoadBalancerInput, ...func(*elb.Options)) (*elb.CreateLoadBalancerOutput, error)
	DescribeLoadBalancerAttributes(context.Context, *elb.DescribeLoadBalancerAttributesInput, ...func(*elb.Options)) (*elb.DescribeLoadBalancerAttributesOutput, error)
	ModifyLoadBalancerAttributes(context.Context, *elb.ModifyLoadBalancerAttributesInput, ...func(*elb.Options)) (*elb.ModifyLoadBalancerAttributesOutput, error)
	SetSubnets(context.Context, *elb.SetSubnetsInput, ...func(*elb.Options)) (*elb.SetSubnetsOutput, error)
	SetSecurityGroups(context.Context, *elb.SetSecurityGroupsInput, ...func(*elb.Options)) (*elb.SetSecurityGroupsOutput, error)
	SetIpAddressType(context.Context, *elb.SetIpAddressTypeInput, ...func(*elb.Options)) (*elb.SetIpAddressTypeOutput, error)
	DeleteLoadBalancer(context.Context, *elb.DeleteLoadBalancerInput, ...func(*elb.Options)) (*elb.DeleteLoadBalancerOutput, error)
}

type loadBalancerSpec struct {
	LoadBalancerName       string            `yaml:"load_balancer_name" change:"replaces" doc:"The name in the region, at most 32 characters." default:"PROJECT-ENVIRONMENT-NAME"`
	Type                   string            `yaml:"type" enum:"application,network" change:"replaces" doc:"application for HTTP and HTTPS, network for TCP, TLS and UDP." default:"application"`
	Scheme                 string            `yaml:"scheme" enum:"internet-facing,internal" change:"replaces" doc:"Whether it has public addresses." default:"internet-facing"`
	IPAddressType          string            `yaml:"ip_address_type" enum:"ipv4,dualstack,dualstack-without-public-ipv4" doc:"The kind of addresses that it has." default:"ipv4"`
	Subnets                []string          `yaml:"subnets" ref:"subnet" required:"true" change:"in place; a successor of a subnet replaces" doc:"The subnets that it takes traffic in, one a zone; an application load balancer needs two."`
	SecurityGroups         []string          `yaml:"security_groups" ref:"security_group" change:"in place; the first group of a network load balancer replaces" doc:"The groups that it is a member of; by default that of its VPC for an application load balancer, none for a network one."`
	IdleTimeout            *int              `yaml:"idle_timeout" min:"1" max:"4000" doc:"After how many seconds without data a connection is closed; application load balancers." default:"60"`
	DeletionProtection     *bool             `yaml:"deletion_protection" doc:"Whether AWS refuses to delete it." default:"false"`
	CrossZone              *bool             `yaml:"cross_zone" doc:"Whether each zone's part reaches the targets of all zones. An application load balancer always does." default:"false with type network"`
	HTTP2                  *bool             `yaml:"http2" doc:"Whether clients may use HTTP/2; application load balancers." default:"true"`
	DropInvalidHeaderField *bool             `yaml:"drop_invalid_header_fields" doc:"Whether headers that are not valid are removed; application load balancers." default:"false"`
	AccessLogs             *accessLogsSpec   `yaml:"access_logs" doc:"Where it writes what it was asked for."`
	Attributes             map[string]string `yaml:"attributes" doc:"Other attributes by AWS's names, as in client_keep_alive.seconds."`
}

type accessLogsSpec struct {
	Enabled *bool  `yaml:"enabled" doc:"Whether it writes them." default:"true"`
	Bucket  string `yaml:"bucket" short:"true" required:"true" doc:"The S3 bucket, of the same region, which lets Elastic Load Balancing write."`
	Prefix  string `yaml:"prefix" doc:"What the names of the objects begin with."`
}

func (s *loadBalancerSpec) kind() types.LoadBalancerTypeEnum {
	if s.Type == "" {
		return types.LoadBalancerTypeEnumApplication
	}
	return types.LoadBalancerTypeEnum(s.Type)
}

func (s *loadBalancerSpec) scheme() types.LoadBalancerSchemeEnum {
	if s.Scheme == "" {
		return types.LoadBalancerSchemeEnumInternetFacing
	}
	return types.LoadBalancerSchemeEnum(s.Scheme)
}

// attributes are those that the definition states, by AWS's names.
func (s *loadBalancerSpec) attributes() map[string]string {
	set := tags.Merge(s.Attributes)
	for key, on := range map[string]*bool{
		"deletion_protection.enabled": s.DeletionProtection, "load_balancing.cross_zone.enabled": s.CrossZone,
		"routing.http2.enabled": s.HTTP2, "routing.http.drop_invalid_header_fields.enabled": s.DropInvalidHeaderField,
	} {
		if on != nil {
			set[key] = strconv.FormatBool(*on)
		}
	}
	if s.IdleTimeout != nil {
		set["idle_timeout.timeout_seconds"] = strconv.Itoa(*s.IdleTimeout)
	}
	if l := s.AccessLogs; l != nil {
		set["access_logs.s3.enabled"] = strconv.FormatBool(l.Enabled == nil || *l.Enabled)
		set["access_logs.s3.bucket"], set["access_logs.s3.prefix"] = l.Bucket, l.Prefix
	}
	return set
}

// loadBalancer is one with its attributes, where its definition states any.
type loadBalancer struct {
	types.LoadBalancer
	tags       map[string]string
	attributes map[string]string
}

type loadBalancers struct{ inELB }

func (loadBalancers) api(c *cloud.Cloud) loadBalancerAPI { return c.ELB }

func (loadBalancers) about() project.Kind {
	return project.Kind{Name: "load_balancer", Doc: "What takes a service's traffic and spreads it over its instances: an application or a network load balancer.",
		Attributes: []string{"id", "arn", "name", "dns_name", "canonical_hosted_zone_id"}}
}

func (k loadBalancers) list(ctx context.Context, q query) ([]loadBalancer, error) {
	f, err := q.front(ctx)
	if err != nil {
		return nil, err
	}
	var all []loadBalancer
	for _, b := range f.balancers {
		set := f.tags[aws.ToString(b.LoadBalancerArn)]
		if q.covers(set) && (b.Type == types.LoadBalancerTypeEnumApplication || b.Type == types.LoadBalancerTypeEnumNetwork) {
			all = append(all, loadBalancer{LoadBalancer: b, tags: set})
		}
	}
	return all, graph.Each(ctx, 0, len(all), func(ctx context.Context, i int) error {
		if len(statedWith[loadBalancerSpec](q, all[i].tags, aws.ToString(all[i].LoadBalancerName)).attributes()) == 0 {
			return nil
		}
		out, err := k.api(q.cloud).DescribeLoadBalancerAttributes(ctx, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: all[i].LoadBalancerArn})
		if err != nil && !cloud.NotFound(err) {
			return err
		}
		all[i].attributes = map[string]string{}
		if out != nil {
			for _, a := range out.Attributes {
				all[i].attributes[aws.ToString(a.Key)] = aws.ToString(a.Value)
			}
		}
		return nil
	})
}

func (loadBalancers) read(b loadBalancer) state {
	arn := aws.ToString(b.LoadBalancerArn)
	return state{
		id: arn, tags: b.tags, uses: append(append(subnetsOf(b), b.SecurityGroups...), aws.ToString(b.VpcId)),
		attributes: map[string]string{
			"arn": arn, "name": aws.ToString(b.LoadBalancerName), "dns_name": aws.ToString(b.DNSName),
			"canonical_hosted_zone_id": aws.ToString(b.CanonicalHostedZoneId),
		},
	}
}

// subnetsOf are the subnets that a load balancer is in.
func subnetsOf(b loadBalancer) []string {
	var ids []string
	for _, z := range b.AvailabilityZones {
		ids = append(ids, aws.ToString(z.SubnetId))
	}
	slices.Sort(ids)
	return ids
}

func (k loadBalancers) compare(w want[loadBalancerSpec], b loadBalancer) (d differences) {
	s := w.spec
	d.fixed("type", string(b.Type), string(s.kind()), "")
	d.fixed("scheme", string(b.Scheme), string(s.scheme()), "")
	if s.LoadBalancerName != "" {
		d.fixed("load_balancer_name", aws.ToString(b.LoadBalancerName), s.LoadBalancerName, "")
	}
	if replaced := k.replacedSubnet(w, b); replaced != "" {
		d.fixed("subnets", sortedList(subnetsOf(b)), sortedList(s.Subnets), "subnets: "+replaced+" is replaced")
	} else {
		d.set("subnets", sortedList(subnetsOf(b)), sortedList(s.Subnets))
	}
	if len(s.SecurityGroups) > 0 {
		if len(b.SecurityGroups) == 0 && b.Type == types.LoadBalancerTypeEnumNetwork {
			d.fixed("security_groups", "", sortedList(s.SecurityGroups), "security_groups: a network load balancer that was made without them takes none")
		} else {
			d.set("security_groups", sortedList(b.SecurityGroups), sortedList(s.SecurityGroups))
		}
	}
	if s.IPAddressType != "" {
		d.set("ip_address_type", string(b.IpAddressType), s.IPAddressType)
	}
	compareAttributes(&d, b.attributes, s.attributes(), k.keysOfAttributes())
	return d
}

// replacedSubnet is the address of a subnet that the load balancer is in and
// whose successor it is to be in: the old one cannot go before it.
func (loadBalancers) replacedSubnet(w want[loadBalancerSpec], b loadBalancer) string {
	for _, ref := range w.Refs {
		for i, id := range w.spec.Subnets {
			if id != Unknown || ref.Path != fmt.Sprintf("subnets[%d]", i) {
				continue
			}
			for _, old := range subnetsOf(b) {
				if f := w.world.inventory.byID[old]; f != nil && f.address() == ref.Address {
					return ref.Address
				}
			}
		}
	}
	return ""
}

// excludes: a name is taken once.
func (loadBalancers) excludes(w want[loadBalancerSpec], b loadBalancer) bool {
	return w.spec.LoadBalancerName != "" && aws.ToString(b.LoadBalancerName) == w.spec.LoadBalancerName
}

func (loadBalancers) refuse(w want[loadBalancerSpec]) error {
	return refuseTaken(w.world, w.Resource, w.spec.LoadBalancerName, func(f *front) map[string]string {
		names := map[string]string{}
		for _, b := range f.balancers {
			names[aws.ToString(b.LoadBalancerName)] = aws.ToString(b.LoadBalancerArn)
		}
		return names
	})
}

func (k loadBalancers) create(ctx context.Context, t *task, w want[loadBalancerSpec]) (loadBalancer, error) {
	s := w.spec
	name := elbResourceName(w.world, w.Resource, s.LoadBalancerName, t.generation)
	out, err := k.api(t.Cloud).CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{
		Name: aws.String(name), Type: s.kind(), Scheme: s.scheme(), IpAddressType: types.IpAddressType(s.IPAddressType),
		Subnets: s.Subnets, SecurityGroups: s.SecurityGroups, Tags: t.elbBirth(),
	})
	if err != nil {
		return loadBalancer{}, taken(err, "load balancer", name)
	}
	return loadBalancer{LoadBalancer: out.LoadBalancers[0], tags: elbTagSet(t.elbBirth())}, nil
}

func (k loadBalancers) update(ctx context.Context, t *task, w want[loadBalancerSpec], b loadBalancer, d differences) error {
	api := k.api(t.Cloud)
	if d.has("subnets") {
		if _, err := api.SetSubnets(ctx, &elb.SetSubnetsInput{LoadBalancerArn: b.LoadBalancerArn, Subnets: w.spec.Subnets}); err != nil {
			return fmt.Errorf("subnets: %w", err)
		}
	}
	if d.has("security_groups") {
		if _, err := api.SetSecurityGroups(ctx, &elb.SetSecurityGroupsInput{LoadBalancerArn: b.LoadBalancerArn, SecurityGroups: w.spec.SecurityGroups}); err != nil {
			return fmt.Errorf("security_groups: %w", err)
		}
	}
	if d.has("ip_address_type") {
		if _, err := api.SetIpAddressType(ctx, &elb.SetIpAddressTypeInput{LoadBalancerArn: b.LoadBalancerArn, IpAddressType: types.IpAddressType(w.spec.IPAddressType)}); err != nil {
			return fmt.Errorf("ip_address_type: %w", err)
		}
	}
	return k.setAttributes(ctx, t, b, changedAttributes(d, w.spec.attributes(), k.keysOfAttributes()))
}

func (k loadBalancers) setAttributes(ctx context.Context, t *task, b loadBalancer, set map[string]string) error {
	if len(set) == 0 {
		return nil
	}
	in := &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: b.LoadBalancerArn}
	for _, key := range union(set) {
		in.Attributes = append(in.Attributes, types.LoadBalancerAttribute{Key: aws.String(key), Value: aws.String(set[key])})
	}
	if _, err := k.api(t.Cloud).ModifyLoadBalancerAttributes(ctx, in); err != nil {
		return fmt.Errorf("attributes: %w", err)
	}
	return nil
}

// balancerDeadline is how long a load balancer may take until it is active.
const balancerDeadline = 15 * time.Minute

// settle waits until the load balancer takes traffic.
func (loadBalancers) settle(ctx context.Context, t *task, b loadBalancer) (loadBalancer, error) {
	arn := aws.ToString(b.LoadBalancerArn)
	now, err := t.Cloud.LoadBalancers.Wait(ctx, cloud.Wait[types.LoadBalancer]{
		ID: arn, For: "load balancer " + aws.ToString(b.LoadBalancerName) + " to be active", Deadline: balancerDeadline,
		Done: func(b types.LoadBalancer, found bool) (bool, error) {
			if found && b.State != nil && b.State.Code == types.LoadBalancerStateEnumFailed {
				return true, fmt.Errorf("load balancer %s: %s", arn, orNothing(aws.ToString(b.State.Reason)))
			}
			return found && b.State != nil && b.State.Code != types.LoadBalancerStateEnumProvisioning, nil
		},
		Show: func(b types.LoadBalancer) string {
			if b.State == nil {
				return "no state"
			}
			return string(b.State.Code)
		},
		Progress: t.waiting("load balancer " + aws.ToString(b.LoadBalancerName)),
	})
	if err == nil {
		b.LoadBalancer = now
	}
	return b, err
}

func (loadBalancers) fresh(b loadBalancer) bool {
	return b.State != nil && b.State.Code == types.LoadBalancerStateEnumProvisioning
}

func (loadBalancers) retag(ctx context.Context, c *cloud.Cloud, have []loadBalancer, set map[string]string) error {
	return elbRetag(ctx, c, have, func(b loadBalancer) *string { return b.LoadBalancerArn }, set)
}

func (k loadBalancers) remove(ctx context.Context, t *task, b loadBalancer) error {
	if t.replacing && b.attributes["deletion_protection.enabled"] == "true" {
		// The definition protects its load balancer, whichever it is: the new one
		// is protected by now.
		if err := k.setAttributes(ctx, t, b, map[string]string{"deletion_protection.enabled": "false"}); err != nil && !cloud.NotFound(err) {
			return err
		}
	}
	_, err := k.api(t.Cloud).DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: b.LoadBalancerArn})
	if cloud.Code(err) == "OperationNotPermitted" {
		return fail.WithHint(fmt.Errorf("delete it: %w", err), "it is protected against deletion: set deletion_protection: false and launch before it is removed")
	}
	if cloud.NotFound(err) {
		return nil
	}
	return err
}
