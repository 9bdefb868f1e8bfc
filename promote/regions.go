package promote

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
)

// An environment lives in its region: there it is launched, and there are the
// pointers that count, with their history, and the lease. In its further regions
// every promoted build is present, too, with a pointer of the same name, for
// whoever launches there, or has to one day. Each is a place of its own, and what
// is done in all of them is done place by place.

// all are the places of an environment, that of its own region first.
func (l *place) all() []*place { return append([]*place{l}, l.further...) }

// everywhere are all places of environments.
func everywhere(environments []*place) []*place {
	var all []*place
	for _, in := range environments {
		all = append(all, in.all()...)
	}
	return all
}

// String names the place as people do: the environment, with the region where that
// is a further one.
func (l *place) String() string {
	if l.beside {
		return l.env.Name + " (" + l.cloud.Region + ")"
	}
	return l.env.Name
}

// wrong says of an error in which further region it came up, and how to do
// without that one.
func (l *place) wrong(err error) error {
	if err == nil || !l.beside {
		return err
	}
	return fail.WithHint(&besideError{l.cloud.Region, err}, "to go on without %s, take it out of the regions of environment %s", l.cloud.Region, l.env.Name)
}

// besideError is an error that came up in a further region.
type besideError struct {
	region string
	err    error
}

func (e *besideError) Error() string { return "region " + e.region + ": " + e.err.Error() }
func (e *besideError) Unwrap() error { return e.err }

// arrival is a build as it is in one of an environment's places.
type arrival struct {
	in    *place
	build BuildInfo
}

// present makes a build present in all regions of an environment, and gives it as
// it is in each, its own region first. What one of them would refuse is refused
// before anything is changed in any.
func (p *Promoter) present(ctx context.Context, target *place, b BuildInfo) ([]arrival, error) {
	to := target.all()
	found, missing, err := arrived(ctx, to, b)
	if err != nil || len(missing) == 0 {
		return found, err
	}
	from, err := p.origin(ctx, found, missing, b)
	if err != nil {
		return nil, err
	}
	if err := from.permitted(target); err != nil {
		return nil, err
	}
	if err := p.allowed(ctx, found, missing, from); err != nil {
		return nil, err
	}
	var looked time.Time
	for _, in := range to {
		_, at, err := in.look(ctx)
		if err != nil {
			return nil, in.wrong(err)
		}
		looked = earlier(looked, at)
	}
	ctx, err = p.hold(ctx, target, looked)
	if err != nil {
		return nil, err
	}
	return found, p.bringAll(ctx, found, missing, from)
}

// allowed refuses to bring a build to regions of which one would not let it be used.
// What several say of the build is told once.
func (p *Promoter) allowed(ctx context.Context, found []arrival, missing []int, from BuildInfo) error {
	refused := make([]error, len(missing))
	err := graph.Each(ctx, 0, len(missing), func(ctx context.Context, i int) error {
		for _, part := range from.all() {
			if refused[i] == nil {
				refused[i] = p.unlocked(ctx, found[missing[i]].in, part)
			}
		}
		return nil
	})
	told := map[string]bool{}
	for i, err := range refused {
		if err != nil && told[err.Error()] {
			refused[i] = nil
		} else if err != nil {
			told[err.Error()] = true
		}
	}
	return fail.Join(append(refused, err)...)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// hold takes an environment's lease. Where another run may have been at work since
// the environment was looked at, all that was seen is forgotten.
func (p *Promoter) hold(ctx context.Context, target *place, looked time.Time) (context.Context, error) {
	held, moved, err := p.lease.Hold(ctx, target.cloud, target.env.Name, looked)
	if err != nil || !moved {
		return held, err
	}
	for _, in := range target.all() {
		in.forget()
		in.stock.forget()
	}
	return held, errMoved
}

// arrived looks for a build in places, and gives the indices of those where it is
// missing, or not all there. One that may not be used where it is, is refused.
func arrived(ctx context.Context, to []*place, b BuildInfo) (found []arrival, missing []int, err error) {
	found, there := make([]arrival, len(to)), make([]bool, len(to))
	err = graph.Each(ctx, 0, len(to), func(ctx context.Context, i int) error {
		in := to[i]
		as, ok, err := in.stock.counterpart(ctx, b)
		if err != nil {
			return in.wrong(err)
		}
		found[i] = arrival{in, as}
		if there[i] = ok && as.State != string(types.ImageStatePending) && as.State != incomplete; there[i] {
			err = as.usable(in.stock)
		}
		return err
	})
	for i := range to {
		if !there[i] {
			missing = append(missing, i)
		}
	}
	return found, missing, err
}

// origin is what a build is brought from to where it is missing: where the
// account has it in another region already, that; otherwise the build as its owner
// has it.
func (p *Promoter) origin(ctx context.Context, found []arrival, missing []int, b BuildInfo) (BuildInfo, error) {
	for i, a := range found {
		if !slices.Contains(missing, i) && !a.build.foreign() {
			return a.build, nil
		}
	}
	return p.home(ctx, b)
}

// bringAll brings a build to where it is missing, all of its AMIs to all regions
// at the same time.
func (p *Promoter) bringAll(ctx context.Context, found []arrival, missing []int, from BuildInfo) error {
	parts, target := from.all(), found[0].in
	if from.Account != target.cloud.Account && target.env.ImageAccess == project.ImageCopy {
		err := graph.Each(ctx, 0, len(parts), func(ctx context.Context, i int) error { return p.permit(ctx, parts[i], target.cloud.Account) })
		if err != nil {
			return err
		}
	}
	came := make([]BuildInfo, len(missing)*len(parts))
	err := graph.Each(ctx, 0, len(came), func(ctx context.Context, i int) (err error) {
		came[i], err = p.bring(ctx, found[missing[i/len(parts)]].in, parts[i%len(parts)])
		return err
	})
	if err != nil {
		return halfWay(ctx, err, target, from, came)
	}
	for n, i := range missing {
		if found[i].build = came[n*len(parts)]; len(parts) == 1 {
			continue
		}
		there, ok, err := found[i].in.stock.counterpart(ctx, from)
		if err == nil && !ok {
			err = fmt.Errorf("the AMIs of build %s are there, but do not show as one", from.Ref())
		}
		if err != nil {
			return found[i].in.wrong(err)
		}
		found[i].build = there
	}
	return nil
}

// halfWay is the error of bringing a build to several regions of which some have
// it now.
func halfWay(ctx context.Context, err error, target *place, from BuildInfo, came []BuildInfo) error {
	var made []string
	for _, b := range came {
		if b.AMI != "" && b.AMI != from.AMI {
			made = append(made, b.AMI+" in "+b.Region)
		}
	}
	if len(made) == 0 || ctx.Err() != nil {
		return err
	}
	return fail.Dirty(err, fail.Left{
		What:    fmt.Sprintf("build %s in some regions of %s: %s", from.Ref(), target.env.Name, strings.Join(made, ", ")),
		Command: fmt.Sprintf("goldline promote %s --to %s --build %s", from.Image, target.env.Name, from.AMI),
	})
}

// bring brings one AMI to a place: a copy within an account, or one that another
// account may read, or the AMI of the other account itself.
func (p *Promoter) bring(ctx context.Context, to *place, b BuildInfo) (BuildInfo, error) {
	region := to.cloud.Region
	if b.Account == to.cloud.Account || to.env.ImageAccess == project.ImageCopy {
		return p.copyBuild(ctx, b, copying{to: to.stock, key: to.env.ImageKMSKeyID.In(region)})
	}
	if b.Region != region {
		var err error
		if b, err = p.copyBuild(ctx, b, copying{to: p.beside(b.at, region)}); err != nil {
			return BuildInfo{}, err
		}
	}
	return p.share(ctx, to, b)
}

// returning gives a build to which an environment goes back as it is in each of its
// regions. Going back waits for no copy: a region that does not have the build keeps
// what it shows, and is told of.
func (p *Promoter) returning(ctx context.Context, target *place, b BuildInfo) ([]arrival, error) {
	to := []arrival{{target, b}}
	for _, in := range target.further {
		there, ok, err := in.stock.counterpart(ctx, b)
		if err != nil {
			return nil, in.wrong(err)
		}
		if !ok || there.usable(in.stock) != nil {
			event.Scope(p.sink, "", b.Image).Emit(event.Event{Kind: event.Warning, Message: fmt.Sprintf(
				"region %s has no build %s that may be used, and keeps what it shows; goldline promote %s --to %s --build %s brings it there", in.cloud.Region, b.Ref(), b.Image, target.env.Name, b.AMI)})
			continue
		}
		to = append(to, arrival{in, there})
	}
	return to, nil
}
