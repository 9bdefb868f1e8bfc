package main

import (
	"context"
	"fmt"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/lease"
	"github.com/goldline-dev/goldline/internal/ledger"
	"github.com/spf13/cobra"
)

// keeper takes the leases of the environments that a run changes; nil where
// there is no project that has any.
func (p *program) keeper(run, command string, sink event.Sink) *lease.Keeper {
	loaded := p.opened
	if loaded == nil {
		return nil
	}
	return lease.New(lease.Options{
		Project: loaded.Name, Run: run, Command: command, Sink: sink, Wait: p.flags.lockTimeout,
		Dead: func(run string) bool { return ledger.Dead(loaded.Dir, run) },
	})
}

// lockFlag is the flag of commands that change an environment.
func (p *program) lockFlag(c *cobra.Command) {
	c.Flags().DurationVar(&p.flags.lockTimeout, "lock-timeout", 15*time.Minute, "how long to wait for another run that changes the environment")
}

func newLock(p *program) *cobra.Command {
	show := &cobra.Command{
		Use:     "show ENV",
		Short:   "Who changes an environment now, or did so last",
		Example: "  goldline lock show prod",
		Args:    takes("ENV"),
		RunE:    p.does(func(ctx context.Context, args []string) (report, error) { return runLockShow(ctx, p, args[0]) }),
	}
	release := &cobra.Command{
		Use:   "release ENV",
		Short: "Take an environment from a run that holds it and is not at work any more",
		Long: `Lets the next run have an environment. A run that is still at work there notices
within half a minute and stops, which may leave something half done. One whose
machine is gone needs no command: its lease ends by itself in two minutes.`,
		Example: "  goldline lock release prod",
		Args:    takes("ENV"),
		RunE:    p.does(func(ctx context.Context, args []string) (report, error) { return runLockRelease(ctx, p, args[0]) }),
	}
	return newGroup("lock", "Who may change an environment now", "  goldline lock show prod", show, release)
}

// lockReport is who holds an environment.
type lockReport struct {
	Environment string        `json:"environment"`
	Held        bool          `json:"held"`
	Released    bool          `json:"released"`        // by this command
	Lease       *lease.Record `json:"lease,omitempty"` // the newest; none when nobody ever held it
}

func (r lockReport) text(t *text) {
	switch {
	case r.Lease == nil:
		t.linef("nobody has changed %s yet", r.Environment)
	case r.Released:
		t.linef("%s is free; it was held by %s", r.Environment, r.Lease)
	case r.Held:
		t.linef("%s is held by %s, until %s unless it says otherwise", r.Environment, r.Lease, r.Lease.Expires.Local().Format("15:04:05"))
	default:
		t.linef("nobody holds %s; the last was %s", r.Environment, r.Lease)
	}
}

func lockOf(environment string, r lease.Record) lockReport {
	if r.Generation == 0 {
		return lockReport{Environment: environment}
	}
	return lockReport{Environment: environment, Held: !r.Free() && time.Now().Before(r.Expires), Lease: &r}
}

func runLockShow(ctx context.Context, p *program, name string) (report, error) {
	_, _, r, err := p.leaseOf(ctx, name)
	if err != nil {
		return nil, err
	}
	return lockOf(name, r), nil
}

// leaseOf is an environment's, with the project's name and the cloud that it is in.
func (p *program) leaseOf(ctx context.Context, environment string) (project string, c *cloud.Cloud, r lease.Record, err error) {
	loaded, env, err := p.environment(environment)
	if err != nil {
		return "", nil, r, err
	}
	if c, err = p.cloud(ctx, env); err != nil {
		return "", nil, r, err
	}
	r, err = lease.Show(ctx, c, loaded.Name, environment)
	return loaded.Name, c, r, err
}

// runLockRelease goes on beside a run of this project that holds the lock of
// its folder: that is who it may have to take the environment from.
func runLockRelease(ctx context.Context, p *program, name string) (report, error) {
	project, c, held, err := p.leaseOf(ctx, name)
	if err != nil {
		return nil, err
	}
	if held.Free() {
		return lockOf(name, held), nil
	}
	if err := p.agree(ctx, fmt.Sprintf("take %s from %s", name, held)); err != nil {
		return nil, err
	}
	if held, err = lease.Release(ctx, c, project, name, ledger.NewRun(p.started), p.commandLine()); err != nil {
		return nil, err
	}
	r := lockOf(name, held)
	r.Held, r.Released = false, true
	return r, nil
}
