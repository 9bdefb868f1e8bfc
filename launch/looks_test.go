package launch

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	var p pace
	var pauses []time.Duration
	for range 10 {
		pauses = append(pauses, p.next())
	}
	if pauses[0] != lookPause || pauses[9] != longestPause || !slices.IsSorted(pauses) {
		t.Errorf("pauses: %v", pauses)
	}
	p.quicken()
	if next := p.next(); next != lookPause {
		t.Errorf("quickened: %v", next)
	}
}

// Two bad looks with a good one in between decide nothing; a look that fails is a
// bad one.
func TestWatching(t *testing.T) {
	type answer struct {
		ok  bool
		saw string
		err error
	}
	var now answer
	w := watching{func(context.Context) (bool, string, error) { return now.ok, now.saw, now.err }, streak{enough: 2}}
	for n, step := range []struct {
		answer
		says string
		over bool
	}{
		{answer{saw: "503"}, "503", false},
		{answer{ok: true, saw: "200"}, "200", false},
		{answer{err: errors.New("refused")}, "refused", false},
		{answer{ok: true, err: errors.New("cut off")}, "cut off", true},
		{answer{ok: true, saw: "200"}, "200", false},
	} {
		now = step.answer
		if saw := w.look(t.Context()); saw != step.says || w.bad.decides() != step.over {
			t.Errorf("look %d: %q, over %v", n+1, saw, w.bad.decides())
		}
	}
}
