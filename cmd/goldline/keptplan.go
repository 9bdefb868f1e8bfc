package main

import (
	"encoding/json"
	"os"

	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/launch"
	"github.com/spf13/cobra"
)

// keptPlan is the JSON of `goldline plan`, as far as carrying it out needs it.
type keptPlan struct {
	launch.Plan
	Only    []string `json:"only"`
	Adopted bool     `json:"adopted"`
}

func planFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "plan", "", "carry out exactly the plan that this `FILE` keeps as JSON (from plan -o json)")
}

func onlyFlag(c *cobra.Command, only *[]string) {
	c.Flags().StringArrayVar(only, "only", nil, "only the definitions of files below topology/, or of addresses, that match this `PATTERN`: instances/web*.yaml, subnet.private-a")
}

// readPlan reads a plan that was kept. The environment is the plan's; one that
// was named must be the same.
func readPlan(file string, destroy bool, args []string) (*keptPlan, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fail.Inputf("--plan: %w", err)
	}
	kept := &keptPlan{}
	if err := json.Unmarshal(text, kept); err != nil {
		return nil, fail.WithHint(fail.Inputf("--plan %s: it is no plan: %w", file, err), "goldline plan ENV -o json > %s makes one", file)
	}
	switch {
	case kept.Environment == "" || kept.Digest == "" || kept.Changes == nil:
		return nil, fail.WithHint(fail.Inputf("--plan %s: it is no plan", file), "goldline plan ENV -o json > %s makes one", file)
	case len(args) > 0 && args[0] != kept.Environment:
		return nil, fail.Inputf("--plan %s: it is a plan for %s, not for %s", file, kept.Environment, args[0])
	case kept.Destroy && !destroy:
		return nil, fail.WithHint(fail.Inputf("--plan %s: it is a plan to destroy %s", file, kept.Environment), "goldline destroy --plan %s carries it out", file)
	case !kept.Destroy && destroy:
		return nil, fail.WithHint(fail.Inputf("--plan %s: it is a plan to launch %s", file, kept.Environment), "goldline launch --plan %s carries it out", file)
	}
	return kept, nil
}

// environmentOf is the environment that a command is about: the one that is
// named, or the kept plan's.
func environmentOf(c *cobra.Command, args []string, kept *keptPlan) (string, error) {
	switch {
	case kept != nil:
		return kept.Environment, nil
	case len(args) == 0:
		return "", usage(c, "%s: ENV is missing", c.CommandPath())
	}
	return args[0], nil
}
