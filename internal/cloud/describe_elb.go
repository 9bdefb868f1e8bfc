package cloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// maxLoadBalancers is how many ARNs one description takes.
const maxLoadBalancers = 20

// describeLoadBalancers asks by ARN. One that is not there fails the call for
// all: then each is asked for alone.
func (c *Cloud) describeLoadBalancers(ctx context.Context, arns []string) (map[string]types.LoadBalancer, error) {
	found := map[string]types.LoadBalancer{}
	ask := func(arns []string) error {
		out, err := c.ELB.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: arns})
		if err != nil {
			return err
		}
		for _, b := range out.LoadBalancers {
			found[aws.ToString(b.LoadBalancerArn)] = b
		}
		return nil
	}
	err := Batches(arns, maxLoadBalancers, func(arns []string) error {
		err := ask(arns)
		if !NotFound(err) {
			return err
		}
		for _, arn := range arns {
			if err := ask([]string{arn}); err != nil && !NotFound(err) {
				return err
			}
		}
		return nil
	})
	return found, err
}

// describeTargets asks for the targets of one group after the other, as
// Elastic Load Balancing gives them. A group that is gone is left out.
func (c *Cloud) describeTargets(ctx context.Context, groups []string) (map[string][]types.TargetHealthDescription, error) {
	found := map[string][]types.TargetHealthDescription{}
	for _, arn := range groups {
		out, err := c.ELB.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: aws.String(arn)})
		if NotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[arn] = out.TargetHealthDescriptions
	}
	return found, nil
}
