package cloud

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

// Pace is the first interval between two polls. Whoever holds a call back so
// that others may join it measures by it: a share of a second on AWS, next to
// nothing on the local cloud.
func (c *Cloud) Pace() time.Duration { return c.patience }

// In is the EC2 and KMS of the same account in another region, with polls of its own. Its calls
// are paced and counted together with those of c.
func (c *Cloud) In(region string) *Cloud {
	if region == c.Region {
		return c
	}
	o := c.EC2.Options()
	o.Region = region
	keys := c.KMS.Options()
	keys.Region = region
	there := &Cloud{
		EC2: ec2.New(o), KMS: kms.New(keys), STS: c.STS, Account: c.Account, Region: region, Caller: c.Caller, Calls: c.Calls, Dial: c.Dial, patience: c.patience,
	}
	pace := Config{PollMin: c.Images.min, PollMax: c.Images.max}
	there.Instances = newPoller(pace, there.describeInstances)
	there.Statuses = newPoller(pace, there.describeStatuses)
	there.Images = newPoller(pace, there.describeImages)
	there.Snapshots = newPoller(pace, there.describeSnapshots)
	there.Volumes = newPoller(pace, there.describeVolumes)
	return there
}
