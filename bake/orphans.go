package bake

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
)

// SweepOptions say where to look for what bakes left, and what counts.
type SweepOptions struct {
	Project   string         // name
	Clouds    []*cloud.Cloud // accounts and regions, each once
	OlderThan time.Duration  // leave what is younger
	Sink      event.Sink
	// DeadRun tells whether a run is known to have ended, LiveRun whether it is
	// known to go on. Of a run of which neither is known the expiry decides.
	DeadRun, LiveRun func(run string) bool
}

// Sweep is what bakes of a project left, and what of it may be removed.
type Sweep struct {
	// Orphans are all temporary things of the project, in the order in which they
	// are removed: also those that are left, with the reason.
	Orphans []Orphan
	Others  int // temporary things of other projects in the same places

	places []*sweeper
}

// FindOrphans looks for what bakes of a project left. It changes nothing.
func FindOrphans(ctx context.Context, o SweepOptions) (*Sweep, error) {
	s := &Sweep{Orphans: []Orphan{}}
	for _, c := range o.Clouds {
		s.places = append(s.places, &sweeper{
			cloud: c, project: o.Project, dead: o.DeadRun, alive: o.LiveRun, thorough: true, olderThan: o.OlderThan,
			told: func(orphan Orphan) {
				o.Sink.Emit(event.Event{Kind: event.Removed, Item: c.Region, Message: orphan.String(), Fields: map[string]string{"id": orphan.ID}})
			},
		})
	}
	found, identities := make([][]Orphan, len(s.places)), make([][]Orphan, len(s.places))
	err := graph.Each(ctx, 0, len(s.places), func(ctx context.Context, i int) (err error) {
		p := s.places[i]
		if found[i], err = p.find(ctx); err == nil && s.hasIAM(i) {
			if identities[i], err = p.identities(ctx); cloud.Denied(err) {
				o.Sink.Emit(event.Event{Kind: event.Warning, Item: p.cloud.Region, Message: fmt.Sprintf("temporary roles and instance profiles of account %s are not looked for: %v", p.cloud.Account, err)})
				identities[i], err = nil, nil
			}
		}
		if err != nil {
			return fmt.Errorf("look for left-overs in %s of account %s: %w", p.cloud.Region, p.cloud.Account, err)
		}
		return nil
	})
	held := slices.Concat(identities...)
	for i := 0; err == nil && i < len(s.places); i++ {
		if err = s.places[i].launchedWith(ctx, found[i], held); err != nil {
			err = fmt.Errorf("look for instances with temporary profiles in %s of account %s: %w", s.places[i].cloud.Region, s.places[i].cloud.Account, err)
		}
	}
	sortOrphans(held)
	for i, list := range append(found, held) {
		s.Orphans = append(s.Orphans, list...)
		if i == len(s.places) {
			break
		}
		s.Others += s.places[i].others
	}
	if err != nil && ctx.Err() == nil {
		err = fail.Clean(err)
	}
	return s, err
}

// hasIAM tells whether a place is the one of its account where IAM is asked,
// which is the same in every region.
func (s *Sweep) hasIAM(i int) bool {
	return !slices.ContainsFunc(s.places[:i], func(p *sweeper) bool { return p.cloud.Account == s.places[i].cloud.Account })
}

// Removable counts the orphans that Remove removes.
func (s *Sweep) Removable() int {
	n := 0
	for _, o := range s.Orphans {
		if o.Remove {
			n++
		}
	}
	return n
}

// Remove removes the orphans that may be removed, and notes it in each. What
// EC2 refuses to remove, since it has come into use, is left; the error lists it.
func (s *Sweep) Remove(ctx context.Context) error {
	lists := make([][]Orphan, len(s.places))
	for i, p := range s.places {
		for _, o := range s.Orphans {
			if o.Account == p.cloud.Account && (o.Region == p.cloud.Region || o.Region == everywhere && s.hasIAM(i)) {
				lists[i] = append(lists[i], o)
			}
		}
	}
	err := graph.Each(ctx, 0, len(s.places), func(ctx context.Context, i int) error { return s.places[i].remove(ctx, lists[i]) })
	s.Orphans = slices.Concat(lists...)
	return err
}
