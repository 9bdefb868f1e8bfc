package main

import (
	"fmt"

	"github.com/goldline-dev/goldline/launch"
)

// rolloutTable prints how instances took up a new build, a table a definition.
func rolloutTable(t *text, rollouts []launch.RolloutResult) {
	for _, r := range rollouts {
		var rows [][]string
		states := map[string]int{}
		for _, i := range r.Instances {
			states[i.State]++
			took, batch := "-", "-"
			if i.Seconds > 0 {
				took = fmt.Sprintf("%.1f s", i.Seconds)
			}
			if i.Batch > 0 {
				batch = fmt.Sprintf("%d of %d", i.Batch, r.Batches)
			}
			rows = append(rows, []string{i.Address, batch, i.State, orDash(i.Old), orDash(i.New), orDash(i.To), took})
		}
		t.gap()
		t.linef("Roll-out of %s, %s: %s", r.Definition, r.Strategy, statesText(states, len(r.Instances)))
		t.table("", []string{"ADDRESS", "BATCH", "STATE", "OLD", "NEW", "AMI", "TOOK"}, rows)
	}
}

// statesText counts the instances of a roll-out by what became of them.
func statesText(states map[string]int, n int) string {
	text := fmt.Sprintf("%d of %d took the new build", states[launch.StateTaken], n)
	for _, state := range []string{launch.StatePutBack, launch.StateFailed, launch.StateReplacing, launch.StateWaiting} {
		if states[state] > 0 {
			text += fmt.Sprintf(", %d %s", states[state], state)
		}
	}
	return text
}
