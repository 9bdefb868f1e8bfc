package promote

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/project"
)

// place is an environment as the cloud has it in one region: its account, its
// builds, its pointers.
type place struct {
	env     *project.Environment
	cloud   *cloud.Cloud
	stock   *stock
	name    string   // of the project
	beside  bool     // the region is one of the environment's further ones
	further []*place // those, for the place of its own region

	mu       sync.Mutex
	pointers map[string]cloud.Pointer // nil until they are read
	read     time.Time                // when that was begun
}

// place opens an environment in its own region, with the further ones beside it.
func (p *Promoter) place(ctx context.Context, environment string) (*place, error) {
	env, err := p.project.Environment(environment)
	if err != nil {
		return nil, err
	}
	var clouds []*cloud.Cloud
	for _, region := range env.AllRegions() {
		c, err := p.provider.For(ctx, cloud.Target{Account: env.Account, Region: region, Role: env.Role})
		if err != nil {
			return nil, fmt.Errorf("environment %s: %w", environment, err)
		}
		clouds = append(clouds, c)
	}
	o := p.opened
	o.mu.Lock()
	defer o.mu.Unlock()
	if known, ok := o.places[environment]; ok {
		return known, nil
	}
	in := p.placeIn(env, clouds[0])
	for _, c := range clouds[1:] {
		there := p.placeIn(env, c)
		there.beside = true
		in.further = append(in.further, there)
	}
	o.places[environment] = in
	return in, nil
}

// placeIn is an environment in one region. The caller holds the lock.
func (p *Promoter) placeIn(env *project.Environment, c *cloud.Cloud) *place {
	key := stockKey{account: env.Account, region: c.Region, role: env.Role}
	if p.opened.stocks[key] == nil {
		p.opened.stocks[key] = &stock{cloud: c, project: p.project.Name, key: key}
	}
	p.opened.stocks[key].owners = p.sharers(env.Account)
	return &place{env: env, cloud: c, stock: p.opened.stocks[key], name: p.project.Name}
}

// sharers are the accounts that may share builds with one.
func (p *Promoter) sharers(account string) []string {
	var others []string
	for _, env := range p.project.Environments() {
		if env.Account != account && !slices.Contains(others, env.Account) {
			others = append(others, env.Account)
		}
	}
	return others
}

// current gives the environment's pointers by image.
func (l *place) current(ctx context.Context) (map[string]cloud.Pointer, error) {
	pointers, _, err := l.look(ctx)
	return pointers, err
}

// look gives the environment's pointers by image, and when they were read.
func (l *place) look(ctx context.Context) (map[string]cloud.Pointer, time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pointers == nil {
		began := time.Now()
		found, err := l.cloud.Pointers(ctx, l.name, l.env.Name)
		if err != nil {
			return nil, time.Time{}, err
		}
		l.pointers, l.read = found, began
	}
	seen := make(map[string]cloud.Pointer, len(l.pointers))
	for image, pointer := range l.pointers {
		seen[image] = pointer
	}
	return seen, l.read, nil
}

// saw takes in a pointer that was just read.
func (l *place) saw(pointer cloud.Pointer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pointers == nil {
		return
	}
	known := l.pointers[pointer.Image]
	if pointer.Architecture == "" {
		pointer.Others = known.Others
		l.pointers[pointer.Image] = pointer
		return
	}
	others := map[string]cloud.Pointer{pointer.Architecture: pointer} // a new map: who has looked shares the old one
	for architecture, other := range known.Others {
		if architecture != pointer.Architecture {
			others[architecture] = other
		}
	}
	known.Image, known.Others = pointer.Image, others
	l.pointers[pointer.Image] = known
}

// forget makes the next look read the pointers again.
func (l *place) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pointers = nil
}
