package launch

import (
	"fmt"
	"strings"

	"github.com/goldline-dev/goldline/internal/project"
)

// RolloutResult is how the instances of one definition took up a new build.
type RolloutResult struct {
	Definition string   `json:"definition"`
	Strategy   string   `json:"strategy"`
	Batches    int      `json:"batches"`
	Instances  []Rolled `json:"instances"`
}

// Rolled is an instance in a roll-out.
type Rolled struct {
	Address string  `json:"address"`
	Batch   int     `json:"batch"` // from 1 on; 0 in a group, which has no batches
	State   string  `json:"state"` // one of the States
	Old     string  `json:"old_id,omitempty"`
	New     string  `json:"id,omitempty"`
	From    string  `json:"old_ami,omitempty"`
	To      string  `json:"ami,omitempty"`
	Seconds float64 `json:"seconds,omitempty"` // that its replacement took
	Reason  string  `json:"reason,omitempty"`  // why it did not take the new build
}

// strategyOf is what a roll-out goes by, in a few words.
func strategyOf(o *project.Rollout) string {
	kind := o.Kind()
	if o.MinimumHealthy != "" {
		kind = strings.TrimPrefix(kind+", minimum_healthy "+string(o.MinimumHealthy), ", ")
	}
	return kind
}

func (r *rolling) result() RolloutResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	result := RolloutResult{Definition: r.definition, Strategy: strategyOf(r.spec), Batches: len(r.batches)}
	for _, address := range r.order {
		result.Instances = append(result.Instances, r.members[address].Rolled)
	}
	return result
}

// fields say in an event how far a roll-out is: how many instances of the
// definition are healthy, and how many take the new build.
func (r *rolling) fields(address string) map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out, taken := 0, 0
	for _, m := range r.members {
		switch m.State {
		case StateReplacing, StateFailed:
			out++
		case StateTaken:
			taken++
		}
	}
	healthy := r.size - out
	if r.of != nil {
		healthy = r.inService
	}
	fields := map[string]string{
		"rollout": r.definition, "healthy": fmt.Sprintf("%d of %d", healthy, r.size), "taken": fmt.Sprintf("%d of %d", taken+len(r.done), r.size),
	}
	if m := r.members[address]; m != nil && r.of == nil {
		fields["batch"] = fmt.Sprintf("%d of %d", m.Batch, len(r.batches))
	}
	return fields
}

// rolledText says what of the roll-outs under way runs the new build; "" where
// none has begun.
func (e *execution) rolledText() string {
	var parts []string
	for _, r := range e.rolls {
		var took, not []string
		begun := false
		for _, i := range r.result().Instances {
			name := i.Address
			if r.of != nil {
				name = i.New
			}
			begun = begun || i.State != StateWaiting
			if i.State == StateTaken {
				took = append(took, name)
			} else {
				not = append(not, name)
			}
		}
		switch {
		case !begun || len(not) == 0:
		case len(took) == 0:
			parts = append(parts, fmt.Sprintf("the roll-out of %s stopped: none of it took the new build", r.definition))
		default:
			parts = append(parts, fmt.Sprintf("the roll-out of %s stopped: %s took the new build, %s did not", r.definition, strings.Join(took, ", "), strings.Join(not, ", ")))
		}
	}
	return strings.Join(parts, "; ")
}
