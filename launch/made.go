package launch

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/aws/smithy-go"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
)

// noteMade records what has been made for an item, or what was there and is in
// its place again.
func (e *execution) noteMade(it *item, made *found) {
	made.identity.address = it.Address // some calls answer without the tags
	e.mu.Lock()
	e.current[it.Address] = made
	again := slices.ContainsFunc(slices.Concat(it.kept, it.stale), func(f *found) bool { return f.id == made.id })
	if !again {
		e.new = append(e.new, made)
	}
	e.mu.Unlock()
	if again {
		e.change(made)
		e.task(it.Address).emit(event.Changed, map[string]string{"id": made.id, "kind": it.Kind}, "%s, which was kept, takes the place of %s", made.id, it.have.id)
		return
	}
	e.task(it.Address).emit(event.Created, map[string]string{"id": made.id, "kind": it.Kind}, "%s is made", made.id)
}

// noteBegun records what is there, or may be, although making it failed: what
// the creating call had made before the wait for it failed, and what a call
// without a readable answer may have made.
func (e *execution) noteBegun(it *item, t *task, err error) {
	var call *smithy.OperationError
	words := ""
	switch {
	case t.begun != "":
		words = it.Address + " " + t.begun + " (not finished)"
	case errors.As(err, &call) && cloud.Ambiguous(err) && !errors.Is(err, context.Canceled):
		words = it.Address + " (it may have been made: " + call.Operation() + " was not answered)"
	default:
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.begun[it.Address] = words
}

// unfinished are the words for what is there, or may be, although making it
// failed, by address.
func (e *execution) unfinished() []string {
	var all []string
	for _, address := range slices.Sorted(maps.Keys(e.begun)) {
		all = append(all, e.begun[address])
	}
	return all
}
