// Package launch makes an environment what its topology says: it reads what is
// there by tags, compares it with the definitions, plans as pure data what to
// create, change, replace and delete and why, and carries plans out along the
// references. It keeps no state: everything it makes carries its identity in
// tags from the call that makes it, so that any later run finds it and goes on.
// It touches nothing that does not carry the environment's tags, and it prints
// nothing.
package launch

import (
	"context"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/lease"
	"github.com/goldline-dev/goldline/internal/project"
)

// Options say what is launched where.
type Options struct {
	// Project is the project's name.
	Project string
	// Tags are put on everything, below the definitions' own.
	Tags map[string]string
	// Topology is the environment's, expanded and with its variables resolved.
	Topology *project.Topology
	Cloud    *cloud.Cloud
	// Sink gets the events; nil drops them.
	Sink event.Sink
	// Only are patterns of files below topology/, or of addresses: nothing else is
	// launched. None launches everything.
	Only []string
	// LoseContents agrees to the loss of what volumes hold that the plan deletes
	// or replaces. A plan of destruction is agreed to as a whole.
	LoseContents bool
	// Adopted includes what is adopted in a destruction.
	Adopted bool
	// Elsewhere gives another environment's topology and cloud, for values that
	// its resources hold.
	Elsewhere func(ctx context.Context, environment string) (*project.Topology, *cloud.Cloud, error)
	// Run is the ID of the run, for the tag that says which run made a thing.
	Run string
	// Rollout is the roll-out of the pipeline's stage, which holds in place of the
	// definitions' and the environment's; nil for none.
	Rollout *project.Rollout
	// Dir is the project's folder, where the local commands of a roll-out run.
	Dir string
	// Lease keeps other runs out of the environment; nil keeps none out.
	Lease *lease.Keeper
	// GoingBack says that the launch puts an environment back after a failure: a hook
	// that fails is told, and does not stop it.
	GoingBack bool
}

func (o Options) sink() event.Sink {
	if o.Sink == nil {
		return event.Discard
	}
	return o.Sink
}

// Action is what a plan does with a resource.
type Action string

// The actions, in the order in which people read them.
const (
	Create  Action = "create"
	Update  Action = "change"
	Replace Action = "replace"
	Delete  Action = "delete"
	None    Action = "none"
)

// Unknown stands in a plan for a value that EC2 gives when it makes a thing.
const Unknown = "(known after launch)"

// Change is what happens to one resource.
type Change struct {
	Address string `json:"address"`
	Kind    string `json:"kind"`
	Action  Action `json:"action"`
	ID      string `json:"id,omitempty"` // of what is there; in a Result of what was made
	Reason  string `json:"reason,omitempty"`
	// Loses tells that contents are lost which nothing carries over.
	Loses  bool          `json:"loses_contents,omitempty"`
	Fields []FieldChange `json:"fields,omitempty"` // of what is made, what its definition states
}

// FieldChange is one value that differs.
type FieldChange struct {
	Path string `json:"path"`
	Old  string `json:"old"`
	New  string `json:"new"`
	// How says what a change in place takes, where that is more than a call.
	How string `json:"how,omitempty"`
}

// Counts says how many resources there are for each action.
type Counts struct {
	Create  int `json:"create"`
	Change  int `json:"change"`
	Replace int `json:"replace"`
	Delete  int `json:"delete"`
	None    int `json:"none"`
}

// Plan is what a launch, or a destruction, would do. Equal definitions over an
// equal cloud give an equal plan with an equal digest.
type Plan struct {
	Environment string   `json:"environment"`
	Destroy     bool     `json:"destroy,omitempty"` // the plan of a destruction
	Digest      string   `json:"digest"`
	Counts      Counts   `json:"counts"`
	Changes     []Change `json:"changes"`
	// Rollouts are how instances are going to be replaced, where any are.
	Rollouts []PlannedRollout `json:"planned_rollouts,omitempty"`
	// Notes say what an audit could not compare.
	Notes []string `json:"notes,omitempty"`
	// Later says what waits for another environment, and is left out until then.
	Later []string `json:"later,omitempty"`

	definitions string    // the digest of what is made by it
	steps       *planner  // what the plan was made from; nil for one that was read from JSON
	looked      time.Time // when the cloud began to be read for it
}

// Empty tells whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Changes) == 0 }

// Result is what a plan has led to.
type Result struct {
	Changes   []Change   `json:"changes"` // those that were carried out, with the IDs of what was made
	Instances []Instance `json:"instances"`
	// Rollouts are how instances took up a new build, where that is a matter of a
	// roll-out.
	Rollouts []RolloutResult `json:"rollouts,omitempty"`
}

// Instance is an instance of an environment.
type Instance struct {
	Address   string    `json:"address"`
	ID        string    `json:"id"`
	Image     string    `json:"image,omitempty"`
	AMI       string    `json:"ami"`
	Version   string    `json:"version,omitempty"`
	State     string    `json:"state"`
	PrivateIP string    `json:"private_ip,omitempty"`
	PublicIP  string    `json:"public_ip,omitempty"`
	Launched  time.Time `json:"launched"`
	UUID      string    `json:"uuid"`
}
