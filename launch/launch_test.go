package launch

import (
	"context"
	"testing"
	"time"
)

func TestLaunchThenNothingThenDestroy(t *testing.T) {
	s := newPlatform(t)
	before := s.inventory()
	start := time.Now()
	s.local.ResetCalls()
	r := s.launch()
	t.Logf("launch: %v, %d calls", time.Since(start), len(s.local.Calls()))
	if len(r.Instances) != 3 || len(r.Changes) != 11 {
		t.Errorf("%d instances and %d changes, want 3 and 11: %+v", len(r.Instances), len(r.Changes), r)
	}
	for _, i := range r.Instances {
		if i.Version != "1.0.0" || i.State != "running" || i.PrivateIP == "" || i.PublicIP == "" || i.UUID == "" {
			t.Errorf("instance %+v", i)
		}
	}
	s.local.ResetCalls()
	plan := s.plan()
	if !plan.Empty() || plan.Counts != (Counts{None: 11}) {
		t.Errorf("second plan %+v:\n%s", plan.Counts, summaryOf(plan))
	}
	if n, most := len(s.local.Calls()), len(kinds())+3; n > most { // one a kind, the pointers, the images, an attribute
		t.Errorf("%d calls for a plan without changes: %v", n, s.local.Calls())
	}
	start = time.Now()
	s.destroy()
	t.Logf("destroy: %v", time.Since(start))
	sameInventory(t, "launch and destroy", before, s.inventory())
	list, err := Instances(context.Background(), s.options())
	if err != nil || len(list) != 0 {
		t.Errorf("instances after destroy: %v, %v", list, err)
	}
	s.launch()
	s.settled()
}
