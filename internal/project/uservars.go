package project

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
)

// userVariables are the variables of one recipe, Packer's `variables`. A value
// given to the project's variable of the same name wins over the default.
//
// Only {{user}} and {{env}} are replaced here. What depends on the moment of
// the bake, {{isotime}} and its like, stays as it is written.
type userVariables struct {
	values map[string]string
	known  map[string]bool // declared, with a value or without
	names  []string        // declared, sorted
	hide   []string
	// tainted are the variables whose values hold a sensitive one's.
	tainted map[string]bool
	getenv  func(string) string
	texts   []string // that no problem shows
	// undeclared variables that nobody gives are empty, as they are to Packer.
	undeclared bool
}

func (p *Project) userVariables(d *decoder, r *recipe) *userVariables {
	u := &userVariables{values: map[string]string{}, known: map[string]bool{}, tainted: map[string]bool{}, getenv: p.getenv}
	if r.values != nil { // HCL2: values are in their places already
		u.values, u.names, u.hide, u.texts = r.values.Variables, r.hcl.parsed.Names(), r.values.Sensitive, r.values.Secrets
		return u
	}
	if r.secrets != nil {
		d.decode(r.secrets, reflect.ValueOf(&u.hide).Elem(), field{}, "sensitive_variables")
	}
	u.undeclared = p.alone && r.builders != nil
	u.declare(d, follow(r.vars))
	for i, n := range u.hide {
		if !u.known[n] {
			at := d.positions[fmt.Sprintf("sensitive_variables[%d]", i)]
			d.problems.AddHint(at, diag.DidYouMean(n, u.names), "no variable %q to keep secret", n)
		}
	}
	return u
}

// declare reads the variables of a recipe, and gives them and those that are
// given without being declared their values.
func (u *userVariables) declare(d *decoder, n *yaml.Node) {
	var entries []entry
	switch {
	case n == nil:
	case n.Kind != yaml.MappingNode:
		d.mismatch(n, "a mapping")
		return
	default:
		entries = d.entries(n)
	}
	for _, e := range entries {
		key := follow(e.key).Value
		u.known[key] = true
		u.names = append(u.names, key)
		d.note("variables."+key, d.where(e))
	}
	sort.Strings(u.names)
	resolver := &variableResolver{u: u, d: d, entries: entries, done: map[string]bool{}}
	for _, e := range entries {
		resolver.resolve(follow(e.key).Value, nil)
	}
	if !u.undeclared {
		return
	}
	for _, name := range d.scope.names() {
		resolver.resolve(name, nil)
	}
}

// variableResolver gives variables their values, those that others use first.
type variableResolver struct {
	u       *userVariables
	d       *decoder
	entries []entry
	done    map[string]bool
}

func (r *variableResolver) resolve(name string, within []string) {
	if r.done[name] {
		return
	}
	r.done[name] = true
	n := follow(lookup(r.entries, name))
	if given := r.d.scope.variable(name, nil); given.outcome == found {
		r.take(name, n, given.node.Value, within)
		return
	}
	switch {
	case n == nil:
	case n.Kind != yaml.ScalarNode:
		r.d.mismatch(n, "text")
	case isNull(n):
		if !r.d.scope.open {
			r.d.problems.AddHint(r.d.src.at(n), fmt.Sprintf("give --var %s=VALUE", name), "no value for the variable %q, which has no default", name)
		}
	default:
		plainScope := *r.d.scope
		plainScope.user = nil
		d := *r.d
		d.scope = &plainScope
		n, ok := d.substitute(n)
		if !ok {
			return
		}
		r.take(name, n, n.Value, within)
	}
}

// take gives a variable its value, a default or what somebody gave, in which
// others may stand.
func (r *variableResolver) take(name string, n *yaml.Node, value string, within []string) {
	text, ok := r.u.rewriteActions(r.d, n, value, func(word, arg string) (string, string, string) {
		return r.call(word, arg, append(within, name))
	})
	if ok {
		r.u.values[name] = text
		r.u.tainted[name] = r.u.shows(value)
	}
}

// call gives the value of {{user}} or {{env}} within a variable's default, or
// a problem with its hint.
func (r *variableResolver) call(word, arg string, within []string) (value, problem, hint string) {
	if word == "env" {
		return r.u.getenv(arg), "", ""
	}
	if slices.Contains(within, arg) {
		return "", fmt.Sprintf("the variable %q needs itself: %s", arg, strings.Join(append(within, arg), " -> ")), ""
	}
	if r.u.known[arg] || r.u.undeclared {
		r.resolve(arg, within)
	}
	return r.u.lookup(r.d, arg)
}

// unresolved marks a variable whose missing value is reported elsewhere or not
// known yet.
const unresolved = "\x00"

func (u *userVariables) lookup(d *decoder, name string) (value, problem, hint string) {
	if v, ok := u.values[name]; ok {
		return v, "", ""
	}
	if u.known[name] {
		return unresolved, "", ""
	}
	switch m := d.scope.variable(name, nil); m.outcome {
	case found:
		return m.node.Value, "", ""
	case unknown:
		return unresolved, "", ""
	}
	if u.undeclared {
		return "", "", ""
	}
	return "", fmt.Sprintf("no variable %q", name), declareHint(name, u.names)
}

// declareHint says what to do about a variable that is used and not declared.
func declareHint(name string, declared []string) string {
	if hint := diag.DidYouMean(name, declared); hint != "" {
		return hint
	}
	return fmt.Sprintf("declare it under variables, or give --var %s=VALUE", name)
}

// noteUndeclared warns of each variable that a template uses, and that is neither
// declared nor given, where it is first used.
func (p *Project) noteUndeclared(s *source, template, variables *yaml.Node, env *Environment) {
	var declared []string
	if n := follow(variables); n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			declared = append(declared, follow(n.Content[i]).Value)
		}
	}
	seen := map[string]bool{}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for _, c := range n.Content {
			walk(c)
		}
		for _, m := range call.FindAllStringSubmatch(strings.Join(action.FindAllString(n.Value, -1), " "), -1) {
			name := strings.Trim(m[2], "`\"")
			_, byFile := env.Vars[name]
			_, byFlag := p.given[name]
			if m[1] != "user" || byFile || byFlag || seen[name] || slices.Contains(declared, name) {
				continue
			}
			seen[name] = true
			at := s.locate(s.at(n), m[0], 0)
			p.leftOut = append(p.leftOut, fmt.Sprintf("warning: %s: no variable %q: taken as empty; %s", at, name, declareHint(name, declared)))
		}
	}
	walk(template)
}

// expand replaces {{user}} in a value of the recipe.
func (u *userVariables) expand(d *decoder, n *yaml.Node, text string) (string, bool) {
	return u.rewriteActions(d, n, text, func(word, arg string) (string, string, string) {
		if word == "env" {
			return "", "{{env}} can be used under variables only", fmt.Sprintf("declare a variable with it, and use {{user `%s`}} here", strings.ToLower(arg))
		}
		return u.lookup(d, arg)
	})
}

var (
	action  = regexp.MustCompile("\\{\\{(?:[^`\"}]|`[^`]*`|\"(?:[^\"\\\\]|\\\\.)*\"|\\}[^}])*\\}\\}")
	call    = regexp.MustCompile("\\b(user|env)\\s+(`[^`]*`|\"(?:[^\"\\\\]|\\\\.)*\")")
	onlyOne = regexp.MustCompile("^\\{\\{-?\\s*\\(?\\s*(user|env)\\s+(`[^`]*`|\"(?:[^\"\\\\]|\\\\.)*\")\\s*\\)?\\s*-?\\}\\}$")
)

// rewriteActions replaces the calls of user and env in the template actions of
// a text. An action that is nothing but the call becomes the value; within a
// larger one the call becomes a string of the template language.
func (u *userVariables) rewriteActions(d *decoder, n *yaml.Node, text string, call1 func(word, arg string) (value, problem, hint string)) (string, bool) {
	ok := true
	eval := func(source, word, quoted string) (string, bool) {
		arg, err := strconv.Unquote(quoted)
		if err != nil {
			arg = strings.Trim(quoted, "`\"")
		}
		v, problem, hint := call1(word, arg)
		if problem != "" {
			d.problems.AddHint(d.src.locate(d.src.at(n), source, 0), hint, "%s", problem)
			ok = false
		}
		if v == unresolved {
			ok = false
		}
		return v, ok
	}
	text = action.ReplaceAllStringFunc(text, func(source string) string {
		if m := onlyOne.FindStringSubmatch(source); m != nil {
			v, _ := eval(source, m[1], m[2])
			return v
		}
		return call.ReplaceAllStringFunc(source, func(found string) string {
			m := call.FindStringSubmatch(found)
			v, _ := eval(found, m[1], m[2])
			return strconv.Quote(v)
		})
	})
	return text, ok
}

// shows tells whether a text uses a sensitive variable, itself or by way of
// another one.
func (u *userVariables) shows(text string) bool {
	for _, m := range call.FindAllStringSubmatch(text, -1) {
		name := strings.Trim(m[2], "`\"")
		if slices.Contains(u.hide, name) || u.tainted[name] {
			return true
		}
	}
	return false
}

// holds tells whether a sensitive text stands in another.
func (u *userVariables) holds(text string) bool {
	return u != nil && slices.ContainsFunc(u.texts, func(secret string) bool { return strings.Contains(text, secret) })
}

// resolved gives what the image says of its variables.
func (u *userVariables) resolved() (values map[string]string, hide []string) {
	if len(u.values) == 0 {
		return nil, u.hide
	}
	return u.values, u.hide
}
