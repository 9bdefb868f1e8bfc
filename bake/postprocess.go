package bake

import (
	"context"
	"fmt"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// artifact is what a post-processor works on: a build, and local files that came
// of it.
type artifact struct {
	id    string // REGION:AMI, several joined by commas
	files []string
}

// postProcessor is the options of one kind of post-processor.
type postProcessor interface {
	// check reports what is wrong beyond single fields.
	check(p *project.Provisioner, l *diag.List)
	// process works on an artifact and gives the one that the next of its chain
	// works on. It never removes the build.
	process(ctx context.Context, b *bake, p *project.Provisioner, a artifact) (artifact, error)
}

// PostProcessors lists the kinds of post-processor that recipes may use.
func PostProcessors() []project.Kind {
	return []project.Kind{
		{Name: "manifest", Doc: "Writes what was built to a JSON file.", New: func() any { return &Manifest{} }},
		{Name: "artifice", Doc: "Makes local files what the next of the chain works on.", New: func() any { return &Artifice{} }},
		{Name: "checksum", Doc: "Writes the checksums of local files.", New: func() any { return &Checksum{} }},
		{Name: "shell-local", Doc: "Runs commands or scripts on the machine that bakes.", New: func() any { return &ShellLocal{} }},
	}
}

// postProcess carries out the recipe's post-processors, also for a build that was
// there before: whoever reads a manifest expects the build in it. One that fails
// leaves the build as it is.
func (b *bake) postProcess(ctx context.Context) error {
	var errs []error
	n := 0
	for _, chain := range b.image.PostProcessors {
		a := artifact{id: b.artifactID()}
		for _, p := range chain {
			n++
			title := fmt.Sprintf("post-processor %d (%s)", n, p.Type)
			b.say(event.Progress, "%s", title)
			var err error
			if a, err = p.Options.(postProcessor).process(ctx, b, &p.Provisioner, a); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				errs = append(errs, fmt.Errorf("%s: %w", title, err))
				break
			}
		}
	}
	if err := fail.Join(errs...); err != nil {
		return fail.Dirty(err, fail.Left{What: "image " + b.build.AMI + ", which is ready", Command: "goldline bake " + b.image.Name})
	}
	return nil
}

// artifactID names the AMI and its copies as Packer does.
func (b *bake) artifactID() string {
	ids := []string{b.build.Region + ":" + b.build.AMI}
	for _, c := range b.build.Copies {
		ids = append(ids, c.Region+":"+c.AMI)
	}
	return strings.Join(ids, ",")
}

// buildName is what Packer would call the build.
func buildName(image *project.Image) string { return orText(image.BuildName, image.Name) }

func checkPostProcessor(p *project.PostProcessor, l *diag.List) {
	known, ok := p.Options.(postProcessor)
	if !ok {
		l.Addf(p.Pos, "post-processor type %q is not known", p.Type)
		return
	}
	known.check(&p.Provisioner, l)
	if p.Keep != nil && !*p.Keep {
		l.AddHint(p.At("keep_input_artifact"), "leave it out; `goldline images` shows what is there", "keep_input_artifact: false would remove the AMI that was just baked")
	}
}

// process runs the scripts with the artifact left as it is.
func (s *ShellLocal) process(ctx context.Context, b *bake, p *project.Provisioner, a artifact) (artifact, error) {
	return a, s.provision(ctx, b, p)
}
