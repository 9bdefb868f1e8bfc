package promote

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/project"
)

// Standing is the build of an image that is current in an environment.
type Standing struct {
	Image       string    `json:"image"`
	Environment string    `json:"environment"`
	Account     string    `json:"account"`
	Region      string    `json:"region"`
	AMI         string    `json:"ami"`     // empty where none is current
	Version     string    `json:"version"` // of the build
	Since       time.Time `json:"since"`
	// Missing tells that the build is gone: nothing can be launched from it.
	Missing bool   `json:"missing"`
	Revoked string `json:"revoked,omitempty"` // why it is used no more
	// Unreachable says why what is current there is not known.
	Unreachable string `json:"unreachable,omitempty"`
	// Architectures are the AMIs of a build for several, by architecture.
	Architectures map[string]string `json:"architectures,omitempty"`
	// Regions are the further regions of the environment, in its order.
	Regions []Regional `json:"regions,omitempty"`
}

// Regional is what a further region of an environment shows of an image.
type Regional struct {
	Region  string    `json:"region"`
	AMI     string    `json:"ami"`     // empty where it shows none
	Version string    `json:"version"` // of the build
	Since   time.Time `json:"since"`
	Missing bool      `json:"missing"` // the build is gone there
	Revoked string    `json:"revoked,omitempty"`
	// Lags tells that this is not the build that is current in the environment, or
	// not all of it.
	Lags bool `json:"lags"`
	// Unreachable says why what the region shows is not known.
	Unreachable   string            `json:"unreachable,omitempty"`
	Architectures map[string]string `json:"architectures,omitempty"`
}

// Board says which build of every image is current in every environment, by image
// and then in the order of the environments. Of those that the caller does not get
// into it says that.
func (p *Promoter) Board(ctx context.Context) ([]Standing, error) {
	places, err := p.reachable(ctx)
	if err != nil {
		return nil, err
	}
	board, err := p.board(ctx, places)
	if err != nil {
		return nil, err
	}
	for _, out := range p.LeftOut() {
		board = p.unknown(board, out)
	}
	return board, nil
}

// unknown adds to the board an environment that the caller does not get into, at its
// place in the order.
func (p *Promoter) unknown(board []Standing, out LeftOut) []Standing {
	environments := p.project.Environments()
	rank := func(name string) int {
		return slices.IndexFunc(environments, func(env *project.Environment) bool { return env.Name == name })
	}
	env := environments[rank(out.Environment)]
	for _, image := range p.project.ImageNames() {
		at := slices.IndexFunc(board, func(s Standing) bool {
			return s.Image > image || s.Image == image && rank(s.Environment) > rank(env.Name)
		})
		if at < 0 {
			at = len(board)
		}
		board = slices.Insert(board, at, Standing{Image: image, Environment: env.Name, Account: env.Account, Region: env.Region, Unreachable: out.Reason})
	}
	return board
}

// Further is the part of Board that tells of environments with further regions:
// the one that is named, or all.
func (p *Promoter) Further(ctx context.Context, environment string) ([]Standing, error) {
	var places []*place
	if environment == "" {
		var err error
		if places, err = p.reachable(ctx); err != nil {
			return nil, err
		}
	} else {
		in, err := p.place(ctx, environment)
		if err != nil {
			return nil, err
		}
		places = []*place{in}
	}
	return p.board(ctx, slices.DeleteFunc(places, func(in *place) bool { return len(in.further) == 0 }))
}

func (p *Promoter) board(ctx context.Context, places []*place) ([]Standing, error) {
	board := []Standing{}
	for _, image := range p.project.ImageNames() {
		for _, in := range places {
			s, err := p.standing(ctx, in, image)
			if err != nil {
				return nil, err
			}
			board = append(board, s)
		}
	}
	return board, nil
}

// standing is what is current of an image in an environment, in all its regions. A
// further region that does not answer is told of, and marked so.
func (p *Promoter) standing(ctx context.Context, in *place, image string) (Standing, error) {
	s := Standing{Image: image, Environment: in.env.Name, Account: in.cloud.Account, Region: in.cloud.Region}
	b, pointer, missing, err := in.shown(ctx, image)
	if err != nil {
		return s, err
	}
	s.AMI, s.Version, s.Since, s.Missing, s.Revoked, s.Architectures = pointer.AMI, b.Version, pointer.Since, missing, b.Revoked, b.Architectures
	for _, beside := range in.further {
		r := Regional{Region: beside.cloud.Region, Lags: true}
		there, pointer, missing, err := beside.shown(ctx, image)
		switch {
		case err != nil && ctx.Err() != nil:
			return s, err
		case err != nil:
			r.Unreachable = err.Error()
			p.sink.Emit(event.Event{Kind: event.Warning, Message: fmt.Sprintf("what %s shows of %s cannot be told: %v", beside, image, err)})
		default:
			r.AMI, r.Version, r.Since, r.Missing, r.Revoked, r.Architectures = pointer.AMI, there.Version, pointer.Since, missing, there.Revoked, there.Architectures
			r.Lags = pointer.AMI != s.AMI && !(there.AMI != "" && b.same(there)) || len(behind(pointer, there)) > 0
		}
		s.Regions = append(s.Regions, r)
	}
	return s, nil
}

// shown is the build of an image that a place shows, and whether it is gone there.
// Of one that is gone nothing is known but the pointer.
func (l *place) shown(ctx context.Context, image string) (b BuildInfo, pointer cloud.Pointer, missing bool, err error) {
	pointers, err := l.current(ctx)
	if err != nil {
		return b, pointer, false, err
	}
	pointer = pointers[image]
	if pointer.AMI == "" {
		return b, pointer, false, nil
	}
	builds, err := l.stock.all(ctx)
	for _, b := range builds {
		if b.has(pointer.AMI) {
			return b, pointer, b.State == incomplete, err
		}
	}
	return b, pointer, true, err
}
