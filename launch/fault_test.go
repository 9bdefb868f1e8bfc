package launch

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
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
	t.Parallel()
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
	// Other faults than errors seldom end in one, and to see all that stands takes time.
	told := fault.Kind == emulator.Error || os.Getenv("ROLLOUT_FAULTS") == "all"
	var before standing
	if told {
		before = s.standing()
	}
	s.local.Inject(fault)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.onDie = cancel
	start := time.Now()
	first := story.do(ctx, s)
	if d := time.Since(start); d > 20*time.Second {
		t.Logf("%s: took %s: %v", what, d, first)
	}
	dead := s.wire.cut.Load()
	s.reconnect()
	if told && first != nil && !dead { // to the dead nobody listens
		truthful(t, what, first, before, s.standing())
	}
	return what
}

// standing is what there is, what the definitions have, by ID, and what a launch
// would do.
type standing struct {
	shape map[string][]string
	owned map[string]string
	todo  string
}

func (s *site) standing() standing {
	s.t.Helper()
	plan := s.plan()
	now := standing{shape: s.shape(), owned: map[string]string{}, todo: summaryOf(plan)}
	for _, f := range plan.steps.inventory.all {
		if !f.gone {
			now.owned[f.id] = f.address()
		}
	}
	return now
}

// perhaps are the words for what may be left, or changed, and for what is as it was
// because it was to be removed.
var perhaps = regexp.MustCompile(`\((it may have been made|changed|to be removed)|the rest of the plan`)

// truthful wants what an error says of what is left to be what there is: all that
// is new is listed, and where nothing has changed nothing is said to have been
// made, but for what perhaps was.
func truthful(t *testing.T, what string, err error, before, after standing) {
	t.Helper()
	text := fmt.Sprint(fail.LeftOf(err))
	if code := fail.ExitCode(err); code != fail.CodeDirty {
		sameInventory(t, what+": says that all is put back", before.shape, after.shape)
		if before.todo != after.todo {
			t.Errorf("%s: says that all is put back: %v\nbefore %s\nafter  %s", what, err, before.todo, after.todo)
		}
		return
	}
	for id, address := range after.owned {
		if before.owned[id] == "" && !strings.Contains(text, id) && !strings.Contains(text, address+" (it may have been made") {
			t.Errorf("%s: does not list %s %s, but %s: %v", what, address, id, text, err)
		}
	}
	if text == "[]" {
		t.Errorf("%s: does not say what is left: %v", what, err)
	} else if !perhaps.MatchString(text) && !hasChanged(before.shape, after.shape) && before.todo == after.todo && maps.Equal(before.owned, after.owned) {
		t.Errorf("%s: lists what is not left, %s: %v", what, text, err)
	}
}

func hasChanged(before, after map[string][]string) bool {
	return fmt.Sprint(before) != fmt.Sprint(after)
}
