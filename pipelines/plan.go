package pipelines

import (
	"slices"
	"time"

	"github.com/goldline-dev/goldline/internal/project"
)

// Kinds of stages.
const (
	KindBake     = "bake"
	KindPromote  = "promote"
	KindLaunch   = "launch"
	KindDestroy  = "destroy"
	KindRollback = "rollback"
	KindRun      = "run"
	KindCheck    = "check"
	KindApproval = "approval"
)

// Plan is what a run would do: pure data, the same for the same definitions.
type Plan struct {
	Pipeline string         `json:"pipeline"`
	Stages   []PlannedStage `json:"stages"` // the selected ones, in the order of the file
	Nodes    []Node         `json:"nodes"`

	definitions map[string]definitions // by stage
}

// PlannedStage is one stage of a plan.
type PlannedStage struct {
	Name        string        `json:"name"`
	Kind        string        `json:"kind"`
	Environment string        `json:"environment,omitempty"`
	Images      []string      `json:"images,omitempty"`
	Timeout     time.Duration `json:"timeout,omitempty"` // of one try of one node; 0 is none
	Retry       int           `json:"retry,omitempty"`

	stage *project.Stage
}

// Node is a piece of work: a stage, or one image of a stage that goes over
// images.
type Node struct {
	Name  string   `json:"name"` // bake/web, launch-dev
	Stage string   `json:"stage"`
	Item  string   `json:"item,omitempty"`
	Needs []string `json:"needs,omitempty"` // names of nodes
	// Build names the node whose build a promotion takes. Empty is what the cloud
	// shows: the build that is current one rung below, or the newest.
	Build string `json:"build,omitempty"`
}

// definitions are what a stage works from.
type definitions struct {
	images   map[string]*project.Image
	topology *project.Topology
}

// changes tells whether a stage changes its environment.
func (s PlannedStage) changes() bool {
	switch s.Kind {
	case KindPromote, KindLaunch, KindDestroy, KindRollback:
		return true
	}
	return false
}

// Environments are those that the plan's stages change, in the order in which
// they are first named.
func (p *Plan) Environments() []string {
	var names []string
	for _, s := range p.Stages {
		if s.changes() && !slices.Contains(names, s.Environment) {
			names = append(names, s.Environment)
		}
	}
	return names
}

// Destroys are the environments that the plan's stages destroy.
func (p *Plan) Destroys() []string {
	var names []string
	for _, s := range p.Stages {
		if s.Kind == KindDestroy && !slices.Contains(names, s.Environment) {
			names = append(names, s.Environment)
		}
	}
	return names
}

func (p *Plan) stage(name string) PlannedStage {
	for _, s := range p.Stages {
		if s.Name == name {
			return s
		}
	}
	return PlannedStage{Name: name}
}
