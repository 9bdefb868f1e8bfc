package bake

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/project"
)

// provisionStep runs the recipe's provisioners in their order.
type provisionStep struct{}

func (provisionStep) name() string                            { return "provision" }
func (provisionStep) undo(ctx context.Context, b *bake) error { return b.removePreSnapshot(ctx) }

func (provisionStep) run(ctx context.Context, b *bake) error {
	last, of := -1, 0
	for n, p := range b.image.Provisioners {
		if applies(p, b.image.Name) {
			last, of = n, of+1
		}
	}
	if last >= 0 {
		b.last = b.image.Provisioners[last]
	}
	for n, p := range b.image.Provisioners {
		if !applies(p, b.image.Name) || n < b.startsAfter() {
			continue
		}
		if n == last && of > 1 && b.image.PreSnapshot && !b.image.SkipCreateAMI {
			b.takePreSnapshot(ctx)
		}
		title := fmt.Sprintf("provision %d (%s)", n+1, titleOf(p))
		began := time.Now()
		if err := b.provision(ctx, title, p); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%s: %w", title, err)
		}
		if n != last {
			b.keepStep(ctx, n, time.Since(began))
		}
	}
	return nil
}

// provision runs one, as often as its max_retries allows.
func (b *bake) provision(ctx context.Context, title string, p *project.Provisioner) error {
	if pause := p.PauseBefore.Or(0); pause > 0 {
		b.say(event.Waiting, "%s: pause of %s", title, pause)
		if err := cloud.Sleep(ctx, pause); err != nil {
			return err
		}
	}
	for try := 0; ; try++ {
		b.say(event.Progress, "%s", title)
		err := b.provisionOnce(ctx, p)
		if err == nil || ctx.Err() != nil || try >= p.MaxRetries {
			return err
		}
		b.say(event.Warning, "%s: %v; once more, %d left", title, err, p.MaxRetries-try)
	}
}

func (b *bake) provisionOnce(ctx context.Context, p *project.Provisioner) error {
	limit := p.Timeout.Or(0)
	if limit == 0 {
		return p.Options.(provisioner).provision(ctx, b, p)
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := p.Options.(provisioner).provision(within, b, p)
	if within.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("not done within its timeout of %s", limit)
	}
	return err
}

// output is where a provisioner's lines go: to the events, and to the end of
// its error.
func (b *bake) output(keep *tail) func(string) {
	return func(line string) {
		line = b.hide.text(line)
		keep.add(line)
		b.sink.Emit(event.Event{Time: time.Now(), Kind: event.Output, Message: line})
	}
}

// applies tells whether a provisioner is for an image.
func applies(p *project.Provisioner, image string) bool {
	if len(p.Only) > 0 && !slices.Contains(p.Only, image) {
		return false
	}
	return !slices.Contains(p.Except, image)
}

func titleOf(p *project.Provisioner) string {
	if known, ok := p.Options.(provisioner); ok {
		if subject := known.subject(); subject != "" {
			return p.Type + " " + subject
		}
	}
	return p.Type
}
