package main

import (
	"fmt"

	"github.com/goldline-dev/goldline/launch"
)

// rolloutTable prints how instances took up a new build, a table a definition.
func rolloutTable(t *text, rollouts []launch.RolloutResult) {
	for _, r := range rollouts {
		var rows [][]string
		for _, i := range r.Instances {
			took := "-"
			if i.Seconds > 0 {
				took = fmt.Sprintf("%.1f s", i.Seconds)
			}
			rows = append(rows, []string{i.Address, fmt.Sprintf("%d of %d", i.Batch, r.Batches), i.State, orDash(i.Old), orDash(i.New), orDash(i.To), took})
		}
		t.gap()
		t.linef("Roll-out of %s, %s", r.Definition, r.Strategy)
		t.table("", []string{"ADDRESS", "BATCH", "STATE", "OLD", "NEW", "AMI", "TOOK"}, rows)
	}
}
