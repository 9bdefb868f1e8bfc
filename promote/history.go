package promote

import (
	"context"
	"fmt"
	"slices"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/fail"
)

// Entry is one version of a pointer: one time that a build became current.
type Entry struct {
	Image       string    `json:"image"`
	Environment string    `json:"environment"`
	Account     string    `json:"account"`
	Region      string    `json:"region"`
	Pointer     int64     `json:"pointer"` // version of the parameter: 1, 2, ...
	AMI         string    `json:"ami"`
	Version     string    `json:"version"` // of the build
	At          time.Time `json:"at"`
	By          string    `json:"by"`
	Run         string    `json:"run"`
	Action      string    `json:"action"` // promote, promote --skip-ladder, rollback, restore, other
	Reason      string    `json:"reason"`
	Current     bool      `json:"current"`
	Exists      bool      `json:"exists"`            // whether the build can still be launched
	Revoked     string    `json:"revoked,omitempty"` // why it may not be
	Failed      string    `json:"failed,omitempty"`  // why it was taken back there
	// Architectures are the AMIs of a build for several, by architecture.
	Architectures map[string]string `json:"architectures,omitempty"`
}

// History gives every time that a build of an image became current in an
// environment, the oldest first.
func (p *Promoter) History(ctx context.Context, image, environment string) ([]Entry, error) {
	if err := p.known(image); err != nil {
		return nil, err
	}
	in, err := p.place(ctx, environment)
	if err != nil {
		return nil, err
	}
	entries, err := p.entries(ctx, in, image)
	if err != nil {
		return nil, fmt.Errorf("history of %s in %s: %w", image, environment, err)
	}
	return entries, p.enrich(ctx, in, entries)
}

// Histories gives the history of an image, or of all when it is empty, in every
// environment that the caller gets into, the oldest first.
func (p *Promoter) Histories(ctx context.Context, image string) ([]Entry, error) {
	images := []string{image}
	if image == "" {
		images = p.project.ImageNames()
	}
	places, err := p.reachable(ctx)
	if err != nil {
		return nil, err
	}
	all := []Entry{}
	for _, in := range places {
		for _, image := range images {
			entries, err := p.History(ctx, image, in.env.Name)
			if err != nil {
				return nil, err
			}
			all = append(all, entries...)
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return a.At.Compare(b.At) })
	return all, nil
}

// entries reads a pointer's history, archived versions included. One that never
// existed has none.
func (p *Promoter) entries(ctx context.Context, in *place, image string) ([]Entry, error) {
	versions, err := in.versions(ctx, image)
	if err != nil || len(versions) == 0 {
		return nil, err
	}
	var entries []Entry
	if first := versions[0].Pointer; first > 1 {
		kept, err := in.pages(ctx, image)
		if err != nil {
			return nil, err
		}
		for _, a := range kept {
			if a.Pointer < first {
				entries = append(entries, a.entry(image, in.env.Name))
			}
		}
	}
	for _, v := range versions {
		entries = append(entries, v.entry(image, in.env.Name))
	}
	for i := range entries {
		entries[i].Account, entries[i].Region = in.cloud.Account, in.cloud.Region
	}
	entries[len(entries)-1].Current = true
	return entries, nil
}

// enrich adds what the builds themselves say.
func (p *Promoter) enrich(ctx context.Context, in *place, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	builds, err := in.stock.all(ctx)
	if err != nil {
		return err
	}
	for i := range entries {
		for _, b := range builds {
			if b.has(entries[i].AMI) {
				entries[i].Version, entries[i].Architectures = b.Version, b.Architectures
				entries[i].Revoked = b.Revoked
				entries[i].Failed = b.Failed[in.env.Name]
				entries[i].Exists = b.State == string(ec2types.ImageStateAvailable) && b.Revoked == ""
			}
		}
	}
	return nil
}

// Rollback makes the previous build of an image current again: the last one
// before the current one, that is not itself what an earlier rollback left, that
// still exists and that has not failed there. to names another build that was current there. Without a
// build to go back to it is refused as wrong input.
func (p *Promoter) Rollback(ctx context.Context, image, environment, to string) (Move, error) {
	return p.goBack(ctx, image, environment, to, "", false)
}

// goBack goes back in all regions of an environment, or in its own one only.
func (p *Promoter) goBack(ctx context.Context, image, environment, to, why string, only bool) (Move, error) {
	move, err := alone(func() (Move, error) { return p.rollback(ctx, image, environment, to, why, only) })
	if err != nil {
		return move, fmt.Errorf("roll back %s in %s: %w", image, environment, fail.Unchanged(err))
	}
	return move, nil
}

func (p *Promoter) rollback(ctx context.Context, image, environment, to, why string, only bool) (Move, error) {
	entries, err := p.History(ctx, image, environment)
	if err != nil {
		return Move{}, err
	}
	in, err := p.place(ctx, environment)
	if err != nil {
		return Move{}, err
	}
	var build BuildInfo
	if to == "" {
		target, ok, failed := p.before(ctx, in, image, entries)
		if failed != nil {
			return Move{}, failed
		}
		if !ok {
			err := fail.Inputf("there is no previous build: the history holds %s", countBuilds(entries))
			return Move{}, fail.WithHint(err, "goldline images history %s --env %s shows it; goldline promote %s --to %s makes another build current", image, environment, image, environment)
		}
		build, err = p.find(ctx, in, image, target.AMI)
	} else {
		build, err = p.find(ctx, in, image, to)
		if err == nil && !slices.ContainsFunc(entries, func(e Entry) bool { return build.has(e.AMI) }) {
			err = fail.WithHint(fail.Inputf("build %s was never current there", build.Ref()), "goldline promote %s --to %s --build %s makes it current", image, environment, build.AMI)
		}
	}
	if err != nil {
		return Move{}, err
	}
	if err := build.usable(in.stock); err != nil {
		return Move{}, err
	}
	arrivals := []arrival{{in, build}}
	if !only {
		if arrivals, err = p.returning(ctx, in, build); err != nil {
			return Move{}, err
		}
	}
	return p.point(ctx, arrivals, note{Run: p.run, Action: actionRollback, Reason: why})
}

// before is what an environment goes back to: the previous build or, where a
// promotion was cut short that had reached further regions, the build that is
// current all the while.
func (p *Promoter) before(ctx context.Context, in *place, image string, entries []Entry) (Entry, bool, error) {
	if len(entries) > 0 {
		current := entries[len(entries)-1]
		if cut, err := p.cutShort(ctx, in, image, current.Pointer); cut || err != nil {
			return current, true, err
		}
	}
	target, ok := previous(entries)
	return target, ok, nil
}

// Unfinished tells whether an earlier rollback moved the pointer and was then
// stopped before what it went back to was launched: the move that is to be
// finished, in place of going back one further.
func (p *Promoter) Unfinished(ctx context.Context, image, environment string) (Move, bool, error) {
	entries, err := p.History(ctx, image, environment)
	if err != nil || len(entries) == 0 || entries[len(entries)-1].Action != actionRollback {
		return Move{}, false, err
	}
	deployed, err := p.Deployed(ctx, environment)
	if err != nil {
		return Move{}, false, err
	}
	last := entries[len(entries)-1]
	for _, d := range deployed {
		if d.Image == image && !d.Current {
			return Move{
				Image: image, Environment: environment, From: Ref{AMI: d.AMI, Version: d.Version}, To: Ref{AMI: last.AMI, Version: last.Version},
				At: last.At, By: last.By, Reason: last.Reason,
			}, true, nil
		}
	}
	return Move{}, false, nil
}

// Restore takes a rollback back: what was current before it is current again.
func (p *Promoter) Restore(ctx context.Context, m Move) error {
	if !m.Changed {
		return nil
	}
	in, err := p.place(ctx, m.Environment)
	if err != nil {
		return err
	}
	build, err := p.find(ctx, in, m.Image, m.From.AMI)
	var to []arrival
	if err == nil {
		to, err = p.returning(ctx, in, build)
	}
	if err == nil {
		_, err = p.point(ctx, to, note{Run: p.run, Action: actionRestore, Reason: "its launch failed"})
	}
	if err != nil {
		return fmt.Errorf("restore %s in %s: %w", m.Image, m.Environment, err)
	}
	return nil
}

// previous finds what to go back to. The history is read as a walk: a
// promotion goes forward to a build, a rollback goes back to where an earlier
// step stood. So a second rollback goes further back, and never forward to
// what the first one left.
func previous(entries []Entry) (Entry, bool) {
	var walk []Entry
	for _, e := range entries {
		if e.Action == actionRollback {
			if at := lastOf(walk, e.AMI); at >= 0 {
				walk = walk[:at+1]
				continue
			}
		}
		if len(walk) == 0 || walk[len(walk)-1].AMI != e.AMI {
			walk = append(walk, e)
		}
	}
	if len(walk) == 0 {
		return Entry{}, false
	}
	current := walk[len(walk)-1].AMI
	for i := len(walk) - 2; i >= 0; i-- {
		if walk[i].Exists && walk[i].Failed == "" && walk[i].AMI != current {
			return walk[i], true
		}
	}
	return Entry{}, false
}

func lastOf(walk []Entry, ami string) int {
	for i := len(walk) - 1; i >= 0; i-- {
		if walk[i].AMI == ami {
			return i
		}
	}
	return -1
}

func countBuilds(entries []Entry) string {
	distinct := map[string]bool{}
	for _, e := range entries {
		distinct[e.AMI] = true
	}
	switch len(distinct) {
	case 0:
		return "no build"
	case 1:
		return "one build"
	}
	return fmt.Sprintf("%d builds, none of which can be gone back to", len(distinct))
}
