package launch

import (
	"fmt"

	"github.com/goldline-dev/goldline/internal/project"
)

// batch is a number of instances that take the new build at the same time.
type batch struct {
	size   int
	canary bool // it is watched before others follow
}

// batchesOf divides the instances of a definition that are still to take the
// new build: todo of n, the others run it. While a batch is out, at least what
// the strategy says stays: that is the promise about capacity. spare tells that
// each successor serves before the one whose place it takes goes, so that no
// batch takes capacity away. A strategy that lets none go is an error.
func batchesOf(r *project.Rollout, n, todo int, spare bool) ([]batch, error) {
	out, err := outAtOnce(r, n, spare)
	if err != nil {
		return nil, err
	}
	first := 0
	if r.Kind() == project.CanaryFirst {
		first = min(max(r.Canary.Instances.Of(n)-(n-todo), 0), todo)
	}
	var all []batch
	divide := func(count int, canary bool) {
		for count > 0 {
			size := min(out, count)
			all = append(all, batch{size, canary})
			count -= size
		}
	}
	divide(first, true)
	divide(todo-first, false)
	return all, nil
}

// serving is how many instances of the definition serve throughout, at least.
func (r *rolling) serving() int {
	out := 0
	for _, list := range r.batches {
		if !r.spare {
			out = max(out, len(list))
		}
	}
	return r.size - out
}

// outAtOnce is how many of n may be out at the same time, one at least.
func outAtOnce(r *project.Rollout, n int, spare bool) (int, error) {
	if r.MinimumHealthy != "" {
		out := n - r.MinimumHealthy.Of(n)
		if out < 1 && !spare {
			return 0, fmt.Errorf("minimum_healthy: %s of %s leaves none that may go: each has to leave before its successor has what it holds", r.MinimumHealthy, count(n, "instance"))
		}
		return max(out, 1), nil
	}
	switch r.Kind() {
	case project.AllAtOnce:
		return max(n, 1), nil
	case project.HalfAtATime, project.CanaryFirst:
		return max(n/2, 1), nil
	case project.BlueGreen:
		return 0, fmt.Errorf("BlueGreen puts one group beside another: it is for auto_scaling_group, not for single instances")
	}
	return 1, nil
}

// count is a number of things: "1 instance", "6 instances".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
