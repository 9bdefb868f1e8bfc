package cloud

import (
	"sync"
)

// Calls counts the API calls that were sent, retries included.
type Calls struct {
	mu       sync.Mutex
	byAction map[string]int
}

func newCalls() *Calls { return &Calls{byAction: map[string]int{}} }

func (c *Calls) add(action string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byAction[action]++
}

// ByAction gives the count of each action: "ec2:RunInstances".
func (c *Calls) ByAction() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := make(map[string]int, len(c.byAction))
	for k, v := range c.byAction {
		counts[k] = v
	}
	return counts
}

// Total is the number of all calls.
func (c *Calls) Total() int {
	total := 0
	for _, n := range c.ByAction() {
		total += n
	}
	return total
}
