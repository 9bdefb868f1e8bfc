package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/launch"
)

// plannedRollouts says, of each definition whose instances are replaced, how that
// is going to go.
func plannedRollouts(t *text, list []launch.PlannedRollout) {
	for _, r := range list {
		t.linef("%s", t.paint(bold, plannedTitle(r)))
		for _, line := range plannedLines(r) {
			t.linef("  %s", line)
		}
		t.linef("")
	}
}

func plannedTitle(r launch.PlannedRollout) string {
	how := r.Strategy
	switch {
	case r.Method == launch.MethodRefresh:
		how = strings.TrimPrefix(how+", an instance refresh", ", ")
	case how == "":
		return fmt.Sprintf("Replacement of %s, %s: %s", r.Definition, atOnce(r), serving(r))
	case r.Method == launch.MethodRootVolume:
		how += ", in place by another root volume"
	}
	switch n := len(r.Batches); {
	case n > 1:
		how += fmt.Sprintf(", %d batches", n)
	case n == 1 && len(r.Batches[0].Addresses) > 1:
		how += ", 1 batch"
	}
	return fmt.Sprintf("Roll-out of %s, %s: %s", r.Definition, how, serving(r))
}

func atOnce(r launch.PlannedRollout) string {
	if n := len(slices.Concat(addressesOf(r.Batches)...)); n > 1 {
		return fmt.Sprintf("%d at the same time", n)
	}
	return "without a rollout"
}

// serving says how much of the service is there meanwhile.
func serving(r launch.PlannedRollout) string {
	switch {
	case r.Serving >= r.Instances && r.Instances == 1:
		return "it serves throughout"
	case r.Serving >= r.Instances:
		return fmt.Sprintf("all %d serve throughout", r.Instances)
	case r.Serving <= 0 && r.Instances == 1:
		return "it does not serve meanwhile"
	case r.Serving <= 0:
		return fmt.Sprintf("none of %d serves meanwhile", r.Instances)
	}
	return fmt.Sprintf("at least %d of %d serve throughout", r.Serving, r.Instances)
}

func plannedLines(r launch.PlannedRollout) []string {
	var lines []string
	if text := batchesText(r); r.Strategy != "" && text != "" && text != r.Definition {
		lines = append(lines, "in order: "+text)
	}
	switch {
	case r.Method == launch.MethodBlueGreen:
		lines = append(lines, blueGreenText(r))
	case len(r.Steps) > 0:
		stops := fmt.Sprintf("stops for %s at %s", span(r.BakeSeconds), strings.Join(r.Steps, ", "))
		if r.EndBakeSeconds > 0 {
			stops += ", and is watched for " + span(r.EndBakeSeconds) + " in the end"
		}
		lines = append(lines, stops)
	case r.BakeSeconds > 0:
		lines = append(lines, "watched for "+span(r.BakeSeconds)+" in the end")
	}
	lines = append(lines, healthLine(r))
	if len(r.Hooks) > 0 {
		lines = append(lines, "hooks: "+strings.Join(r.Hooks, ", "))
	}
	return append(lines, failureLines(r)...)
}

// batchesText lists batches by what tells their instances apart.
func batchesText(r launch.PlannedRollout) string {
	const shown = 12
	var parts []string
	for n, b := range r.Batches {
		if len(r.Batches) > shown && n >= shown-2 && n < len(r.Batches)-1 {
			if n == shown-2 {
				parts = append(parts, fmt.Sprintf("(%d more)", len(r.Batches)-shown+1))
			}
			continue
		}
		text := membersText(r.Definition, b.Addresses)
		var notes []string
		if b.Canary {
			notes = append(notes, "canary")
		}
		if b.BakeSeconds > 0 {
			notes = append(notes, "watched for "+span(b.BakeSeconds))
		}
		if len(notes) > 0 {
			text += " (" + strings.Join(notes, ", ") + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", then ")
}

// membersText names instances of a definition by their indices, those that follow
// each other as a range.
func membersText(definition string, addresses []string) string {
	var parts []string
	for i := 0; i < len(addresses); {
		end := i
		for end+1 < len(addresses) && follows(definition, addresses[end], addresses[end+1]) {
			end++
		}
		switch end - i {
		case 0:
			parts = append(parts, member(definition, addresses[i]))
		case 1:
			parts = append(parts, member(definition, addresses[i]), member(definition, addresses[end]))
		default:
			parts = append(parts, member(definition, addresses[i])+"-"+member(definition, addresses[end]))
		}
		i = end + 1
	}
	return strings.Join(parts, " ")
}

// member is what tells an instance apart: its index, or the address of one that
// has none.
func member(definition, address string) string {
	if index, ok := strings.CutPrefix(address, definition); ok && index != "" {
		return index
	}
	return address
}

func follows(definition, address, next string) bool {
	number := func(address string) int {
		n, err := strconv.Atoi(strings.Trim(strings.TrimPrefix(address, definition), "[]"))
		if err != nil {
			return -2
		}
		return n
	}
	return number(address) >= 0 && number(next) == number(address)+1
}

func blueGreenText(r launch.PlannedRollout) string {
	watched := ""
	if r.BakeSeconds > 0 {
		watched = ", watched for " + span(r.BakeSeconds) + " after each"
	}
	stays := "; then the old one is removed, and nothing goes back any more"
	if r.KeepSeconds > 0 {
		stays = "; the old one stays for " + span(r.KeepSeconds) + ", until when a rollback goes back to it"
	}
	return fmt.Sprintf("a new group beside the old one gets %s of the traffic%s%s", strings.Join(r.Steps, ", "), watched, stays)
}

// healthLine says what counts as healthy.
func healthLine(r launch.PlannedRollout) string {
	line := "healthy: " + strings.Join(r.Health, ", ")
	if len(r.Health) == 0 {
		line = "healthy: when it runs"
	}
	if r.HealthyAfter > 1 {
		line += fmt.Sprintf(", %d times in a row", r.HealthyAfter)
	}
	if r.DeadlineSeconds > 0 {
		line += ", within " + span(r.DeadlineSeconds)
	}
	return line
}

// failureLines say what a failure leads to.
func failureLines(r launch.PlannedRollout) []string {
	back := r.OnFailure == "rollback"
	switch {
	case r.Method == launch.MethodBlueGreen:
		return []string{"a failure moves the traffic back and removes the new group"}
	case r.Method == launch.MethodRefresh && back:
		return []string{"a failure puts the instances that were replaced back"}
	case r.Method == launch.MethodRefresh:
		return []string{"a failure ends the refresh where it is"}
	}
	all := slices.Concat(addressesOf(r.Batches)...)
	line := "one that fails is put back, and no other follows"
	if len(all) == 1 {
		line = "if it fails it is put back"
	}
	if back && r.Strategy != "" {
		line += "; what took the new build goes back, too"
	}
	if len(r.Irreversible) == 0 {
		return []string{line}
	}
	first := "cannot be put back, since it goes before its successor is made: "
	if len(r.Irreversible) > 1 {
		first = "cannot be put back, since they go before their successors are made: "
	}
	first += membersText(r.Definition, r.Irreversible)
	if len(r.Irreversible) == len(all) {
		return []string{first}
	}
	return []string{line, first}
}

func addressesOf(batches []launch.PlannedBatch) (all [][]string) {
	for _, b := range batches {
		all = append(all, b.Addresses)
	}
	return all
}

// span is a number of seconds as definitions give it: 5m, 1h30m.
func span(seconds float64) string {
	s := time.Duration(seconds * float64(time.Second)).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
