package main

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/machine"
)

// TestFleet takes examples/fleet to prod, and a build that fails there: it goes
// back by itself, the service runs what it ran, and the build is refused from
// then on.
func TestFleet(t *testing.T) {
	t.Parallel()
	kind := machine.Overlay
	if available := machine.Available(t.Context(), t.TempDir()); !slices.Contains(available, kind) {
		if kind = machine.UserNS; !slices.Contains(available, kind) {
			t.Skipf("this system allows %v alone: the fleet's instances, which run Python, are not tried", available)
		}
	}
	if _, err := exec.LookPath("/usr/bin/python3"); err != nil {
		t.Skipf("the fleet's service is not tried: %v", err)
	}
	s := newExample(t, "fleet", kind)
	s.do("images list")
	before := s.inventory()

	s.do("run release")
	sound := s.versions("prod")
	if len(sound) != 7 {
		t.Errorf("%d instances in prod: %v", len(sound), sound)
	}
	failed := s.ends(3, "run release --var fault=later")
	if now := s.versions("prod"); failed.Outcome != "failed_clean" || !maps.Equal(now, sound) {
		t.Errorf("a build that does not stay healthy: %s\n%v, before %v", failed.Outcome, now, sound)
	}
	states := map[string]string{}
	for _, stage := range failed.Stages {
		states[stage.Name] = stage.State
	}
	if states["check-test"] != "succeeded" || states["launch-prod"] != "failed" || states["check-prod"] != "skipped" {
		t.Errorf("its stages: %v", states)
	}
	refused := s.ends(2, "run release --var fault=later")
	if !strings.Contains(refused.Error.Message, "failed in prod before") {
		t.Errorf("once more: %s", refused.Error.Message)
	}
	s.do("run release --var greeting=Hi")
	if now := s.versions("prod"); now["instance.web[0]"] == sound["instance.web[0]"] || now["instance.db"] != sound["instance.db"] {
		t.Errorf("a sound build after it: %v, before %v", now, sound)
	}
	s.do("run teardown")
	after := slices.DeleteFunc(s.inventory(kept...), func(line string) bool { return slices.Contains(before, line) })
	if len(after) > 0 {
		t.Errorf("left:\n%s", strings.Join(after, "\n"))
	}
}
