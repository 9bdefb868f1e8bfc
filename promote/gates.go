package promote

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
)

// The gates of an environment, as its `requires` names them.
const (
	GateBelow    = "below"
	GateChecks   = "checks"
	GateSoak     = "soak"
	GateApproval = "approval"
	GateScan     = "scan"
)

// Gate is something that a build needs before it becomes current, and has not.
type Gate struct {
	Name string // one of the constants
	Why  string
	How  string // what would meet it
}

// GatesError refuses a build for what it has not, all of it at once.
type GatesError struct {
	Image, Environment string
	Build              Ref
	Unmet              []Gate
}

func (e *GatesError) Error() string {
	if len(e.Unmet) == 1 && e.Unmet[0].Name == GateBelow {
		return fmt.Sprintf("build %s %s", e.Build, e.Unmet[0].Why)
	}
	lines := []string{fmt.Sprintf("build %s has not all that %s requires", e.Build, e.Environment)}
	for _, g := range e.Unmet {
		lines = append(lines, g.Name+": it "+g.Why)
	}
	return strings.Join(lines, "\n")
}

// Hint says what would meet the gates.
func (e *GatesError) Hint() string {
	var lines []string
	for _, g := range e.Unmet {
		if !slices.Contains(lines, g.How) {
			lines = append(lines, g.How)
		}
	}
	return strings.Join(lines, "\n")
}

// gates is a look at what an environment requires of a build.
type gates struct {
	promoter *Promoter
	target   *place
	below    *place // nil on the first rung
	build    BuildInfo
	there    BuildInfo // the build as it is one rung below
	isThere  bool
	unmet    []Gate
}

// gated refuses a build that has not all that its target requires, and gives the
// action that its promotion is. What is current there already has passed.
func (p *Promoter) gated(ctx context.Context, r Request, target, below *place, b BuildInfo) (string, error) {
	if err := p.offLadder(r, below); err != nil {
		return "", err
	}
	if current, err := p.isCurrent(ctx, target, b); err != nil || current {
		return actionPromote, err
	}
	g, err := p.look(ctx, target, below, b)
	if err != nil {
		return "", err
	}
	skipped := func(g Gate) bool { return r.SkipGates || r.SkipLadder && g.Name == GateBelow }
	offLadder := below == nil && !slices.Contains(p.project.Ladder, r.To)
	switch {
	case slices.ContainsFunc(g.unmet, func(g Gate) bool { return !skipped(g) }):
		unmet := slices.DeleteFunc(slices.Clone(g.unmet), skipped)
		return "", fail.Input(&GatesError{Image: b.Image, Environment: r.To, Build: b.Ref(), Unmet: unmet})
	case r.SkipGates && len(g.unmet) > 0:
		return actionSkipGates, nil
	case len(g.unmet) > 0 || offLadder:
		return actionSkip, nil
	}
	return actionPromote, nil
}

// offLadder refuses an environment that stands on no rung.
func (p *Promoter) offLadder(r Request, below *place) error {
	if below != nil || r.SkipLadder || r.SkipGates {
		return nil
	}
	return p.onLadder(r.To)
}

func (p *Promoter) isCurrent(ctx context.Context, target *place, b BuildInfo) (bool, error) {
	pointers, err := target.current(ctx)
	if err != nil {
		return false, err
	}
	there, ok, err := target.stock.counterpart(ctx, b)
	return ok && there.has(pointers[b.Image].AMI), err
}

// look finds what a build has not.
func (p *Promoter) look(ctx context.Context, target, below *place, b BuildInfo) (*gates, error) {
	g := &gates{promoter: p, target: target, below: below, build: b}
	requires := target.env.Requires
	if below != nil {
		var err error
		if g.there, g.isThere, err = below.stock.counterpart(ctx, b); err != nil {
			return g, err
		}
		if requires.LadderRule() {
			if err := g.climbed(ctx); err != nil {
				return g, err
			}
		}
	}
	if requires == nil {
		return g, nil
	}
	if below != nil {
		g.checked(requires.Checks)
		if err := g.soaked(ctx, time.Duration(requires.Soak)); err != nil {
			return g, err
		}
	}
	if requires.Approval != nil {
		if err := g.approved(ctx, requires.Approval); err != nil {
			return g, err
		}
	}
	if requires.Scan != nil {
		g.scanned(requires.Scan)
	}
	return g, nil
}

func (g *gates) lacks(name, how, why string, args ...any) {
	g.unmet = append(g.unmet, Gate{Name: name, Why: fmt.Sprintf(why, args...), How: how})
}

// climbed wants a build to be, or have been, current one rung below.
func (g *gates) climbed(ctx context.Context) error {
	pointers, err := g.below.current(ctx)
	if err != nil {
		return err
	}
	b, env := g.build, g.below.env.Name
	if g.isThere && (g.there.has(pointers[b.Image].AMI) || g.there.promoted[env] != "") {
		return nil
	}
	entries, err := g.promoter.entries(ctx, g.below, b.Image)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(entries, func(e Entry) bool { return g.there.has(e.AMI) }) {
		g.lacks(GateBelow, fmt.Sprintf(`promote it there first: goldline promote %s --to %s --build %s; or skip the ladder: --skip-ladder --reason "..."`, b.Image, env, b.AMI),
			"was never current in %s, one rung below", env)
	}
	return nil
}

// checked wants check stages to have passed.
func (g *gates) checked(checks []string) {
	env := g.below.env.Name
	for _, check := range checks {
		if !g.isThere || g.there.tag(tags.CheckedIn(env, check)) == "" {
			g.lacks(GateChecks, fmt.Sprintf("run the pipeline whose stage %s checks %s, while the build runs there", check, env), "has not passed %s in %s", check, env)
		}
	}
}

// soaked wants a build to be current one rung below for some time.
func (g *gates) soaked(ctx context.Context, soak time.Duration) error {
	pointers, err := g.below.current(ctx)
	if err != nil || soak <= 0 {
		return err
	}
	pointer, env := pointers[g.build.Image], g.below.env.Name
	if !g.isThere || !g.there.has(pointer.AMI) {
		g.lacks(GateSoak, fmt.Sprintf("make it current in %s, and wait %s: goldline promote %s --to %s --build %s", env, soak, g.build.Image, env, g.build.AMI), "is not current in %s, where it is to be for %s", env, soak)
		return nil
	}
	if until := pointer.Since.Add(soak); time.Now().Before(until) {
		at := until.UTC().Format(time.RFC3339)
		g.lacks(GateSoak, "run the same command again after "+at, "is current in %s since %s, and is to be for %s, until %s", env, pointer.Since.UTC().Format(time.RFC3339), soak, at)
	}
	return nil
}

// scanned wants a scan to have found nothing worse.
func (g *gates) scanned(s *project.Scan) {
	found, how := "", fmt.Sprintf("scan it and record what that found: goldline images scan %s --findings FILE", g.build.AMI)
	for _, b := range []BuildInfo{g.there, g.build} {
		if text := b.tag(tags.Scanned); text != "" {
			found = text
		}
	}
	severity, _, _ := strings.Cut(found, " ")
	switch {
	case found == "":
		g.lacks(GateScan, how, "was never scanned")
	case rank(severity) > rank(s.MaxSeverity):
		g.lacks(GateScan, "bake a build without those vulnerabilities", "has vulnerabilities of severity %s, and at most %s is let through (%s)", severity, s.MaxSeverity, found)
	}
}

// tag is the value of a tag of the build's AMI.
func (b BuildInfo) tag(key string) string { return cloud.TagSet(b.image.Tags)[key] }

// Checked records what became of a check stage for the AMIs that it looked at,
// where an environment asks for it: that they passed, or that they do no more.
func (p *Promoter) Checked(ctx context.Context, environment, check string, amis []string, passed bool) error {
	if !p.project.CheckRecorded(environment, check) {
		return nil
	}
	in, err := p.place(ctx, environment)
	if err != nil {
		return err
	}
	builds, err := in.stock.all(ctx)
	if err != nil {
		return err
	}
	key := tags.CheckedIn(environment, check)
	var changed []string
	for _, b := range builds {
		if slices.ContainsFunc(amis, b.has) && (b.tag(key) != "") != passed {
			changed = append(changed, b.AMI)
		}
	}
	if passed {
		return p.label(ctx, in, changed, key, time.Now().UTC().Format(time.RFC3339))
	}
	return p.unlabel(ctx, in, changed, key)
}

// Missing is a build that lacks approvals in an environment.
type Missing struct {
	Image string
	Build Ref
	Gate  Gate
}

// Unapproved says which builds of images lack approvals for an environment: the
// given builds, by image, or those that are current one rung below. What is
// current there already lacks none.
func (p *Promoter) Unapproved(ctx context.Context, environment string, images []string, builds map[string]string) ([]Missing, error) {
	target, err := p.place(ctx, environment)
	if err != nil {
		return nil, err
	}
	rule := target.env.Requires
	if rule == nil || rule.Approval == nil {
		return nil, nil
	}
	var missing []Missing
	for _, image := range images {
		r := Request{Image: image, To: environment, Build: builds[image]}
		below, err := p.below(ctx, r)
		if err != nil {
			return nil, err
		}
		b, err := p.choose(ctx, target, below, r)
		if err != nil {
			return nil, err
		}
		g := &gates{promoter: p, target: target, below: below, build: b}
		current, err := p.isCurrent(ctx, target, b)
		if err == nil && below != nil {
			g.there, g.isThere, err = below.stock.counterpart(ctx, b)
		}
		if err == nil && !current {
			err = g.approved(ctx, rule.Approval)
		}
		if err != nil {
			return nil, fmt.Errorf("approvals of %s for %s: %w", image, environment, err)
		}
		for _, gate := range g.unmet {
			missing = append(missing, Missing{Image: image, Build: b.Ref(), Gate: gate})
		}
	}
	return missing, nil
}
