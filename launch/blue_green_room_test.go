package launch

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
)

// newKept has a group that serves, one that is kept beside it, and a third build
// to roll out.
func newKept(t *testing.T) (s *site, first string) {
	t.Helper()
	s, first = newBlueGreen(t)
	s.edit(scalingFile, "steps: [10%, 50%, 100%]", "steps: [50%, 100%]")
	s.launch()
	s.promote("web", "2.0.0")
	s.launch()
	s.promote("web", "3.0.0")
	return s, first
}

var (
	thirdTaken = map[string]string{"shop-dev-web-2": "2 of version 2, 0% kept", "shop-dev-web-3": "2 of version 3, 100%"}
	stillKept  = map[string]string{"shop-dev-web": "2 of version 1, 0% kept", "shop-dev-web-2": "2 of version 2, 100%"}
)

// TestBlueGreenRoom: a kept group that makes room goes when the new build has
// passed; if that fails it is kept on, and can take over again.
func TestBlueGreenRoom(t *testing.T) {
	s, first := newKept(t)
	s.wantGroups("one is kept", stillKept)
	if got := summaryOf(s.plan()); !strings.Contains(got, "(shop-dev-web, which is kept, takes over again if it is what is wanted; if not, it is removed when the new build has passed)") {
		t.Errorf("the plan is\n%s", got)
	}
	before := s.shape()
	s.edit("topology/launch_templates/web.yaml", "instance_type", "key_name: nobody\ninstance_type")
	_, err := s.tryLaunch(context.Background())
	s.wantPutBack(err, stillKept, "key pair 'nobody' does not exist")
	after := s.shape()
	delete(before, "ec2.launch-template-versions")
	maps.DeleteFunc(after, func(kind string, _ []string) bool { return before[kind] == nil })
	sameInventory(t, "put back", before, after)
	s.edit("topology/launch_templates/web.yaml", "key_name: nobody\n", "")

	s.point("web", first)
	told := &events{}
	o := s.options()
	o.Sink = told
	plan, err := NewPlan(context.Background(), o)
	if err == nil {
		_, err = Apply(context.Background(), o, plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	if made := told.of(event.Created); len(made) > 0 {
		t.Errorf("made: %v", made)
	}
	s.settled()
	s.wantGroups("taken over again", map[string]string{"shop-dev-web": "2 of version 1, 100%", "shop-dev-web-2": "2 of version 2, 0% kept"})
}

// TestBlueGreenRoomKilled: wherever a launch ends, the next one goes on to the
// same end, or puts everything back.
func TestBlueGreenRoomKilled(t *testing.T) {
	t.Parallel()
	for _, at := range []emulator.Fault{
		{Service: "autoscaling", Action: "DetachLoadBalancerTargetGroups", Nth: 1, Kind: emulator.DieAfter},
		{Service: "autoscaling", Action: "CreateAutoScalingGroup", Nth: 1, Kind: emulator.DieAfter},
		{Service: "elasticloadbalancing", Action: "ModifyListener", Nth: 1, Kind: emulator.DieAfter},
		{Service: "autoscaling", Action: "CreateOrUpdateTags", Nth: 1, Kind: emulator.Die},
		{Service: "autoscaling", Action: "DeleteAutoScalingGroup", Nth: 1, Kind: emulator.Die},
	} {
		t.Run(at.Action, func(t *testing.T) {
			t.Parallel()
			s, _ := newKept(t)
			s.dies(at)
			s.launch()
			s.settled()
			s.wantGroups("in the end", thirdTaken)
		})
	}
	t.Run("then it fails", func(t *testing.T) {
		t.Parallel()
		s, _ := newKept(t)
		s.dies(emulator.Fault{Service: "elasticloadbalancing", Action: "ModifyRule", Nth: 1, Kind: emulator.DieAfter})
		s.fault("elasticloadbalancing", "ModifyListener", emulator.Error, "InvalidConfigurationRequest", 1)
		_, err := s.tryLaunch(context.Background())
		s.local.ClearFaults()
		s.wantPutBack(err, stillKept, "InvalidConfigurationRequest")
		s.launch()
		s.settled()
		s.wantGroups("again", thirdTaken)
	})
	t.Run("then another build", func(t *testing.T) {
		t.Parallel()
		s, _ := newKept(t)
		s.dies(emulator.Fault{Service: "elasticloadbalancing", Action: "ModifyRule", Nth: 2, Kind: emulator.DieAfter})
		s.promote("web", "4.0.0")
		s.launch()
		s.settled()
		s.wantGroups("another build", map[string]string{"shop-dev-web-3": "2 of version 3, 0% kept", "shop-dev-web-4": "2 of version 4, 100%"})
	})
}
