package main

import (
	"context"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/promote"
	"github.com/spf13/cobra"
)

type boardReport struct {
	Board []promote.Standing `json:"board"`
}

// text gives a row for every image and a column for every environment.
func (r boardReport) text(t *text) {
	header := []string{"IMAGE"}
	var rows [][]string
	for _, s := range r.Board {
		column := slices.Index(header, s.Environment)
		if column < 0 {
			column = len(header)
			header = append(header, s.Environment)
		}
		if len(rows) == 0 || rows[len(rows)-1][0] != s.Image {
			rows = append(rows, []string{s.Image})
		}
		last := len(rows) - 1
		for len(rows[last]) <= column {
			rows[last] = append(rows[last], "")
		}
		rows[last][column] = standing(s)
	}
	t.table("the project has no images", header, rows)
	t.regions(regionRows(r.Board))
}

// standing is what an environment shows, with what its further regions show where
// that is something else.
func standing(s promote.Standing) string {
	if s.Unreachable != "" {
		return "not known"
	}
	own := regionRow{Regional: promote.Regional{AMI: s.AMI, Version: s.Version, Missing: s.Missing, Revoked: s.Revoked}}
	var others []string
	for _, r := range regionRows([]promote.Standing{s}) {
		if r.Lags {
			others = append(others, r.Region+": "+r.shows())
		}
	}
	if len(others) == 0 {
		return own.shows()
	}
	return own.shows() + " (" + strings.Join(others, ", ") + ")"
}

func newImagesBoard(p *program) *cobra.Command {
	return &cobra.Command{
		Use:     "board",
		Short:   "Show which build of every image is current in every environment",
		Example: "  goldline images board --local\n  goldline images board --local -o json",
		Args:    takes(),
		RunE: p.reads(func(ctx context.Context, _ []string) (report, error) {
			promoter, err := p.asked(ctx, "images")
			if err != nil {
				return nil, err
			}
			board, err := promoter.Board(ctx)
			return boardReport{Board: board}, err
		}),
	}
}
