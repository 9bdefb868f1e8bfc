package emulator

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// targetRow is an instance, or an address, in a target group, on one port.
type targetRow struct {
	Group, Instance string // Instance is the address in a group of addresses
	Port            int32
	Registered      time.Time
	Well            time.Time // since when it has been healthy
	Ends            time.Time // set while it drains: not before
	Latest          time.Time // and not after
	State           types.TargetHealthStateEnum
	Reason          types.TargetHealthReasonEnum
}

func (r targetRow) key() string { return r.Group + " " + r.Instance + " " + strconv.Itoa(int(r.Port)) }

func (s *elbService) addTargets() {
	elbOn(s, "RegisterTargets", "TargetGroupArn Targets.Id Targets.Port Targets.AvailabilityZone", s.registerTargets)
	elbOn(s, "DeregisterTargets", "TargetGroupArn Targets.Id Targets.Port Targets.AvailabilityZone", s.deregisterTargets)
	elbOn(s, "DescribeTargetHealth", "TargetGroupArn Targets.Id Targets.Port", s.describeTargetHealth)
	s.cloud.ec2.settler("elb-target-drained", s.drained)
	s.cloud.onOpen(s.resumeProbes)
}

func (s *elbService) registerTargets(c apiCall, in *elb.RegisterTargetsInput) (*elb.RegisterTargetsOutput, error) {
	group, err := s.group(c.w, in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	for _, t := range in.Targets {
		id := deref(t.Id)
		if err := s.checkTarget(c.w, group, t); err != nil {
			return nil, err
		}
		row := targetRow{Group: group.arn(), Instance: id, Port: portOf(group, t), Registered: c.now,
			State: types.TargetHealthStateEnumInitial, Reason: types.TargetHealthReasonEnumRegistrationInProgress}
		if old, ok := s.targets.get(c.w, row.key()); ok && old.Ends.IsZero() {
			continue
		}
		s.targets.put(c.w, row.key(), row)
		s.cloud.store.afterCommit(s.probe)
	}
	return &elb.RegisterTargetsOutput{}, nil
}

// checkTarget refuses what cannot be in a target group.
func (s *elbService) checkTarget(w world, group targetGroupRow, t types.TargetDescription) error {
	id := deref(t.Id)
	if group.Group.TargetType == types.TargetTypeEnumIp {
		ip, err := netip.ParseAddr(id)
		if err != nil || !ip.IsPrivate() && !s.inVPC(w, *group.Group.VpcId, ip) {
			return refuse("ValidationError", "The IP address '%s' is not a valid target: it is neither in the VPC nor a private one", id)
		}
		return nil
	}
	instance, ok := s.cloud.ec2.instances.get(w, id)
	switch {
	case !ok:
		return refuse("InvalidTarget", "The following targets are not valid: '%s'", id)
	case t.AvailabilityZone != nil:
		return refuse("ValidationError", "An Availability Zone is for targets that are IP addresses")
	case instance.State != stateRunning:
		return refuse("InvalidTarget", "The following targets are not in a running state and cannot be registered: '%s'", id)
	case instance.VPC != *group.Group.VpcId:
		return refuse("InvalidTarget", "The following targets are not in the target group VPC '%s': '%s'", *group.Group.VpcId, id)
	}
	return nil
}

// inVPC tells whether an address lies in one of a VPC's blocks.
func (s *elbService) inVPC(w world, vpc string, ip netip.Addr) bool {
	row, ok := s.cloud.ec2.vpcs.get(w, vpc)
	return ok && slices.ContainsFunc(row.Vpc.CidrBlockAssociationSet, func(a ec2types.VpcCidrBlockAssociation) bool {
		block, err := netip.ParsePrefix(deref(a.CidrBlock))
		return err == nil && block.Contains(ip)
	})
}

func portOf(group targetGroupRow, t types.TargetDescription) int32 {
	if t.Port != nil {
		return *t.Port
	}
	return *group.Group.Port
}

// deregisterTargets lets targets drain: as long as any change of state takes,
// and while they have connections, up to the group's delay; not at all where
// the group says so.
func (s *elbService) deregisterTargets(c apiCall, in *elb.DeregisterTargetsInput) (*elb.DeregisterTargetsOutput, error) {
	group, err := s.group(c.w, in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	for _, row := range s.targets.all(c.w) {
		if row.Group != group.arn() || !row.Ends.IsZero() || !namesTarget(in.Targets, row) {
			continue
		}
		delay := s.later()
		if group.Attributes["deregistration_delay.timeout_seconds"] == "0" || len(s.usedBy(c.w, row.Group)) == 0 {
			delay = 0
		}
		seconds, _ := strconv.Atoi(group.Attributes["deregistration_delay.timeout_seconds"]) // checked when it was given
		row.Ends, row.Latest = c.now.Add(delay), c.now.Add(time.Duration(seconds)*time.Second)
		s.targets.put(c.w, row.key(), row)
		s.cloud.schedule(c.w, delay, "elb-target-drained", row.key())
	}
	return &elb.DeregisterTargetsOutput{}, nil
}

func namesTarget(list []types.TargetDescription, row targetRow) bool {
	for _, t := range list {
		if deref(t.Id) == row.Instance && (t.Port == nil || *t.Port == row.Port) {
			return true
		}
	}
	return false
}

// drained removes a target that has drained, unless it was registered again.
func (s *elbService) drained(w world, key string) {
	row, ok := s.targets.get(w, key)
	switch {
	case !ok || row.Ends.IsZero():
	case s.traffic.busy(w.String()+" "+key) > 0 && s.cloud.clock.Now().Before(row.Latest):
		s.cloud.schedule(w, max(s.later(), probeLeast), "elb-target-drained", key)
	default:
		s.targets.remove(w, key)
	}
}

// forget takes a terminated instance out of its groups, as AWS does by itself.
func (s *elbService) forget(w world, instance string) {
	for _, row := range s.targets.all(w) {
		if row.Instance == instance {
			s.targets.remove(w, row.key())
		}
	}
}

func (s *elbService) describeTargetHealth(c apiCall, in *elb.DescribeTargetHealthInput) (*elb.DescribeTargetHealthOutput, error) {
	group, err := s.group(c.w, in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	out := &elb.DescribeTargetHealthOutput{}
	used := len(s.usedBy(c.w, group.arn())) > 0
	for _, row := range s.targets.all(c.w) {
		if row.Group != group.arn() || len(in.Targets) > 0 && !namesTarget(in.Targets, row) {
			continue
		}
		state, reason := s.health(c.w, row, used)
		h := &types.TargetHealth{State: state, Reason: reason}
		if text := healthText(state, reason); text != "" {
			h.Description = new(text)
		}
		port := *group.Group.HealthCheckPort
		if port == "traffic-port" {
			port = strconv.Itoa(int(row.Port))
		}
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, types.TargetHealthDescription{
			Target: &types.TargetDescription{Id: new(row.Instance), Port: new(row.Port)}, HealthCheckPort: new(port), TargetHealth: h,
		})
	}
	for _, t := range in.Targets { // AWS answers about strangers, too
		if _, ok := s.targets.get(c.w, targetRow{Group: group.arn(), Instance: deref(t.Id), Port: portOf(group, t)}.key()); !ok {
			t.Port = new(portOf(group, t))
			out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, types.TargetHealthDescription{Target: &t, TargetHealth: &types.TargetHealth{
				State: types.TargetHealthStateEnumUnused, Reason: types.TargetHealthReasonEnumNotRegistered, Description: new("Target is not registered to the target group")}})
		}
	}
	return out, nil
}

// health is a target's state now. Where no machines run, what runs is healthy.
func (s *elbService) health(w world, row targetRow, used bool) (types.TargetHealthStateEnum, types.TargetHealthReasonEnum) {
	running := s.runs(w, row)
	switch {
	case !row.Ends.IsZero():
		return types.TargetHealthStateEnumDraining, types.TargetHealthReasonEnumDeregistrationInProgress
	case !used:
		return types.TargetHealthStateEnumUnused, types.TargetHealthReasonEnumNotInUse
	case !running && netip.Addr{} == addressOf(row):
		return types.TargetHealthStateEnumUnused, types.TargetHealthReasonEnumInvalidState
	case s.cloud.kind != NoMachines:
		return row.State, row.Reason
	case s.cloud.clock.Now().Before(row.Registered.Add(s.later())):
		return types.TargetHealthStateEnumInitial, types.TargetHealthReasonEnumRegistrationInProgress
	case !running:
		return types.TargetHealthStateEnumUnhealthy, types.TargetHealthReasonEnumTimeout
	}
	return types.TargetHealthStateEnumHealthy, ""
}

// addressOf is the address of a target that is one.
func addressOf(row targetRow) netip.Addr {
	ip, err := netip.ParseAddr(row.Instance)
	if err != nil {
		return netip.Addr{}
	}
	return ip
}

// instanceOf is the instance of a target, also of one that is its address.
func (s *elbService) instanceOf(w world, row targetRow) (instanceRow, bool) {
	ip := addressOf(row)
	if !ip.IsValid() {
		return s.cloud.ec2.instances.get(w, row.Instance)
	}
	for _, instance := range s.cloud.ec2.instances.all(w) {
		if (instance.Private == ip || slices.Contains(instance.More, ip)) && instance.State == stateRunning {
			return instance, true
		}
	}
	return instanceRow{}, false
}

func (s *elbService) runs(w world, row targetRow) bool {
	instance, ok := s.instanceOf(w, row)
	return ok && instance.State == stateRunning
}

func healthText(state types.TargetHealthStateEnum, reason types.TargetHealthReasonEnum) string {
	if state == types.TargetHealthStateEnumHealthy {
		return ""
	}
	return fmt.Sprintf("%s: %s", state, strings.TrimPrefix(strings.TrimPrefix(string(reason), "Target."), "Elb."))
}
