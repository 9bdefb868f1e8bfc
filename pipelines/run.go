package pipelines

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/goldline-dev/goldline/bake"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/promote"
)

// Run carries out a plan. Every environment of it is entered first: a caller
// who is not let into one changes nothing in any. The result stands for what was
// done also beside an error, which carries the run's exit code.
func Run(ctx context.Context, o Options, p *Plan) (Result, error) {
	if o.Sink == nil {
		o.Sink = event.Discard
	}
	if o.retryPause == 0 {
		o.retryPause = time.Second
	}
	r := &run{
		options: o, plan: p, began: time.Now(),
		promoter: promote.New(promote.Options{Project: o.Project, Provider: o.Provider, Sink: o.Sink, Run: o.Run, Lease: o.Lease}),
		clouds:   map[string]*cloud.Cloud{}, bakers: map[string]*bake.Baker{}, outcomes: map[string]outcome{},
		moves: map[string][]promote.Move{}, launched: map[string]bool{}, back: []promote.Move{}, tenants: map[string]*tenants{},
		rollouts: map[string][]launch.RolloutResult{},
	}
	if err := r.enter(ctx); err != nil {
		return Result{Run: o.Run, Pipeline: p.Pipeline, Stages: []StageResult{}, RolledBack: []promote.Move{}}, err
	}
	r.keepRecord()
	nodes := make([]graph.Node, len(p.Nodes))
	for i, n := range p.Nodes {
		do := r.step(n)
		nodes[i] = graph.Node{Name: n.Name, Needs: n.Needs, Run: func(ctx context.Context) error {
			out, err := do(ctx)
			r.roll(n.Name, out.rollouts)
			if err == nil {
				r.keep(n.Name, out)
				r.keepRecord()
			}
			return err
		}}
	}
	results := graph.Walk(ctx, nodes, graph.Options{KeepGoing: true})
	for i := range results {
		if result := &results[i]; result.Skipped {
			n := p.Nodes[i]
			result.Because = because(*result, results)
			event.Scope(o.Sink, n.Stage, n.Item).Emit(event.Event{Kind: event.Skipped, Message: result.Because})
		}
	}
	settled := r.settle(ctx, results)
	return r.result(results), r.err(ctx, results, settled)
}

// because says why a node was not begun: what was interrupted, or waits, has not
// failed.
func because(skipped graph.Result, results []graph.Result) string {
	name, ok := strings.CutSuffix(skipped.Because, " failed")
	for _, r := range results {
		switch {
		case !ok || r.Name != name:
		case errors.Is(r.Err, context.Canceled):
			return "interrupted"
		case fail.ExitCode(r.Err) == fail.CodeWaiting:
			return name + " waits"
		}
	}
	return skipped.Because
}

// run is a plan under way.
type run struct {
	options  Options
	plan     *Plan
	began    time.Time
	promoter *promote.Promoter
	clouds   map[string]*cloud.Cloud // by environment
	bakers   map[string]*bake.Baker  // by stage

	recording sync.Mutex // one result so far at a time, in the order in which they were made

	mu       sync.Mutex
	outcomes map[string]outcome                // by node
	moves    map[string][]promote.Move         // by environment
	launched map[string]bool                   // environments in which a launch changed something
	back     []promote.Move                    // with which environments were put back
	tenants  map[string]*tenants               // by environment that is put back when a stage fails
	rollouts map[string][]launch.RolloutResult // by node
}

// enter opens the cloud of every environment, and a baker for every stage that
// bakes: its images share what they look up.
func (r *run) enter(ctx context.Context) error {
	o := r.options
	for _, s := range r.plan.Stages {
		if s.Environment == "" {
			continue
		}
		env, err := o.Project.Environment(s.Environment)
		if err != nil {
			return err
		}
		c, err := enter(ctx, o.Provider, env)
		if err != nil {
			return err
		}
		r.clouds[s.Environment] = c
		if r.tenants[s.Environment] == nil && r.rollsBack(env) {
			r.tenants[s.Environment] = &tenants{}
		}
		if s.Kind == KindBake {
			r.bakers[s.Name] = bake.New(bake.Options{
				Project: o.Project.Name, Dir: o.Project.Dir, Tags: tags.Merge(o.Project.Tags, env.Tags), Environment: env.Name, Cloud: c,
				Sink: event.Scope(o.Sink, s.Name, ""), Run: o.Run, Rebake: s.stage.Bake.Rebake, ToolVersion: o.ToolVersion,
				DeadRun: o.DeadRun, CallerAddress: o.CallerAddress, UserData: r.userData,
			})
		}
	}
	return nil
}

// rollsBack tells whether an environment goes back when one of its stages fails:
// as the stage says that launches it, or what is launched there.
func (r *run) rollsBack(env *project.Environment) bool {
	for _, s := range r.plan.Stages {
		if s.Kind == KindLaunch && s.Environment == env.Name {
			return r.plan.definitions[s.Name].topology.RollsBack(s.stage.Launch.Rollout)
		}
	}
	return env.RollsBack(nil)
}

func enter(ctx context.Context, provider *cloud.Provider, env *project.Environment) (*cloud.Cloud, error) {
	c, err := provider.For(ctx, cloud.Target{Account: env.Account, Region: env.Region, Role: env.Role})
	if err != nil {
		return nil, fmt.Errorf("environment %s: %w", env.Name, err)
	}
	return c, nil
}

// step gives the work of a node, with the stage's policies around it.
func (r *run) step(n Node) step {
	s := r.plan.stage(n.Stage)
	sink := event.Scope(r.options.Sink, n.Stage, n.Item)
	var do step
	switch s.Kind {
	case KindBake:
		do = r.bake(n)
	case KindPromote:
		do = r.promote(n, s, sink)
	case KindLaunch:
		do = r.launch(s, sink)
	case KindDestroy:
		do = r.destroy(s, sink)
	case KindRollback:
		do = r.rollback(s, sink)
	case KindRun:
		do = r.command(s, sink)
	case KindCheck:
		do = r.check(s, sink)
	case KindApproval:
		do = r.approval(s, sink)
	}
	return told(sink, r.undone(s, sink, retried(s.Retry, r.options.retryPause, sink, timed(s.Timeout, do))))
}

func (r *run) keep(node string, out outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes[node] = out
}

// roll keeps how instances took up a new build, also where the node failed.
func (r *run) roll(node string, rollouts []launch.RolloutResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rollouts[node] = rollouts
}

func (r *run) rolled(node string) []launch.RolloutResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rollouts[node]
}

func (r *run) outcome(node string) outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.outcomes[node]
}

func (r *run) bake(n Node) step {
	image := r.plan.definitions[n.Stage].images[n.Item]
	return func(ctx context.Context) (outcome, error) {
		build, err := r.bakers[n.Stage].Bake(ctx, image)
		if err != nil {
			return outcome{}, err
		}
		out := outcome{verb: "baked", ami: build.AMI, version: build.Version}
		for _, one := range build.Architectures {
			if out.architectures == nil {
				out.architectures = map[string]string{}
			}
			out.architectures[one.Architecture] = one.AMI
		}
		if build.Reused {
			out.verb = "reused"
		} else {
			out.made = []string{fmt.Sprintf("%s %s (%s)", build.Image, build.Version, build.AMIs())}
		}
		return out, nil
	}
}

func (r *run) promote(n Node, s PlannedStage, sink event.Sink) step {
	return func(ctx context.Context) (outcome, error) {
		request := promote.Request{Image: n.Item, To: s.Environment, Reason: "pipeline " + r.plan.Pipeline, RetryFailed: r.options.RetryFailed}
		request.Build = r.options.Builds[n.Item]
		if n.Build != "" {
			request.Build = r.outcome(n.Build).ami
		}
		move, err := r.promoter.Telling(sink).Promote(ctx, request)
		if err != nil {
			return outcome{}, err
		}
		out := outcome{verb: "current already", ami: move.To.AMI, version: move.To.Version, architectures: move.Architectures}
		if move.Changed {
			out.verb = "promoted"
			out.made = []string{fmt.Sprintf("%s %s current in %s", move.Image, move.To, move.Environment)}
			r.moved(move)
		}
		return out, nil
	}
}

func (r *run) moved(m promote.Move) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moves[m.Environment] = append(r.moves[m.Environment], m)
}

// launchOptions are what launch works with in a stage.
func (r *run) launchOptions(s PlannedStage, sink event.Sink) launch.Options {
	var rollout *project.Rollout
	switch {
	case s.stage.Launch != nil:
		rollout = s.stage.Launch.Rollout
	case s.stage.Rollback != nil:
		rollout = s.stage.Rollback.Rollout
	}
	return launch.Options{
		Project: r.options.Project.Name, Tags: r.options.Project.Tags, Topology: r.plan.definitions[s.Name].topology, Rollout: rollout, Dir: r.options.Project.Dir,
		Cloud: r.clouds[s.Environment], Sink: sink, Run: r.options.Run, Lease: r.options.Lease, LoseContents: r.options.LoseContents,
		Elsewhere: launch.Elsewhere(r.options.Project, r.options.Provider, r.options.Vars),
	}
}

// userData is what an environment gives to instances of an image, for the
// tests of its recipe.
func (r *run) userData(ctx context.Context, image, environment, address string) ([]byte, error) {
	o := r.options
	env, err := o.Project.Environment(environment)
	if err != nil {
		return nil, err
	}
	topology, err := o.Project.Topology(environment, o.Vars)
	if err != nil {
		return nil, err
	}
	c, err := enter(ctx, o.Provider, env)
	if err != nil {
		return nil, err
	}
	return launch.UserDataOf(ctx, launch.Options{
		Project: o.Project.Name, Tags: o.Project.Tags, Topology: topology, Cloud: c, Sink: o.Sink, Run: o.Run,
		Elsewhere: launch.Elsewhere(o.Project, o.Provider, o.Vars),
	}, image, address)
}

func (r *run) launch(s PlannedStage, sink event.Sink) step {
	return func(ctx context.Context) (outcome, error) {
		o := r.launchOptions(s, sink)
		plan, err := launch.NewPlan(ctx, o)
		if err != nil {
			return outcome{}, fail.Unchanged(err)
		}
		if !plan.Empty() {
			r.mu.Lock()
			r.launched[s.Environment] = true
			r.mu.Unlock()
		}
		return apply(ctx, o, plan)
	}
}

// apply applies a plan under the environment's lease.
func apply(ctx context.Context, o launch.Options, plan *launch.Plan) (outcome, error) {
	ctx, plan, err := launch.Hold(ctx, o, plan)
	if err != nil {
		return outcome{}, fail.Unchanged(err)
	}
	result, err := launch.Apply(ctx, o, plan)
	out := outcome{rollouts: result.Rollouts}
	if err == nil {
		out = applied(plan)
		out.rollouts = result.Rollouts
	}
	return out, err
}

func (r *run) destroy(s PlannedStage, sink event.Sink) step {
	return func(ctx context.Context) (outcome, error) {
		o := r.launchOptions(s, sink)
		plan, err := launch.NewDestroyPlan(ctx, o)
		if err != nil {
			return outcome{}, fail.Unchanged(err)
		}
		return apply(ctx, o, plan)
	}
}

// applied says what applying a plan came to.
func applied(p *launch.Plan) outcome {
	if p.Empty() {
		return outcome{verb: "no changes"}
	}
	var parts []string
	for _, part := range []struct {
		n    int
		done string
	}{{p.Counts.Create, "created"}, {p.Counts.Change, "changed"}, {p.Counts.Replace, "replaced"}, {p.Counts.Delete, "deleted"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.done))
		}
	}
	summary := strings.Join(parts, ", ")
	return outcome{verb: summary, made: []string{p.Environment + ": " + summary}}
}

// err is the run's error: the nodes' own, in the order of the plan, and that of
// putting back what they left.
func (r *run) err(ctx context.Context, results []graph.Result, settled error) error {
	var errs []error
	stopped := false
	for i, result := range results {
		if result.Err != nil {
			errs = append(errs, fmt.Errorf("stage %s: %w", r.plan.Nodes[i].Stage, result.Err))
		}
		stopped = stopped || result.Skipped && len(errs) == 0
	}
	err := fail.Join(append(errs, settled)...)
	switch {
	case ctx.Err() == nil:
		return err
	case err == nil && !stopped:
		return nil // everything had ended before the interrupt
	case err == nil:
		return &interrupted{fmt.Errorf("interrupted: %w", ctx.Err())}
	case fail.ExitCode(err) == fail.CodeDirty && (len(fail.LeftOf(err)) > 0 || !errors.Is(err, context.Canceled)):
		return err
	}
	return &interrupted{err}
}

// interrupted is the error of a run that was told to stop and has put back
// what was under way.
type interrupted struct{ err error }

func (i *interrupted) Error() string { return i.err.Error() }
func (i *interrupted) Unwrap() error { return i.err }

// ExitCode is that of an interrupt.
func (i *interrupted) ExitCode() int { return fail.CodeInterrupted }
