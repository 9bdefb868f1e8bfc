package cloud

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// scalingNames is how many names DescribeAutoScalingGroups is asked for at a
// time; it gives as many on a page.
const scalingNames = 50

func (c *Cloud) describeScalingGroups(ctx context.Context, names []string) (map[string]types.AutoScalingGroup, error) {
	found := map[string]types.AutoScalingGroup{}
	err := Batches(names, scalingNames, func(names []string) error {
		out, err := c.AutoScaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: names, MaxRecords: aws.Int32(scalingNames)})
		if err != nil {
			return err
		}
		for _, g := range out.AutoScalingGroups {
			found[aws.ToString(g.AutoScalingGroupName)] = g
		}
		return nil
	})
	return found, err
}

// describeRefreshes asks group by group, since the API does. IDs are
// "GROUP REFRESH-ID".
func (c *Cloud) describeRefreshes(ctx context.Context, ids []string) (map[string]types.InstanceRefresh, error) {
	found := map[string]types.InstanceRefresh{}
	for _, id := range ids {
		at := strings.LastIndexByte(id, ' ')
		out, err := c.AutoScaling.DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{
			AutoScalingGroupName: aws.String(id[:at]), InstanceRefreshIds: []string{id[at+1:]}})
		if err != nil {
			return nil, err
		}
		for _, r := range out.InstanceRefreshes {
			found[id] = r
		}
	}
	return found, nil
}
