package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/goldline-dev/goldline/bake"
	"github.com/goldline-dev/goldline/internal/cloud"
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
		VarFiles: o.varFiles, Only: o.only, Except: o.except, Vars: o.vars, WorkingDir: working,
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
	known := map[string]*bake.Baker{}
	for _, image := range images {
		if known[whereabouts(image)] != nil {
			continue
		}
		c, err := p.templateCloud(ctx, image)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", image.Name, err)
		}
		at := *env
		at.Region = c.Region
		known[whereabouts(image)] = p.bakerIn(loaded, &at, c, sink, run, o)
	}
	return func(image *project.Image) *bake.Baker { return known[whereabouts(image)] }, nil
}

// whereabouts tells builders of a template apart that bake elsewhere, or as
// somebody else.
func whereabouts(image *project.Image) string {
	text, _ := json.Marshal(image.Access) // strings and numbers: it cannot fail
	return image.Region + " " + string(text)
}

// templateCloud is where a builder of a template bakes: with the credentials and
// in the region that it names, or those of the AWS configuration.
func (p *program) templateCloud(ctx context.Context, image *project.Image) (*cloud.Cloud, error) {
	provider, err := p.clouds(ctx)
	if err != nil {
		return nil, err
	}
	target := cloud.Target{Region: image.Region, Access: accessOf(image.Access)}
	if target.Region == "" {
		target.Region, err = provider.RegionOf(ctx, target.Access)
		if err == nil && target.Region == "" {
			err = fail.WithHint(fail.Inputf("the template names no region, and neither does the AWS configuration"), "give AWS_REGION, or the key region in the template")
		}
		if err != nil {
			return nil, err
		}
	}
	return provider.For(ctx, target)
}

// accessOf is what a template's keys mean to the AWS SDK.
func accessOf(a *project.Access) *cloud.Access {
	if a == nil {
		return nil
	}
	access := &cloud.Access{
		AccessKey: a.AccessKey, SecretKey: a.SecretKey, Token: a.Token, Profile: a.Profile, CredentialsFile: a.SharedCredentialsFile,
		MFACode: a.MFACode, Retries: a.MaxRetries, EC2Endpoint: a.CustomEndpointEC2, Insecure: a.InsecureSkipTLSVerify,
	}
	if r := a.AssumeRole; r != nil {
		access.Role = &cloud.Role{
			ARN: r.RoleARN, SessionName: r.SessionName, ExternalID: r.ExternalID, Policy: r.Policy, Duration: time.Duration(r.DurationSeconds) * time.Second,
			PolicyARNs: r.PolicyARNs, TransitiveTagKeys: r.TransitiveTagKeys, Tags: r.Tags,
		}
	}
	return access
}
