package bake

import (
	"os"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/project"
)

// What an earlier bake may have left is looked for where its trace says so.
func TestTraces(t *testing.T) {
	dir, dead := t.TempDir(), false
	at := func(run string) *bake {
		return &bake{
			Baker: New(Options{Dir: dir, Run: run, DeadRun: func(string) bool { return dead }}), image: &project.Image{Name: "web"},
			started: time.Now(), stuck: map[string]error{},
		}
	}
	first, next := at("r1"), at("r2")
	if next.traced() {
		t.Error("traced before anything was baked")
	}
	first.leaveTrace()
	if first.traced() || !next.traced() {
		t.Errorf("traced: by itself %v, by the next %v", first.traced(), next.traced())
	}
	first.stuck["builder"] = os.ErrDeadlineExceeded
	first.dropTrace()
	dead = true
	next.forgetTraces()
	if !next.traced() {
		t.Error("the trace of what is left went, or that of what may not be seen yet")
	}
	old := time.Now().Add(-traceTime - time.Minute)
	if err := os.Chtimes(first.traceFile(), old, old); err != nil {
		t.Fatal(err)
	}
	dead = false
	next.forgetTraces()
	if !next.traced() {
		t.Error("the trace of a run of which nothing is known went before its expiry")
	}
	dead = true
	next.forgetTraces()
	if next.traced() {
		t.Error("the trace of a dead run stays")
	}
}
