package launch

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/tags"
)

type instanceAPI interface {
	RunInstances(context.Context, *ec2.RunInstancesInput, ...func(*ec2.Options)) (*ec2.RunInstancesOutput, error)
	DescribeInstanceAttribute(context.Context, *ec2.DescribeInstanceAttributeInput, ...func(*ec2.Options)) (*ec2.DescribeInstanceAttributeOutput, error)
}

func (instances) api(c *cloud.Cloud) instanceAPI { return c.EC2 }

// How long things may take before the launch gives up on them.
const (
	runDeadline    = 10 * time.Minute
	statusDeadline = 15 * time.Minute
	stopDeadline   = 10 * time.Minute
	volumeDeadline = 10 * time.Minute
)

// readInstanceAttributes asks for what EC2 gives only one by one, and only
// where a definition states it.
func readInstanceAttributes(ctx context.Context, q query, all []instance) error {
	return graph.Each(ctx, 0, len(all), func(ctx context.Context, n int) error {
		i := &all[n]
		s, ok := q.specs[i.identity.uuid].(*instanceSpec)
		if !ok {
			s = stated[instanceSpec](q, i.Tags)
		}
		if over(i.Instance) {
			return nil
		}
		ask := func(name types.InstanceAttributeName, take func(*ec2.DescribeInstanceAttributeOutput)) error {
			out, err := instances{}.api(q.cloud).DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{InstanceId: i.InstanceId, Attribute: name})
			if err == nil {
				take(out)
			}
			if cloud.NotFound(err) {
				return nil
			}
			return err
		}
		var errs []error
		if s.DisableAPITermination != nil {
			errs = append(errs, ask(types.InstanceAttributeNameDisableApiTermination, func(o *ec2.DescribeInstanceAttributeOutput) {
				i.protected = o.DisableApiTermination != nil && aws.ToBool(o.DisableApiTermination.Value)
			}))
		}
		if s.ShutdownBehavior != "" {
			errs = append(errs, ask(types.InstanceAttributeNameInstanceInitiatedShutdownBehavior, func(o *ec2.DescribeInstanceAttributeOutput) {
				if o.InstanceInitiatedShutdownBehavior != nil {
					i.shutdown = aws.ToString(o.InstanceInitiatedShutdownBehavior.Value)
				}
			}))
		}
		if needsDigest(q, i.Tags) {
			errs = append(errs, ask(types.InstanceAttributeNameUserData, func(o *ec2.DescribeInstanceAttributeOutput) {
				if o.UserData != nil {
					i.digest = digestOf(aws.ToString(o.UserData.Value))
				}
			}))
		}
		return fail.Join(errs...)
	})
}

func (k instances) create(ctx context.Context, t *task, w want[instanceSpec]) (instance, error) {
	if err := k.handOver(ctx, t, w); err != nil {
		return instance{}, err
	}
	named, number := t.addressesAtBirth(w.spec)
	in, err := runInput(t, w, named, number)
	if err != nil {
		return instance{}, err
	}
	var out *ec2.RunInstancesOutput
	err = t.knownProfile(ctx, w.spec.IAMInstanceProfile, func() (err error) {
		out, err = k.api(t.Cloud).RunInstances(ctx, in)
		return err
	})
	if err != nil {
		return instance{}, err
	}
	t.begun = aws.ToString(out.Instances[0].InstanceId)
	i, err := t.running(ctx, t.begun)
	if errors.Is(err, errOver) {
		t.begun = "" // it is gone by itself
	}
	if errors.Is(err, errOver) && out.Instances[0].LaunchTime != nil && out.Instances[0].LaunchTime.Before(t.started.Add(-time.Minute)) {
		return instance{Instance: *i}, nil // the token's earlier instance, which is terminated
	}
	if err != nil {
		return instance{}, err
	}
	return asLaunched(*i, w.spec), nil
}

// asLaunched is a new instance with the attributes that it was launched with.
func asLaunched(i types.Instance, s *instanceSpec) instance {
	return instance{Instance: i, shutdown: cmp.Or(s.ShutdownBehavior, string(types.ShutdownBehaviorStop)), protected: aws.ToBool(s.DisableAPITermination)}
}

// runInput is the call that launches an instance, with secondary addresses by
// name or by number.
func runInput(t *task, w want[instanceSpec], named []string, more int) (*ec2.RunInstancesInput, error) {
	s := w.spec
	document, err := w.world.userData(w.Resource, s)
	if err != nil {
		return nil, err
	}
	metadata := s.metadata(w.Resource)
	in := &ec2.RunInstancesInput{
		ImageId: aws.String(w.world.ami(s)), InstanceType: types.InstanceType(s.InstanceType), MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		ClientToken: t.token(), KeyName: optional(s.key()), UserData: aws.String(base64.StdEncoding.EncodeToString(document)),
		TagSpecifications: append(t.birthTags(types.ResourceTypeInstance), t.birthTags(types.ResourceTypeVolume)...),
		Monitoring:        monitoring(s.Monitoring), EbsOptimized: s.EBSOptimized, DisableApiTermination: s.DisableAPITermination,
		InstanceInitiatedShutdownBehavior: types.ShutdownBehavior(s.ShutdownBehavior),
		MetadataOptions: &types.InstanceMetadataOptionsRequest{
			HttpTokens: types.HttpTokensState(metadata.HTTPTokens), HttpPutResponseHopLimit: number(metadata.HTTPPutResponseHopLimit),
			InstanceMetadataTags: types.InstanceMetadataTagsState(metadata.InstanceMetadataTags),
		},
		BlockDeviceMappings: rootMapping(w.world.build(s).root, s.RootBlockDevice),
	}
	if s.IAMInstanceProfile != "" {
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String(s.IAMInstanceProfile)}
	}
	if s.Tenancy != "" {
		in.Placement = &types.Placement{Tenancy: types.Tenancy(s.Tenancy)}
	}
	// Whether there is a public address, and which secondary ones, can be said only
	// of a network interface, and then all that concerns the network must be said there.
	if s.AssociatePublicIPAddress != nil || len(named) > 0 || more > 0 {
		nic := types.InstanceNetworkInterfaceSpecification{
			DeviceIndex: aws.Int32(0), SubnetId: optional(s.Subnet), Groups: s.SecurityGroups, PrivateIpAddress: optional(s.PrivateIP),
			AssociatePublicIpAddress: s.AssociatePublicIPAddress, DeleteOnTermination: aws.Bool(true), SecondaryPrivateIpAddressCount: number(more),
		}
		for _, ip := range named {
			nic.PrivateIpAddresses = append(nic.PrivateIpAddresses, types.PrivateIpAddressSpecification{PrivateIpAddress: aws.String(ip), Primary: aws.Bool(false)})
		}
		in.NetworkInterfaces = []types.InstanceNetworkInterfaceSpecification{nic}
	} else {
		in.SubnetId, in.SecurityGroupIds, in.PrivateIpAddress = optional(s.Subnet), s.SecurityGroups, optional(s.PrivateIP)
	}
	return in, nil
}

func monitoring(on *bool) *types.RunInstancesMonitoringEnabled {
	if on == nil {
		return nil
	}
	return &types.RunInstancesMonitoringEnabled{Enabled: on}
}

func rootMapping(name string, r *rootSpec) []types.BlockDeviceMapping {
	if r == nil {
		return nil
	}
	return []types.BlockDeviceMapping{{DeviceName: aws.String(name), Ebs: &types.EbsBlockDevice{
		DeleteOnTermination: aws.Bool(true), VolumeSize: number(r.Size), VolumeType: types.VolumeType(r.VolumeType),
		Iops: number(r.IOPS), Throughput: number(r.Throughput), Encrypted: r.Encrypted, KmsKeyId: optional(r.KmsKeyID),
	}}}
}

var errOver = errors.New("it is terminated")

// running waits until an instance runs. One that ends instead is an error with
// the reason that EC2 gives.
func (t *task) running(ctx context.Context, id string) (*types.Instance, error) {
	return t.instance(ctx, id, "run", runDeadline, func(i types.Instance, found bool) (bool, error) {
		if found && over(i) {
			reason := aws.ToString(i.StateTransitionReason)
			if i.StateReason != nil {
				reason = aws.ToString(i.StateReason.Message)
			}
			return true, fmt.Errorf("instance %s: %w: %s", id, errOver, orNothing(reason))
		}
		return found && stateOf(i) == types.InstanceStateNameRunning, nil
	})
}

// instance waits for an instance, and gives it as it was seen last: nil if it
// was not.
func (t *task) instance(ctx context.Context, id, what string, deadline time.Duration, done func(i types.Instance, found bool) (bool, error)) (*types.Instance, error) {
	return t.Cloud.Instances.See(ctx, cloud.Wait[types.Instance]{
		ID: id, For: "instance " + id + " to " + what, Deadline: deadline, Done: done,
		Show: func(i types.Instance) string { return string(stateOf(i)) }, Progress: t.waiting("instance " + id),
	})
}

// ended fails for an instance that is terminated.
func (t *task) ended(ctx context.Context, id string) error {
	_, err := t.instance(ctx, id, "be seen", comingDeadline, func(i types.Instance, found bool) (bool, error) {
		if found && over(i) {
			return false, fmt.Errorf("instance %s: %w", id, errOver)
		}
		return true, nil
	})
	return err
}

// settle waits until the instance answers its status checks.
func (k instances) settle(ctx context.Context, t *task, i instance) (instance, error) {
	id := aws.ToString(i.InstanceId)
	if i.State == nil || i.State.Name != types.InstanceStateNameRunning || t.restarted {
		now, err := t.running(ctx, id)
		if err != nil {
			return i, err
		}
		i.Instance = *now
	}
	if t.swapped != nil {
		now, err := t.running(ctx, id)
		if err != nil {
			return i, err
		}
		i.Instance = *now
		i.Tags = cloud.Tags(tags.Merge(cloud.TagSet(now.Tags), t.proof))
	}
	if t.addressed {
		now, err := t.atElastic(ctx, id)
		if err != nil {
			return i, err
		}
		tagged := i.Tags
		i.Instance = *now
		i.Tags = tagged
	}
	if t.becomesHealthy != nil {
		return i, t.becomesHealthy(ctx, i.Instance)
	}
	if err := k.answers(ctx, t, id); err != nil {
		return i, err
	}
	return i, k.serving(ctx, t, id)
}

// atElastic reads an instance that an elastic IP address has come to: what refers
// to its public address means that one, and not the one before. EC2 may show it a
// little later, but a few looks later it does.
func (t *task) atElastic(ctx context.Context, id string) (*types.Instance, error) {
	looks := 0
	return t.instance(ctx, id, "have its elastic IP address", runDeadline, func(i types.Instance, found bool) (bool, error) {
		looks++
		return found && (elasticOn(i) != "" || looks >= 5), nil
	})
}

// answers waits until an instance that runs passes its status checks.
func (instances) answers(ctx context.Context, t *task, id string) error {
	_, err := t.Cloud.Statuses.Wait(ctx, cloud.Wait[types.InstanceStatus]{
		ID: id, For: "the status checks of instance " + id, Deadline: statusDeadline,
		Done: func(s types.InstanceStatus, found bool) (bool, error) {
			if !found {
				return false, nil
			}
			if s.InstanceState != nil && (s.InstanceState.Name == types.InstanceStateNameTerminated || s.InstanceState.Name == types.InstanceStateNameStopped) {
				return false, fmt.Errorf("instance %s is %s before it has answered", id, s.InstanceState.Name)
			}
			return summary(s.InstanceStatus) == types.SummaryStatusOk && summary(s.SystemStatus) == types.SummaryStatusOk, nil
		},
		Show: func(s types.InstanceStatus) string {
			return fmt.Sprintf("instance %s, system %s", summary(s.InstanceStatus), summary(s.SystemStatus))
		},
		Progress: t.waiting("status checks of instance " + id),
	})
	return err
}

func summary(s *types.InstanceStatusSummary) types.SummaryStatus {
	if s == nil {
		return types.SummaryStatusInitializing
	}
	return s.Status
}

// fresh: an instance that an interrupted run launched may not have answered
// its status checks yet.
func (instances) fresh(i instance) bool {
	return i.LaunchTime != nil && time.Since(*i.LaunchTime) < statusDeadline
}
