package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/promote"
	"github.com/spf13/cobra"
)

type approveReport struct {
	Approvals []promote.Agreed `json:"approvals"`
	next      []string
}

func (r approveReport) text(t *text) {
	for _, a := range r.Approvals {
		t.linef("%s %s (%s) is approved for %s by %s", a.Image, a.Version, a.AMI, a.Environment, a.By)
		if a.Lacks != "" {
			t.linef("  it still %s", a.Lacks)
		}
	}
	t.next(r.next)
}

func newApprove(p *program) *cobra.Command {
	var env, note string
	c := &cobra.Command{
		Use:   "approve RUN|BUILD --env ENV",
		Short: "Agree to a build's promotion to an environment",
		Long: `Records that you agree to a build in an environment whose definition requires
approval: a build by its AMI, version or fingerprint, or all that a run made
current one rung below. Who you are is what AWS says.`,
		Example: `  goldline approve 20261121.101500 --env prod --note 'load test passed' --local
  goldline approve 20261121T101500Z-1f2e3d --env prod --local`,
		Args:    takes("RUN|BUILD"),
		PreRunE: func(c *cobra.Command, _ []string) error { return required(c, "env", env) },
	}
	c.Flags().StringVar(&env, "env", "", "the environment")
	c.Flags().StringVar(&note, "note", "", "why; kept with the approval")
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) {
		loaded, _, err := p.environment(env)
		if err != nil {
			return nil, err
		}
		// Not one of the commands that change things alone: a run of this project may
		// be waiting for it.
		promoter, err := p.promoter(ctx, loaded, event.Scope(p.progress, "approve", env), "")
		if err != nil {
			return nil, err
		}
		approvals, err := promoter.Approve(ctx, args[0], env, note)
		if err != nil && len(approvals) == 0 {
			return nil, err
		}
		r := approveReport{Approvals: approvals}
		for _, a := range approvals {
			if a.Lacks != "" {
				continue
			}
			r.next = append(r.next, p.here(fmt.Sprintf("goldline promote %s --to %s --build %s", a.Image, env, a.AMI)))
		}
		return r, err
	})
	return c
}

type scanReport struct {
	promote.Scan
}

func (r scanReport) text(t *text) {
	t.linef("%s %s: the worst that the scan found is %s", r.Image, r.Version, r.Severity)
	words := make([]string, 0, len(r.Found))
	for severity, n := range r.Found {
		words = append(words, fmt.Sprintf("%d %s", n, severity))
	}
	sort.Strings(words)
	t.linef("  %s", orDash(strings.Join(words, ", ")))
	t.linef("  %s", strings.Join(r.AMIs, ", "))
}

func newImagesScan(p *program) *cobra.Command {
	var findings string
	c := &cobra.Command{
		Use:   "scan AMI --findings FILE",
		Short: "Record on a build what a vulnerability scan of it found",
		Long: `Reads the JSON report of a scanner, such as Trivy, Grype or Amazon Inspector, and
records on the build and its copies how many findings of which severity it
holds. An environment may require that a build has none above some severity.
Goldline does not scan by itself.`,
		Example: "  goldline images scan ami-0123456789abcdef0 --findings trivy.json --local",
		Args:    takes("AMI"),
		PreRunE: func(c *cobra.Command, _ []string) error { return required(c, "findings", findings) },
	}
	c.Flags().StringVar(&findings, "findings", "", "the scanner's report; - reads standard input")
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) {
		loaded, err := p.read()
		if err != nil {
			return nil, err
		}
		found, err := p.findings(findings)
		if err != nil {
			return nil, err
		}
		promoter, err := p.promoter(ctx, loaded, event.Scope(p.progress, "scan", ""), "") // a run may do this in one of its stages
		if err != nil {
			return nil, err
		}
		s, err := promoter.Scanned(ctx, args[0], found)
		if err != nil {
			return nil, err
		}
		return scanReport{s}, nil
	})
	return c
}

func (p *program) findings(file string) (map[string]int, error) {
	text, err := []byte(nil), error(nil)
	if file == "-" {
		text, err = io.ReadAll(p.stdin)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fail.Inputf("the findings: %w", err)
	}
	return promote.Findings(text)
}
