// Package graph is the one place that walks a graph of dependencies and starts
// goroutines for the rooms. It knows nothing of what the nodes do. A panic in
// a node becomes that node's error, so that clean-up still runs; results come
// in the order of declaration, whatever order the work ended in.
package graph

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/pool"
)

// Node is a piece of work that starts when all that it needs has succeeded.
type Node struct {
	Name  string
	Needs []string // names of other nodes of the same walk
	Run   func(ctx context.Context) error
}

// Options say how a graph is walked.
type Options struct {
	// Limit is how many nodes run at once; 0 is no limit. Calls to the cloud are
	// limited where they are made, so a walk over cloud resources needs none.
	Limit int
	// KeepGoing lets a node's failure stop only what depends on it. Without it
	// the first failure stops all new work; what runs may finish.
	KeepGoing bool
}

// Result is what became of a node.
type Result struct {
	Name    string
	Err     error
	Skipped bool   // never started
	Because string // why it was skipped: the node that failed, or that the walk was stopped
	Started time.Time
	Ended   time.Time
}

// Walk runs the nodes along their dependencies: nothing waits for a level, only
// for what it names. It never cancels a running node; the nodes see ctx. When
// ctx ends no further node starts. The nodes must form no cycle and name no
// node that is not there: Order reports those.
func Walk(ctx context.Context, nodes []Node, o Options) []Result {
	w := &walk{
		nodes:      nodes,
		results:    make([]Result, len(nodes)),
		waitsFor:   make([]int, len(nodes)),
		dependents: make([][]int, len(nodes)),
		ended:      make(chan int, len(nodes)),
		options:    o,
	}
	index := make(map[string]int, len(nodes))
	for i, n := range nodes {
		index[n.Name] = i
		w.results[i].Name = n.Name
	}
	for i, n := range nodes {
		for _, need := range n.Needs {
			if j, ok := index[need]; ok {
				w.waitsFor[i]++
				w.dependents[j] = append(w.dependents[j], i)
			}
		}
	}
	w.run(ctx)
	return w.results
}

type walk struct {
	nodes      []Node
	results    []Result
	waitsFor   []int
	dependents [][]int
	ended      chan int
	options    Options
	ready      []int
	stopped    string // why nothing new starts
}

func (w *walk) run(ctx context.Context) {
	var group conc.WaitGroup
	defer group.Wait()
	for i := range w.nodes {
		if w.waitsFor[i] == 0 {
			w.ready = append(w.ready, i)
		}
	}
	running := 0
	for {
		for len(w.ready) > 0 && (w.options.Limit == 0 || running < w.options.Limit) {
			i := w.ready[0]
			w.ready = w.ready[1:]
			if ctx.Err() != nil && w.stopped == "" {
				w.stopped = "interrupted"
			}
			if w.stopped != "" {
				w.skip(i, w.stopped)
				continue
			}
			running++
			w.results[i].Started = time.Now()
			group.Go(func() {
				err := Guard(func() error { return w.nodes[i].Run(ctx) })
				w.results[i].Err = err
				w.results[i].Ended = time.Now()
				w.ended <- i
			})
		}
		if running == 0 {
			return
		}
		w.settle(<-w.ended)
		running--
	}
}

// settle takes in a node that ended.
func (w *walk) settle(i int) {
	if w.results[i].Err == nil {
		for _, d := range w.dependents[i] {
			w.waitsFor[d]--
			if w.waitsFor[d] == 0 && !w.results[d].Skipped {
				w.ready = append(w.ready, d)
			}
		}
		return
	}
	because := w.nodes[i].Name + " failed"
	if !w.options.KeepGoing && w.stopped == "" {
		w.stopped = because
	}
	for _, d := range w.dependents[i] {
		w.skip(d, because)
	}
}

// skip marks a node and all that depends on it as not to be started.
func (w *walk) skip(i int, because string) {
	if w.results[i].Skipped {
		return
	}
	w.results[i].Skipped = true
	w.results[i].Because = because
	for _, d := range w.dependents[i] {
		w.skip(d, because)
	}
}

// Each calls f for 0 to n-1, at most limit at once (0: all at once), and joins
// the errors in that order. One failure does not stop the others.
func Each(ctx context.Context, limit, n int, f func(ctx context.Context, i int) error) error {
	errs := make([]error, n)
	p := pool.New()
	if limit > 0 {
		p = p.WithMaxGoroutines(limit)
	}
	for i := range n {
		p.Go(func() { errs[i] = Guard(func() error { return f(ctx, i) }) })
	}
	p.Wait()
	return fail.Join(errs...)
}

// Background runs f beside the caller until it returns; wait waits for that
// and gives its error.
func Background(f func() error) (wait func() error) {
	var group conc.WaitGroup
	var err error
	group.Go(func() { err = Guard(f) })
	return func() error {
		group.Wait()
		return err
	}
}

// Guard calls f and turns a panic into an error with its stack.
func Guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a bug in goldline: %v\n%s", p, strings.TrimSpace(string(debug.Stack())))
		}
	}()
	return f()
}
