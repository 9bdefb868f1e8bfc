package launch

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

type mixedInstancesSpec struct {
	Overrides                           []overrideSpec `yaml:"overrides" doc:"The instance types, the preferred first; by default the template's own."`
	OnDemandBaseCapacity                *int           `yaml:"on_demand_base_capacity" min:"0" doc:"How many instances are on demand before any is spot." default:"0"`
	OnDemandPercentageAboveBaseCapacity *int           `yaml:"on_demand_percentage_above_base_capacity" min:"0" max:"100" doc:"How many percent of the others are." default:"100"`
	OnDemandAllocationStrategy          string         `yaml:"on_demand_allocation_strategy" enum:"prioritized,lowest-price" doc:"How on-demand instances choose their type." default:"prioritized"`
	SpotAllocationStrategy              string         `yaml:"spot_allocation_strategy" enum:"lowest-price,capacity-optimized,capacity-optimized-prioritized,price-capacity-optimized" doc:"How spot instances do." default:"lowest-price"`
	SpotMaxPrice                        string         `yaml:"spot_max_price" doc:"The most that an hour of a spot instance may cost; by default the on-demand price."`
}

type overrideSpec struct {
	InstanceType   string `yaml:"instance_type" required:"true" short:"true" doc:"The instance type: t3.micro."`
	LaunchTemplate string `yaml:"launch_template" ref:"launch_template" attribute:"versioned_id" doc:"Another launch template for it: for another architecture."`
}

// versionedID is a launch template and its version as one text: lt-1:3.
func versionedID(t *types.LaunchTemplateSpecification) string {
	if t == nil {
		return ""
	}
	return aws.ToString(t.LaunchTemplateId) + ":" + aws.ToString(t.Version)
}

// latestVersion is how a group that something else made may name the latest
// version of its launch template: it is as good as the number that is wanted.
const latestVersion = "$Latest"

// launched is a launch template and its version, as a definition wants them
// where the group means the same.
func launched(adopted bool, t *types.LaunchTemplateSpecification, want string) string {
	if id, _, _ := strings.Cut(want, ":"); adopted && t != nil && aws.ToString(t.Version) == latestVersion && aws.ToString(t.LaunchTemplateId) == id {
		return want
	}
	return versionedID(t)
}

// templateSpec is the reverse of versionedID. An ID alone means the default version.
func templateSpec(text string) *types.LaunchTemplateSpecification {
	if text == "" {
		return nil
	}
	id, version, ok := strings.Cut(text, ":")
	if !ok {
		version = "$Default"
	}
	return &types.LaunchTemplateSpecification{LaunchTemplateId: aws.String(id), Version: aws.String(version)}
}

// mainTemplate is the launch template of a group; nil for one of an older kind.
func mainTemplate(g types.AutoScalingGroup) *types.LaunchTemplateSpecification {
	if list := templatesOf(g); len(list) > 0 {
		return list[0]
	}
	return nil
}

// templatesOf are all launch templates of a group, the main one first.
func templatesOf(g types.AutoScalingGroup) []*types.LaunchTemplateSpecification {
	if g.LaunchTemplate != nil {
		return []*types.LaunchTemplateSpecification{g.LaunchTemplate}
	}
	if g.MixedInstancesPolicy == nil || g.MixedInstancesPolicy.LaunchTemplate == nil {
		return nil
	}
	t := g.MixedInstancesPolicy.LaunchTemplate
	var list []*types.LaunchTemplateSpecification
	if t.LaunchTemplateSpecification != nil {
		list = append(list, t.LaunchTemplateSpecification)
	}
	for _, o := range t.Overrides {
		if o.LaunchTemplateSpecification != nil {
			list = append(list, o.LaunchTemplateSpecification)
		}
	}
	return list
}

// compare compares what the definition states of the policy.
func (m *mixedInstancesSpec) compare(d *differences, adopted bool, have *types.MixedInstancesPolicy) {
	const at = "mixed_instances_policy"
	if m == nil || have == nil {
		if m != nil || have != nil {
			d.set(at, map[bool]string{true: "stated"}[have != nil], map[bool]string{true: "stated"}[m != nil])
		}
		return
	}
	var types []string
	if have.LaunchTemplate != nil {
		for i, o := range have.LaunchTemplate.Overrides {
			wanted := ""
			if i < len(m.Overrides) {
				wanted = m.Overrides[i].LaunchTemplate
			}
			types = append(types, overrideText(aws.ToString(o.InstanceType), launched(adopted, o.LaunchTemplateSpecification, wanted)))
		}
	}
	var wanted []string
	for _, o := range m.Overrides {
		wanted = append(wanted, overrideText(o.InstanceType, o.LaunchTemplate))
	}
	d.set(at+".overrides", strings.Join(types, ", "), strings.Join(wanted, ", "))
	m.compareDistribution(d, at, have.InstancesDistribution)
}

func overrideText(kind, template string) string {
	if template == "" {
		return kind
	}
	return kind + " of " + template
}

func (m *mixedInstancesSpec) compareDistribution(d *differences, at string, have *types.InstancesDistribution) {
	if have == nil {
		have = &types.InstancesDistribution{}
	}
	for _, n := range []struct {
		path string
		have *int32
		want *int
	}{
		{"on_demand_base_capacity", have.OnDemandBaseCapacity, m.OnDemandBaseCapacity},
		{"on_demand_percentage_above_base_capacity", have.OnDemandPercentageAboveBaseCapacity, m.OnDemandPercentageAboveBaseCapacity},
	} {
		if n.want != nil {
			d.set(at+"."+n.path, numberText(n.have), fmt.Sprint(*n.want))
		}
	}
	for _, t := range []struct{ path, have, want string }{
		{"on_demand_allocation_strategy", aws.ToString(have.OnDemandAllocationStrategy), m.OnDemandAllocationStrategy},
		{"spot_allocation_strategy", aws.ToString(have.SpotAllocationStrategy), m.SpotAllocationStrategy},
		{"spot_max_price", aws.ToString(have.SpotMaxPrice), m.SpotMaxPrice},
	} {
		if t.want != "" {
			d.set(at+"."+t.path, t.have, t.want)
		}
	}
}

// statedPolicy is a policy as a definition states it; nil for none.
func statedPolicy(p *types.MixedInstancesPolicy) *mixedInstancesSpec {
	if p == nil {
		return nil
	}
	m := &mixedInstancesSpec{}
	if p.LaunchTemplate != nil {
		for _, o := range p.LaunchTemplate.Overrides {
			m.Overrides = append(m.Overrides, overrideSpec{InstanceType: aws.ToString(o.InstanceType), LaunchTemplate: versionedID(o.LaunchTemplateSpecification)})
		}
	}
	if d := p.InstancesDistribution; d != nil {
		m.OnDemandBaseCapacity, m.OnDemandPercentageAboveBaseCapacity = statedNumber(d.OnDemandBaseCapacity), statedNumber(d.OnDemandPercentageAboveBaseCapacity)
		m.OnDemandAllocationStrategy, m.SpotAllocationStrategy, m.SpotMaxPrice = aws.ToString(d.OnDemandAllocationStrategy), aws.ToString(d.SpotAllocationStrategy), aws.ToString(d.SpotMaxPrice)
	}
	return m
}

func statedNumber(n *int32) *int {
	if n == nil {
		return nil
	}
	return aws.Int(int(*n))
}

// configuration is what the group launches: a launch template, alone or within
// a policy.
func (s *autoScalingGroupSpec) configuration() *types.DesiredConfiguration {
	m := s.MixedInstancesPolicy
	if m == nil {
		return &types.DesiredConfiguration{LaunchTemplate: templateSpec(s.LaunchTemplate)}
	}
	template := &types.LaunchTemplate{LaunchTemplateSpecification: templateSpec(s.LaunchTemplate)}
	for _, o := range m.Overrides {
		template.Overrides = append(template.Overrides, types.LaunchTemplateOverrides{InstanceType: aws.String(o.InstanceType), LaunchTemplateSpecification: templateSpec(o.LaunchTemplate)})
	}
	return &types.DesiredConfiguration{MixedInstancesPolicy: &types.MixedInstancesPolicy{LaunchTemplate: template, InstancesDistribution: &types.InstancesDistribution{
		OnDemandBaseCapacity: optionalNumber(m.OnDemandBaseCapacity), OnDemandPercentageAboveBaseCapacity: optionalNumber(m.OnDemandPercentageAboveBaseCapacity),
		OnDemandAllocationStrategy: optional(m.OnDemandAllocationStrategy), SpotAllocationStrategy: optional(m.SpotAllocationStrategy), SpotMaxPrice: optional(m.SpotMaxPrice),
	}}}
}

// optionalNumber is a number as AWS takes it, where 0 is one.
func optionalNumber(n *int) *int32 {
	if n == nil {
		return nil
	}
	return aws.Int32(int32(*n))
}
