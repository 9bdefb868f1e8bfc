package emulator

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// scalingService holds the tables of EC2 Auto Scaling and carries out its
// actions. Its groups are looked after before each request, like transitions
// of state: what is missing is launched, what is unhealthy or too much is
// terminated, an instance refresh goes a step further. No goroutine belongs to
// it, so nothing happens while nobody asks.
type scalingService struct {
	cloud  *Cloud
	waking map[string]waking // by instance; used within transactions alone

	groups     *table[scalingRow]
	members    *table[memberRow]
	activities *table[types.Activity]
	refreshes  *table[refreshRow]
	hooks      *table[types.LifecycleHook]
}

const scalingName = "autoscaling" // the signing name

// newScaling adds the tables and the actions. It is called before the store is
// loaded, after newEC2 and newELB.
func newScaling(c *Cloud) *scalingService {
	s := &scalingService{
		cloud: c, waking: map[string]waking{},
		groups:     newTable[scalingRow](c.store, "autoscaling-groups"),
		members:    newTable[memberRow](c.store, "autoscaling-instances"),
		activities: newTable[types.Activity](c.store, "autoscaling-activities"),
		refreshes:  newTable[refreshRow](c.store, "autoscaling-refreshes"),
		hooks:      newTable[types.LifecycleHook](c.store, "autoscaling-hooks"),
	}
	s.addGroups()
	s.addMembers()
	s.addStates()
	s.addTargets()
	s.addTags()
	s.addRefreshes()
	s.addHooks()
	inventory(c, "auto-scaling-group", s.groups, func(r scalingRow) (string, bool) {
		return fmt.Sprintf("%s %d", r.name(), *r.Group.DesiredCapacity), true
	})
	return s
}

// scalingOn adds an action, as on does for EC2.
func scalingOn[I, O any](s *scalingService, action, honours string, f func(apiCall, *I) (*O, error)) {
	offer(s.cloud.ec2, scalingName, action, honours, f)
}

// scalingRow is a group. Its Instances are rows of their own.
type scalingRow struct {
	Group    types.AutoScalingGroup
	Deleting bool
	Failures int       // launches that failed in a row
	Retry    time.Time // when the next launch is tried
	Refresh  string    // the instance refresh under way
}

func (r scalingRow) name() string { return *r.Group.AutoScalingGroupName }

func (r scalingRow) desired() int { return int(*r.Group.DesiredCapacity) }

func (r scalingRow) suspended(process string) bool {
	for _, p := range r.Group.SuspendedProcesses {
		if deref(p.ProcessName) == process {
			return true
		}
	}
	return false
}

func (r scalingRow) subnets() []string {
	var list []string
	for id := range strings.SplitSeq(deref(r.Group.VPCZoneIdentifier), ",") {
		if id = strings.TrimSpace(id); id != "" {
			list = append(list, id)
		}
	}
	return list
}

// scalingPace is how long a change of state takes on AWS, roughly. The seconds
// that a group states (warm-ups, grace periods, delays, cool-downs) pass as
// fast here as changes of state do.
const scalingPace = 20 * time.Second

// scaled is how long a number of AWS's seconds takes here.
func (s *scalingService) scaled(seconds int32) time.Duration {
	return time.Duration(float64(s.cloud.options.Transition) * float64(seconds) / scalingPace.Seconds())
}

// self is a call of the service itself, under its service-linked role.
func (s *scalingService) self(w world) apiCall {
	role := fmt.Sprintf("arn:aws:iam::%s:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling", w.Account)
	return apiCall{caller: caller{Account: w.Account, Region: w.Region, ARN: role, UserID: "AutoScaling"}, w: w, now: s.cloud.clock.Now()}
}

// group is a group that is there, or AWS's words for one that is not.
func (s *scalingService) group(w world, name *string) (scalingRow, error) {
	row, ok := s.groups.get(w, deref(name))
	if !ok {
		return row, refuse("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup '%s' not found", deref(name))
	}
	return row, nil
}

// standing is a group that is not being deleted.
func (s *scalingService) standing(w world, name *string) (scalingRow, error) {
	row, err := s.group(w, name)
	if err == nil && row.Deleting {
		err = refuse("ScalingActivityInProgress", "AutoScalingGroup '%s' is being deleted", row.name())
	}
	return row, err
}

// scalingUUID is an ID of activities and refreshes; those made later come later.
func scalingUUID(at time.Time) string {
	id := requestID()
	return fmt.Sprintf("%08x-%04x-%s", at.UnixMilli()>>16, at.UnixMilli()&0xffff, id[14:])
}

var scalingNameForm = regexp.MustCompile(`^[^:\x00-\x1f]{1,255}$`)
