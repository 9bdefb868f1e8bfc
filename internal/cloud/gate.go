package cloud

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// underWay is how many calls of one action are under way at a time. EC2's
// buckets let 50 to 100 through at once: more would only wait inside, each with
// a connection, a request and a deep stack of its own, which is what the memory of
// a launch of a thousand instances went to. Each action has its own, so that what
// waits for the bucket of one holds no other up.
const underWay = 50

// gates hold calls back before anything is made of them.
type gates struct {
	mu      sync.Mutex
	actions map[string]chan struct{}
}

func newGates() *gates { return &gates{actions: map[string]chan struct{}{}} }

// enter waits for a place among the calls of an action, and gives what frees
// it again.
func (g *gates) enter(ctx context.Context, action string) (leave func(), err error) {
	g.mu.Lock()
	places, ok := g.actions[action]
	if !ok {
		places = make(chan struct{}, underWay)
		g.actions[action] = places
	}
	g.mu.Unlock()
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// aboutKey is where a call's middlewares keep how many instances it is about.
type aboutKey struct{}

// about is how many instances a call is about, as far as EC2 limits that.
func about(input any) int {
	switch in := input.(type) {
	case *ec2.RunInstancesInput:
		if in.MaxCount != nil {
			return int(*in.MaxCount)
		}
	case *ec2.StartInstancesInput:
		return len(in.InstanceIds)
	case *ec2.StopInstancesInput:
		return len(in.InstanceIds)
	case *ec2.TerminateInstancesInput:
		return len(in.InstanceIds)
	}
	return 1
}
