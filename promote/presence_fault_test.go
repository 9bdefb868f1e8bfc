package promote

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/graph"
)

// Every call of bringing a build to another account fails once, loses its
// answer, or is the last of its process; then the same promotion again: the
// build is there once.
func TestPresenceFaults(t *testing.T) {
	for _, to := range []string{"test", "prod"} {
		t.Run(to, func(t *testing.T) {
			prepare := func(t *testing.T) *world {
				w := wide(t)
				w.build("web", "1")
				w.promote("web", "dev", "")
				if to == "prod" {
					w.promote("web", "test", "")
				}
				return w
			}
			calm := prepare(t)
			calm.local.ResetCalls()
			calm.promote("web", to, "")
			calls := len(calm.local.Calls())
			var faults []emulator.Fault
			for _, kind := range []emulator.FaultKind{emulator.Error, emulator.LostAnswer, emulator.DieAfter} {
				for n := 1; n <= calls; n++ {
					faults = append(faults, emulator.Fault{Nth: n, Kind: kind, Code: "UnauthorizedOperation"})
				}
			}
			err := graph.Each(t.Context(), 16, len(faults), func(ctx context.Context, i int) error {
				w, fault := prepare(t), faults[i]
				what := fmt.Sprintf("%s at call %d", fault.Kind, fault.Nth)
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				w.local.Inject(fault)
				first, die := livingWith(ctx, fault)
				defer die()
				_, _ = w.promoter().Promote(first, Request{Image: "web", To: to}) // what it says is other tests' business
				w.local.ClearFaults()
				move, err := w.promoter().Promote(ctx, Request{Image: "web", To: to})
				if err != nil || move.To.Version != "1" {
					t.Errorf("%s: again: %+v, %v", what, move, err)
					return nil
				}
				if n, want := len(w.images(to)), len(calm.images(to)); n != want {
					t.Errorf("%s: %d AMIs, want %d", what, n, want)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			t.Logf("%d calls", calls)
		})
	}
}
