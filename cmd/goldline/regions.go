package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/promote"
)

// regionRow is what a further region of an environment shows of an image.
type regionRow struct {
	Environment string `json:"environment"`
	Image       string `json:"image"`
	promote.Regional
	current string // the build that the region should show
}

// regionRows lists what the further regions of environments show.
func regionRows(board []promote.Standing) []regionRow {
	var rows []regionRow
	for _, s := range board {
		for _, r := range s.Regions {
			rows = append(rows, regionRow{Environment: s.Environment, Image: s.Image, Regional: r, current: s.AMI})
		}
	}
	return rows
}

// shows is what the region shows, as briefly as can be.
func (r regionRow) shows() string {
	name := r.Version
	if name == "" {
		name = r.AMI
	}
	switch {
	case r.Unreachable != "":
		return "?"
	case r.AMI == "":
		return "-"
	case r.Missing:
		return r.AMI + " (missing)"
	case r.Revoked != "":
		return name + " (revoked)"
	}
	return name
}

// regions says of every environment with further regions which of them show all
// that is current, and of what lags how it catches up.
func (t *text) regions(rows []regionRow) {
	type place struct{ environment, region string }
	var places []place
	lags, some := map[place]bool{}, map[string]bool{}
	for _, r := range rows {
		at := place{r.Environment, r.Region}
		if !slices.Contains(places, at) {
			places = append(places, at)
		}
		lags[at] = lags[at] || r.Lags
		some[r.Environment] = some[r.Environment] || r.current != "" || r.Lags
	}
	said := map[string]bool{}
	for _, at := range places {
		env := at.environment
		if said[env] || !some[env] {
			continue
		}
		if len(said) == 0 {
			t.gap()
		}
		said[env] = true
		var level []string
		for _, other := range places {
			if other.environment == env && !lags[other] {
				level = append(level, other.region)
			}
		}
		if len(level) > 0 {
			t.linef("%s: all that is current is also in %s", env, strings.Join(level, " and "))
		}
		for _, r := range rows {
			if r.Environment == env && r.Lags {
				t.linef("%s: %s", env, r.lag())
			}
		}
	}
}

func (r regionRow) lag() string {
	switch {
	case r.Unreachable != "":
		return fmt.Sprintf("%s does not say which %s it shows: %s", r.Region, r.Image, r.Unreachable)
	case r.current == "":
		return fmt.Sprintf("%s shows %s %s, and none is current", r.Region, r.Image, r.shows())
	}
	what := r.shows()
	if r.AMI == "" {
		what = "no build"
	}
	return fmt.Sprintf("%s shows %s of %s; goldline promote %s --to %s --build %s puts that right", r.Region, what, r.Image, r.Image, r.Environment, r.current)
}

// regional is what the further regions of an environment show, or of all where none
// is named.
func regional(ctx context.Context, promoter *promote.Promoter, environment string) ([]regionRow, error) {
	board, err := promoter.Further(ctx, environment)
	return append([]regionRow{}, regionRows(board)...), err
}
