package launch

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
)

// story is something that is done to a cloud in one go.
type story struct {
	name    string
	prepare func(s *site) // undisturbed
	do      func(ctx context.Context, s *site) error
}

func launchIt(ctx context.Context, s *site) error {
	_, err := s.tryLaunch(ctx)
	return err
}

func stories() []story {
	return []story{
		{"launch", func(*site) {}, launchIt},
		{"replacement", func(s *site) {
			s.launch()
			s.promote("db", "2.0.0")
		}, launchIt},
		{"change", func(s *site) {
			s.launch()
			s.edit("topology/security_groups/all.yaml", "port: 80,", "port: 443,")
			s.edit("topology/subnets/all.yaml", "zone: b", "zone: c")
			s.edit("topology/route_tables/public.yaml", "0.0.0.0/0", "192.0.2.0/24")
			s.edit("goldline.yaml", "{team: shop}", "{team: shop, cost: \"7\"}")
		}, launchIt},
		{"group", func(s *site) {
			s.write(map[string]string{
				"topology/volumes/data.yaml":  "count: 3\navailability_zone: b\nsize: 8\n",
				"topology/instances/web.yaml": "image: web\ninstance_type: t3.micro\ncount: 3\nsubnet: public-b\nsecurity_groups: [web]\nvolumes: [{volume: \"data[${index}]\", device: /dev/sdf}]\n",
			})
			s.launch()
			s.edit("topology/instances/web.yaml", "count: 3", "count: 6")
			s.edit("topology/volumes/data.yaml", "count: 3", "count: 6")
		}, launchIt},
		{"destroy", func(s *site) { s.launch() }, func(ctx context.Context, s *site) error { return s.tryDestroy(ctx) }},
	}
}

// TestEveryCallFailsOnce lets the Nth call fail, for every N that an
// undisturbed run makes and every way to fail, runs the same command again,
// and wants the end state of the undisturbed run.
func TestEveryCallFailsOnce(t *testing.T) {
	kinds := []emulator.FaultKind{emulator.Error, emulator.Unavailable, emulator.LostAnswer, emulator.Die, emulator.DieAfter}
	for _, story := range stories() {
		t.Run(story.name, func(t *testing.T) {
			calm := newPlatform(t)
			story.prepare(calm)
			calm.local.ResetCalls()
			if err := story.do(context.Background(), calm); err != nil {
				t.Fatal(err)
			}
			calls := len(calm.local.Calls())
			want := calm.shape()
			t.Logf("%d calls", calls)
			stride := 1
			if testing.Short() {
				stride = 7
			}
			var faults []emulator.Fault
			for _, kind := range kinds {
				for n := 1; n <= calls; n += stride {
					faults = append(faults, emulator.Fault{Nth: n, Kind: kind, Code: codeFor(kind)})
				}
			}
			// Most of the time goes by in waits: many at a time.
			err := graph.Each(context.Background(), 16, len(faults), func(_ context.Context, i int) error {
				disturbed(t, story, want, faults[i])
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// codeFor is an error that nobody retries, for the kind that has a choice.
func codeFor(kind emulator.FaultKind) string {
	if kind == emulator.Error {
		return "InsufficientInstanceCapacity"
	}
	return ""
}

func disturbed(t *testing.T, story story, want map[string][]string, fault emulator.Fault) {
	t.Helper()
	disturbedOn(t, newPlatform(t), story, want, fault)
}

func disturbedOn(t *testing.T, s *site, story story, want map[string][]string, fault emulator.Fault) {
	t.Helper()
	what := upset(t, s, story, fault)
	if err := story.do(context.Background(), s); err != nil {
		t.Errorf("%s: the second run fails: %v", what, err)
	}
	sameInventory(t, what, want, s.shape())
	if story.name != "destroy" {
		if plan := s.plan(); !plan.Empty() {
			t.Errorf("%s: something is left to do:\n%s", what, summaryOf(plan))
		}
	}
	if err := s.local.Close(); err != nil {
		t.Error(err)
	}
}

// upset does something while a fault is armed, and leaves a new process with
// the cloud. It returns what was done to what.
func upset(t *testing.T, s *site, story story, fault emulator.Fault) (what string) {
	t.Helper()
	story.prepare(s)
	what = fmt.Sprintf("%s, %s at call %d", story.name, fault.Kind, fault.Nth)
	s.local.Inject(fault)
	before := s.shape()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.onDie = cancel
	start := time.Now()
	first := story.do(ctx, s)
	if code := fail.ExitCode(first); code == fail.CodeClean || code == fail.CodeInput {
		sameInventory(t, what+": says that all is put back", before, s.shape())
	}
	if first != nil && fail.ExitCode(first) == fail.CodeDirty && len(fail.LeftOf(first)) == 0 && !errors.Is(first, context.Canceled) && hasChanged(before, s.shape()) {
		t.Errorf("%s: does not say what is left: %v", what, first)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Logf("%s: took %s: %v", what, d, first)
	}
	s.reconnect()
	return what
}

func hasChanged(before, after map[string][]string) bool {
	return fmt.Sprint(before) != fmt.Sprint(after)
}
