package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/pipelines"
	"github.com/goldline-dev/goldline/promote"
	"github.com/spf13/cobra"
)

// revokeReport is a build that is used no more, and the environments that went
// back for it.
type revokeReport struct {
	promote.Revocation
	RolledBack []promote.Move `json:"rolled_back"`
	next       []string
}

func (r revokeReport) text(t *text) {
	t.linef("%s %s is revoked: %s", r.Image, r.Version, r.Reason)
	t.linef("  %s", strings.Join(r.AMIs, ", "))
	back := map[string]bool{}
	for _, m := range r.RolledBack {
		back[m.Environment] = true
		t.linef("%s has gone back to %s", m.Environment, m.To)
	}
	for _, s := range r.Current {
		if !back[s.Environment] {
			t.linef("still current in %s", s.Environment)
		}
	}
	var rows [][]string
	for _, d := range r.Running {
		if !back[d.Environment] {
			rows = append(rows, []string{d.Environment, d.Address, d.Instance, d.AMI, d.State, moment(d.Since)})
		}
	}
	if len(rows) > 0 || len(back) == 0 {
		t.linef("")
		t.table("nothing runs it", []string{"ENVIRONMENT", "ADDRESS", "INSTANCE", "AMI", "STATE", "SINCE"}, rows)
	}
	for _, row := range regionRows(r.Lagging) {
		if row.Lags {
			t.linef("%s: %s", row.Environment, row.lag())
		}
	}
	t.next(r.next)
}

// revokeOptions are the flags and the argument of images revoke.
type revokeOptions struct {
	ami, reason string
	rollback    bool
	vars        map[string]string
}

func newImagesRevoke(p *program) *cobra.Command {
	var o revokeOptions
	c := &cobra.Command{
		Use:   "revoke AMI --reason WHY",
		Short: "Mark a build so that it is neither promoted nor launched any more",
		Long: `Marks a build and all of its copies. What runs it goes on running and is listed;
with --rollback the environments in which it is current go back to the build
before it, and what an earlier run had begun of that is finished.`,
		Example: "  goldline images revoke ami-0123456789abcdef0 --reason 'CVE-2026-1234' --rollback",
		Args:    takes("AMI"),
	}
	c.Flags().StringVar(&o.reason, "reason", "", "why; kept on the build")
	c.Flags().BoolVar(&o.rollback, "rollback", false, "take the environments in which it is current back")
	o.vars = p.varFlag(c)
	c.PreRunE = func(c *cobra.Command, _ []string) error { return required(c, "reason", o.reason) }
	p.lockFlag(c)
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) {
		o.ami = args[0]
		loaded, err := p.read()
		if err != nil {
			return nil, err
		}
		what := "revoke " + o.ami
		if o.rollback {
			what += " and roll back where it is current"
		}
		if err := p.agree(ctx, what); err != nil {
			return nil, err
		}
		return p.changing(ctx, func(ctx context.Context, run string, sink event.Sink) (report, error) {
			return p.revoke(ctx, loaded, o, run, sink)
		})
	})
	return c
}

// revoke marks a build, and takes the environments in which it is current back
// where that is wanted.
func (p *program) revoke(ctx context.Context, loaded *project.Project, o revokeOptions, run string, sink event.Sink) (report, error) {
	promoter, err := p.promoter(ctx, loaded, event.Scope(sink, "revoke", ""), run)
	if err != nil {
		return nil, err
	}
	revoked, err := promoter.Revoke(ctx, o.ami, o.reason)
	if revoked.Image == "" {
		return nil, err
	}
	r := revokeReport{Revocation: revoked, RolledBack: []promote.Move{}}
	errs := []error{err, notReached(o.ami, promoter.LeftOut())}
	for _, s := range slices.Concat(revoked.Current, revoked.GoingBack) {
		if err != nil || !o.rollback {
			r.next = append(r.next, p.here(fmt.Sprintf("goldline rollback %s --env %s", s.Image, s.Environment)))
			continue
		}
		move, err := p.takeBack(ctx, loaded, s, o.vars, run, sink)
		if err != nil {
			errs = append(errs, stillThere(err, s, revoked))
			continue
		}
		r.RolledBack = append(r.RolledBack, move)
	}
	return r, fail.Join(errs...)
}

// takeBack takes an environment back from a build that is revoked by now.
func (p *program) takeBack(ctx context.Context, loaded *project.Project, s promote.Standing, vars map[string]string, run string, sink event.Sink) (promote.Move, error) {
	topology, err := loaded.Topology(s.Environment, vars)
	if err == nil && topology.Rolls() {
		err = p.wake(ctx)
	}
	if err != nil {
		return promote.Move{}, err
	}
	move, _, err := pipelines.Rollback(ctx, pipelines.RollbackOptions{
		Project: loaded, Provider: p.provider, Image: s.Image, Environment: s.Environment, Vars: vars, Sink: sink, Run: run, Lease: p.lease,
		LoseContents: p.flags.local || p.flags.yes,
	})
	return move, err
}

// notReached tells of environments in which a build may be, and is not revoked.
func notReached(ami string, out []promote.LeftOut) error {
	if len(out) == 0 {
		return nil
	}
	var left []fail.Left
	var names []string
	for _, one := range out {
		names = append(names, one.Environment)
		left = append(left, fail.Left{What: "in " + one.Environment + " the build and what runs it, if it is there", Command: "goldline images revoke " + ami + " --reason \"...\""})
	}
	return fail.Dirty(fmt.Errorf("revoke %s: there is no way into %s", ami, strings.Join(names, ", ")), left...)
}

// stillThere is why an environment could not go back from a build that is revoked
// by now: nothing was changed there, but that build is left. Where an earlier run had
// begun to go back, s is what is current instead.
func stillThere(err error, s promote.Standing, revoked promote.Revocation) error {
	if code := fail.ExitCode(err); code != fail.CodeInput && code != fail.CodeClean {
		return err
	}
	left := fail.Left{
		What:    fmt.Sprintf("%s %s, which is revoked, current in %s", s.Image, s.Version, s.Environment),
		Command: fmt.Sprintf("goldline promote %s --to %s", s.Image, s.Environment),
	}
	if !slices.Contains(revoked.AMIs, s.AMI) {
		left.What = fmt.Sprintf("instances of %s %s, which is revoked, in %s", s.Image, revoked.Version, s.Environment)
		left.Command = "goldline launch " + s.Environment
	}
	return fail.Dirty(err, left)
}
