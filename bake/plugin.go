package bake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/plugin"
	"github.com/goldline-dev/goldline/internal/project"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// Plugin is the options of a provisioner that an installed Packer plugin
// carries out. What they mean is the plugin's own business: it says what is wrong
// with them as soon as a recipe is checked.
type Plugin struct {
	Options map[string]any
	// Release is the plugin's version, or the digest of one that has none: another
	// one may give another image.
	Release string

	image *project.Image
	found plugin.Plugin
	alias string // the template's name for the plugin
	kind  string
}

// ForeignProvisioner gives the options of a provisioner that is not built in, if
// an installed Packer plugin has it.
func ForeignProvisioner(f project.Foreign) (any, error) {
	required := map[string]plugin.Required{}
	for name, r := range f.Required {
		required[name] = plugin.Required{Source: r.Source, Version: r.Version}
		if err := plugin.CheckRequired(required[name]); err != nil {
			return nil, fmt.Errorf("required plugin %s at %s: %w", name, r.At, err)
		}
	}
	found, alias, err := plugin.Find(plugin.Folders(os.Getenv), f.Type, required)
	if err != nil {
		return nil, err
	}
	p := &Plugin{Options: f.Options, Release: found.Version, image: f.Image, found: found, alias: alias, kind: f.Type}
	if p.Release == "" {
		p.Release, err = plugin.Digest(found.Path)
	}
	return p, err
}

func (s *Plugin) subject() string { return "" }

// files are those of the recipe's folder that an option names, since the plugin
// surely reads them: an option that names none is text.
func (s *Plugin) files() []localFile {
	var all []localFile
	for _, key := range slices.Sorted(maps.Keys(s.Options)) {
		all = s.filesIn(all, key, s.Options[key])
	}
	return all
}

func (s *Plugin) filesIn(all []localFile, key string, value any) []localFile {
	switch v := value.(type) {
	case []any:
		for i, item := range v {
			all = s.filesIn(all, fmt.Sprintf("%s[%d]", key, i), item)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = s.filesIn(all, key+"."+k, v[k])
		}
	case string:
		path := filepath.Clean(v)
		if rel, err := filepath.Rel(s.image.Dir, path); err == nil && filepath.IsAbs(path) {
			path = rel
		}
		within := filepath.IsLocal(path) && path != "." || strings.HasPrefix(path, "../") && filepath.Base(path) != ".." && !filepath.IsAbs(v)
		if _, err := os.Stat(resolve(s.image, path)); within && v != "" && err == nil {
			all = append(all, localFile{key, path})
		}
	}
	return all
}

func (s *Plugin) texts() []text { return nil }

// pluginTime is how long a plugin may take to look at its options.
const pluginTime = time.Minute

func (s *Plugin) check(p *project.Provisioner, l *diag.List) {
	ctx, cancel := context.WithTimeout(context.Background(), pluginTime)
	defer cancel()
	component, err := s.found.Component(ctx, s.alias, s.kind)
	if err != nil {
		l.Addf(p.At("type"), "provisioner %s: %s", s.kind, err)
		return
	}
	hide := newRedactor(s.image)
	var keep tail
	job := s.job(component)
	job.Log = func(line string) { keep.add(hide.text(line)) }
	if err := s.found.Check(ctx, job); err != nil {
		l.Addf(p.Pos, "provisioner %s: %s", s.kind, strings.Join(strings.Fields(hide.text(err.Error())), " "))
	}
}

// job is what the plugin is told of the bake in the words of Packer's core, whose
// version tells plugins what they may expect of it.
func (s *Plugin) job(component string) plugin.Job {
	own := map[string]any{
		"packer_build_name": buildName(s.image), "packer_builder_type": builderType, "packer_core_version": "1.11.2",
		"packer_debug": false, "packer_force": false, "packer_on_error": "cleanup", "packer_template_path": filepath.Join(s.image.Dir, filepath.Base(s.image.File)),
		"packer_user_variables": s.image.Variables, "packer_sensitive_variables": s.image.SensitiveVariables,
	}
	return plugin.Job{Component: component, Folder: s.image.Dir, Config: []map[string]any{s.Options, own}}
}

func (s *Plugin) provision(ctx context.Context, b *bake, p *project.Provisioner) error {
	component, err := s.found.Component(ctx, s.alias, s.kind)
	if err != nil {
		return err
	}
	var keep, logged tail
	job := s.job(component)
	job.UI = b.output(&keep)
	job.Wrong = job.UI
	job.Log = func(line string) { logged.add(b.hide.text(line)) }
	job.Data = map[string]any{"Password": "", "WinRMPassword": "", "PackerHTTPPort": "0", "PackerHTTPIP": "", "PackerHTTPAddr": "", "SSHPrivateKey": b.loginText}
	for key, value := range b.templater().builder {
		job.Data[key] = value
	}
	b.say(event.Progress, "plugin %s", s.found.Path)
	err = b.remote.during(ctx, func() error { return s.found.Provision(ctx, job, pluginMachine{b.remote.comm}) })
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		return nil
	}
	died := errors.Is(err, plugin.ErrEnded)
	err = errors.New(b.hide.text(err.Error())) // its words may repeat what it was given
	if died {
		return logged.under(err)
	}
	return keep.under(err)
}

// pluginMachine is the builder for a plugin.
type pluginMachine struct{ comm packersdk.Communicator }

func (m pluginMachine) Start(ctx context.Context, c plugin.Command) (func() int, error) {
	cmd := &packersdk.RemoteCmd{Command: c.Text, Stdin: c.Stdin, Stdout: c.Stdout, Stderr: c.Stderr}
	if err := m.comm.Start(ctx, cmd); err != nil {
		return nil, err
	}
	return cmd.Wait, nil
}

func (m pluginMachine) Upload(path string, from io.Reader, info fs.FileInfo) error {
	if info == nil {
		return m.comm.Upload(path, from, nil)
	}
	return m.comm.Upload(path, from, &info)
}

func (m pluginMachine) UploadDir(to, from string, exclude []string) error {
	return uploadFolder(m.comm, to, from, exclude)
}

func (m pluginMachine) Download(path string, to io.Writer) error { return m.comm.Download(path, to) }

func (m pluginMachine) DownloadDir(from, to string, exclude []string) error {
	return m.comm.DownloadDir(from, to, exclude)
}
