package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
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

func newImagesRevoke(p *program) *cobra.Command {
	var reason string
	var rollback bool
	c := &cobra.Command{
		Use:   "revoke AMI --reason WHY",
		Short: "Mark a build so that it is neither promoted nor launched any more",
		Long: `Marks a build and all of its copies. What runs it goes on running and is listed;
with --rollback the environments in which it is current go back to the build
before it, and what an earlier run had begun of that is finished.`,
		Example: "  goldline images revoke ami-0123456789abcdef0 --reason 'CVE-2026-1234' --rollback",
		Args:    takes("AMI"),
	}
	c.Flags().StringVar(&reason, "reason", "", "why; kept on the build")
	c.Flags().BoolVar(&rollback, "rollback", false, "take the environments in which it is current back")
	vars := p.varFlag(c)
	c.PreRunE = func(c *cobra.Command, _ []string) error { return required(c, "reason", reason) }
	p.lockFlag(c)
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) {
		loaded, err := p.read()
		if err != nil {
			return nil, err
		}
		what := "revoke " + args[0]
		if rollback {
			what += " and roll back where it is current"
		}
		if err := p.agree(ctx, what); err != nil {
			return nil, err
		}
		return p.changing(ctx, func(ctx context.Context, run string, sink event.Sink) (report, error) {
			promoter, err := p.promoter(ctx, loaded, event.Scope(sink, "revoke", ""), run)
			if err != nil {
				return nil, err
			}
			revoked, err := promoter.Revoke(ctx, args[0], reason)
			if revoked.Image == "" {
				return nil, err
			}
			r := revokeReport{Revocation: revoked, RolledBack: []promote.Move{}}
			errs := []error{err, notReached(args[0], promoter.LeftOut())}
			standing := slices.Concat(revoked.Current, revoked.GoingBack)
			if err != nil || !rollback {
				for _, s := range standing {
					r.next = append(r.next, p.here(fmt.Sprintf("goldline rollback %s --env %s", s.Image, s.Environment)))
				}
				return r, fail.Join(errs...)
			}
			for _, s := range standing {
				topology, err := loaded.Topology(s.Environment, vars)
				if err == nil && topology.Rolls() {
					err = p.wake(ctx)
				}
				if err != nil {
					errs = append(errs, stillCurrent(err, s))
					continue
				}
				move, _, err := pipelines.Rollback(ctx, pipelines.RollbackOptions{
					Project: loaded, Provider: p.provider, Image: s.Image, Environment: s.Environment, Vars: vars, Sink: sink, Run: run, Lease: p.lease,
					LoseContents: p.flags.local || p.flags.yes,
				})
				if err != nil {
					errs = append(errs, stillCurrent(err, s))
					continue
				}
				r.RolledBack = append(r.RolledBack, move)
			}
			return r, fail.Join(errs...)
		})
	})
	return c
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

// stillCurrent is why an environment could not go back from a build that is revoked
// by now: nothing was changed there, but that build is left.
func stillCurrent(err error, s promote.Standing) error {
	if code := fail.ExitCode(err); code != fail.CodeInput && code != fail.CodeClean {
		return err
	}
	return fail.Dirty(err, fail.Left{
		What:    fmt.Sprintf("%s %s, which is revoked, current in %s", s.Image, s.Version, s.Environment),
		Command: fmt.Sprintf("goldline promote %s --to %s", s.Image, s.Environment),
	})
}
