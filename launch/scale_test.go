package launch

import (
	"testing"
	"time"
)

// TestCallsGrowWithPages: 200 instances are planned in as many calls as 2.
func TestCallsGrowWithPages(t *testing.T) {
	s := newPlatform(t)
	s.launch()
	s.local.ResetCalls()
	s.settled()
	few := len(s.local.Calls())
	s.edit("topology/instances/web.yaml", "count: 2", "count: 200")
	start := time.Now()
	s.launch()
	t.Logf("198 instances launched in %s", time.Since(start))
	s.local.ResetCalls()
	start = time.Now()
	s.settled()
	t.Logf("a second plan takes %s", time.Since(start))
	if many := len(s.local.Calls()); many != few {
		t.Errorf("%d calls for a plan of 200 instances, %d for one of 2", many, few)
	}
	s.destroy()
}
