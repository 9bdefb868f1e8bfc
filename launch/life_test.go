package launch

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
)

// step is one edit in the life of a few resources, and the plan that follows.
type step struct {
	name string
	edit func(s *site)
	want []string
}

// live launches files, makes one edit after the other, each with its plan and
// with nothing left to do after it, destroys everything, and wants the cloud
// as it was.
func live(t *testing.T, files map[string]string, steps []step) *site {
	t.Helper()
	s := newSite(t, files)
	before := s.inventory()
	s.launch()
	s.settled()
	for _, step := range steps {
		step.edit(s)
		plan := s.plan()
		got := anyID.ReplaceAllString(summaryOf(plan), "ID")
		if want := strings.Join(step.want, "\n"); got != want {
			t.Errorf("%s: the plan is\n%s\nwant\n%s", step.name, got, want)
		}
		s.launch()
		s.settled()
	}
	s.destroy()
	sameInventory(t, "after destroy", before, s.inventory())
	return s
}

// disturb lets a sample of the calls of a launch, of an edit and of a destroy
// go wrong, each in its own cloud, and wants the same command to bring about
// what an undisturbed one does.
func disturb(t *testing.T, files map[string]string, edit func(s *site), stride int) {
	t.Helper()
	kinds := []emulator.FaultKind{emulator.Error, emulator.LostAnswer, emulator.Die, emulator.DieAfter}
	for _, story := range []story{
		{"launch", func(*site) {}, launchIt},
		{"change", func(s *site) { s.launch(); edit(s) }, launchIt},
		{"destroy", func(s *site) { s.launch() }, func(ctx context.Context, s *site) error { return s.tryDestroy(ctx) }},
	} {
		calm := newSite(t, files)
		story.prepare(calm)
		calm.local.ResetCalls()
		if err := story.do(context.Background(), calm); err != nil {
			t.Fatal(err)
		}
		calls := len(calm.local.Calls())
		want := calm.shape()
		var faults []emulator.Fault
		for n := 1; n <= calls; n++ {
			if n%stride != 0 {
				continue
			}
			for _, kind := range kinds {
				faults = append(faults, emulator.Fault{Nth: n, Kind: kind, Code: codeFor(kind)})
			}
		}
		err := graph.Each(context.Background(), 8, len(faults), func(_ context.Context, i int) error {
			s := newSite(t, files)
			story.prepare(s)
			s.local.Inject(faults[i])
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			s.onDie = cancel
			what := fmt.Sprintf("%s, %s at call %d", story.name, faults[i].Kind, faults[i].Nth)
			first := story.do(ctx, s)
			if first != nil && ctx.Err() == nil && fail.ExitCode(first) == 0 {
				t.Errorf("%s: an error without an end state: %v", what, first)
			}
			s.reconnect()
			if err := story.do(context.Background(), s); err != nil {
				t.Errorf("%s: the second run fails: %v (first: %v)", what, err, first)
			}
			sameInventory(t, what, want, s.shape())
			return s.local.Close()
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// mistaken wants the problems that a file with one edit has.
func mistaken(t *testing.T, files map[string]string, file, old, new string, want ...string) {
	t.Helper()
	t.Run(strings.TrimPrefix(fmt.Sprintf("%s %.40s", file, new), "topology/"), func(t *testing.T) {
		s := &site{t: t, dir: t.TempDir()}
		s.write(map[string]string{
			"goldline.yaml": "project: shop\nladder: [dev]\n", "environments/dev.yaml": "account: \"000000000000\"\nregion: eu-central-1\n"})
		s.write(files)
		if _, err := s.topology(); err != nil {
			t.Fatalf("before the edit: %v", err)
		}
		s.edit(file, old, new)
		_, err := s.topology()
		if err == nil {
			t.Fatal("no problem")
		}
		for _, want := range want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("problems:\n%v\nwant %q", err, want)
			}
		}
	})
}
