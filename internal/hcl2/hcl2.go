// Package hcl2 evaluates Packer's HCL2 templates: variables, locals, sources and
// builds become, for each source that a build names, the tree of nodes that a
// JSON template of the same meaning parses to, so that one decoder reads both.
//
// It promises a position for every node and every problem, all problems at once,
// and no cloud call: what a data source would look up is left to the bake, by
// the filter that it stands for. The one thing that leaves the machine is the
// request of a data source "http", by Input.HTTP. It knows the language and Packer's functions,
// and not a single key of a builder or a provisioner.
package hcl2

import (
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
)

// File is one file of a template.
type File struct {
	Name string // as positions show it
	Text []byte
}

// Template is a template as its files say it, before variables have values.
type Template struct {
	variables map[string]*variable
	locals    map[string]*local
	sources   map[string]*hclsyntax.Block // by "type.name"
	data      map[string]*hclsyntax.Block
	builds    []*hclsyntax.Block
	file      string
	defaults  []*hcl.File // *.auto.pkrvars.hcl, in their order
	// Plugins are what packer { required_plugins {} } says, by the names that the
	// template has for them.
	Plugins map[string]Plugin
	// Notes say what stands in the template and has no effect.
	Notes []string
}

// Plugin is one of required_plugins.
type Plugin struct {
	Source  string // github.com/hashicorp/puppet; empty in old templates
	Version string // constraints: ">= 1.0.1"
	At      diag.Pos
}

// Input is what a template is evaluated with.
type Input struct {
	Vars     map[string]string // of --var, and of whoever else gives text: they win
	VarFiles []File            // *.pkrvars.hcl and *.pkrvars.json; later ones win
	Getenv   func(string) string
	Environ  []string // NAME=value, for PKR_VAR_
	Dir      string   // absolute: where the template's files lie, for file() and its like
	Root     string   // what path.root says
	Now      time.Time
	// UUID gives what uuidv4() does.
	UUID func() string
	// HTTP asks for what data "http" tells, unless Open is set; without it that is
	// not known.
	HTTP *HTTP
	// Open leaves variables without a value unknown in place of wrong.
	Open bool
}

// Result is what a template comes to.
type Result struct {
	Images    []Image
	Variables map[string]string // those that are text, a number or true or false
	Sensitive []string          // names in Variables that are secret
	Secrets   []string          // every text within sensitive variables and locals
}

// Image is one source of one build, with what the build does to it.
type Image struct {
	Type, Name string   // of the source: amazon-ebs, web
	Build      string   // the source's name as the template has it
	Names      []string // by which only, except and override may name it
	At         diag.Pos
	// Body, Steps and After are what a JSON template has as one of its builders,
	// as provisioners and as post-processors. The HeadComment of each node is the
	// name of its file, and Line and Column are places in it.
	Body, Steps, After *yaml.Node
}

// Names lists the variables that the template declares.
func (t *Template) Names() []string { return keys(t.variables) }

// variable is a declaration.
type variable struct {
	block *hclsyntax.Block // nil in a variables block
	attr  *hclsyntax.Attribute
	kind  cty.Type
	given bool // a type is
	// fallback is the default, unevaluated, since it may ask for env().
	fallback  hclsyntax.Expression
	sensitive bool
	rules     []*hclsyntax.Block
	at        hcl.Range
}

type local struct {
	expr      hclsyntax.Expression
	sensitive bool
	at        hcl.Range
}

func pos(r hcl.Range) diag.Pos {
	return diag.Pos{File: r.Filename, Line: r.Start.Line, Col: r.Start.Column}
}
