package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goldline-dev/goldline/internal/emulator"
)

// TestThroughBuckets launches, plans and destroys through EC2's own buckets, on a
// clock that only waiting moves: however many calls are refused, none is lost.
// PLATFORM_SIZES are the numbers of instances: "300,1000".
func TestThroughBuckets(t *testing.T) {
	sizes := os.Getenv("PLATFORM_SIZES")
	if sizes == "" {
		sizes = "120" // more than CreateTags' bucket lets through at once
	}
	for _, size := range strings.Split(sizes, ",") {
		instances, err := strconv.Atoi(size)
		if err != nil {
			t.Fatalf("PLATFORM_SIZES: %v", err)
		}
		t.Run(fmt.Sprintf("%d, buckets known", instances), func(t *testing.T) { throughBuckets(t, instances, true) })
		t.Run(fmt.Sprintf("%d, buckets learned", instances), func(t *testing.T) { throughBuckets(t, instances, false) })
	}
}

// throughBuckets runs against buckets that the limiter knows, as on AWS, where no
// call may be refused, or against ones that it has to meet, where each call may be
// refused once or twice, but not again and again.
func throughBuckets(t *testing.T, instances int, known bool) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{t: t, env: "prod", paced: known}
		s.open(emulator.Options{Buckets: true})
		defer s.close()
		s.dir = platformOf(t, instances, s.ami())
		measure := func(what string, do func(context.Context) error) time.Duration {
			s.local.ResetCalls()
			start := time.Now()
			if err := do(context.Background()); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			took, refused, calls := time.Since(start), s.throttled(), len(s.local.Calls())
			t.Logf("%s: %s on the driven clock, %d calls, %d of them refused", what, took.Round(100*time.Millisecond), calls, refused)
			if known && refused > 0 || refused > calls/2 {
				t.Errorf("%s: %d of %d calls were refused", what, refused, calls)
			}
			return took
		}
		// The slowest of what a launch does often is CreateVolume and AttachVolume, 5 a
		// second; all else goes on meanwhile.
		most := time.Minute + time.Duration(instances)*time.Second/2
		if took := measure("launch", s.launch); took > most {
			t.Errorf("the launch took %s, not %s", took, most)
		}
		if plan := s.plan(); !plan.Empty() {
			t.Errorf("the second plan is not empty: %+v", plan.Counts)
		}
		measure("destroy", s.destroy)
	})
}
