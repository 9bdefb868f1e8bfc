package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/bake"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/ledger"
	"github.com/goldline-dev/goldline/internal/machine"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/promote"
)

// vocabulary is what the rooms add to the language of definitions.
func vocabulary() project.Vocabulary {
	return project.Vocabulary{
		Resources:      launch.Kinds(),
		Provisioners:   bake.Provisioners(),
		PostProcessors: bake.PostProcessors(),
		Foreign:        bake.ForeignProvisioner,
		CheckTopology:  launch.CheckTopology,
		CheckImage:     bake.CheckImage,
	}
}

// dir is the project's folder.
func (p *program) dir() (string, error) {
	if p.folder != "" {
		return p.folder, nil
	}
	if p.flags.project != "" {
		if _, err := os.Stat(filepath.Join(p.flags.project, project.RootFile)); err != nil {
			return "", fail.WithHint(fail.Inputf("--project %s: %w", p.flags.project, err), "a project is a folder that holds %s", project.RootFile)
		}
		return filepath.Abs(p.flags.project)
	}
	working, err := os.Getwd()
	if err != nil {
		return "", fail.Input(err)
	}
	return project.Find(working)
}

// read loads the project, with whatever is wrong with it: validate goes on from
// there.
func (p *program) read() (*project.Project, error) {
	if p.opened != nil {
		return p.opened, nil
	}
	dir, err := p.dir()
	if err != nil {
		return nil, err
	}
	if p.opened, err = project.Load(dir, vocabulary()); err == nil {
		err = p.opened.CheckVars(p.vars)
	}
	return p.opened, err
}

// environment loads the project and names one of its environments.
func (p *program) environment(name string) (*project.Project, *project.Environment, error) {
	loaded, err := p.read()
	if err != nil {
		return nil, nil, err
	}
	env, err := loaded.Environment(name)
	return loaded, env, err
}

// image refuses a name that is no image's.
func image(loaded *project.Project, name string) error {
	names := loaded.ImageNames()
	for _, known := range names {
		if known == name {
			return nil
		}
	}
	err := fail.Inputf("there is no image %q", name)
	if hint := diag.DidYouMean(name, names); hint != "" {
		return fail.WithHint(err, "%s", hint)
	}
	return fail.WithHint(err, "the images are %s", strings.Join(names, ", "))
}

// clouds is the way to AWS or to the local cloud. It makes no call yet.
func (p *program) clouds(ctx context.Context) (*cloud.Provider, error) {
	if p.provider != nil {
		return p.provider, nil
	}
	config := cloud.Config{}
	if p.flags.local {
		if err := p.join(ctx); err != nil {
			return nil, err
		}
		config = cloud.Config{
			Transport: p.local.Transport(),
			Dial:      p.local.Dial,
			PollMin:   20 * time.Millisecond,
			PollMax:   300 * time.Millisecond,
		}
	}
	p.provider = cloud.NewProvider(config)
	return p.provider, nil
}

// cloud opens the account and region of an environment.
func (p *program) cloud(ctx context.Context, env *project.Environment) (*cloud.Cloud, error) {
	provider, err := p.clouds(ctx)
	if err != nil {
		return nil, err
	}
	return provider.For(ctx, cloud.Target{Account: env.Account, Region: env.Region, Role: env.Role})
}

// join opens the project's local cloud, or goes through the process that has
// it open.
func (p *program) join(ctx context.Context) error {
	dir, err := p.dir()
	if err != nil {
		return err
	}
	kind := machine.Kind(p.flags.localMachine)
	if kind == "" {
		kind = machine.Kind(p.getenv("GOLDLINE_LOCAL_MACHINE"))
	}
	switch kind {
	case "", machine.Overlay, machine.UserNS, machine.InProcess, emulator.NoMachines:
	default:
		return fail.WithHint(fail.Inputf("local machine %q: there is no such kind", kind), "the kinds are %s, %s, %s and %s", machine.Overlay, machine.UserNS, machine.InProcess, emulator.NoMachines)
	}
	p.local, err = emulator.Join(ctx, emulator.Options{Dir: filepath.Join(dir, ledger.Folder, "local"), Machine: kind})
	if err != nil {
		return fail.Input(fmt.Errorf("local cloud: %w", err))
	}
	p.progress.line("local cloud: instances run on " + describe(p.local.Machine()))
	return nil
}

func describe(kind machine.Kind) string {
	switch kind {
	case machine.Overlay:
		return "overlays over this machine's system, each in namespaces of its own (overlay)"
	case machine.UserNS:
		return "this machine's /usr, read-only, in user namespaces (userns)"
	case emulator.NoMachines:
		return "nothing: they only change their states (none)"
	case machine.InProcess:
		return "an interpreter in this process, each confined to its folder (in-process)"
	}
	return string(kind)
}

// wake boots the instances that the local cloud says are running, where this
// process is the one that they run in.
func (p *program) wake(ctx context.Context) error {
	if p.local == nil {
		return nil
	}
	if c := p.local.Cloud(); c != nil {
		return c.Wake(ctx)
	}
	return nil
}

// lingerTime is how long a command that has ended waits for others that go
// through its local cloud, before they have to take it over.
const lingerTime = time.Minute

// close ends what was opened.
func (p *program) close() {
	if p.local == nil {
		return
	}
	p.onInterrupt = "leaving the local cloud to the others"
	err := p.interruptible(context.Background(), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, lingerTime)
		defer cancel()
		if n := p.local.Others(); n > 0 {
			p.progress.line(fmt.Sprintf("waiting for %d other commands that use this local cloud; interrupt to leave it to them at once", n))
		}
		return p.local.Close(ctx)
	})
	if err != nil {
		p.progress.Emit(event.Event{Kind: event.Warning, Message: fmt.Sprintf("local cloud: %v", err)})
	}
}

// promoter answers what is where.
func (p *program) promoter(ctx context.Context, loaded *project.Project, sink event.Sink, run string) (*promote.Promoter, error) {
	provider, err := p.clouds(ctx)
	if err != nil {
		return nil, err
	}
	return promote.New(promote.Options{Project: loaded, Provider: provider, Sink: sink, Run: run, Lease: p.lease}), nil
}

// topology is what launch works from: an environment's resources and its cloud.
func (p *program) topology(ctx context.Context, name string, values vars, sink event.Sink, run string) (launch.Options, error) {
	loaded, env, err := p.environment(name)
	if err != nil {
		return launch.Options{}, err
	}
	topology, err := loaded.Topology(name, values)
	if err != nil {
		return launch.Options{}, err
	}
	c, err := p.cloud(ctx, env)
	if err != nil {
		return launch.Options{}, err
	}
	return launch.Options{Project: loaded.Name, Tags: loaded.Tags, Topology: topology, Dir: loaded.Dir, Cloud: c, Sink: sink, Run: run, Lease: p.lease,
		Elsewhere: launch.Elsewhere(loaded, p.provider, values)}, nil
}
