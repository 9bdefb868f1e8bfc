package bake

import (
	"context"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/project"
)

// Breakpoint is the options of the provisioner of that name: the bake waits, so
// that one can look at the builder.
type Breakpoint struct {
	Disable bool   `yaml:"disable" doc:"Go on at once."`
	Note    string `yaml:"note" doc:"What is shown while it waits."`
}

func (s *Breakpoint) subject() string                            { return s.Note }
func (s *Breakpoint) files() []localFile                         { return nil }
func (s *Breakpoint) texts() []text                              { return []text{{"note", s.Note}} }
func (s *Breakpoint) check(_ *project.Provisioner, _ *diag.List) {}

func (s *Breakpoint) provision(ctx context.Context, b *bake, p *project.Provisioner) error {
	if s.Disable {
		return nil
	}
	note, err := b.renderOption(p, "note", s.Note)
	if err != nil {
		return err
	}
	host, err := b.address()
	if err != nil {
		return err
	}
	if b.options.Pause == nil {
		b.say(event.Warning, "breakpoint: there is nobody at a terminal to wait for")
		return nil
	}
	b.say(event.Waiting, "breakpoint at %s on %s %s", p.Pos, host, note)
	return b.options.Pause(ctx)
}
