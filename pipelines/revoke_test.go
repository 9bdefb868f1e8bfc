package pipelines

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/promote"
)

// revoke revokes a build and takes dev back where that is current, as a new
// process would.
func (w *world) revoke(ctx context.Context, ami string) (moves []promote.Move, err error) {
	w.t.Helper()
	w.runs++
	o := RollbackOptions{Project: w.project(), Provider: w.provider(), Run: fmt.Sprintf("run-%d", w.runs)}
	revoked, err := promote.New(promote.Options{Project: o.Project, Provider: o.Provider, Run: o.Run}).Revoke(ctx, ami, "CVE-2026-1234")
	for _, s := range slices.Concat(revoked.Current, revoked.GoingBack) {
		if err != nil {
			break
		}
		var move promote.Move
		o.Image, o.Environment = s.Image, s.Environment
		move, _, err = Rollback(ctx, o)
		moves = append(moves, move)
	}
	return moves, err
}

// current is the AMI that is current in dev.
func (w *world) current() string {
	w.t.Helper()
	pointers, err := w.cloud.Pointers(w.t.Context(), "shop", "dev")
	if err != nil {
		w.t.Fatal(err)
	}
	return pointers["web"].AMI
}

// Revoking with going back, as one command, killed at every call that changes
// something: the same again goes back as far as an undisturbed one, and no further.
func TestRevokingKilledAtEveryChange(t *testing.T) {
	undisturbed := threeReleases(t)
	if moves, err := undisturbed.revoke(t.Context(), undisturbed.current()); err != nil || len(moves) != 1 || moves[0].To.Version != "2" {
		t.Fatal(moves, err)
	}
	want := undisturbed.shape()
	everyChange(t, undisturbed.local.Calls(), 0, kills, func(t *testing.T, fault emulator.Fault) {
		w := threeReleases(t)
		ami := w.current()
		w.killedBy(fault, func(ctx context.Context) { _, _ = w.revoke(ctx, ami) })
		if _, err := w.revoke(w.t.Context(), ami); err != nil {
			t.Fatal(err)
		}
		if got := w.shape(); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		moves, err := w.revoke(w.t.Context(), ami)
		if got := w.shape(); err != nil || len(moves) > 0 || !maps.Equal(got, want) {
			t.Errorf("once more: %v, %v, %v", moves, err, got)
		}
	})
}
