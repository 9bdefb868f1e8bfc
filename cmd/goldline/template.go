package main

import (
	"context"
	"os"

	"github.com/goldline-dev/goldline/bake"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// takeTemplate opens the template that --template names in the place of a
// project. Its folder is where the state is kept.
func (p *program) takeTemplate(o bakeOptions, names []string) error {
	if o.template == "" {
		if len(o.varFiles)+len(o.only)+len(o.except) > 0 {
			return fail.WithHint(fail.Inputf("--var-file, --only and --except go with --template"), "name images of a project as arguments, and give variables with --var")
		}
		return nil
	}
	if p.flags.project != "" {
		return fail.Inputf("--template needs no project: leave --project out")
	}
	working, err := os.Getwd()
	if err != nil {
		return fail.Input(err)
	}
	opened, err := project.Template(o.template, vocabulary(), project.TemplateOptions{
		VarFiles: o.varFiles, Only: o.only, Except: o.except, WorkingDir: working,
	})
	if opened == nil {
		return err
	}
	p.opened, p.folder = opened, opened.Dir
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return fail.WithHint(fail.Inputf("%q: --template bakes the template's builders", names[0]), "--only chooses among them")
	}
	if err := opened.CheckVars(o.vars); err != nil {
		return err
	}
	for _, note := range opened.Notes() {
		p.progress.line(note)
	}
	return nil
}

// bakers gives the baker of each image. A project bakes in one environment; the
// builders of a template each say their region, or leave it to the AWS
// configuration.
func (p *program) bakers(ctx context.Context, loaded *project.Project, images []*project.Image, sink event.Sink, run string, o bakeOptions) (func(*project.Image) *bake.Baker, error) {
	if p.folder == "" {
		baker, err := p.baker(ctx, loaded, sink, run, o)
		return func(*project.Image) *bake.Baker { return baker }, err
	}
	env, err := loaded.Environment(loaded.Ladder[0])
	if err != nil {
		return nil, err
	}
	byRegion := map[string]*bake.Baker{}
	for _, image := range images {
		if byRegion[image.Region] != nil {
			continue
		}
		at := *env
		if at.Region = image.Region; at.Region == "" {
			if at.Region, err = p.defaultRegion(ctx); err != nil {
				return nil, err
			}
		}
		baker, err := p.bakerIn(ctx, loaded, &at, sink, run, o)
		if err != nil {
			return nil, err
		}
		byRegion[image.Region] = baker
	}
	return func(image *project.Image) *bake.Baker { return byRegion[image.Region] }, nil
}

// defaultRegion is the AWS configuration's.
func (p *program) defaultRegion(ctx context.Context) (string, error) {
	provider, err := p.clouds(ctx)
	if err != nil {
		return "", err
	}
	region, err := provider.Region(ctx)
	if err == nil && region == "" {
		err = fail.WithHint(fail.Inputf("the template names no region, and neither does the AWS configuration"), "give AWS_REGION, or the key region in the template")
	}
	return region, err
}
