package launch

import (
	"context"
	"time"

	"github.com/goldline-dev/goldline/internal/probe"
)

// What is to become healthy, or to stay so, is looked at again and again. One look
// decides nothing: as many as the roll-out's healthy_after have to say the same
// without a different one in between.

// Between two looks it is the first of these at first, and the second at last.
const (
	lookPause    = 250 * time.Millisecond
	longestPause = 5 * time.Second
)

// pace says how long to wait for the next look: soon at first, and later and later
// while nothing happens.
type pace struct{ last time.Duration }

// next is the pause before the next look.
func (p *pace) next() time.Duration {
	p.last = max(lookPause, min(p.last*3/2, longestPause))
	return p.last
}

// quicken begins anew with the shortest pause: something is about to be decided.
func (p *pace) quicken() { p.last = 0 }

// streak counts the looks in a row that have said the same.
type streak struct{ row, enough int }

// add counts one more look if it says the same, and begins anew if not.
func (s *streak) add(same bool) {
	if s.row++; !same {
		s.row = 0
	}
}

// decides tells whether the looks in a row are enough.
func (s *streak) decides() bool { return s.row >= s.enough }

// watching is something healthy that is to stay so: enough bad looks in a row say
// that it has not.
type watching struct {
	probe probe.Probe
	bad   streak
}

// look takes one more look, and says what it saw. A look that fails is a bad one.
func (w *watching) look(ctx context.Context) string {
	ok, saw, err := w.probe(ctx)
	if err != nil {
		saw = err.Error()
	}
	w.bad.add(!ok || err != nil)
	return saw
}
