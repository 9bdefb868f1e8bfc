package project

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
)

// rolling are the kinds whose definitions may have a roll-out.
func rolling(kinds []Kind) []string {
	var names []string
	for _, k := range kinds {
		if k.Rolls {
			names = append(names, k.Name)
		}
	}
	return names
}

// rolloutCheck reports what is wrong with a roll-out beyond single values.
type rolloutCheck struct {
	*Rollout
	at       func(path string) diag.Pos // of a field within it
	given    func(path string) bool
	problems *diag.List
}

// checkRollout checks one that stands at a path of what d has decoded, and puts
// $${ right in its texts where the decoder has left it.
func (d *decoder) checkRollout(r *Rollout, pos diag.Pos, path string) {
	if r == nil {
		return
	}
	whole := Resource{Pos: pos, positions: d.positions}
	c := rolloutCheck{
		Rollout: r, problems: d.problems,
		at:    func(sub string) diag.Pos { return whole.At(join(path, sub)) },
		given: func(sub string) bool { return whole.States(join(path, sub)) },
	}
	c.texts(d.scope != nil && d.scope.keepEscapes)
	c.strategies()
	c.blueGreen()
	c.health()
}

func (c rolloutCheck) strategies() {
	kind := c.Kind()
	if c.Strategy != "" && c.Strategy != CanaryFirst && c.given("minimum_healthy") {
		c.problems.AddHint(c.at("minimum_healthy"), "give one of the two; with Canary it says how the rest follows", "%s says already how many instances serve", c.Strategy)
	}
	if c.Canary != nil && kind != CanaryFirst {
		c.problems.AddHint(c.at("canary"), "write strategy: Canary, or leave the strategy out", "%s has no canary", kind)
	}
	if c.given("deadline") && c.Deadline == 0 {
		c.problems.AddHint(c.at("deadline"), "it is 10m where it is left out", "0s is no time to become healthy in")
	}
	if c.Canary != nil && c.Canary.Instances == "" {
		c.Canary.Instances = "1"
	}
	if kind == CanaryFirst && c.Canary == nil {
		c.Canary = &Canary{Instances: "1"}
	}
}

func (c rolloutCheck) blueGreen() {
	if c.Kind() != BlueGreen {
		for _, key := range []string{"keep", "steps"} {
			if c.given(key) {
				c.problems.AddHint(c.at(key), "write strategy: BlueGreen, or leave it out", "%s is a matter of BlueGreen alone", key)
			}
		}
		return
	}
	if c.given("steps") && len(c.Steps) == 0 {
		c.problems.Addf(c.at("steps"), "traffic moves in at least one step")
	}
	for i, step := range c.Steps {
		if i > 0 && step.Of(100) <= c.Steps[i-1].Of(100) {
			c.problems.Addf(c.at(fmt.Sprintf("steps[%d]", i)), "each step is more than the one before: %s after %s", step, c.Steps[i-1])
		}
	}
	if n := len(c.Steps); n > 0 && c.Steps[n-1] != "100%" {
		c.problems.Addf(c.at(fmt.Sprintf("steps[%d]", n-1)), "the last step is 100%%, not %s", c.Steps[n-1])
	}
}

func (c rolloutCheck) health() {
	h := c.Health
	if h == nil {
		return
	}
	status, group := h.Checks()
	if !status && !group && h.HTTP == nil && h.TCP == 0 && h.Console == "" && len(h.Command) == 0 {
		c.problems.AddHint(c.at("health"), "leave status or target_group true, or give http, tcp, console or command", "nothing tells when an instance is healthy")
	}
	if _, err := regexp.Compile(h.Console); err != nil {
		c.problems.Addf(c.at("health.console"), "not a regular expression: %v", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
}

// texts refuses names that have no value where a roll-out stands. ${NAME} without
// a dot is the shell's.
func (c rolloutCheck) texts(escaped bool) {
	one := func(path string, text *string) {
		*text = rewrite(*text, escaped, func(expr string) (string, bool) {
			if first, rest := root(expr); rest != "" && name.MatchString(first) {
				c.problems.AddHint(c.at(path), "commands have the context in GOLDLINE_ variables; write $${ where ${ is meant as text", "${%s} has no value in a roll-out", expr)
			}
			return "", false
		})
	}
	each := func(path string, texts []string) {
		for i := range texts {
			one(path, &texts[i])
		}
	}
	if h := c.Health; h != nil {
		one("health.console", &h.Console)
		each("health.command", h.Command)
		if h.HTTP != nil {
			one("health.http.path", &h.HTTP.Path)
			one("health.http.contains", &h.HTTP.Contains)
		}
	}
	if h := c.Hooks; h != nil {
		each("hooks.before_replace", h.BeforeReplace)
		each("hooks.after_replace", h.AfterReplace)
		each("hooks.after_rollout", h.AfterRollout)
	}
}

// refuseRollout reports a roll-out of a kind that has no instances.
func (d *decoder) refuseRollout(f *definition, kinds []Kind) {
	for _, e := range f.common {
		if follow(e.key).Value == "rollout" && !f.kind.Rolls {
			d.problems.AddHint(d.src.at(e.key), "these have: "+strings.Join(rolling(kinds), ", "), "%s has no roll-out: it runs no instances", f.kind.Name)
		}
	}
}
