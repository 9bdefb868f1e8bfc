package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/launch"
	"github.com/spf13/cobra"
)

// importReport is what an import wrote, and what it could not.
type importReport struct {
	Environment string           `json:"environment"`
	Definitions []importedFile   `json:"definitions"`
	LeftOut     []launch.LeftOut `json:"left_out"`
	// Unread are kinds that the credentials may not read.
	Unread []launch.Unread `json:"not_read,omitempty"`
	next   []string
}

// importedFile is the definition of one resource.
type importedFile struct {
	Address string   `json:"address"`
	ID      string   `json:"id"`
	File    string   `json:"file"`
	Written bool     `json:"written"`          // false: the file was there, and was left as it is
	Unsaid  []string `json:"unsaid,omitempty"` // what the definition does not say, and why
}

func (r importReport) text(t *text) {
	written := 0
	for _, d := range r.Definitions {
		how := "wrote "
		if !d.Written {
			how = "exists"
		} else {
			written++
		}
		t.linef("%s %s  %s (%s)", how, d.File, d.Address, d.ID)
		for _, note := range d.Unsaid {
			t.linef("       not said: %s", note)
		}
	}
	for _, l := range r.LeftOut {
		name := ""
		if l.Name != "" {
			name = " (" + l.Name + ")"
		}
		t.linef("left out %s %s%s: %s", l.Kind, l.ID, name, l.Reason)
	}
	for _, u := range r.Unread {
		t.linef("not read: %s: %s", u.Kind, u.Reason)
	}
	t.linef("%s: %d written, %d there already, %d left out", r.Environment, written, len(r.Definitions)-written, len(r.LeftOut))
	t.next(r.next)
}

type importOptions struct {
	kinds    []string
	tags     []string
	vpc, out string
	force    bool
	defaults bool
	vars     vars
}

func newImport(p *program) *cobra.Command {
	var o importOptions
	c := &cobra.Command{
		Use:   "import ENV",
		Short: "Write definitions for what an account and region hold already",
		Long: `Writes a definition for every resource in the environment's account and region
that no definition has, each tied to its resource by name, tags or block (adopt),
never by an ID. A plan right after finds nothing to do. Changes nothing in the
cloud, and no file that is there.`,
		Example: `  goldline import dev --local
  goldline import dev --local --vpc legacy --kind vpc --kind subnet
  goldline import dev --local --tag team=shop --out /tmp/found`,
		Args: takes("ENV"),
	}
	f := c.Flags()
	f.StringSliceVar(&o.kinds, "kind", nil, "only this kind; may be repeated")
	f.StringArrayVar(&o.tags, "tag", nil, "only what carries this tag, as key=value; may be repeated")
	f.StringVar(&o.vpc, "vpc", "", "only what belongs to this VPC, by name or ID, and what that uses")
	f.StringVar(&o.out, "out", "", "folder for the kinds' folders (default: the project's topology)")
	f.BoolVar(&o.force, "force", false, "write over files that are there")
	f.BoolVar(&o.defaults, "defaults", false, "also what AWS makes by itself, such as default VPCs and main route tables")
	o.vars = p.varFlag(c)
	c.RunE = p.does(func(ctx context.Context, args []string) (report, error) { return runImport(ctx, p, args[0], o) })
	return c
}

func runImport(ctx context.Context, p *program, env string, o importOptions) (report, error) {
	set := vars{}
	for _, tag := range o.tags {
		if err := set.Set(tag); err != nil {
			return nil, fail.Inputf("import: --tag: %q is not key=value", tag)
		}
	}
	options, err := p.topology(ctx, env, o.vars, event.Scope(p.progress, "import", env), "")
	if err != nil {
		return nil, err
	}
	which := launch.ImportOptions{Kinds: o.kinds, Tags: set, VPC: o.vpc, Defaults: o.defaults, Taken: p.opened.Defined()}
	if len(p.opened.Environments()) > 1 {
		which.Environments = []string{env}
	}
	if o.out == "" && !o.force {
		which.Taken = append(which.Taken, p.filesOfKinds()...)
	}
	found, err := launch.NewImport(ctx, options, which)
	if err != nil {
		return nil, err
	}
	out := o.out
	if out == "" {
		out = filepath.Join(p.opened.Dir, "topology")
	}
	r := importReport{Environment: env, Definitions: []importedFile{}, LeftOut: append([]launch.LeftOut{}, found.LeftOut...), Unread: found.Unread}
	for _, d := range found.Definitions {
		file, err := writeDefinition(out, d, o.force)
		if err != nil {
			return r, fail.Inputf("import: %w", err)
		}
		r.Definitions = append(r.Definitions, file)
	}
	r.next = []string{p.here("goldline plan " + env)}
	return r, nil
}

// filesOfKinds are the addresses that the files of the topology's folders would
// have by their names. A file may hold something else than its name says: a
// definition of that name could not be written beside it, and would be missed.
func (p *program) filesOfKinds() (addresses []string) {
	for _, kind := range launch.Importable() {
		files, err := filepath.Glob(filepath.Join(p.opened.Dir, "topology", project.Folder(kind), "*"))
		if err != nil {
			continue // the pattern is of our making
		}
		for _, file := range files {
			addresses = append(addresses, kind+"."+strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
		}
	}
	return addresses
}

// writeDefinition writes a definition to a file of its own, unless there is one.
func writeDefinition(out string, d launch.Definition, force bool) (importedFile, error) {
	path := filepath.Join(out, project.Folder(d.Kind), d.Name+".yaml")
	file := importedFile{Address: d.Address(), ID: d.ID, File: path, Unsaid: d.Unsaid}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return file, err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return file, nil
	}
	if err != nil {
		return file, err
	}
	_, err = f.Write(d.Text)
	if err := errors.Join(err, f.Close()); err != nil {
		return file, fmt.Errorf("write %s: %w", path, err)
	}
	file.Written = true
	return file, nil
}
