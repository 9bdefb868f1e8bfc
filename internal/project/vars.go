package project

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
)

// scope is what names stand for at one place of the definitions.
type scope struct {
	project string
	env     *Environment
	// given are the values of --var: they win, and are taken as they are.
	given map[string]string
	// layers are the values that files give, first one wins. They may use
	// other variables.
	layers []map[string]string
	// locals are index, each.key and each.value within a repeated definition.
	locals map[string]*yaml.Node
	// open leaves what has no value unknown in place of wrong: for checks
	// that are made before values are known.
	open bool
	// later are words that someone else gives a meaning to, later.
	later []string
	// text leaves every name as it is: the text is another language's.
	text bool
	// strict reports words that mean nothing. Without it, only those that look
	// like a mistyped one: recipes and commands hold the text of other programs.
	strict bool
	// keepEscapes leaves $${ for Fill.
	keepEscapes bool
	// set names the files that could give a variable a value and do not.
	set func(name string) []string
	// user gives the values of Packer's user variables; nil outside recipes.
	user *userVariables
}

// outcome says what became of a name.
type outcome int

const (
	found   outcome = iota
	unknown         // it has a value that is not known yet
	wrong           // it has none; there is a problem
	foreign         // it is no name of ours
)

// meaning is what a name stands for.
type meaning struct {
	outcome outcome
	node    *yaml.Node // found: its value
	message string     // wrong
	hint    string
	ring    bool // wrong: the value needs itself
}

func scalarNode(text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: text} }

func value(text string) meaning { return meaning{outcome: found, node: scalarNode(text)} }

// mean gives the meaning of an expression. within are the variables whose
// values are being expanded, to notice one that needs itself.
func (s *scope) mean(expr string, within ...string) meaning {
	first, rest := root(expr)
	if s.text || slices.Contains(s.later, first) {
		return meaning{outcome: foreign}
	}
	switch first {
	case "var":
		return s.variable(rest, within)
	case "environment":
		return s.environment(rest)
	case "project":
		if rest == "name" {
			return value(s.project)
		}
		return meaning{outcome: wrong, message: fmt.Sprintf("nothing is called ${%s}", expr), hint: "a project has a name: ${project.name}; write $${ where ${ is meant as text"}
	case "index", "each":
		return s.local(expr)
	case lookupSSM, lookupStack, lookupEnvironment:
		return meaning{outcome: foreign}
	}
	near := diag.Suggest(first, []string{"var", "environment", "project", "index", "each"})
	if near != "" && rest != "" && near != "index" {
		return meaning{outcome: wrong, message: fmt.Sprintf("nothing is called ${%s}", expr), hint: fmt.Sprintf("did you mean ${%s.%s}?", near, rest)}
	}
	return meaning{outcome: foreign}
}

func (s *scope) variable(name string, within []string) meaning {
	if text, ok := s.given[name]; ok {
		return value(text)
	}
	for _, layer := range s.layers {
		text, ok := layer[name]
		if !ok {
			continue
		}
		if slices.Contains(within, name) {
			ring := append(append([]string(nil), within[slices.Index(within, name):]...), name)
			return meaning{outcome: wrong, ring: true, message: "the value of var." + name + " needs itself: " + strings.Join(ring, " -> ")}
		}
		return s.expandValue(name, text, append(within, name))
	}
	if s.open {
		return meaning{outcome: unknown}
	}
	hint := fmt.Sprintf("give --var %s=VALUE", name)
	if s.set != nil {
		hint = "set it under vars in " + strings.Join(s.set(name), ", ") + ", or " + hint
	}
	if near := diag.Suggest(name, s.names()); near != "" {
		hint = fmt.Sprintf("did you mean ${var.%s}? Otherwise %s", near, hint)
	}
	return meaning{outcome: wrong, message: fmt.Sprintf("no value for ${var.%s}", name), hint: hint}
}

// expandValue resolves the names within a variable's own value.
func (s *scope) expandValue(name, text string, within []string) meaning {
	result := meaning{outcome: found}
	text = rewrite(text, false, func(expr string) (string, bool) {
		m := s.mean(expr, within...)
		switch {
		case m.outcome == foreign:
			return "", false
		case m.outcome == wrong && result.outcome != wrong:
			result = m
			if len(within) == 1 && !m.ring {
				result.message += ", in the value of var." + name
			}
		case m.outcome == unknown && result.outcome == found:
			result.outcome = unknown
		case m.outcome == found:
			return m.node.Value, true
		}
		return "", false
	})
	if result.outcome == found {
		result.node = scalarNode(text)
	}
	return result
}

func (s *scope) names() []string {
	var names []string
	for k := range s.given {
		names = append(names, k)
	}
	for _, l := range s.layers {
		for k := range l {
			names = append(names, k)
		}
	}
	sort.Strings(names)
	return names
}

func (s *scope) environment(field string) meaning {
	known := []string{"name", "region", "account"}
	if !slices.Contains(known, field) {
		hint := diag.DidYouMean(field, known)
		if hint == "" {
			hint = "an environment has a name, a region and an account"
		}
		return meaning{outcome: wrong, message: fmt.Sprintf("nothing is called ${environment.%s}", field), hint: hint}
	}
	if s.env == nil {
		return meaning{outcome: unknown}
	}
	switch field {
	case "name":
		return value(s.env.Name)
	case "region":
		return value(s.env.Region)
	}
	return value(s.env.Account)
}

// local gives index, each.key, each.value and the fields of each.value.
func (s *scope) local(expr string) meaning {
	if s.locals == nil {
		if !s.strict {
			return meaning{outcome: foreign}
		}
		if s.open {
			return meaning{outcome: unknown}
		}
		return meaning{outcome: wrong, message: fmt.Sprintf("${%s} has a value only in a definition with %s", expr, repeatKey(expr)), hint: "write $${ where ${ is meant as text"}
	}
	if n, ok := s.locals[expr]; ok {
		return meaning{outcome: found, node: n}
	}
	field, ok := strings.CutPrefix(expr, "each.value.")
	n := s.locals["each.value"]
	if !ok || n == nil {
		return meaning{outcome: wrong, message: fmt.Sprintf("${%s} has no value here", expr), hint: "known here: " + strings.Join(s.localNames(), ", ")}
	}
	for _, key := range strings.Split(field, ".") {
		var keys []string
		var next *yaml.Node
		n = follow(n)
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			keys = append(keys, n.Content[i].Value)
			if n.Content[i].Value == key {
				next = n.Content[i+1]
			}
		}
		if next == nil {
			hint := diag.DidYouMean(key, keys)
			if hint == "" && len(keys) > 0 {
				hint = "it has " + strings.Join(keys, ", ")
			}
			return meaning{outcome: wrong, message: fmt.Sprintf("${%s}: the value has no key %q", expr, key), hint: hint}
		}
		n = next
	}
	return meaning{outcome: found, node: follow(n)}
}

func repeatKey(expr string) string {
	if expr == "index" {
		return "count"
	}
	return "each"
}

func (s *scope) localNames() []string {
	names := make([]string, 0, len(s.locals))
	for k := range s.locals {
		names = append(names, "${"+k+"}")
	}
	sort.Strings(names)
	return names
}
