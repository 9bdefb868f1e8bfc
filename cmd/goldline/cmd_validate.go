package main

import (
	"context"
	"errors"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/spf13/cobra"
)

type validateReport struct {
	Project      string   `json:"project"`
	Environments []string `json:"environments"`
	Images       []string `json:"images"`
	Pipelines    []string `json:"pipelines"`
}

func (r validateReport) text(t *text) {
	t.linef("%s is valid: %d environments, %d images, %d pipelines", r.Project, len(r.Environments), len(r.Images), len(r.Pipelines))
}

func newValidate(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "validate",
		Short: "Check everything in the project, without a cloud call",
		Long: `Checks every definition of the project, for every environment, and reports
everything that is wrong at once: the file, the line, what would be right.`,
		Example: "  goldline validate --project examples/shop",
		Args:    takes(),
	}
	values := p.varFlag(c)
	c.RunE = p.does(func(context.Context, []string) (report, error) { return runValidate(p, values) })
	return c
}

func runValidate(p *program, values vars) (report, error) {
	loaded, err := p.read()
	if loaded == nil {
		return nil, err
	}
	var wrong *diag.Error
	if err != nil && !errors.As(err, &wrong) {
		return nil, err
	}
	if err := loaded.Validate(values); err != nil {
		return nil, err
	}
	r := validateReport{Project: loaded.Name, Environments: []string{}, Images: loaded.ImageNames(), Pipelines: loaded.PipelineNames()}
	for _, env := range loaded.Environments() {
		r.Environments = append(r.Environments, env.Name)
	}
	return r, nil
}
