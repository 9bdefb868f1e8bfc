package pipelines

import (
	"context"
	"fmt"
	"net/url"
	"regexp"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/leash"
	"github.com/goldline-dev/goldline/internal/probe"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/launch"
)

func (c *checking) environment() *project.Environment {
	return c.run.plan.definitions[c.stage.Name].topology.Environment
}

// console looks for a line on an instance's console.
func (c *checking) console(i launch.Instance) (probe.Probe, error) {
	text := fill(c.spec.Console, values(c.environment(), i), regexp.QuoteMeta)
	pattern, err := regexp.Compile("(?m)" + text)
	if err != nil {
		return nil, fail.Inputf("%s: console: %w", c.stage.stage.Pos, err)
	}
	read := func(ctx context.Context) (string, error) { return c.cloud.Console(ctx, i.ID) }
	return probe.Console(read, pattern), nil
}

// http asks an instance, at its private address and then at its public one.
func (c *checking) http(i launch.Instance) probe.Probe {
	spec, of := c.spec.HTTP, values(c.environment(), i)
	return probe.HTTP(c.cloud.Dial, i.Addresses(), probe.Request{
		Port: spec.Port, Status: spec.Status, Path: fill(spec.Path, of, url.PathEscape), Contains: fill(spec.Contains, of, asIs),
	})
}

// command runs a local command until it exits 0.
func (c *checking) command(ctx context.Context, instances []launch.Instance, sink event.Sink) error {
	env, err := c.run.environ(c.stage)
	if err != nil {
		return err
	}
	file, err := writeJSON(c.run.options.Project.Dir, c.run.options.Run, "instances-"+c.stage.Name+".json", instances)
	if err != nil {
		return fmt.Errorf("instances for the command: %w", err)
	}
	env = append(env, "GOLDLINE_INSTANCES="+file)
	local := leash.Command{Argv: c.spec.Command, Dir: c.run.options.Project.Dir, Env: env}
	look := probe.Command(local, func(text string) { sink.Emit(event.Event{Kind: event.Output, Message: text}) })
	return c.until(ctx, look, sink)
}
