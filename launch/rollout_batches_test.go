package launch

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/project"
)

func TestBatches(t *testing.T) {
	canary := func(instances, minimum project.Share) *project.Rollout {
		return &project.Rollout{Canary: &project.Canary{Instances: instances}, MinimumHealthy: minimum}
	}
	for _, test := range []struct {
		rollout *project.Rollout
		n, todo int
		spare   bool
		want    string
	}{
		{&project.Rollout{}, 3, 3, false, "1 1 1"},
		{&project.Rollout{Strategy: project.OneAtATime}, 6, 2, false, "1 1"},
		{&project.Rollout{Strategy: project.HalfAtATime}, 6, 6, false, "3 3"},
		{&project.Rollout{Strategy: project.HalfAtATime}, 5, 5, false, "2 2 1"},
		{&project.Rollout{Strategy: project.HalfAtATime}, 1, 1, false, "1"},
		{&project.Rollout{Strategy: project.AllAtOnce}, 6, 6, false, "6"},
		{&project.Rollout{Strategy: project.AllAtOnce}, 6, 0, false, ""},
		{&project.Rollout{MinimumHealthy: "75%"}, 6, 6, false, "1 1 1 1 1 1"},
		{&project.Rollout{MinimumHealthy: "75%"}, 8, 8, false, "2 2 2 2"},
		{&project.Rollout{MinimumHealthy: "2"}, 6, 6, false, "4 2"},
		{&project.Rollout{MinimumHealthy: "0"}, 6, 6, false, "6"},
		{&project.Rollout{MinimumHealthy: "100%"}, 3, 3, true, "1 1 1"},
		{&project.Rollout{MinimumHealthy: "100%"}, 3, 3, false, "minimum_healthy: 100% of 3 instances leaves none"},
		{&project.Rollout{MinimumHealthy: "75%"}, 1, 1, false, "minimum_healthy: 75% of 1 instance leaves none"},
		{canary("1", ""), 6, 6, false, "1* 3 2"},
		{canary("1", ""), 6, 5, false, "3 2"},
		{canary("2", ""), 6, 5, false, "1* 3 1"},
		{canary("50%", "5"), 6, 6, false, "1* 1* 1* 1 1 1"},
		{canary("9", ""), 6, 6, false, "3* 3*"},
		{&project.Rollout{Strategy: project.BlueGreen}, 6, 6, true, "BlueGreen puts one group beside another"},
	} {
		all, err := batchesOf(test.rollout, test.n, test.todo, test.spare)
		var parts []string
		for _, b := range all {
			part := fmt.Sprint(b.size)
			if b.canary {
				part += "*"
			}
			parts = append(parts, part)
		}
		got := strings.Join(parts, " ")
		if err != nil {
			got = err.Error()
		}
		if got != test.want && (err == nil || !strings.HasPrefix(got, test.want)) {
			t.Errorf("%+v of %d, %d to do, spare %t: %s, want %s", test.rollout, test.n, test.todo, test.spare, got, test.want)
		}
	}
}

// FuzzBatches: whatever the strategy, every instance has its turn once, no batch
// is empty, and while one is out the promised capacity stays.
func FuzzBatches(f *testing.F) {
	f.Add(uint8(0), "75%", "1", uint16(6), uint16(6), false)
	f.Add(uint8(3), "", "50%", uint16(7), uint16(3), true)
	f.Add(uint8(5), "3", "200", uint16(100), uint16(99), false)
	f.Fuzz(func(t *testing.T, kind uint8, minimum, canary string, members, left uint16, spare bool) {
		strategies := []string{"", project.OneAtATime, project.HalfAtATime, project.AllAtOnce, project.CanaryFirst}
		r := &project.Rollout{Strategy: strategies[int(kind)%len(strategies)]}
		if r.Strategy == "" || r.Strategy == project.CanaryFirst {
			r.MinimumHealthy = project.Share(minimum)
		}
		if r.Strategy == project.CanaryFirst {
			r.Canary = &project.Canary{Instances: project.Share(canary)}
		}
		n := int(members % 500)
		todo := min(int(left), n)
		stays := map[string]int{project.OneAtATime: n - 1, project.HalfAtATime: (n + 1) / 2, project.CanaryFirst: (n + 1) / 2}[r.Kind()]
		if r.MinimumHealthy != "" {
			stays = r.MinimumHealthy.Of(n)
		}
		if n == 1 && r.MinimumHealthy == "" {
			stays = 0
		}
		all, err := batchesOf(r, n, todo, spare)
		if err != nil {
			if spare || stays < n {
				t.Fatalf("%+v of %d: %v", r, n, err)
			}
			return
		}
		sum, rest := 0, false
		for _, b := range all {
			sum += b.size
			if b.size < 1 || !spare && n-b.size < stays {
				t.Fatalf("%+v: a batch of %d of %d, and %d should stay", r, b.size, n, stays)
			}
			if b.canary && rest {
				t.Fatalf("%+v: a canary after the rest", r)
			}
			rest = !b.canary
		}
		if sum != todo {
			t.Fatalf("%+v: batches of %d together, %d are to do", r, sum, todo)
		}
	})
}
