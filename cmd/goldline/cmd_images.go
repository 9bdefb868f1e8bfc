package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/bake"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/tags"
	"github.com/goldline-dev/goldline/promote"
	"github.com/spf13/cobra"
)

func newImages(p *program) *cobra.Command {
	return newGroup("images", "Say which builds there are, where they are current, and what runs",
		"  goldline images list --local\n  goldline images deployed prod --local",
		newImagesList(p), newImagesShow(p), newImagesHistory(p), newImagesDeployed(p), newImagesBoard(p), newImagesRevoke(p), newImagesScan(p))
}

// asked gives the promoter of a command that only reads.
func (p *program) asked(ctx context.Context, stage string) (*promote.Promoter, error) {
	loaded, err := p.read()
	if err != nil {
		return nil, err
	}
	return p.promoter(ctx, loaded, event.Scope(p.progress, stage, ""), "")
}

// moment is a time as people read it.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// short is the beginning of a fingerprint: enough to name a build by.
func short(fingerprint string) string {
	fingerprint = strings.TrimPrefix(fingerprint, "sha256:")
	return fingerprint[:min(len(fingerprint), 12)]
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

type listReport struct {
	Images  []promote.BuildInfo `json:"images"`
	LeftOut []promote.LeftOut   `json:"left_out,omitempty"`
}

func (r listReport) text(t *text) {
	header := []string{"IMAGE", "VERSION", "AMI", "FINGERPRINT", "SOURCE", "STATE", "CREATED", "CURRENT IN"}
	wide := slices.ContainsFunc(r.Images, func(b promote.BuildInfo) bool {
		return b.Account != r.Images[0].Account || b.Region != r.Images[0].Region
	})
	if wide {
		header = append(header, "ACCOUNT", "REGION")
	}
	var rows [][]string
	for _, b := range r.Images {
		row := []string{b.Image, orDash(b.Version), b.AMI, short(b.Fingerprint), orDash(b.Source), buildState(b), moment(b.Created), orDash(strings.Join(b.Environments, ", "))}
		if wide {
			row = append(row, b.Account, b.Region)
		}
		if len(b.Architectures) > 0 {
			row[0] += " " + b.Architecture
		}
		rows = append(rows, row)
		for _, other := range sortedKeys(b.Architectures) { // the rest is the same
			if ami := b.Architectures[other]; ami != b.AMI {
				beside := slices.Clone(row)
				beside[0], beside[2], beside[4] = b.Image+" "+other, ami, "-" // its own, which images show tells
				rows = append(rows, beside)
			}
		}
	}
	t.table("no builds yet", header, rows)
}

// buildState is EC2's word for a build's state, unless it is used no more.
func buildState(b promote.BuildInfo) string {
	if b.Revoked != "" {
		return "revoked"
	}
	if len(b.Failed) > 0 {
		return "failed in " + strings.Join(sortedKeys(b.Failed), ", ")
	}
	return b.State
}

func newImagesList(p *program) *cobra.Command {
	return &cobra.Command{
		Use:     "list [IMAGE]",
		Short:   "List builds by image, version, fingerprint and source, and where they are current",
		Example: "  goldline images list --local\n  goldline images list web --local",
		Args:    takes("[IMAGE]"),
		RunE: p.reads(func(ctx context.Context, args []string) (report, error) {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return runImagesList(ctx, p, name)
		}),
	}
}

func runImagesList(ctx context.Context, p *program, name string) (report, error) {
	if loaded, err := p.read(); err != nil {
		return nil, err
	} else if name != "" {
		if err := image(loaded, name); err != nil {
			return nil, err
		}
	}
	promoter, err := p.asked(ctx, "images")
	if err != nil {
		return nil, err
	}
	builds, err := promoter.List(ctx, name)
	if err != nil {
		return nil, err
	}
	return listReport{Images: append([]promote.BuildInfo{}, builds...), LeftOut: promoter.LeftOut()}, nil
}

type showReport struct {
	Image      promote.Detail `json:"image"`
	Provenance []document     `json:"provenance"`
}

// document is one that a build's tags name by its digest.
type document struct {
	Kind   string `json:"kind"` // packages (SPDX) or statement (in-toto, SLSA)
	Digest string `json:"digest"`
	File   string `json:"file"` // where it is on this machine; empty where it is not, or is not what the digest says
}

// documents finds what a bake on this machine kept about a build.
func documents(dir string, set map[string]string) []document {
	list := []document{}
	for _, d := range []document{{Kind: "packages", Digest: set[tags.Packages]}, {Kind: "statement", Digest: set[tags.Provenance]}} {
		if d.Digest == "" {
			continue
		}
		path := bake.ProvenanceFile(dir, filepath.Base(d.Digest))
		if text, err := os.ReadFile(path); err == nil {
			if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) == d.Digest {
				d.File = path
			}
		}
		list = append(list, d)
	}
	return list
}

// beside lists the AMIs of a build for the other architectures.
func beside(b promote.BuildInfo) string {
	var list []string
	for _, architecture := range sortedKeys(b.Architectures) {
		if ami := b.Architectures[architecture]; ami != b.AMI {
			list = append(list, ami+" for "+architecture)
		}
	}
	return strings.Join(list, ", ")
}

func (r showReport) text(t *text) {
	d := r.Image
	promoted := make([]string, 0, len(d.Promoted))
	for _, env := range sortedKeys(d.Promoted) {
		promoted = append(promoted, env+" "+d.Promoted[env])
	}
	for _, row := range [][2]string{
		{"image", d.Image}, {"version", d.Version}, {"ami", d.AMI}, {"name", d.Name}, {"description", d.Description}, {"state", d.State},
		{"fingerprint", d.Fingerprint}, {"source", d.Source}, {"architecture", d.Architecture}, {"beside it", beside(d.BuildInfo)}, {"root device", d.RootDevice},
		{"snapshots", strings.Join(d.Snapshots, ", ")}, {"created", moment(d.Created)}, {"account", d.Account}, {"region", d.Region},
		{"current in", strings.Join(d.Environments, ", ")}, {"promoted", strings.Join(promoted, ", ")},
	} {
		if row[0] == "beside it" && row[1] == "" {
			continue
		}
		t.linef("%-13s %s", row[0], orDash(row[1]))
	}
	t.linef("ancestry")
	for _, a := range d.Ancestry {
		what := "AMI of " + orDash(a.Owner)
		switch {
		case !a.Exists:
			what = "cannot be seen any more"
		case a.Image != "":
			what = a.Image + " " + a.Version
		}
		t.linef("  %s  %s  %s", a.AMI, what, a.Name)
	}
	t.linef("provenance")
	for _, p := range r.Provenance {
		where := p.File
		if where == "" {
			where = "not on this machine"
		}
		t.linef("  %-9s sha256:%s  %s", p.Kind, p.Digest, where)
	}
	t.linef("tags")
	for _, key := range sortedKeys(d.Tags) {
		t.linef("  %s = %s", key, d.Tags[key])
	}
}

func newImagesShow(p *program) *cobra.Command {
	return &cobra.Command{
		Use:     "show AMI|BUILD",
		Short:   "Show everything about one build, named by its AMI, version or fingerprint",
		Example: "  goldline images show ami-0123456789abcdef0 --local\n  goldline images show 1.4.2 --local",
		Args:    takes("AMI|BUILD"),
		RunE: p.reads(func(ctx context.Context, args []string) (report, error) {
			promoter, err := p.asked(ctx, "images")
			if err != nil {
				return nil, err
			}
			detail, err := promoter.Show(ctx, args[0])
			if err != nil {
				return nil, err
			}
			dir, err := p.dir()
			if err != nil {
				return nil, err
			}
			return showReport{Image: detail, Provenance: documents(dir, detail.Tags)}, nil
		}),
	}
}

type historyReport struct {
	History []promote.Entry   `json:"history"`
	Regions []regionRow       `json:"regions"` // what further regions show now
	LeftOut []promote.LeftOut `json:"left_out,omitempty"`
	all     bool              // of several environments, or images
}

func (r historyReport) text(t *text) {
	var rows [][]string
	for _, e := range r.History {
		state := ""
		switch {
		case e.Revoked != "":
			state = "revoked"
		case e.Failed != "":
			state = "failed"
		case !e.Exists:
			state = "missing"
		}
		if e.Current {
			state = strings.TrimSuffix("current, "+state, ", ")
		}
		row := []string{strconv.FormatInt(e.Pointer, 10), moment(e.At), orDash(e.Version), e.AMI, e.Action, orDash(e.By), orDash(e.Run), state, e.Reason}
		if r.all {
			row = append([]string{e.Image, e.Environment, e.Account, e.Region}, row...)
		}
		rows = append(rows, row)
	}
	header := []string{"N", "AT", "VERSION", "AMI", "ACTION", "BY", "RUN", "STATE", "REASON"}
	if r.all {
		header = append([]string{"IMAGE", "ENVIRONMENT", "ACCOUNT", "REGION"}, header...)
	}
	t.table("no build was ever current there", header, rows)
	t.regions(r.Regions)
}

func newImagesHistory(p *program) *cobra.Command {
	var env string
	c := &cobra.Command{
		Use:   "history [IMAGE] [--env ENV]",
		Short: "List every time that a build became current in an environment",
		Long: `Lists every time that a build of an image became current in an environment: when,
by whom, in which run and why. Without --env it does so for all environments, and
without IMAGE for all images, the oldest first.`,
		Example: "  goldline images history web --env prod --local\n  goldline images history --local",
		Args:    takes("[IMAGE]"),
		RunE: p.reads(func(ctx context.Context, args []string) (report, error) {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return runImagesHistory(ctx, p, name, env)
		}),
	}
	c.Flags().StringVar(&env, "env", "", "the environment; by default all of them")
	return c
}

func runImagesHistory(ctx context.Context, p *program, name, env string) (report, error) {
	loaded, err := p.read()
	if err == nil && env != "" {
		_, err = loaded.Environment(env)
	}
	if err == nil && name != "" {
		err = image(loaded, name)
	}
	if err != nil {
		return nil, err
	}
	promoter, err := p.asked(ctx, "images")
	if err != nil {
		return nil, err
	}
	var entries []promote.Entry
	switch {
	case env != "" && name != "":
		entries, err = promoter.History(ctx, name, env)
	case env == "":
		entries, err = promoter.Histories(ctx, name)
	default:
		entries, err = promoter.Histories(ctx, "")
		entries = slices.DeleteFunc(entries, func(e promote.Entry) bool { return e.Environment != env })
	}
	if err != nil {
		return nil, err
	}
	regions, err := regional(ctx, promoter, env)
	regions = slices.DeleteFunc(regions, func(r regionRow) bool { return name != "" && r.Image != name })
	return historyReport{History: append([]promote.Entry{}, entries...), Regions: regions, LeftOut: promoter.LeftOut(), all: env == "" || name == ""}, err
}

type deployedReport struct {
	Deployed []promote.Deployment `json:"deployed"`
	Regions  []regionRow          `json:"regions"` // what further regions show
	LeftOut  []promote.LeftOut    `json:"left_out,omitempty"`
	all      bool                 // of all environments
}

func (r deployedReport) text(t *text) {
	var rows [][]string
	for _, d := range r.Deployed {
		current := "current"
		if !d.Current {
			current = "not current"
		}
		if d.Revoked != "" {
			current += ", revoked"
		}
		rows = append(rows, []string{d.Address, d.Instance, orDash(d.Image), d.AMI, orDash(d.Version), d.State, moment(d.Since), current})
		if r.all {
			last := len(rows) - 1
			rows[last] = append([]string{d.Environment, d.Account, d.Region}, rows[last]...)
		}
	}
	header := []string{"ADDRESS", "INSTANCE", "IMAGE", "AMI", "VERSION", "STATE", "SINCE", "BUILD"}
	if r.all {
		header = append([]string{"ENVIRONMENT", "ACCOUNT", "REGION"}, header...)
	}
	t.table("nothing runs there", header, rows)
	t.regions(r.Regions)
}

func newImagesDeployed(p *program) *cobra.Command {
	return &cobra.Command{
		Use:     "deployed [ENV]",
		Short:   "List what runs in an environment, or in all: instance, image, build, version, since when",
		Example: "  goldline images deployed prod --local\n  goldline images deployed --local",
		Args:    takes("[ENV]"),
		RunE: p.reads(func(ctx context.Context, args []string) (report, error) {
			if len(args) == 1 {
				if _, _, err := p.environment(args[0]); err != nil {
					return nil, err
				}
			}
			promoter, err := p.asked(ctx, "images")
			if err != nil {
				return nil, err
			}
			var deployed []promote.Deployment
			if len(args) == 1 {
				deployed, err = promoter.Deployed(ctx, args[0])
			} else {
				deployed, err = promoter.DeployedAnywhere(ctx)
			}
			if err != nil {
				return nil, err
			}
			regions, err := regional(ctx, promoter, strings.Join(args, ""))
			return deployedReport{Deployed: append([]promote.Deployment{}, deployed...), Regions: regions, LeftOut: promoter.LeftOut(), all: len(args) == 0}, err
		}),
	}
}
