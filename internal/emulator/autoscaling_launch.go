package emulator

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// scalingTag is the tag that says which group an instance belongs to.
const scalingTag = "aws:autoscaling:groupName"

// setConfiguration sets what a group launches, and refuses what it could not.
func (s *scalingService) setConfiguration(c apiCall, g *types.AutoScalingGroup, config types.DesiredConfiguration) error {
	specs, err := specsOf(config)
	if err != nil {
		return err
	}
	typed := false
	for _, spec := range specs {
		row, v, err := s.version(c.w, spec)
		if err != nil {
			return err
		}
		spec.LaunchTemplateId, spec.LaunchTemplateName = &row.ID, &row.Name
		typed = typed || v.Data.InstanceType != ""
		if v.Data.ImageId != nil {
			if _, err := s.cloud.ec2.namedImage(c, *v.Data.ImageId); err != nil {
				return refuse("ValidationError", "You must use a valid fully-formed launch template. %s", messageOf(err))
			}
		}
	}
	if p := config.MixedInstancesPolicy; p != nil {
		typed = typed || len(p.LaunchTemplate.Overrides) > 0
		g.MixedInstancesPolicy, g.LaunchTemplate = withDistribution(p), nil
	} else {
		g.LaunchTemplate, g.MixedInstancesPolicy = config.LaunchTemplate, nil
	}
	if !typed {
		return refuse("ValidationError", "You must use a valid fully-formed launch template. The request must contain the parameter InstanceType")
	}
	return nil
}

// specsOf are all launch templates that a configuration names.
func specsOf(config types.DesiredConfiguration) ([]*types.LaunchTemplateSpecification, error) {
	if config.MixedInstancesPolicy == nil {
		return []*types.LaunchTemplateSpecification{config.LaunchTemplate}, nil
	}
	t := config.MixedInstancesPolicy.LaunchTemplate
	if t == nil || t.LaunchTemplateSpecification == nil {
		return nil, refuse("ValidationError", "A mixed instances policy needs a launch template")
	}
	specs := []*types.LaunchTemplateSpecification{t.LaunchTemplateSpecification}
	for _, o := range t.Overrides {
		if o.LaunchTemplateSpecification != nil {
			specs = append(specs, o.LaunchTemplateSpecification)
		}
	}
	return specs, nil
}

// withDistribution is a policy with AWS's defaults for what it leaves out.
func withDistribution(p *types.MixedInstancesPolicy) *types.MixedInstancesPolicy {
	d := types.InstancesDistribution{
		OnDemandAllocationStrategy: new("prioritized"), OnDemandBaseCapacity: new(int32(0)), OnDemandPercentageAboveBaseCapacity: new(int32(100)),
		SpotAllocationStrategy: new("lowest-price"), SpotInstancePools: new(int32(2)),
	}
	if asked := p.InstancesDistribution; asked != nil {
		give(&d.OnDemandAllocationStrategy, asked.OnDemandAllocationStrategy)
		give(&d.OnDemandBaseCapacity, asked.OnDemandBaseCapacity)
		give(&d.OnDemandPercentageAboveBaseCapacity, asked.OnDemandPercentageAboveBaseCapacity)
		give(&d.SpotAllocationStrategy, asked.SpotAllocationStrategy)
		give(&d.SpotInstancePools, asked.SpotInstancePools)
		give(&d.SpotMaxPrice, asked.SpotMaxPrice)
	}
	if *d.SpotAllocationStrategy != "lowest-price" {
		d.SpotInstancePools = nil
	}
	return &types.MixedInstancesPolicy{LaunchTemplate: p.LaunchTemplate, InstancesDistribution: &d}
}

func messageOf(err error) string {
	var e *apiError
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// version is the launch template version that a specification means.
func (s *scalingService) version(w world, spec *types.LaunchTemplateSpecification) (templateRow, templateVersion, error) {
	id, name := spec.LaunchTemplateId, spec.LaunchTemplateName
	if deref(id) != "" {
		name = nil // Auto Scaling answers with both
	}
	row, err := s.cloud.ec2.template(w, id, name)
	if err != nil {
		return row, templateVersion{}, refuse("ValidationError", "You must use a valid fully-formed launch template. %s", messageOf(err))
	}
	v, err := row.version(deref(spec.Version))
	if err != nil {
		return row, v, refuse("ValidationError", "You must use a valid fully-formed launch template. %s", messageOf(err))
	}
	return row, v, nil
}

// target is what a group launches now: what an instance refresh wants while
// one is under way that neither goes back nor is cancelled.
func (s *scalingService) target(w world, row scalingRow) types.DesiredConfiguration {
	if r, ok := s.refreshes.get(w, refreshKey(row.name(), row.Refresh)); ok && r.Refresh.DesiredConfiguration != nil && !r.rollingBack() && r.Refresh.Status != types.InstanceRefreshStatusCancelling {
		return *r.Refresh.DesiredConfiguration
	}
	return configurationOf(row.Group)
}

func configurationOf(g types.AutoScalingGroup) types.DesiredConfiguration {
	return types.DesiredConfiguration{LaunchTemplate: g.LaunchTemplate, MixedInstancesPolicy: g.MixedInstancesPolicy}
}

// choice is one way to launch an instance.
type choice struct {
	spec *types.LaunchTemplateSpecification
	kind string // instance type; empty for the template's
	spot bool
}

// choices are the ways to launch a group's next instance, the preferred first.
// have is how many it has.
func choices(config types.DesiredConfiguration, have int) []choice {
	p := config.MixedInstancesPolicy
	if p == nil {
		return []choice{{spec: config.LaunchTemplate}}
	}
	base, above := int(*p.InstancesDistribution.OnDemandBaseCapacity), int(*p.InstancesDistribution.OnDemandPercentageAboveBaseCapacity)
	// Above the base, the share of on-demand instances is rounded up.
	beyond := have - base
	spot := beyond >= 0 && (beyond*above+99)/100 == ((beyond+1)*above+99)/100
	first := choice{spec: p.LaunchTemplate.LaunchTemplateSpecification, spot: spot}
	if len(p.LaunchTemplate.Overrides) == 0 {
		return []choice{first}
	}
	var list []choice
	for _, o := range p.LaunchTemplate.Overrides {
		c := choice{spec: first.spec, kind: deref(o.InstanceType), spot: spot}
		if o.LaunchTemplateSpecification != nil {
			c.spec = o.LaunchTemplateSpecification
		}
		list = append(list, c)
	}
	return list
}

// launch launches a group's next instance, where it has the fewest.
func (s *scalingService) launch(c apiCall, row scalingRow, have int) error {
	cause := fmt.Sprintf("an instance was started in response to a difference between desired and actual capacity, increasing the capacity from %d to %d.", have, have+1)
	var refused error
	for _, how := range choices(s.target(c.w, row), have) {
		m, err := s.run(c, row, how)
		if err != nil {
			refused = err
			continue
		}
		m.Activity = s.begun(c, row, "Launching a new EC2 instance: "+m.ID, cause)
		if row.Refresh != "" {
			r, _ := s.refreshes.get(c.w, refreshKey(row.name(), row.Refresh))
			m.Refresh = r.mark()
		}
		s.enter(c, m, types.LifecycleStatePending)
		return nil
	}
	activity := s.begun(c, row, "Launching a new EC2 instance.  Status Reason: "+messageOf(refused)+" Launching EC2 instance failed.", cause)
	s.ended(c, activity, messageOf(refused)+" Launching EC2 instance failed.")
	return errors.New(messageOf(refused))
}

func (s *scalingService) run(c apiCall, row scalingRow, how choice) (memberRow, error) {
	template, v, err := s.version(c.w, how.spec)
	if err != nil {
		return memberRow{}, err
	}
	in := &ec2.RunInstancesInput{MinCount: new(int32(1)), MaxCount: new(int32(1)), InstanceType: ec2types.InstanceType(how.kind),
		LaunchTemplate: &ec2types.LaunchTemplateSpecification{LaunchTemplateId: &template.ID, Version: new(strconv.FormatInt(v.Number, 10))}}
	if how.spot {
		in.InstanceMarketOptions = &ec2types.InstanceMarketOptionsRequest{MarketType: ec2types.MarketTypeSpot}
	}
	if subnet, zone := s.place(c.w, row); subnet != "" {
		in.SubnetId = &subnet
	} else {
		in.Placement = &ec2types.Placement{AvailabilityZone: &zone}
	}
	var tags []ec2types.Tag
	for _, t := range row.Group.Tags {
		if deref(t.PropagateAtLaunch) {
			tags = append(tags, ec2types.Tag{Key: t.Key, Value: t.Value})
		}
	}
	if len(tags) > 0 {
		in.TagSpecifications = []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance, Tags: tags}}
	}
	out, err := s.cloud.ec2.runInstances(c, in)
	if err != nil {
		return memberRow{}, err
	}
	i := out.Instances[0]
	s.cloud.ec2.systemTags(c.w, *i.InstanceId, map[string]string{scalingTag: row.name()})
	return memberRow{
		ID: *i.InstanceId, Group: row.name(), Joined: c.now, Type: string(i.InstanceType), Zone: *i.Placement.AvailabilityZone, Image: *i.ImageId,
		Protected: deref(row.Group.NewInstancesProtectedFromScaleIn),
		Template:  types.LaunchTemplateSpecification{LaunchTemplateId: &template.ID, LaunchTemplateName: &template.Name, Version: new(strconv.FormatInt(v.Number, 10))},
	}, nil
}

// place is where a group has the fewest instances: a subnet, or a zone whose
// default subnet is meant.
func (s *scalingService) place(w world, row scalingRow) (subnet, zone string) {
	crowd := map[string]int{}
	for _, m := range s.of(w, row.name()) {
		if !m.active() {
			continue
		}
		instance, _ := s.cloud.ec2.instances.get(w, m.ID)
		crowd[instance.Subnet]++
		crowd[m.Zone]++
	}
	least := -1
	for _, id := range row.subnets() {
		if n := crowd[id]; least < 0 || n < least {
			subnet, least = id, n
		}
	}
	if subnet != "" {
		return subnet, ""
	}
	for _, name := range row.Group.AvailabilityZones {
		if n := crowd[name]; least < 0 || n < least {
			zone, least = name, n
		}
	}
	return "", zone
}

// matches tells whether an instance is what a configuration would launch.
func (s *scalingService) matches(w world, m memberRow, config types.DesiredConfiguration) bool {
	if m.Template.LaunchTemplateId == nil {
		return false
	}
	for _, how := range choices(config, 0) {
		row, v, err := s.version(w, how.spec)
		if err == nil && row.ID == *m.Template.LaunchTemplateId && strconv.FormatInt(v.Number, 10) == *m.Template.Version && (how.kind == "" || how.kind == m.Type) {
			return true
		}
	}
	return false
}
