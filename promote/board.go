package promote

import (
	"context"
	"time"
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
	// Architectures are the AMIs of a build for several, by architecture.
	Architectures map[string]string `json:"architectures,omitempty"`
}

// Board says which build of every image is current in every environment that
// the caller gets into, by image and then in the order of the environments.
func (p *Promoter) Board(ctx context.Context) ([]Standing, error) {
	places, err := p.reachable(ctx)
	if err != nil {
		return nil, err
	}
	board := []Standing{}
	for _, image := range p.project.ImageNames() {
		for _, in := range places {
			s, err := in.standing(ctx, image)
			if err != nil {
				return nil, err
			}
			board = append(board, s)
		}
	}
	return board, nil
}

func (l *place) standing(ctx context.Context, image string) (Standing, error) {
	s := Standing{Image: image, Environment: l.env.Name, Account: l.cloud.Account, Region: l.cloud.Region}
	pointers, err := l.current(ctx)
	if err != nil {
		return s, err
	}
	pointer, ok := pointers[image]
	if !ok || pointer.AMI == "" {
		return s, nil
	}
	s.AMI, s.Since, s.Missing = pointer.AMI, pointer.Since, true
	builds, err := l.stock.all(ctx)
	for _, b := range builds {
		if b.has(s.AMI) {
			s.Version, s.Missing, s.Architectures = b.Version, b.State == incomplete, b.Architectures
			s.Revoked = b.Revoked
		}
	}
	return s, err
}
