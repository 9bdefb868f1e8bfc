package promote

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
)

// A promotion and a rollback of which every call fails once, loses its answer, or is
// the last of its process: the same command again ends as the undisturbed one does,
// with no copy twice. After a promotion that was cut short a rollback leaves both
// regions with the build that was current all the while.
func TestRegionFaults(t *testing.T) {
	for _, trial := range []string{actionPromote, actionRollback} {
		t.Run(trial, func(t *testing.T) {
			calm := newDisturbed(t, trial)
			calm.local.ResetCalls()
			if err := calm.try(t.Context()); err != nil {
				t.Fatal(err)
			}
			faults := faultsOf(calm.local.Calls())
			const worlds = 8
			err := graph.Each(t.Context(), 0, worlds, func(ctx context.Context, i int) error {
				d := newDisturbed(t, trial)
				for ; i < len(faults) && !t.Failed(); i += worlds {
					d.disturb(ctx, faults[i])
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			t.Logf("%d faults", len(faults))
		})
	}
}

// disturbed is a world in which a promotion of a new build to prod, or a rollback
// from it, is tried again and again.
type disturbed struct {
	*world
	trial  string
	newest int // version of the newest build, which dev has
}

func newDisturbed(t *testing.T, trial string) *disturbed {
	d := &disturbed{world: farAs(t, "testdata/further.txtar"), trial: trial}
	d.bake()
	d.promote("web", "prod", "")
	d.bake()
	if trial == actionRollback {
		d.promote("web", "prod", "")
	}
	return d
}

func (d *disturbed) bake() {
	d.newest++
	d.build("web", fmt.Sprint(d.newest))
	d.promote("web", "dev", "")
}

// try makes the move; as a rollback, it is to the build before the newest.
func (d *disturbed) try(ctx context.Context) error {
	if d.trial == actionRollback {
		_, err := d.promoter().Rollback(ctx, "web", "prod", "")
		return err
	}
	_, err := d.promoter().Promote(ctx, Request{Image: "web", To: "prod"})
	return err
}

// disturb tries the move with a fault, and then as somebody would who has read
// what became of it, and leaves all ready for the next.
func (d *disturbed) disturb(ctx context.Context, fault emulator.Fault) {
	t, what := d.t, fmt.Sprintf("%s at call %d", fault.Kind, fault.Nth)
	had, then := fmt.Sprint(d.newest-1), fmt.Sprint(d.newest)
	if d.trial == actionRollback {
		had, then = then, had
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d.local.Inject(fault)
	first, die := livingWith(ctx, fault)
	defer die()
	err := d.try(first)
	d.local.ClearFaults()
	unsettled := slices.ContainsFunc(fail.LeftOf(err), func(l fail.Left) bool { return strings.Contains(l.What, "in prod, which may change yet") })
	own, _ := d.shows("prod", home)
	there, _ := d.shows("prod", abroad)
	if own == then && there != then {
		t.Errorf("%s: %s shows %s before %s does", what, home, own, abroad)
	}
	switch {
	case d.trial == actionRollback && unsettled: // as its error says
		_, err = d.promoter().Rollback(ctx, "web", "prod", then)
	case d.trial == actionRollback && own == then:
		err = nil // once more would go back further
	case d.trial == actionPromote && there != had && own == had && !unsettled:
		if _, err := d.promoter().Rollback(ctx, "web", "prod", ""); err != nil {
			t.Errorf("%s: rolled back: %v", what, err)
		}
		d.show("prod", had)
		fallthrough
	default:
		err = d.try(ctx)
	}
	if err != nil {
		t.Errorf("%s: again: %v", what, err)
	}
	d.show("prod", then)
	for _, region := range []string{home, abroad} {
		if n := len(d.owned("prod", region)); n != d.newest {
			t.Errorf("%s: %d AMIs in %s, want %d", what, n, region, d.newest)
		}
	}
	if d.trial == actionRollback {
		d.promote("web", "prod", had)
	} else {
		d.bake()
	}
}

// faultsOf are the faults of a row of calls. To a call that only reads a lost answer
// and a death are what an error is.
func faultsOf(calls []emulator.Call) []emulator.Fault {
	var faults []emulator.Fault
	for n, call := range calls {
		kinds := []emulator.FaultKind{emulator.Error}
		if slices.Contains(changing, call.Action) {
			kinds = append(kinds, emulator.LostAnswer, emulator.DieAfter)
		}
		for _, kind := range kinds {
			faults = append(faults, emulator.Fault{Nth: n + 1, Kind: kind, Code: "UnauthorizedOperation"})
		}
	}
	return faults
}
