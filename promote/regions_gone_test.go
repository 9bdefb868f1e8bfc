package promote

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
)

// A further region that does not answer holds up what moves pointers, and says how
// to go on; what only looks tells of the rest, and a revocation reaches the rest.
func TestARegionThatDoesNotAnswer(t *testing.T) {
	w := farAs(t, "testdata/further.txtar")
	v1, v2 := w.build("web", "1"), w.build("web", "2")
	w.climb("1", "dev", "prod")
	w.climb("2", "dev")
	without := func() *Promoter {
		provider := cloud.NewProvider(cloud.Config{Transport: cutOff{w.local.Transport()}, PollMin: time.Millisecond, PollMax: 10 * time.Millisecond})
		return New(Options{Project: w.project, Provider: provider, Run: "20261121T101500Z-ab12cd"})
	}
	w.local.ResetCalls()
	_, err := without().Promote(t.Context(), Request{Image: "web", To: "prod"})
	if hints := fail.Hints(err); fail.ExitCode(err) != fail.CodeClean || len(hints) != 1 || hints[0] != "to go on without us-east-1, take it out of the regions of environment prod" {
		t.Errorf("promotion: %v, %v", err, hints)
	}
	w.unchanged("without a region")
	board, err := without().Board(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range board {
		for _, r := range s.Regions {
			if r.Unreachable == "" || !r.Lags {
				t.Errorf("%s of %s: %+v", s.Image, s.Environment, r)
			}
		}
	}
	if list, err := without().List(t.Context(), "web"); err != nil || len(list) != 3 {
		t.Errorf("%d builds, %v", len(list), err)
	}
	if r, err := without().Revoke(t.Context(), v1, "CVE-2026-1234"); fail.ExitCode(err) != fail.CodeDirty || len(r.AMIs) != 2 {
		t.Errorf("revoked without a region: %+v, %v", r, err)
	}
	if r, err := w.promoter().Revoke(t.Context(), v1, "CVE-2026-1234"); err != nil || len(r.AMIs) != 3 {
		t.Errorf("revoked: %+v, %v", r, err)
	}
	if _, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "prod", Build: v2}); err != nil {
		t.Error(err)
	}
}

// What goes back by itself does not wait for a further region.
func TestPutBackWithoutARegion(t *testing.T) {
	w := farAs(t, "testdata/further.txtar")
	for _, version := range []string{"1", "2"} {
		w.build("web", version)
		w.climb(version, "dev", "prod")
	}
	_, own := w.shows("prod", home)
	provider := cloud.NewProvider(cloud.Config{Transport: cutOff{w.local.Transport()}, PollMin: time.Millisecond, PollMax: 10 * time.Millisecond})
	told := 0
	p := New(Options{Project: w.project, Provider: provider, Sink: event.Func(func(e event.Event) {
		if e.Kind == event.Warning && strings.Contains(e.Message, "without region us-east-1") {
			told++
		}
	})})
	if err := p.Fail(t.Context(), "prod", []string{own}, "it does not answer"); err != nil {
		t.Error(err)
	}
	undoes, err := p.Undoes(t.Context(), "prod", nil)
	if err != nil || len(undoes) != 1 {
		t.Fatalf("undoes %+v, %v", undoes, err)
	}
	if move, err := p.PutBack(t.Context(), "prod", undoes[0], "it failed"); err != nil || move.To.Version != "1" || !move.Changed || len(move.Regions) > 0 {
		t.Errorf("put back: %+v, %v", move, err)
	}
	here, _ := w.shows("prod", home)
	if there, _ := w.shows("prod", abroad); here != "1" || there != "2" || told != 2 {
		t.Errorf("prod shows %s, and %s abroad; %d warnings", here, there, told)
	}
	board, err := w.promoter().Further(t.Context(), "prod")
	if err != nil || !board[0].Regions[0].Lags {
		t.Errorf("%+v, %v", board, err)
	}
	if back, err := w.promoter().Rollback(t.Context(), "web", "prod", "1"); err != nil || back.Changed || len(back.Regions) != 1 {
		t.Errorf("afterwards: %+v, %v", back, err)
	}
	w.show("prod", "1")
}

// cutOff is a way to a cloud of which one region refuses every call.
type cutOff struct{ to http.RoundTripper }

func (c cutOff) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.Header.Get("Authorization"), "/"+abroad+"/") {
		return c.to.RoundTrip(r)
	}
	return &http.Response{StatusCode: http.StatusForbidden, Body: http.NoBody, Header: http.Header{}, Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
}

// When an environment's region is gone, it can live in a further one: builds,
// pointers and what to go back to are there.
func TestTheFurtherRegionTakesOver(t *testing.T) {
	w := farAs(t, "testdata/further.txtar")
	for _, version := range []string{"1", "2"} {
		w.build("web", version)
		w.climb(version, "dev", "prod")
	}
	env, err := w.project.Environment("prod")
	if err != nil {
		t.Fatal(err)
	}
	env.Region, env.Regions = abroad, nil
	history, err := w.promoter().History(t.Context(), "web", "prod")
	if err != nil || len(history) != 2 || history[1].Version != "2" || !history[1].Current || !history[1].Exists || history[1].Action != actionPromote {
		t.Errorf("history: %+v, %v", history, err)
	}
	w.local.ResetCalls()
	if back, err := w.promoter().Rollback(t.Context(), "web", "prod", ""); err != nil || back.To.Version != "1" || w.calls("CopyImage") != 0 {
		t.Errorf("back: %+v, %v", back, err)
	}
	// And back where it was: the region that led lags, and is caught up.
	env.Region, env.Regions = home, []string{abroad}
	if there, _ := w.shows("prod", abroad); there != "1" {
		t.Errorf("abroad shows %s", there)
	}
	if again, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "prod"}); err != nil || again.Changed || !slices.Equal(again.Regions, []string{abroad}) {
		t.Errorf("caught up: %+v, %v", again, err)
	}
	w.show("prod", "2")
}
