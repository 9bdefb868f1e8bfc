package cloud

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// maxTargets is how many targets one call is about: AWS names no bound, and a
// target group has at most 1000 by default.
const maxTargets = 200

// gathers are the gathered calls about target groups, one for each.
type gathers struct {
	mu  sync.Mutex
	all map[string]*Gather
}

func (g *gathers) of(key string, make func() *Gather) *Gather {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all == nil {
		g.all = map[string]*Gather{}
	}
	if g.all[key] == nil {
		g.all[key] = make()
	}
	return g.all[key]
}

// Register puts an instance into a target group, with others that are put there
// at the same time. One that is there already stays.
func (c *Cloud) Register(ctx context.Context, group, instance string) error {
	return c.targets.of("register "+group, func() *Gather {
		return c.NewGather(maxTargets, func(ctx context.Context, ids []string) error {
			_, err := c.ELB.RegisterTargets(ctx, &elb.RegisterTargetsInput{TargetGroupArn: aws.String(group), Targets: described(ids)})
			return err
		})
	}).Do(ctx, instance)
}

// Deregister takes an instance out of a target group, with others that leave at
// the same time. It returns before their connections have ended.
func (c *Cloud) Deregister(ctx context.Context, group, instance string) error {
	return c.targets.of("deregister "+group, func() *Gather {
		return c.NewGather(maxTargets, func(ctx context.Context, ids []string) error {
			_, err := c.ELB.DeregisterTargets(ctx, &elb.DeregisterTargetsInput{TargetGroupArn: aws.String(group), Targets: described(ids)})
			return err
		})
	}).Do(ctx, instance)
}

func described(ids []string) []types.TargetDescription {
	var list []types.TargetDescription
	for _, id := range ids {
		list = append(list, types.TargetDescription{Id: aws.String(id)})
	}
	return list
}
