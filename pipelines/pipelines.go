// Package pipelines runs a project's pipelines: it compiles the stages to a
// plan of nodes, one for each image where a stage goes over images, and runs
// them concurrently along what each needs.
//
// A stage's `needs` name the stages that come before it. A stage without
// `needs` comes after the one that stands before it in the file; one with
// `needs: []` starts at once. Where both sides go over images, an image waits
// for itself alone: web's promotion for web's bake, not for db's.
//
// A stage that fails stops what depends on it and lets the rest end. Where a launch
// or a check fails in an environment that is to go back, the builds before are
// current there again and are launched. Every run ends in a named state, and running
// it again goes on from what the cloud shows; no file holds state. Whoever resumes a
// run gives its builds and the stages that are left. The package makes no cloud call
// of its own other than reading consoles: bake, promote and launch do the work.
package pipelines

import (
	"context"
	"net/netip"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/lease"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/promote"
)

// Options say what to run and with what.
type Options struct {
	Project  *project.Project
	Pipeline *project.Pipeline
	Provider *cloud.Provider
	Vars     map[string]string // of --var: they win over all others
	Only     []string          // run these stages alone
	From     []string          // run these stages and what comes after them
	Sink     event.Sink        // nothing is told when nil
	Run      string            // ID of the run
	// LoseContents agrees to launches that delete or replace volumes with what
	// they hold.
	LoseContents bool
	// Builds are AMIs that earlier stages made or moved in the run that this one
	// resumes, by image.
	Builds map[string]string
	// RetryFailed promotes builds also to where they failed before.
	RetryFailed bool
	// Lease keeps other runs out of the environments that this one changes, until
	// its caller closes it; nil keeps none out.
	Lease *lease.Keeper
	// Record is given the result so far when the run begins and whenever a stage, or
	// an image of one, has ended: what is not done counts as skipped. It is never
	// called twice at a time. Nil keeps none.
	Record func(Result)
	// ToolVersion, DeadRun and CallerAddress are handed to bake.
	ToolVersion   string
	DeadRun       func(run string) bool
	CallerAddress func(context.Context) (netip.Addr, error)

	retryPause time.Duration // before the first retry; a second when zero
}

// States of stages and of their items.
const (
	StateSucceeded   = "succeeded"
	StateFailed      = "failed"
	StateSkipped     = "skipped"     // not begun, all of it or some items: Because says why
	StateInterrupted = "interrupted" // stopped from outside
	StateWaiting     = "waiting"     // somebody has to agree before it goes on
)

// Result is what became of a run. Its stages stand in the order of the file;
// those that were not selected are left out.
type Result struct {
	Run      string        `json:"run"`
	Pipeline string        `json:"pipeline"`
	Stages   []StageResult `json:"stages"`
	// RolledBack are the builds that the run went back to by itself, because
	// something went wrong in their environment.
	RolledBack []promote.Move `json:"rolled_back"`
	// Builds are those of Options, for whoever resumes this run in turn.
	Builds map[string]string `json:"builds,omitempty"`
}

// StageResult is what became of a stage.
type StageResult struct {
	Name        string       `json:"name"`
	Kind        string       `json:"kind"`
	Environment string       `json:"environment,omitempty"`
	State       string       `json:"state"`
	Seconds     float64      `json:"seconds"`
	Made        []string     `json:"made"`              // what it changed; nothing when all was as it should be
	Summary     string       `json:"summary,omitempty"` // "2 baked, 2 reused"
	Error       string       `json:"error,omitempty"`
	Because     string       `json:"because,omitempty"` // why it, or some of its items, was not begun
	Items       []ItemResult `json:"items,omitempty"`   // for stages that go over images
	// Rollouts are how instances took up a new build.
	Rollouts []launch.RolloutResult `json:"rollouts,omitempty"`
}

// ItemResult is what became of one image in a stage.
type ItemResult struct {
	Item    string  `json:"item"`
	State   string  `json:"state"`
	Seconds float64 `json:"seconds"`
	AMI     string  `json:"ami,omitempty"`
	Version string  `json:"version,omitempty"`
	Summary string  `json:"summary,omitempty"`
	Error   string  `json:"error,omitempty"`
	Because string  `json:"because,omitempty"`
}
