package project

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goldline-dev/goldline/internal/diag"
)

// Requires is what an environment asks of a build before it may become current
// there: its gates. What is left out is not asked for, except Below.
type Requires struct {
	Below    *bool     `yaml:"below" doc:"Whether the build must be, or have been, current one rung below." default:"true"`
	Checks   []string  `yaml:"checks" doc:"Check stages of pipelines that the build must have passed one rung below."`
	Soak     Duration  `yaml:"soak" doc:"How long the build must be current one rung below by now."`
	Approval *Approval `yaml:"approval" doc:"Who must have agreed with goldline approve."`
	Scan     *Scan     `yaml:"scan" doc:"What a vulnerability scan may have found, as goldline images scan recorded it."`
}

// Approval says who has to agree to a build.
type Approval struct {
	By    []string `yaml:"by" doc:"Who may: ARNs or names of users or roles, with * for any text; by default everyone who may write to Parameter Store there."`
	Count int      `yaml:"count" min:"1" max:"20" doc:"How many identities must." default:"1"`
	// NotPromoter keeps the one who made the build current one rung below from
	// agreeing to it.
	NotPromoter bool `yaml:"not_promoter" doc:"Whoever made the build current one rung below cannot agree to it."`
}

// Scan bounds what a scan may have found.
type Scan struct {
	MaxSeverity string `yaml:"max_severity" required:"true" enum:"none,low,medium,high,critical" doc:"The highest severity that is let through."`
}

// Needed is how many identities have to agree.
func (a *Approval) Needed() int { return max(a.Count, 1) }

// LadderRule tells whether a build must have been current one rung below.
func (r *Requires) LadderRule() bool { return r == nil || r.Below == nil || *r.Below }

// checkRequires refuses gates that look one rung below where there is none, and
// checks that no pipeline has.
func (p *Project) checkRequires(env *Environment, pipelines []*Pipeline) {
	r := env.Requires
	if r == nil {
		return
	}
	at := func(sub string) diag.Pos {
		return (&Resource{Pos: env.Pos, positions: env.positions}).At("requires." + sub)
	}
	if r.Approval != nil {
		for i, who := range r.Approval.By {
			if strings.TrimSpace(who) == "" {
				p.problems.AddHint(at(fmt.Sprintf("approval.by[%d]", i)), "write the name or the ARN of a user or role; * is any text", "this is nobody")
			}
		}
	}
	rung := slices.Index(p.Ladder, env.Name)
	for _, gate := range []struct {
		key   string
		given bool
	}{{"checks", len(r.Checks) > 0}, {"soak", r.Soak > 0}, {"approval.not_promoter", r.Approval != nil && r.Approval.NotPromoter}} {
		if gate.given && rung < 1 {
			p.problems.AddHint(at(gate.key), "approval and scan may be asked for in every environment", "%s looks one rung below, and there is none below %s on the ladder", gate.key, env.Name)
		}
	}
	if rung < 1 || len(p.problems) > 0 {
		return // what a broken pipeline has is not known
	}
	names := checksIn(pipelines, p.Ladder[rung-1])
	for i, check := range r.Checks {
		pos := at(fmt.Sprintf("checks[%d]", i))
		switch {
		case slices.Contains(r.Checks[:i], check):
			p.problems.Addf(pos, "check %q is asked for twice", check)
		case !slices.Contains(names, check):
			hint := diag.DidYouMean(check, names)
			if hint == "" && len(names) > 0 {
				hint = "those that check it are " + strings.Join(names, ", ")
			}
			p.problems.AddHint(pos, hint, "no pipeline has a check stage %q for %s", check, p.Ladder[rung-1])
		}
	}
}

// checksIn are the names of the stages that check an environment.
func checksIn(pipelines []*Pipeline, environment string) []string {
	var names []string
	for _, pl := range pipelines {
		for _, s := range pl.Stages {
			if s != nil && s.Check != nil && s.Check.Environment == environment && !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// CheckRecorded tells whether some environment asks for what became of a check
// stage in another, the one below it.
func (p *Project) CheckRecorded(environment, stage string) bool {
	rung := slices.Index(p.Ladder, environment)
	if rung < 0 || rung+1 >= len(p.Ladder) {
		return false
	}
	above := p.environments[p.Ladder[rung+1]]
	return above != nil && above.Requires != nil && slices.Contains(above.Requires.Checks, stage)
}
