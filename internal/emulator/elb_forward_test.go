package emulator

import (
	"testing"
	"time"
)

// TestSpread: weights are kept exactly, and what has a small share never waits
// long for it.
func TestSpread(t *testing.T) {
	for _, total := range []uint64{1, 2, 3, 10, 100, 999, 1998} {
		small := max(1, total/10)
		got, waits, longest := uint64(0), uint64(0), uint64(0)
		for turn := range total {
			if n := spread(turn, total); n >= total {
				t.Fatalf("%d of %d", n, total)
			} else if n < small {
				got, waits = got+1, 0
			} else {
				waits++
				longest = max(longest, waits)
			}
		}
		if got != small || longest > 2*total/small {
			t.Errorf("of %d turns %d went to a share of %d, the longest wait was %d", total, got, small, longest)
		}
	}
}

// TestSlowStart: a new target's share grows with the time that it is healthy.
func TestSlowStart(t *testing.T) {
	now := time.Now()
	const slow = 100 * time.Second
	for _, test := range []struct {
		since       time.Duration
		least, most int
	}{{0, 1, 3}, {20 * time.Second, 30, 50}, {50 * time.Second, 90, 110}, {slow, 200, 200}} {
		traffic := &elbTraffic{turns: map[string]uint64{}}
		list := []targetRow{{Instance: "old", Well: now.Add(-time.Hour)}, {Instance: "new", Well: now.Add(-test.since)}}
		got := 0
		for range 400 {
			if traffic.fair("group", list, slow, now).Instance == "new" {
				got++
			}
		}
		if got < test.least || got > test.most {
			t.Errorf("after %s it got %d of 400 requests", test.since, got)
		}
	}
}
