package launch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// An import writes definitions for what an account and region hold and no
// definition knows. Each adopts its resource by what tells it apart from all
// others, and states what compare would compare, so that a plan right after
// finds nothing to do. It makes, changes and tags nothing.

// ImportOptions narrow an import.
type ImportOptions struct {
	Kinds []string          // only these; none for all
	Tags  map[string]string // only what carries all of them
	VPC   string            // ID or Name of the only VPC whose resources are meant
	// Defaults includes what AWS makes by itself: default VPCs and what they
	// hold, main route tables, default groups and lists.
	Defaults bool
	// Environments that the definitions are for; nil for all.
	Environments []string
	// Taken are addresses that no new definition may have, beside the topology's.
	Taken []string
}

// Import is what was found, and what can be written about it.
type Import struct {
	Environment string
	Definitions []Definition
	LeftOut     []LeftOut
	Unread      []Unread
}

// Unread is a kind that the credentials may not read. Nothing is known about
// its resources, so no definition refers to one of them.
type Unread struct {
	Kind   string `json:"kind"`
	Reason string `json:"reason"`
}

// Definition is the definition of a resource that is there.
type Definition struct {
	Kind, Name, ID string
	Text           []byte   // of its file
	Unsaid         []string // what it cannot say, and why
}

// Address is the definition's.
func (d Definition) Address() string { return d.Kind + "." + d.Name }

// LeftOut is a resource without a definition.
type LeftOut struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Reason string `json:"reason"`
}

// Importable are the kinds whose resources an import can write down.
func Importable() []string {
	var names []string
	for _, k := range kinds() {
		if k.imports() {
			names = append(names, k.definition().Name)
		}
	}
	return names
}

// NewImport reads the account and region of an environment and writes
// definitions for what is there. Names that cannot be meant are wrong input.
func NewImport(ctx context.Context, o Options, which ImportOptions) (*Import, error) {
	for _, name := range which.Kinds {
		if err := importable(name); err != nil {
			return nil, err
		}
	}
	w, err := newWorld(o)
	if err != nil {
		return nil, err
	}
	if err := w.resolve(ctx); err != nil {
		return nil, err
	}
	if err := w.readOwners(ctx); err != nil {
		return nil, err
	}
	if err := w.readAdopted(ctx); err != nil {
		return nil, err
	}
	m := &importing{world: w, options: which, byID: map[string]*imported{}, byAddress: map[string]*imported{}, ofKind: map[string][]*imported{}, byKind: map[string][]*found{}, indexes: map[string]*adoptIndex{}}
	if err := m.read(ctx); err != nil {
		return nil, err
	}
	if err := m.choose(); err != nil {
		return nil, err
	}
	m.name()
	return m.write()
}

func importable(name string) error {
	known := Importable()
	if has(known, name) {
		return nil
	}
	if name == "attachment" {
		return fail.Inputf("attachments stand in the definitions of their instances, as volumes: import instance and volume")
	}
	err := fail.Inputf("no kind %q that can be imported", name)
	if hint := diag.DidYouMean(name, known); hint != "" {
		return fail.WithHint(err, "%s", hint)
	}
	return fail.WithHint(err, "these can: %s", strings.Join(known, ", "))
}

// importing is an import in the making.
type importing struct {
	*world
	options   ImportOptions
	all       []*imported
	byID      map[string]*imported   // what definitions may refer to
	byAddress map[string]*imported   // the same by their addresses
	ofKind    map[string][]*imported // and by kind
	byKind    map[string][]*found    // all that is there, for telling resources apart
	indexes   map[string]*adoptIndex // of byKind
	leftOut   []LeftOut
	unread    []Unread
	unseen    bool // the credentials may not look at AMIs
}

// imported is a resource and its place among the definitions.
type imported struct {
	*found
	name   string // of its definition: as references give it
	adopt  *project.Adopt
	unsaid []string
}

// read lists every kind, whatever made its resources.
func (m *importing) read(ctx context.Context) error {
	var all []kind
	for _, k := range kinds() {
		if k.imports() {
			all = append(all, k)
		}
	}
	lists, refused := make([][]*found, len(all)), make([]error, len(all))
	q := query{cloud: m.Cloud, world: m.world, memo: &memo{}, shared: &memo{}, importing: true}
	err := graph.Each(ctx, 0, len(all), func(ctx context.Context, i int) error {
		var err error
		if lists[i], err = all[i].list(ctx, q); cloud.Denied(err) {
			refused[i] = err
		} else if err != nil {
			return fmt.Errorf("describe every %s: %w", all[i].definition().Name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := m.note(all, refused); err != nil {
		return err
	}
	for i, list := range lists {
		slices.SortFunc(list, func(a, b *found) int { return strings.Compare(a.id, b.id) })
		for _, f := range list {
			if !f.gone {
				m.byKind[all[i].definition().Name] = append(m.byKind[all[i].definition().Name], f)
				m.all = append(m.all, &imported{found: f})
			}
		}
	}
	return m.readImages(ctx)
}

// note takes down which kinds may not be read. Where none may, there is nothing
// to import.
func (m *importing) note(all []kind, refused []error) error {
	for i, err := range refused {
		if err != nil {
			m.unread = append(m.unread, Unread{all[i].definition().Name, fmt.Sprintf("the credentials may not call %s (%s)", cloud.Operation(err), cloud.Code(err))})
		}
	}
	if len(m.unread) == len(all) {
		return fail.WithHint(fmt.Errorf("describe what is in %s: %w", m.region, fail.Join(refused...)), "reading takes AWS's policy ReadOnlyAccess")
	}
	return nil
}

// readImages finds out which AMIs are still there: a definition that names
// another one could not be planned.
func (m *importing) readImages(ctx context.Context) error {
	var ids []string
	for _, i := range m.all {
		switch raw := i.raw.(type) {
		case instance:
			ids = append(ids, aws.ToString(raw.ImageId))
		case launchTemplate:
			ids = append(ids, aws.ToString(raw.data.ImageId))
		}
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return !strings.HasPrefix(id, "ami-") })
	slices.Sort(ids)
	m.amis = map[string]build{}
	if err := m.readAMIs(ctx, slices.Compact(ids)); cloud.Denied(err) {
		m.unseen = true
	} else if err != nil {
		return fmt.Errorf("describe the images: %w", err)
	}
	return nil
}

// choose leaves what is to be written, and keeps what definitions have already
// for references.
func (m *importing) choose() error {
	vpc, err := m.within()
	if err != nil {
		return err
	}
	adopted := map[string]*project.Resource{}
	for _, r := range m.resources() {
		if f := m.adopted[r.UUID]; f != nil {
			adopted[f.id] = r
		}
	}
	var chosen []*imported
	for _, i := range m.all {
		if r := adopted[i.id]; r != nil {
			m.refer(i, displayName(r))
			continue
		}
		if name, ours := m.made(i.found); ours {
			if name != "" {
				m.refer(i, name)
			}
			continue
		}
		if len(m.options.Kinds) > 0 && !has(m.options.Kinds, i.kindName()) || vpc != nil && !vpc[i.id] || !carriesAll(i.tags, m.options.Tags) {
			continue
		}
		if reason := m.others(i.found); reason != "" {
			m.leave(i.found, "%s", reason)
			continue
		}
		if reason := i.kind.madeByAWS(m, i.found); reason != "" && !m.options.Defaults {
			continue
		}
		if reason := i.kind.unsayable(i.found); reason != "" {
			m.leave(i.found, "%s", reason)
			continue
		}
		chosen = append(chosen, i)
	}
	m.all = chosen
	return nil
}

// refer lets definitions refer to what has one already.
func (m *importing) refer(i *imported, name string) {
	i.name = name
	m.byID[i.id] = i
	m.byAddress[i.kindName()+"."+name] = i
	m.ofKind[i.kindName()] = append(m.ofKind[i.kindName()], i)
}

func (m *importing) leave(f *found, format string, args ...any) {
	m.leftOut = append(m.leftOut, LeftOut{Kind: f.kindName(), ID: f.id, Name: label(f), Reason: fmt.Sprintf(format, args...)})
}

// made tells whether this environment's launches made a resource, and how
// references name it.
func (m *importing) made(f *found) (name string, ours bool) {
	if f.tags[tags.Project] == m.Project && f.tags[tags.Environment] == m.environment {
		return strings.TrimPrefix(f.tags[tags.Address], f.kindName()+"."), true
	}
	return "", strings.Contains(f.id, m.iamPath(""))
}

// others says why a resource is somebody else's to look after.
func (m *importing) others(f *found) string {
	switch {
	case f.tags[tags.Environment] != "":
		return "environment " + f.tags[tags.Environment] + " of project " + f.tags[tags.Project] + " made it"
	case f.tags[tags.Expires] != "":
		return "it is temporary"
	case f.tags["aws:autoscaling:groupName"] != "":
		return "the Auto Scaling group " + f.tags["aws:autoscaling:groupName"] + " looks after it"
	case strings.HasPrefix(f.id, "arn:") && strings.Contains(f.id, "/goldline/"):
		return "another environment made it"
	}
	return ""
}

func carriesAll(set, wanted map[string]string) bool {
	return carries(set, &project.Adopt{Tags: wanted})
}

// within are the IDs of what belongs to the VPC that is meant: what stands on
// it, and what that uses beside it. nil without one.
func (m *importing) within() (map[string]bool, error) {
	if m.options.VPC == "" {
		return nil, nil
	}
	var candidates []*found
	for _, f := range m.byKind["vpc"] {
		if f.id == m.options.VPC || f.tags[tags.Name] == m.options.VPC {
			candidates = append(candidates, f)
		}
	}
	switch len(candidates) {
	case 0:
		return nil, fail.Inputf("no VPC %s in %s", m.options.VPC, m.region)
	case 1:
	default:
		return nil, fail.WithHint(fail.Inputf("%d VPCs are called %s: %s", len(candidates), m.options.VPC, listed(candidates)), "give its ID")
	}
	uses := map[string][]string{}
	for _, i := range m.all {
		uses[i.id] = i.kind.needs(i.found)
	}
	in := map[string]bool{candidates[0].id: true}
	for grown := true; grown; {
		grown = false
		for _, i := range m.all {
			if !in[i.id] && slices.ContainsFunc(uses[i.id], func(id string) bool { return in[id] }) {
				in[i.id], grown = true, true
			}
		}
	}
	m.reach(in, uses)
	return in, nil
}

// reach adds what is used by what is in, but for other VPCs and what they hold.
func (m *importing) reach(in map[string]bool, uses map[string][]string) {
	kindOf := map[string]string{}
	for _, i := range m.all {
		kindOf[i.id] = i.kindName()
	}
	for grown := true; grown; {
		grown = false
		for id := range in {
			for _, used := range uses[id] {
				if in[used] || kindOf[used] == "" || kindOf[used] == "vpc" {
					continue
				}
				in[used], grown = true, true
			}
		}
	}
}

// write gives the definitions, in the order of kinds and names.
func (m *importing) write() (*Import, error) {
	out := &Import{Environment: m.environment, LeftOut: m.leftOut, Unread: m.unread}
	for _, i := range m.all {
		x := &expression{importing: m, imported: i}
		spec := i.kind.express(x, i.found)
		text, err := project.Encode(project.Draft{
			Comment: i.unsaid, Environments: m.options.Environments, Adopt: i.adopt, Spec: spec,
		})
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", i.kindName(), i.id, err)
		}
		out.Definitions = append(out.Definitions, Definition{Kind: i.kindName(), Name: i.name, ID: i.id, Text: text, Unsaid: i.unsaid})
	}
	return out, nil
}
