package project

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/diag"
)

// The strategies of a roll-out, in the words of CodeDeploy.
const (
	OneAtATime  = "OneAtATime"
	HalfAtATime = "HalfAtATime"
	AllAtOnce   = "AllAtOnce"
	CanaryFirst = "Canary"
	BlueGreen   = "BlueGreen"
)

// What a roll-out replaces of an instance.
const (
	ReplaceInstance   = "instance"
	ReplaceRootVolume = "root-volume"
)

// What follows a failure of a roll-out.
const (
	FailureRollback = "rollback"
	FailureStop     = "stop"
)

// Rollout says how running instances take up a new build. An environment, a
// definition that runs instances, and the stage of a pipeline may have one; the
// nearest holds as a whole: the stage's, then the definition's, then the
// environment's.
type Rollout struct {
	Pos diag.Pos `yaml:"-"`
	// Strategy is one of the constants, or empty where MinimumHealthy or Canary
	// say it; without those it is OneAtATime.
	Strategy       string   `yaml:"strategy" enum:"OneAtATime,HalfAtATime,AllAtOnce,Canary,BlueGreen" doc:"How many instances of a definition take the new build at a time." default:"OneAtATime"`
	MinimumHealthy Share    `yaml:"minimum_healthy" pattern:"^((100|[1-9]?[0-9])%|[0-9]{1,6})$" form:"a count, or 0% to 100%" doc:"How many instances of the definition serve at any time: per cent (75%) or a count; in place of a strategy, or with Canary for the rest."`
	Canary         *Canary  `yaml:"canary" doc:"How many are first, and how long they are watched before the rest follows."`
	Replace        string   `yaml:"replace" enum:"instance,root-volume" doc:"Whether an instance is launched in another's place, or stays and only its root volume is exchanged. Groups launch instances." default:"instance"`
	Keep           Duration `yaml:"keep" doc:"BlueGreen: how long the old group stays."`
	Steps          []Share  `yaml:"steps" pattern:"^(100|[1-9][0-9]?)%$" form:"1% to 100%" doc:"BlueGreen: how traffic moves to the new group: 10%, 50%, 100%."`
	BakeTime       Duration `yaml:"bake_time" doc:"How long each batch has to stay healthy before the next follows and before the old instances go; with BlueGreen the new group after each step of traffic; in other groups all at the end."`
	Health         *Health  `yaml:"health" doc:"What an instance must show before it counts as healthy; all that is given must hold."`
	HealthyAfter   int      `yaml:"healthy_after" min:"1" max:"1000" doc:"How often in a row it must be healthy." default:"1"`
	Deadline       Duration `yaml:"deadline" doc:"How long an instance may take until it is healthy." default:"10m"`
	Hooks          *Hooks   `yaml:"hooks" doc:"Local commands, run in the project's folder with the context in GOLDLINE_ variables; one that fails ends the roll-out."`
	OnFailure      string   `yaml:"on_failure" enum:"rollback,stop" doc:"Whether what took the new build goes back after a failure; by default it does in protected environments."`
}

// Canary is the beginning of a roll-out.
type Canary struct {
	Instances Share    `yaml:"instances" short:"true" pattern:"^((100|[1-9][0-9]?)%|[1-9][0-9]{0,5})$" form:"a count of at least 1, or 1% to 100%" doc:"How many instances are first: a count, or per cent." default:"1"`
	BakeTime  Duration `yaml:"bake_time" doc:"How long they have to stay healthy before the rest follows; by default the bake_time of the roll-out."`
}

// Health is what makes an instance healthy.
type Health struct {
	Status      *bool      `yaml:"status" doc:"Whether EC2's status checks must pass." default:"true"`
	TargetGroup *bool      `yaml:"target_group" doc:"Whether it must be healthy in all of its target groups." default:"true"`
	HTTP        *HTTPCheck `yaml:"http" doc:"HTTP probe."`
	TCP         int        `yaml:"tcp" min:"1" max:"65535" doc:"Port that must take a connection."`
	Console     string     `yaml:"console" doc:"Regular expression of a line that it must print on its console since it booted."`
	Command     []string   `yaml:"command" shell:"true" doc:"Local command that must exit 0: a list of arguments, or one line for the shell."`
}

// Hooks are local commands at points of a roll-out.
type Hooks struct {
	BeforeReplace []string `yaml:"before_replace" shell:"true" doc:"Before an instance is touched; of a group once, before the first."`
	AfterReplace  []string `yaml:"after_replace" shell:"true" doc:"When its successor is healthy and serves, before the old one is terminated; of a group for each new instance, before it gets traffic."`
	AfterRollout  []string `yaml:"after_rollout" shell:"true" doc:"When all instances of the definition run the new build."`
}

// Share is a part of a group: a count, "3", or per cent, "75%". Empty is none
// given.
type Share string

// Of is how many of n the share is, rounded up. A count may be more than n.
func (s Share) Of(n int) int {
	text, percent := strings.CutSuffix(string(s), "%")
	share, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	if percent {
		return int(math.Ceil(float64(share) * float64(n) / 100))
	}
	return share
}

// Kind is the strategy that holds: the one given, or what the other keys mean.
// It is empty for a roll-out by minimum_healthy alone.
func (r *Rollout) Kind() string {
	switch {
	case r.Strategy != "":
		return r.Strategy
	case r.Canary != nil:
		return CanaryFirst
	case r.MinimumHealthy != "":
		return ""
	}
	return OneAtATime
}

// Within is how long an instance may take until it is healthy. Ten minutes, where
// nothing is given, leave status checks and a slow start their time.
func (r *Rollout) Within() time.Duration { return r.Deadline.Or(10 * time.Minute) }

// InARow is how often in a row an instance must be healthy, or ill, to count as that.
func (r *Rollout) InARow() int { return max(r.HealthyAfter, 1) }

// Checks tells whether EC2's status checks, and the health in target groups,
// count.
func (h *Health) Checks() (status, targetGroup bool) {
	if h == nil {
		return true, true
	}
	return h.Status == nil || *h.Status, h.TargetGroup == nil || *h.TargetGroup
}

// Probes tells whether an instance is asked anything beside what AWS knows of it.
func (h *Health) Probes() bool {
	return h != nil && (h.HTTP != nil || h.TCP != 0 || h.Console != "" || len(h.Command) > 0)
}

// Rolls tells whether any resource of the topology has a roll-out.
func (t *Topology) Rolls() bool {
	return t.Environment.Rollout != nil || slices.ContainsFunc(t.Resources, func(r *Resource) bool { return r.Rollout != nil })
}

// Effective is the roll-out that holds for a resource of a topology; nil for
// none. stage is that of the pipeline's stage, if it has one.
func (t *Topology) Effective(stage *Rollout, r *Resource) *Rollout {
	switch {
	case stage != nil:
		return stage
	case r.Rollout != nil:
		return r.Rollout
	}
	return t.Environment.Rollout
}

// RollsBack tells whether an environment whose topology this is goes back after a
// failure. All of it does, so one definition for which that holds is enough. stage
// is the roll-out of the pipeline's stage, if it has one.
func (t *Topology) RollsBack(stage *Rollout) bool {
	own := func(r *Resource) bool { return r.Rollout != nil && r.Rollout.OnFailure != "" }
	if stage != nil || !slices.ContainsFunc(t.Resources, own) {
		return t.Environment.RollsBack(stage)
	}
	return slices.ContainsFunc(t.Resources, func(r *Resource) bool {
		if own(r) {
			return r.Rollout.OnFailure == FailureRollback
		}
		return r.Rolls && t.Environment.RollsBack(nil)
	})
}

// RollsBack is Topology.RollsBack for a topology that is not known, or whose
// definitions say nothing of it.
func (e *Environment) RollsBack(stage *Rollout) bool {
	r := stage
	if r == nil {
		r = e.Rollout
	}
	if r == nil || r.OnFailure == "" {
		return e.Protected
	}
	return r.OnFailure == FailureRollback
}
