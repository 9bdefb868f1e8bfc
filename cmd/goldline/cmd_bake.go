package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/goldline-dev/goldline/bake"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/ledger"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/launch"
	"github.com/spf13/cobra"
)

type bakeReport struct {
	Images []bake.Build `json:"images"`
	next   []string
}

func (r bakeReport) text(t *text) {
	var rows [][]string
	for _, b := range r.Images {
		for _, one := range b.Each() {
			how := "baked"
			if one.Reused {
				how = "reused"
			}
			rows = append(rows, []string{called(b, one), how, b.Version, one.AMI, short(b.Fingerprint), b.Region})
		}
	}
	t.table("nothing was baked", []string{"IMAGE", "HOW", "VERSION", "AMI", "FINGERPRINT", "REGION"}, rows)
	for _, b := range r.Images {
		for _, one := range b.Each() {
			if !one.Reused {
				t.linef("%s took %s", called(b, one), spent(one.Steps))
			}
		}
	}
	t.next(r.next)
}

// called is one AMI of a build in a list: with its architecture where the build
// has several.
func called(build, one bake.Build) string {
	if len(build.Architectures) == 0 {
		return build.Image
	}
	return build.Image + " " + one.Architecture
}

// spent says how long a bake's steps took together, and which of them were a
// tenth of that or more, with what they waited for.
func spent(steps []bake.StepTime) string {
	total := 0.0
	for _, s := range steps {
		total += s.Seconds
	}
	text := fmt.Sprintf("%.1f s", total)
	for _, s := range steps {
		if s.Seconds < total/10 {
			continue
		}
		text += fmt.Sprintf("\n  %s %.1f s", s.Name, s.Seconds)
		if s.Waited != "" {
			text += fmt.Sprintf(", of it %.1f s for %s", s.WaitedSeconds, s.Waited)
		}
	}
	return text
}

type explainReport struct {
	Images []bake.Explanation `json:"images"`
}

func (r explainReport) text(t *text) {
	for _, e := range r.Images {
		switch {
		case e.Hit && e.Note != "":
			t.linef("%s: unchanged, %s would be reused; %s", e.Image, e.AMI, e.Note)
			continue
		case e.Hit:
			t.linef("%s: unchanged, %s would be reused", e.Image, e.AMI)
			continue
		case e.Note != "":
			t.linef("%s: would be baked: %s", e.Image, e.Note)
		default:
			t.linef("%s: would be baked, since this differs from %s:", e.Image, e.AMI)
		}
		for _, c := range e.Changed {
			t.linef("  %s: %s -> %s", c.Name, oneLine(c.Was), oneLine(c.Is))
		}
		if e.FirstStep > 0 {
			t.linef("  the first provisioner that differs is %d", e.FirstStep)
		}
		if e.Base != "" {
			t.linef("  the builder would start from %s, kept after provisioner %d", e.Base, e.BaseStep)
		}
	}
}

type bakeOptions struct {
	rebake, explain, keepFailed bool
	vars                        vars
	template                    string // a file or folder, in place of a project
	varFiles                    []string
	only, except                []string
}

func newBake(p *program) *cobra.Command {
	var o bakeOptions
	c := &cobra.Command{
		Use:   "bake [IMAGE...]",
		Short: "Make a build of images, or find the one whose inputs are the same",
		Long: `Bakes images, all of the project's without arguments, at the same time as far as
they do not build on each other. A build whose inputs are all unchanged is found
by its fingerprint and not baked again. Bakes in the lowest environment of the
ladder. An image with tests counts only once it has passed them; a build whose
tests have changed is tested again, and not baked.

With --template it bakes a template of Packer's as it stands, a JSON file, an HCL2
file or a folder of them, without a project: in the region and with the credentials
that the template names, or else the AWS configuration, and with its state in
.goldline beside the template.
Relative paths in it start in the working folder, as they do for Packer.`,
		Example: `  goldline bake --local
  goldline bake base web --local
  goldline bake web --explain --local
  goldline bake --template web.pkr.hcl --var-file prod.pkrvars.hcl --only 'amazon-ebs.*'`,
		Args: takes("[IMAGE...]"),
	}
	c.Flags().BoolVar(&o.rebake, "rebake", false, "bake even where an unchanged build exists")
	c.Flags().BoolVar(&o.explain, "explain", false, "say which inputs differ from the newest build, and bake nothing")
	c.Flags().BoolVar(&o.keepFailed, "keep-failed", false, "keep an image that fails its tests, marked as failed")
	o.vars = p.varFlag(c)
	c.Flags().StringVar(&o.template, "template", "", "one of Packer's templates to bake, a file or a folder, without a project")
	c.Flags().StringArrayVar(&o.varFiles, "var-file", nil, "file with values for the template's variables; may be repeated")
	c.Flags().StringSliceVar(&o.only, "only", nil, "builders of the template to bake, by name or pattern")
	c.Flags().StringSliceVar(&o.except, "except", nil, "builders of the template to leave out, by name or pattern")
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) { return runBake(ctx, p, args, o) })
	return c
}

func runBake(ctx context.Context, p *program, names []string, o bakeOptions) (report, error) {
	if err := p.takeTemplate(o, names); err != nil {
		return nil, err
	}
	loaded, err := p.read()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := image(loaded, name); err != nil {
			return nil, err
		}
	}
	all, err := loaded.Images("", o.vars)
	if err != nil {
		return nil, err
	}
	p.secrets = secretsOf(all)
	wanted := all
	if len(names) > 0 {
		wanted = slices.DeleteFunc(slices.Clone(all), func(i *project.Image) bool { return !slices.Contains(names, i.Name) })
	}
	if o.explain {
		return explain(ctx, p, loaded, wanted)
	}
	return p.changing(ctx, func(ctx context.Context, run string, sink event.Sink) (report, error) {
		bakers, err := p.bakers(ctx, loaded, wanted, event.Scope(sink, "bake", ""), run, o)
		if err != nil {
			return nil, err
		}
		builds, err := bakeAll(ctx, bakers, wanted)
		r := bakeReport{Images: builds}
		if err == nil && o.template == "" && len(loaded.Ladder) > 0 && len(wanted) > 0 {
			r.next = []string{p.here("goldline images list"), p.here("goldline promote " + wanted[len(wanted)-1].Name + " --to " + loaded.Ladder[0])}
		}
		return r, err
	})
}

// baker bakes in the lowest environment of the ladder.
func (p *program) baker(ctx context.Context, loaded *project.Project, sink event.Sink, run string, o bakeOptions) (*bake.Baker, error) {
	if len(loaded.Ladder) == 0 {
		return nil, fail.Inputf("the project's ladder names no environment to bake in")
	}
	env, err := loaded.Environment(loaded.Ladder[0])
	if err != nil {
		return nil, err
	}
	c, err := p.cloud(ctx, env)
	if err != nil {
		return nil, err
	}
	return p.bakerIn(loaded, env, c, sink, run, o), nil
}

// bakerIn bakes in an environment.
func (p *program) bakerIn(loaded *project.Project, env *project.Environment, c *cloud.Cloud, sink event.Sink, run string, o bakeOptions) *bake.Baker {
	tags := map[string]string{}
	for _, set := range []map[string]string{loaded.Tags, env.Tags} {
		for key, value := range set {
			tags[key] = value
		}
	}
	return bake.New(bake.Options{
		Project: loaded.Name, Dir: loaded.Dir, Tags: tags, Environment: env.Name, Cloud: c, Sink: sink, Run: run,
		Rebake: o.rebake, KeepFailed: o.keepFailed, Pause: p.pause(), ToolVersion: version(),
		DeadRun: func(run string) bool { return ledger.Dead(loaded.Dir, run) },
		UserData: func(ctx context.Context, image, environment, address string) ([]byte, error) {
			options, err := p.topology(ctx, environment, o.vars, sink, run)
			if err != nil {
				return nil, err
			}
			return launch.UserDataOf(ctx, options, image, address)
		},
	})
}

// bakeAll bakes at the same time what does not build on each other, and gives
// the builds that were made also beside an error.
func bakeAll(ctx context.Context, bakers func(*project.Image) *bake.Baker, images []*project.Image) ([]bake.Build, error) {
	builds := make([]bake.Build, len(images))
	nodes := make([]graph.Node, len(images))
	for i, image := range images {
		nodes[i] = graph.Node{Name: image.Name, Run: func(ctx context.Context) (err error) {
			builds[i], err = bakers(image).Bake(ctx, image)
			return err
		}}
		if slices.ContainsFunc(images, func(other *project.Image) bool { return other.Name == image.SourceImage }) {
			nodes[i].Needs = []string{image.SourceImage}
		}
	}
	results := graph.Walk(ctx, nodes, graph.Options{KeepGoing: true})
	made := []bake.Build{}
	var errs []error
	for i, r := range results {
		if r.Err == nil && !r.Skipped {
			made = append(made, builds[i])
		}
		errs = append(errs, r.Err)
		if r.Skipped && ctx.Err() == nil {
			errs = append(errs, fail.Clean(fmt.Errorf("bake %s: not begun: %s", r.Name, r.Because)))
		}
	}
	err := fail.Join(errs...)
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return made, err
}

func explain(ctx context.Context, p *program, loaded *project.Project, images []*project.Image) (report, error) {
	bakers, err := p.bakers(ctx, loaded, images, event.Scope(p.progress, "bake", ""), "", bakeOptions{})
	if err != nil {
		return nil, err
	}
	r := explainReport{Images: []bake.Explanation{}}
	var errs []error
	for _, image := range images {
		e, err := bakers(image).Explain(ctx, image)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		r.Images = append(r.Images, e)
	}
	return r, fail.Join(errs...)
}
