package emulator

import (
	"fmt"
	"sort"
	"time"
)

// transition is something that will be so once its time has come: an instance
// that is pending will be running. Transitions are rows like any other, so that
// they happen in the next process if this one ends before; they are carried
// out before the first request after their time, so no timer is needed and a
// driven clock works.
type transition struct {
	ID   string
	At   time.Time
	Kind string // names the function in Cloud.settlers
	Item string // the resource's ID
}

// settler carries out a transition within a transaction.
type settler func(w world, item string)

// schedule arranges that the settler named kind is called for an item after a
// delay. At most one transition of a kind is under way for an item: a later
// one takes the earlier one's place.
func (c *Cloud) schedule(w world, delay time.Duration, kind, item string) {
	id := kind + " " + item
	c.transitions.put(w, id, transition{ID: id, At: c.clock.Now().Add(delay), Kind: kind, Item: item})
}

// settle carries out every transition of a world whose time has come, the
// oldest first, and looks after its Auto Scaling groups. Settlers may schedule
// others; those wait for the next request.
func (c *Cloud) settle(w world) {
	now := c.clock.Now()
	var due []transition
	for _, t := range c.transitions.all(w) {
		if !t.At.After(now) {
			due = append(due, t)
		}
	}
	sort.SliceStable(due, func(i, j int) bool { return due[i].At.Before(due[j].At) })
	for _, t := range due {
		c.transitions.remove(w, t.ID)
		c.settlers[t.Kind](w, t.Item)
	}
	c.scaling.reconcile(w)
}

// checkTransitions refuses a store with transitions that nobody can carry out.
func (c *Cloud) checkTransitions() error {
	for _, w := range c.transitions.worlds() {
		for _, t := range c.transitions.all(w) {
			if c.settlers[t.Kind] == nil {
				return fmt.Errorf("the local cloud in %s was written by another version of goldline (transition %q)", c.dir, t.Kind)
			}
		}
	}
	return nil
}

// settleAll settles every world.
func (c *Cloud) settleAll() {
	for _, w := range c.transitions.worlds() {
		c.settle(w)
	}
}
