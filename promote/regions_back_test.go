package promote

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// climbed is a world in which build 1 was current everywhere, and build 2 is; first
// is when 1 was, and second the AMI of 2.
func climbed(t *testing.T) (w *world, first time.Time, second string) {
	t.Helper()
	w = far(t)
	w.build("web", "1")
	second = w.build("web", "2")
	w.climb("1", "dev", "test", "prod")
	first = time.Now()
	w.climb("2", "dev", "test", "prod")
	w.show("prod", "2")
	return w, first, second
}

// Going back, and taking that back, moves the pointers of all regions.
func TestGoingBackInAllRegions(t *testing.T) {
	w, _, _ := climbed(t)
	p := w.promoter()
	back, err := p.Rollback(t.Context(), "web", "prod", "")
	if err != nil || back.To.Version != "1" || !slices.Equal(back.Regions, []string{abroad}) {
		t.Errorf("back: %+v, %v", back, err)
	}
	w.show("prod", "1")
	if err := p.Restore(t.Context(), back); err != nil {
		t.Error(err)
	}
	w.show("prod", "2")
}

// What is said of a build that failed is said in all regions.
func TestFailedInAllRegions(t *testing.T) {
	w, _, _ := climbed(t)
	_, own := w.shows("prod", home)
	_, there := w.shows("prod", abroad)
	if err := w.promoter().Fail(t.Context(), "prod", []string{own}, "it does not answer"); err != nil {
		t.Fatal(err)
	}
	failed := func() string {
		of := func(region, ami string) bool {
			return slices.ContainsFunc(w.owned("prod", region), func(i types.Image) bool {
				return *i.ImageId == ami && cloud.TagSet(i.Tags)[tags.FailedIn("prod")] != ""
			})
		}
		return fmt.Sprint(of(home, own), of(abroad, there))
	}
	if got := failed(); got != "true true" {
		t.Errorf("marked as failed: %s", got)
	}
	undoes, err := w.promoter().Undoes(t.Context(), "prod", nil)
	if err != nil || len(undoes) != 1 {
		t.Fatalf("undoes %+v, %v", undoes, err)
	}
	if _, err := w.promoter().PutBack(t.Context(), "prod", undoes[0], "it failed"); err != nil {
		t.Error(err)
	}
	w.show("prod", "1")
	if _, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "prod", Build: "2"}); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("what failed there: %v", err)
	}
	if _, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "prod", Build: "2", RetryFailed: true}); err != nil {
		t.Error(err)
	}
	if got := failed(); got != "false false" {
		t.Errorf("marked as failed after it was tried again: %s", got)
	}
}

// The pointer of a further region that something else moved is seen, and taken
// back with the rest.
func TestLaggingRegion(t *testing.T) {
	w, first, _ := climbed(t)
	returns, err := w.promoter().Past(t.Context(), "prod", nil, Moment{At: first})
	if err != nil || len(returns) != 1 || !returns[0].Moves() || returns[0].To.Version != "1" {
		t.Errorf("as it was: %+v, %v", returns, err)
	}
	w.put(abroad, w.owned("prod", abroad), "1")
	returns, err = w.promoter().Past(t.Context(), "prod", nil, Moment{At: time.Now()})
	if err != nil || len(returns) != 1 || !returns[0].Moves() || !slices.Equal(returns[0].Regions, []string{abroad}) || returns[0].To != returns[0].From {
		t.Errorf("as it is: %+v, %v", returns, err)
	}
	board, err := w.promoter().Board(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range board {
		lags := s.Environment == "prod" && s.Image == "web"
		for _, r := range s.Regions {
			if r.Lags != lags || lags && r.Version != "1" {
				t.Errorf("%s of %s: %+v", s.Image, s.Environment, r)
			}
		}
		if want := map[bool]int{true: 0, false: 1}[s.Environment == "dr"]; len(s.Regions) != want {
			t.Errorf("%s has %d further regions", s.Environment, len(s.Regions))
		}
	}
	if again, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "prod", Build: "2"}); err != nil || again.Changed || !slices.Equal(again.Regions, []string{abroad}) {
		t.Errorf("caught up: %+v, %v", again, err)
	}
	w.show("prod", "2")
}

// A build is revoked in all regions, and used in none.
func TestRevokedInAllRegions(t *testing.T) {
	w, _, second := climbed(t)
	r, err := w.promoter().Revoke(t.Context(), second, "CVE-2026-1234")
	if err != nil || len(r.AMIs) != 4 || len(r.Current) != 3 || len(r.Lagging) != 0 {
		t.Errorf("revoked: %+v, %v", r, err)
	}
	for _, environment := range []string{"dev", "prod"} {
		for _, region := range []string{home, abroad} {
			for _, image := range w.owned(environment, region) {
				if set := cloud.TagSet(image.Tags); (set[tags.Revoked] != "") != (set[tags.Version] == "2") {
					t.Errorf("%s of %s in %s: revoked %q", set[tags.Version], environment, region, set[tags.Revoked])
				}
			}
		}
	}
	if _, err := w.promoter().Promote(t.Context(), Request{Image: "web", To: "dr", Build: "2"}); fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("a revoked copy: %v", err)
	}
}
