package promote

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/lease"
	"github.com/goldline-dev/goldline/internal/tags"
)

// step is what a move has to do in one place.
type step struct {
	arrival
	before cloud.Pointer
	behind []BuildInfo // the AMIs besides the main one that are not current
}

// done tells whether the build is current in the place already.
func (s step) done() bool { return s.before.AMI == s.build.AMI && len(s.behind) == 0 }

// marked tells whether the build says since when it is current in the place.
func (s step) marked() bool { return s.build.promoted[s.in.env.Name] != "" }

// stepsTo reads what is current in places, and gives the time before which that
// was.
func stepsTo(ctx context.Context, to []arrival) (steps []step, looked time.Time, err error) {
	for _, a := range to {
		pointers, at, err := a.in.look(ctx)
		if err != nil {
			return nil, looked, a.in.wrong(err)
		}
		before := pointers[a.build.Image]
		steps = append(steps, step{a, before, behind(before, a.build)})
		looked = earlier(looked, at)
	}
	return steps, looked, nil
}

// point makes a build current in an environment, and says so on the build. to are
// the environment's places with the build as it is there, that of its own region
// first.
//
// The pointer in the environment's own region is the one that counts, and moves
// last. So a move that is cut short has not happened: promotion and rollback both
// start from that pointer, so the same command makes the same move again, and finds
// the further regions where it left them. Were it the first to move, a rollback that
// is run again would go back one further. That a promotion was cut short is told
// by the further regions being ahead, and a rollback takes that back (see
// cutShort).
func (p *Promoter) point(ctx context.Context, to []arrival, n note) (Move, error) {
	steps, looked, err := stepsTo(ctx, to)
	if err != nil {
		return Move{}, err
	}
	own := steps[0]
	in, b := own.in, own.build
	move := Move{Image: b.Image, Environment: in.env.Name, From: p.ref(ctx, in, own.before.AMI), To: b.Ref(), At: own.before.Since, By: in.cloud.Caller, Reason: n.Reason, Architectures: b.Architectures}
	if own.done() {
		event.Scope(p.sink, "", b.Image).Emit(event.Event{Kind: event.Progress, Message: fmt.Sprintf("%s is current in %s already", b.Ref(), in)})
	}
	if slices.ContainsFunc(steps, func(s step) bool { return !s.done() }) {
		if ctx, err = p.hold(ctx, in, looked); err != nil {
			return Move{}, err
		}
	}
	n.Version, n.again = b.Version, n.command(move)
	for _, s := range append(steps[1:], own) {
		if err := p.take(ctx, s, own, n, &move); err != nil {
			return move, err
		}
	}
	return move, nil
}

// take makes a build current in one place, unless it is, and marks it unless it
// is marked.
func (p *Promoter) take(ctx context.Context, s, own step, n note, move *Move) error {
	if s.done() {
		if s.marked() {
			return nil
		}
		return s.in.wrong(p.mark(ctx, s.in, s.build, s.before.Since, n)) // a run that was killed has left it unmarked
	}
	if n.From = s.before.AMI; s.in.beside {
		if n.Own = own.before.Version; !own.done() {
			n.Own++
		}
	}
	after, err := p.writeAll(ctx, s.in, s.build, s.behind, s.before, n)
	if lost := lease.Lost(ctx); lost != nil && err != nil {
		err = fail.Dirty(fmt.Errorf("%w: %w", lost, err), unsettled(s.in, s.build, n))
	}
	if err != nil {
		if len(move.Regions) > 0 && len(fail.LeftOf(err)) == 0 {
			err = fail.Dirty(err, unsettled(s.in, s.build, n))
		}
		return s.in.wrong(err)
	}
	if s.in.beside {
		move.Regions = append(move.Regions, s.in.cloud.Region)
	} else {
		move.Changed, move.At = true, after.Since
		p.archive(ctx, s.in, s.build.Image, after.Version)
	}
	event.Scope(p.sink, "", s.build.Image).Emit(event.Event{Kind: event.Changed, Message: fmt.Sprintf("%s is current in %s", s.build.Ref(), s.in),
		Fields: map[string]string{"id": tags.Pointer(s.in.name, s.in.env.Name, s.build.Image), "ami": s.build.AMI, "from": s.before.AMI, "region": s.in.cloud.Region}})
	return s.in.wrong(p.mark(ctx, s.in, s.build, after.Since, n))
}

// command is how a move that stopped half way is finished.
func (n note) command(m Move) string {
	if n.goesBack() {
		return fmt.Sprintf("goldline rollback %s --env %s --to %s", m.Image, m.Environment, m.To.AMI)
	}
	return fmt.Sprintf("goldline promote %s --to %s --build %s", m.Image, m.Environment, m.To.AMI)
}

// goesBack tells whether a move was one back to what had been current.
func (n note) goesBack() bool { return n.Action == actionRollback || n.Action == actionRestore }

// cutShort tells whether a promotion was stopped after it had moved the pointer of
// a further region, and before the one that counts. current is the last entry of
// the environment's own history.
func (p *Promoter) cutShort(ctx context.Context, target *place, image string, current int64) (bool, error) {
	for _, in := range target.further {
		versions, err := in.versions(ctx, image)
		if err != nil {
			return false, in.wrong(err)
		}
		if len(versions) == 0 {
			continue
		}
		if last := versions[len(versions)-1]; last.Own > current && !last.goesBack() {
			return true, nil
		}
	}
	return false, nil
}
