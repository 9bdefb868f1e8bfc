package promote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// What became of a build in an environment stands in its tags there, where
// every machine reads it: that it passed, or that it failed and was taken back.
// A build that has passed is not taken back for what goes wrong later on.

// FailedError refuses a build that failed in an environment before.
type FailedError struct {
	Image, Environment string
	Build              Ref
	Why                string
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("build %s failed in %s before: %s", e.Build, e.Environment, e.Why)
}

// unfailed refuses a build that failed in an environment, or forgets that it
// did.
func (p *Promoter) unfailed(ctx context.Context, target *place, b BuildInfo, retry bool) error {
	there, ok, err := target.stock.counterpart(ctx, b)
	if err != nil || !ok || there.Failed[target.env.Name] == "" {
		return err
	}
	if !retry {
		err := fail.Input(&FailedError{Image: b.Image, Environment: target.env.Name, Build: there.Ref(), Why: there.Failed[target.env.Name]})
		return fail.WithHint(err, "bake a build that is mended, or try this one again with --retry-failed")
	}
	ctx, _, err = p.lease.Hold(ctx, target.cloud, target.env.Name, time.Now()) // a run may be putting it back
	if err != nil {
		return err
	}
	for _, in := range append(slices.Clone(target.further), target) { // its own last: that mark is what counts
		there, ok, err := in.stock.counterpart(ctx, b)
		if err == nil && ok && there.Failed[target.env.Name] != "" {
			err = p.unlabel(ctx, in, []string{there.AMI}, tags.FailedIn(target.env.Name))
		}
		if err != nil {
			return in.wrong(err)
		}
	}
	return nil
}

func (p *Promoter) unlabel(ctx context.Context, in *place, amis []string, key string) error {
	if len(amis) == 0 {
		return nil
	}
	_, err := in.cloud.EC2.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: amis, Tags: []types.Tag{{Key: &key}}})
	if err != nil {
		return fmt.Errorf("tag %s in %s: %w", amis[0], in, err)
	}
	in.stock.forget()
	return nil
}

// Fail marks builds, by AMI, as failed in an environment, in its further regions
// too: they are not promoted to it again unasked, and nothing goes back to them.
func (p *Promoter) Fail(ctx context.Context, environment string, amis []string, why string) error {
	if len(amis) == 0 {
		return nil
	}
	in, err := p.place(ctx, environment)
	if err != nil {
		return err
	}
	ctx, _, err = p.lease.Hold(ctx, in.cloud, environment, time.Now())
	if err != nil {
		return err
	}
	builds, err := in.stock.all(ctx)
	if err != nil {
		return err
	}
	text := []rune(time.Now().UTC().Format(time.RFC3339) + " run " + p.run + ": " + why)
	value := string(text[:min(len(text), longestTag)])
	for _, beside := range in.further {
		if err := p.failBeside(ctx, beside, builds, amis, value); err != nil && ctx.Err() == nil {
			p.leftBehind("", environment, &besideError{beside.cloud.Region, err})
		}
	}
	return p.label(ctx, in, amis, tags.FailedIn(environment), value)
}

// failBeside marks, in a further region, the builds that have some AMIs in the
// environment's own.
func (p *Promoter) failBeside(ctx context.Context, beside *place, builds []BuildInfo, amis []string, value string) error {
	var copies []string
	for _, b := range builds {
		if !slices.ContainsFunc(amis, b.has) {
			continue
		}
		there, ok, err := beside.stock.counterpart(ctx, b)
		if err != nil {
			return err
		}
		if ok {
			copies = append(copies, there.AMI)
		}
	}
	return p.label(ctx, beside, copies, tags.FailedIn(beside.env.Name), value)
}

// Pass marks the builds that are current in an environment as known to run well
// there. It writes nothing where they all are, nor on what another run has made
// current since this one looked.
func (p *Promoter) Pass(ctx context.Context, environment string) error {
	in, err := p.place(ctx, environment)
	if err != nil {
		return err
	}
	_, looked, err := in.look(ctx)
	if err != nil {
		return err
	}
	amis, err := p.unjudged(ctx, in)
	if err != nil || len(amis) == 0 {
		return err
	}
	ctx, moved, err := p.lease.Hold(ctx, in.cloud, environment, looked)
	if err != nil {
		return err
	}
	if moved {
		in.forget()
		now, err := p.unjudged(ctx, in)
		if err != nil {
			return err
		}
		amis = slices.DeleteFunc(amis, func(ami string) bool { return !slices.Contains(now, ami) })
	}
	err = p.label(ctx, in, amis, tags.PassedIn(environment), time.Now().UTC().Format(time.RFC3339))
	if err == nil {
		return nil
	}
	return fail.Dirty(err, fail.Left{What: "builds that run well in " + environment + ", but are not tagged so", Command: "goldline launch " + environment})
}

// unjudged are the AMIs of the builds that are current in an environment and of
// which it is not known yet whether they run well there.
func (p *Promoter) unjudged(ctx context.Context, in *place) ([]string, error) {
	current, err := p.currentBuilds(ctx, in)
	var amis []string
	for _, b := range current {
		if !b.passed[in.env.Name] && b.Failed[in.env.Name] == "" {
			amis = append(amis, b.AMI)
		}
	}
	return amis, err
}

func (p *Promoter) label(ctx context.Context, in *place, amis []string, key, value string) error {
	if len(amis) == 0 {
		return nil
	}
	_, err := in.cloud.EC2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: amis, Tags: cloud.Tags(map[string]string{key: value})})
	if err != nil {
		return fmt.Errorf("tag %s in %s: %w", amis[0], in, err)
	}
	in.stock.forget()
	return nil
}

// currentBuilds are the builds that are current in an environment, by image.
func (p *Promoter) currentBuilds(ctx context.Context, in *place) ([]BuildInfo, error) {
	pointers, err := in.current(ctx)
	if err != nil {
		return nil, err
	}
	builds, err := in.stock.all(ctx)
	if err != nil {
		return nil, err
	}
	var current []BuildInfo
	for _, b := range builds {
		if b.has(pointers[b.Image].AMI) {
			current = append(current, b)
		}
	}
	sort.Slice(current, func(i, j int) bool { return current[i].Image < current[j].Image })
	return current, nil
}

// Undo is a build that is to be taken back in an environment.
type Undo struct {
	Image string
	From  Ref
	To    Ref // empty for the first build there: there is nothing to go back to
}

// Undoes says which builds are to be taken back when something went wrong in an
// environment, and to what: those that the given moves of a run made current,
// and those that an earlier run did which was stopped before they had passed.
func (p *Promoter) Undoes(ctx context.Context, environment string, moves []Move) ([]Undo, error) {
	in, err := p.place(ctx, environment)
	if err != nil {
		return nil, err
	}
	in.forget() // a pointer may have been moved by the same run in another way
	current, err := p.currentBuilds(ctx, in)
	if err != nil {
		return nil, err
	}
	var undoes []Undo
	for _, b := range current {
		moved := firstMove(moves, b.Image)
		if moved == nil && b.passed[environment] && b.Failed[environment] == "" {
			continue
		}
		u := Undo{Image: b.Image, From: b.Ref()}
		entries, err := p.History(ctx, b.Image, environment)
		if err != nil {
			return nil, err
		}
		target, ok := previous(entries)
		switch {
		case ok && (moved != nil || b.Failed[environment] != "" || p.passed(ctx, in, target.AMI)):
			u.To = Ref{AMI: target.AMI, Version: target.Version}
			undoes = append(undoes, u)
		case moved != nil:
			undoes = append(undoes, u)
		}
	}
	return undoes, nil
}

func firstMove(moves []Move, image string) *Move {
	for i := range moves {
		if moves[i].Image == image && moves[i].Changed {
			return &moves[i]
		}
	}
	return nil
}

func (p *Promoter) passed(ctx context.Context, in *place, ami string) bool {
	builds, err := in.stock.all(ctx)
	if err != nil {
		return false
	}
	for _, b := range builds {
		if b.has(ami) {
			return b.passed[in.env.Name]
		}
	}
	return false
}

// HalfUndone tells whether a build that failed in an environment is still
// current or runs there: taking it back was stopped half way.
func (p *Promoter) HalfUndone(ctx context.Context, environment string) (bool, error) {
	in, err := p.place(ctx, environment)
	if err != nil {
		return false, err
	}
	current, err := p.currentBuilds(ctx, in)
	if err != nil {
		return false, err
	}
	for _, b := range current {
		if b.Failed[environment] != "" {
			return true, nil
		}
	}
	deployed, err := p.deployed(ctx, in)
	if err != nil {
		return false, err
	}
	builds, err := in.stock.all(ctx)
	for _, b := range builds {
		for _, d := range deployed {
			if b.has(d.AMI) && b.Failed[environment] != "" {
				return true, nil
			}
		}
	}
	return false, err
}

// PutBack makes the build that was current before current again, because
// something went wrong with the one that is. A further region that does not let it
// is told of and left as it is: what runs must not wait for it.
func (p *Promoter) PutBack(ctx context.Context, environment string, u Undo, why string) (Move, error) {
	event.Scope(p.sink, "", u.Image).Emit(event.Event{Kind: event.Warning, Message: fmt.Sprintf("%s goes back to %s in %s", u.From, u.To, environment)})
	move, err := p.goBack(ctx, u.Image, environment, u.To.AMI, why, false)
	var beside *besideError
	if !errors.As(err, &beside) || ctx.Err() != nil {
		return move, err
	}
	p.leftBehind(u.Image, environment, beside)
	return p.goBack(ctx, u.Image, environment, u.To.AMI, why, true)
}

// leftBehind tells of a further region in which a build is not taken back.
func (p *Promoter) leftBehind(image, environment string, why *besideError) {
	event.Scope(p.sink, "", image).Emit(event.Event{Kind: event.Warning, Message: fmt.Sprintf("%s goes back without region %s, which goldline images board tells of: %v", environment, why.region, why.err)})
}
