package promote

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/fail"
)

// Moment is a point in an environment's past: the end of a run, or a time.
type Moment struct {
	Run string
	At  time.Time // where Run is empty
}

func (m Moment) String() string {
	if m.Run != "" {
		return "the end of run " + m.Run
	}
	return m.At.UTC().Format(time.RFC3339)
}

// Return is what becomes of an image when its environment goes back to a moment.
type Return struct {
	Image string `json:"image"`
	From  Ref    `json:"from"` // current now
	// To was current then. Where it is empty nothing was, and From stays.
	To Ref `json:"to"`
	// Regions are further regions that show something else than From.
	Regions []string `json:"regions,omitempty"`
}

// Moves tells whether another build becomes current, in some region at least.
func (r Return) Moves() bool {
	return r.To.AMI != "" && (r.To.AMI != r.From.AMI || len(r.Regions) > 0)
}

// Past says how images of an environment go back to a moment: for each one that has
// a current build, what was current then. Refused as wrong input are builds that are
// gone, revoked or failed there, all at once; a run that made nothing current there;
// and a time before the first build was.
func (p *Promoter) Past(ctx context.Context, environment string, images []string, m Moment) ([]Return, error) {
	histories := map[string][]Entry{}
	for _, image := range p.project.ImageNames() {
		entries, err := p.History(ctx, image, environment)
		if err != nil {
			return nil, fail.Unchanged(err)
		}
		histories[image] = entries
	}
	at := m.At
	if m.Run != "" {
		if at = endOf(histories, m.Run); at.IsZero() {
			err := fail.Inputf("run %s made no build current in %s", m.Run, environment)
			return nil, fail.WithHint(err, "goldline images history --env %s shows the runs that did; --to-time names a time in place of one", environment)
		}
	}
	lagging, err := p.lagging(ctx, environment)
	if err != nil {
		return nil, fail.Unchanged(err)
	}
	returns, known := []Return{}, false
	var gone []string
	for _, image := range p.project.ImageNames() {
		entries := histories[image]
		if len(entries) == 0 || len(images) > 0 && !slices.Contains(images, image) {
			continue
		}
		now := entries[len(entries)-1]
		r := Return{Image: image, From: Ref{AMI: now.AMI, Version: now.Version}, Regions: lagging[image]}
		if then, ok := currentAt(entries, at); ok {
			known = true
			r.To = Ref{AMI: then.AMI, Version: then.Version}
			if r.Moves() && (!then.Exists || then.Failed != "") {
				gone = append(gone, fmt.Sprintf("%s %s", image, r.To))
			}
		}
		returns = append(returns, r)
	}
	if len(gone) > 0 {
		err := fail.Inputf("%s cannot go back to %s: of what was current then, this is gone, revoked or failed there: %s", environment, m, strings.Join(gone, ", "))
		return nil, fail.WithHint(err, "go back with the other images alone, by name, or to another time: goldline images history --env %s", environment)
	}
	if !known {
		return nil, fail.WithHint(fail.Inputf("no build was current in %s at %s", environment, m), "goldline images history --env %s shows since when there are some", environment)
	}
	return returns, nil
}

// lagging are the further regions of an environment that show another build of an
// image than the one that is current there, by image.
func (p *Promoter) lagging(ctx context.Context, environment string) (map[string][]string, error) {
	standings, err := p.Further(ctx, environment)
	regions := map[string][]string{}
	for _, s := range standings {
		for _, r := range s.Regions {
			if r.Lags {
				regions[s.Image] = append(regions[s.Image], r.Region)
			}
		}
	}
	return regions, err
}

// currentAt is what was current at a time.
func currentAt(entries []Entry, at time.Time) (Entry, bool) {
	for i := len(entries) - 1; i >= 0; i-- {
		if !entries[i].At.After(at) {
			return entries[i], true
		}
	}
	return Entry{}, false
}

// endOf is when a run made a build current for the last time; zero if it never did.
func endOf(histories map[string][]Entry, run string) time.Time {
	var end time.Time
	for _, entries := range histories {
		for _, e := range entries {
			if e.Run == run && e.At.After(end) {
				end = e.At
			}
		}
	}
	return end
}
