package pipelines

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/promote"
)

// looks is how many intervals of polling pass between two looks for an approval:
// people take longer than machines.
const looks = 20

// approval is the work of an approval stage: it goes on as soon as every build
// has the approvals that the environment asks for, and ends the run in a state of
// its own where they do not come in time.
func (r *run) approval(s PlannedStage, sink event.Sink) step {
	return func(ctx context.Context) (outcome, error) {
		began, told := time.Now(), false
		for {
			missing, err := r.promoter.Unapproved(ctx, s.Environment, s.Images, r.options.Builds)
			if err != nil {
				return outcome{}, fail.Unchanged(err)
			}
			if len(missing) == 0 {
				return outcome{verb: "approved"}, nil
			}
			if time.Since(began) >= time.Duration(s.stage.Approval.Wait) {
				return outcome{}, r.waiting(s, missing)
			}
			if !told {
				told = true
				sink.Emit(event.Event{Kind: event.Waiting, Message: fmt.Sprintf("for approvals, until %s: %s", began.Add(time.Duration(s.stage.Approval.Wait)).Format(time.TimeOnly), commands(missing))})
			}
			if err := cloud.Sleep(ctx, looks*r.clouds[s.Environment].Pace()); err != nil {
				return outcome{}, err
			}
		}
	}
}

// waiting is the end of a stage for which somebody has to agree.
func (r *run) waiting(s PlannedStage, missing []promote.Missing) error {
	var lines []string
	for _, m := range missing {
		lines = append(lines, fmt.Sprintf("%s %s %s", m.Image, m.Build, m.Gate.Why))
	}
	err := fail.Waiting(fmt.Errorf("waits for approval: %s", strings.Join(lines, "; ")))
	return fail.WithHint(err, "%s; then goldline run --resume %s", commands(missing), r.options.Run)
}

// commands are what would meet the gates.
func commands(missing []promote.Missing) string {
	var all []string
	for _, m := range missing {
		all = append(all, m.Gate.How)
	}
	return strings.Join(all, "; ")
}
