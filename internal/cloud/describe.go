package cloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// filterValues is how many values EC2 takes in one filter.
const filterValues = 200

// pageSize is the page that describes ask for. Paginated and filtered describes
// draw on the larger of EC2's buckets.
const pageSize = 1000

// Batches calls f for at most size of the values at a time.
func Batches(values []string, size int, f func([]string) error) error {
	for len(values) > 0 {
		n := min(size, len(values))
		if err := f(values[:n]); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// Filter is one of EC2's filters.
func Filter(name string, values ...string) types.Filter {
	return types.Filter{Name: aws.String(name), Values: values}
}

func (c *Cloud) describeInstances(ctx context.Context, ids []string) (map[string]types.Instance, error) {
	found := map[string]types.Instance{}
	err := Batches(ids, filterValues, func(ids []string) error {
		pages := ec2.NewDescribeInstancesPaginator(c.EC2, &ec2.DescribeInstancesInput{Filters: []types.Filter{Filter("instance-id", ids...)}, MaxResults: aws.Int32(pageSize)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, r := range page.Reservations {
				for _, i := range r.Instances {
					found[aws.ToString(i.InstanceId)] = i
				}
			}
		}
		return nil
	})
	return found, err
}

// describeStatuses asks by ID, since DescribeInstanceStatus has no filter for
// it. Up to 100 at a time, as the API takes.
func (c *Cloud) describeStatuses(ctx context.Context, ids []string) (map[string]types.InstanceStatus, error) {
	found := map[string]types.InstanceStatus{}
	err := Batches(ids, 100, func(ids []string) error {
		out, err := c.EC2.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: ids, IncludeAllInstances: aws.Bool(true)})
		if NotFound(err) {
			return nil // one that was just made, or is gone: its waiter decides
		}
		if err != nil {
			return err
		}
		for _, s := range out.InstanceStatuses {
			found[aws.ToString(s.InstanceId)] = s
		}
		return nil
	})
	return found, err
}

func (c *Cloud) describeImages(ctx context.Context, ids []string) (map[string]types.Image, error) {
	found := map[string]types.Image{}
	err := Batches(ids, filterValues, func(ids []string) error {
		pages := ec2.NewDescribeImagesPaginator(c.EC2, &ec2.DescribeImagesInput{Filters: []types.Filter{Filter("image-id", ids...)}, IncludeDeprecated: aws.Bool(true), IncludeDisabled: aws.Bool(true), MaxResults: aws.Int32(pageSize)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, i := range page.Images {
				found[aws.ToString(i.ImageId)] = i
			}
		}
		return nil
	})
	return found, err
}

func (c *Cloud) describeSnapshots(ctx context.Context, ids []string) (map[string]types.Snapshot, error) {
	found := map[string]types.Snapshot{}
	err := Batches(ids, filterValues, func(ids []string) error {
		pages := ec2.NewDescribeSnapshotsPaginator(c.EC2, &ec2.DescribeSnapshotsInput{Filters: []types.Filter{Filter("snapshot-id", ids...)}, MaxResults: aws.Int32(pageSize)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, s := range page.Snapshots {
				found[aws.ToString(s.SnapshotId)] = s
			}
		}
		return nil
	})
	return found, err
}

func (c *Cloud) describeVolumes(ctx context.Context, ids []string) (map[string]types.Volume, error) {
	found := map[string]types.Volume{}
	err := Batches(ids, filterValues, func(ids []string) error {
		pages := ec2.NewDescribeVolumesPaginator(c.EC2, &ec2.DescribeVolumesInput{Filters: []types.Filter{Filter("volume-id", ids...)}, MaxResults: aws.Int32(pageSize)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, v := range page.Volumes {
				found[aws.ToString(v.VolumeId)] = v
			}
		}
		return nil
	})
	return found, err
}

func (c *Cloud) describeNATs(ctx context.Context, ids []string) (map[string]types.NatGateway, error) {
	found := map[string]types.NatGateway{}
	err := Batches(ids, filterValues, func(ids []string) error {
		pages := ec2.NewDescribeNatGatewaysPaginator(c.EC2, &ec2.DescribeNatGatewaysInput{Filter: []types.Filter{Filter("nat-gateway-id", ids...)}, MaxResults: aws.Int32(pageSize)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, g := range page.NatGateways {
				found[aws.ToString(g.NatGatewayId)] = g
			}
		}
		return nil
	})
	return found, err
}
