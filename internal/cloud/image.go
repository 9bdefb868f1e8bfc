package cloud

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// RequireIMDSv2 makes instances of an AMI of the caller's account take IMDSv2
// alone, unless it says so already.
func (c *Cloud) RequireIMDSv2(ctx context.Context, ami *types.Image) error {
	if ami.ImdsSupport == types.ImdsSupportValuesV20 {
		return nil
	}
	_, err := c.EC2.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{
		ImageId:     ami.ImageId,
		ImdsSupport: &types.AttributeValue{Value: aws.String(string(types.ImdsSupportValuesV20))},
	})
	if err != nil {
		return fmt.Errorf("require IMDSv2 of instances of %s: %w", aws.ToString(ami.ImageId), err)
	}
	ami.ImdsSupport = types.ImdsSupportValuesV20
	return nil
}

// SnapshotsOf lists the snapshots of an AMI that are known yet.
func SnapshotsOf(ami types.Image) []string {
	ids := []string{}
	for _, m := range ami.BlockDeviceMappings {
		if m.Ebs != nil && aws.ToString(m.Ebs.SnapshotId) != "" {
			ids = append(ids, aws.ToString(m.Ebs.SnapshotId))
		}
	}
	return ids
}
