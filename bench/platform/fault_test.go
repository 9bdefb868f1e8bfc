package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/goldline-dev/goldline/internal/emulator"
)

// story is a project and what is done with it in one go.
type story struct {
	name    string
	project func(s *site)                            // gives the site its project
	before  func(s *site)                            // undisturbed
	do      func(s *site, ctx context.Context) error // a method of site
	sample  int                                      // how many of its calls go wrong; 0 for each of them
}

func stories() []story {
	nothing := func(*site) {}
	launched := func(s *site) {
		s.t.Helper()
		if err := s.launch(context.Background()); err != nil {
			s.t.Fatal(err)
		}
	}
	shop := func(s *site) {
		s.dir, s.env = "../../examples/shop", "dev"
		for _, image := range []string{"web", "api", "db"} {
			s.promote(image, "1.0.0")
		}
	}
	platform := func(s *site) { s.dir, s.env = platformOf(s.t, 10, s.ami()), "prod" }
	return []story{
		{"shop: launch", shop, nothing, (*site).launch, 0},
		{"shop: replacement", shop, func(s *site) {
			launched(s)
			for _, image := range []string{"web", "api", "db"} {
				s.promote(image, "2.0.0")
			}
		}, (*site).launch, 0},
		{"shop: destroy", shop, launched, (*site).destroy, 0},
		{"platform: launch", platform, nothing, (*site).launch, 12},
		{"platform: destroy", platform, launched, (*site).destroy, 8},
	}
}

// TestCallsGoWrong lets a call go wrong and runs the same command again: the end
// state is that of an undisturbed run. Of the shop it is each call, of the
// platform a sample; how each goes wrong is chosen by a seed, which GOLDLINE_SEED
// sets.
func TestCallsGoWrong(t *testing.T) {
	seed := uint64(1)
	if text := os.Getenv("GOLDLINE_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("GOLDLINE_SEED: %v", err)
		}
	}
	t.Logf("GOLDLINE_SEED=%d", seed)
	for n, story := range stories() {
		random := rand.New(rand.NewPCG(seed, uint64(n)))
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			var want string
			calls := 0
			synctest.Test(t, func(t *testing.T) { want, calls = calm(t, story) })
			chosen := random.Perm(calls)
			if story.sample > 0 {
				chosen = chosen[:min(story.sample, calls)]
			} else if testing.Short() {
				chosen = chosen[:calls/5]
			}
			kinds := []emulator.FaultKind{emulator.Error, emulator.LostAnswer, emulator.Die, emulator.DieAfter}
			for _, call := range chosen {
				fault := emulator.Fault{Nth: call + 1, Kind: kinds[random.IntN(len(kinds))], Code: "InsufficientInstanceCapacity"}
				synctest.Test(t, func(t *testing.T) { disturbed(t, story, want, fault) })
			}
			t.Logf("%d of %d calls went wrong", len(chosen), calls)
		})
	}
}

func calm(t *testing.T, story story) (shape string, calls int) {
	s := &site{t: t}
	s.open(emulator.Options{})
	defer s.close()
	story.project(s)
	story.before(s)
	s.local.ResetCalls()
	if err := story.do(s, context.Background()); err != nil {
		t.Fatal(err)
	}
	return s.shape(), len(s.local.Calls())
}

func disturbed(t *testing.T, story story, want string, fault emulator.Fault) {
	what := fmt.Sprintf("%s, %s at call %d", story.name, fault.Kind, fault.Nth)
	s := &site{t: t}
	s.open(emulator.Options{})
	defer s.close()
	story.project(s)
	story.before(s)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.onDie = cancel
	s.local.Inject(fault)
	first := story.do(s, ctx)
	s.local.ClearFaults()
	s.cut.Store(false)
	s.connect()
	if err := story.do(s, context.Background()); err != nil {
		t.Errorf("%s: the second run fails: %v (the first: %v)", what, err, first)
	}
	if got := s.shape(); got != want {
		t.Errorf("%s: the end state differs (the first run: %v):\n%s\nnot\n%s", what, first, got, want)
	}
}
