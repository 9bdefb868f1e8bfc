package launch

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
)

type instanceUpdateAPI interface {
	ModifyInstanceAttribute(context.Context, *ec2.ModifyInstanceAttributeInput, ...func(*ec2.Options)) (*ec2.ModifyInstanceAttributeOutput, error)
	ModifyInstanceMetadataOptions(context.Context, *ec2.ModifyInstanceMetadataOptionsInput, ...func(*ec2.Options)) (*ec2.ModifyInstanceMetadataOptionsOutput, error)
	MonitorInstances(context.Context, *ec2.MonitorInstancesInput, ...func(*ec2.Options)) (*ec2.MonitorInstancesOutput, error)
	UnmonitorInstances(context.Context, *ec2.UnmonitorInstancesInput, ...func(*ec2.Options)) (*ec2.UnmonitorInstancesOutput, error)
	AttachVolume(context.Context, *ec2.AttachVolumeInput, ...func(*ec2.Options)) (*ec2.AttachVolumeOutput, error)
	DetachVolume(context.Context, *ec2.DetachVolumeInput, ...func(*ec2.Options)) (*ec2.DetachVolumeOutput, error)
}

func (instances) updateAPI(c *cloud.Cloud) instanceUpdateAPI { return c.EC2 }

func (k instances) update(ctx context.Context, t *task, w want[instanceSpec], i instance, d differences) error {
	id := aws.ToString(i.InstanceId)
	if d.has("ami") || d.has("user_data") {
		var err error
		if t.saw, err = k.told(ctx, t, id); err != nil {
			return err
		}
		t.swapped = &i
		if err := k.swapRoot(ctx, t, w, i); err != nil {
			return err
		}
	}
	// Volumes first: what the instance runs may be waiting for them.
	if err := k.updateAttachments(ctx, t, w, i); err != nil {
		return err
	}
	switch {
	case d.has("instance_type") || d.has("ebs_optimized"):
		if err := k.restart(ctx, t, w, i, d); err != nil {
			return err
		}
	case d.has("state") && t.swapped == nil:
		if err := k.start(ctx, t, id); err != nil {
			return err
		}
	}
	if err := k.updateAttributes(ctx, t, w.spec, i, d); err != nil {
		return err
	}
	if d.below("network_interfaces") {
		if err := k.updateInterfaces(ctx, t, w, i); err != nil {
			return err
		}
	}
	if d.has("iam_instance_profile") {
		if err := k.giveProfile(ctx, t, i, w.spec.IAMInstanceProfile); err != nil {
			return fmt.Errorf("iam_instance_profile: %w", err)
		}
	}
	if d.has("elastic_ip") {
		if err := (elasticIPs{}).give(ctx, t, w.spec.ElasticIP, id); err != nil {
			return fmt.Errorf("elastic_ip: %w", err)
		}
		t.addressed = true
	}
	if err := k.updateMetadata(ctx, t, w, i, d); err != nil {
		return err
	}
	if err := k.updateMonitoring(ctx, t, w.spec, id, d); err != nil {
		return err
	}
	if err := k.updateTargets(ctx, t, w, i, d); err != nil {
		return err
	}
	return k.updateAddresses(ctx, t, w, i, d)
}

// updateMetadata changes how an instance's metadata service answers.
func (k instances) updateMetadata(ctx context.Context, t *task, w want[instanceSpec], i instance, d differences) error {
	if !d.below("metadata_options") {
		return nil
	}
	m := w.spec.metadata(w.Resource)
	_, err := k.updateAPI(t.Cloud).ModifyInstanceMetadataOptions(ctx, &ec2.ModifyInstanceMetadataOptionsInput{
		InstanceId: i.InstanceId, HttpTokens: types.HttpTokensState(m.HTTPTokens),
		HttpPutResponseHopLimit: number(m.HTTPPutResponseHopLimit), InstanceMetadataTags: types.InstanceMetadataTagsState(m.InstanceMetadataTags),
	})
	if err != nil {
		return fmt.Errorf("metadata_options: %w", err)
	}
	return nil
}

func (k instances) updateMonitoring(ctx context.Context, t *task, s *instanceSpec, id string, d differences) error {
	if !d.has("monitoring") {
		return nil
	}
	if *s.Monitoring {
		_, err := k.updateAPI(t.Cloud).MonitorInstances(ctx, &ec2.MonitorInstancesInput{InstanceIds: []string{id}})
		return err
	}
	_, err := k.updateAPI(t.Cloud).UnmonitorInstances(ctx, &ec2.UnmonitorInstancesInput{InstanceIds: []string{id}})
	return err
}

// updateAttributes changes attributes; EC2 takes one a call, and what is about
// the network, where there are several interfaces, of the interface.
func (k instances) updateAttributes(ctx context.Context, t *task, s *instanceSpec, i instance, d differences) error {
	changes := []struct {
		path string
		in   *ec2.ModifyInstanceAttributeInput
	}{
		{"security_groups", &ec2.ModifyInstanceAttributeInput{Groups: s.SecurityGroups}},
		{"source_dest_check", &ec2.ModifyInstanceAttributeInput{SourceDestCheck: &types.AttributeBooleanValue{Value: s.SourceDestCheck}}},
		{"disable_api_termination", &ec2.ModifyInstanceAttributeInput{DisableApiTermination: &types.AttributeBooleanValue{Value: s.DisableAPITermination}}},
		{"instance_initiated_shutdown_behavior", &ec2.ModifyInstanceAttributeInput{InstanceInitiatedShutdownBehavior: &types.AttributeValue{Value: aws.String(s.ShutdownBehavior)}}},
	}
	for _, c := range changes {
		if !d.has(c.path) {
			continue
		}
		c.in.InstanceId = i.InstanceId
		if own := ownInterface(i.Instance); own != "" && len(interfacesOn(i.Instance)) > 0 && (c.in.Groups != nil || c.in.SourceDestCheck != nil) {
			_, err := networkInterfaces{}.api(t.Cloud).ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{
				NetworkInterfaceId: aws.String(own), Groups: c.in.Groups, SourceDestCheck: c.in.SourceDestCheck})
			if err != nil {
				return fmt.Errorf("%s: %w", c.path, err)
			}
			continue
		}
		if _, err := k.updateAPI(t.Cloud).ModifyInstanceAttribute(ctx, c.in); err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
	}
	return nil
}

// startUnlessRunning makes sure that an instance runs.
func (k instances) startUnlessRunning(ctx context.Context, t *task, id string) error {
	now, err := t.instance(ctx, id, "be seen", stopDeadline, func(_ types.Instance, found bool) (bool, error) { return found, nil })
	if err == nil && stateSeen(now) != types.InstanceStateNameRunning {
		err = k.start(ctx, t, id)
	}
	return err
}

func (k instances) start(ctx context.Context, t *task, id string) error {
	// One that is stopping can be started only when it has stopped.
	_, err := t.instance(ctx, id, "have stopped", stopDeadline, func(i types.Instance, found bool) (bool, error) {
		if !found || over(i) {
			return false, fmt.Errorf("instance %s: %w", id, errOver)
		}
		return stateOf(i) != types.InstanceStateNameStopping, nil
	})
	if err != nil {
		return err
	}
	if err := t.Cloud.Starts.Do(ctx, id); err != nil {
		return fmt.Errorf("start it: %w", err)
	}
	_, err = t.running(ctx, id)
	return err
}

// updateAttachments gives the instance the volumes that it should have, and
// takes those that it should not.
func (k instances) updateAttachments(ctx context.Context, t *task, w want[instanceSpec], i instance) error {
	have := attachmentsOf(i.Instance)
	wanted := map[string]string{}
	for _, a := range w.spec.Volumes {
		wanted[a.Device] = a.Volume
	}
	for _, device := range union(have) {
		if have[device] != wanted[device] && w.world.takes(have[device]) {
			if err := k.detach(ctx, t, have[device], aws.ToString(i.InstanceId)); err != nil {
				return err
			}
		}
	}
	for _, device := range union(wanted) {
		if have[device] == wanted[device] {
			continue
		}
		if t.held(wanted[device], aws.ToString(i.InstanceId)) {
			if err := k.release(ctx, t, wanted[device], aws.ToString(i.InstanceId)); err != nil {
				return err
			}
		}
		if err := k.attach(ctx, t, wanted[device], aws.ToString(i.InstanceId), device); err != nil {
			return err
		}
	}
	return nil
}

// held tells whether a volume was on another instance when the plan was made.
// One that has been made since then is free.
func (t *task) held(volume, but string) bool {
	f := t.inventory.byID[volume]
	if f == nil {
		return false
	}
	v, ok := f.raw.(types.Volume)
	return !ok || attachedOn(v) != "" && attachedOn(v) != but
}

// takes waits until volumes or interfaces can be attached to an instance.
func (t *task) takes(ctx context.Context, id, what string) error {
	_, err := t.instance(ctx, id, "take "+what, runDeadline, func(i types.Instance, found bool) (bool, error) {
		if found && over(i) {
			return false, fmt.Errorf("instance %s: %w", id, errOver)
		}
		state := stateOf(i)
		return found && (state == types.InstanceStateNameRunning || state == types.InstanceStateNameStopped), nil
	})
	return err
}

// attach attaches a volume once its instance can take it.
func (k instances) attach(ctx context.Context, t *task, volume, id, device string) error {
	if err := t.takes(ctx, id, "volumes"); err != nil {
		return err
	}
	_, err := t.volume(ctx, volume, "be free", func(v types.Volume, found bool) (bool, error) {
		if attachedOn(v) == id {
			return true, nil
		}
		return found && v.State == types.VolumeStateAvailable, nil
	})
	if err != nil {
		return err
	}
	err = t.again(ctx, func() error {
		_, err := k.updateAPI(t.Cloud).AttachVolume(ctx, &ec2.AttachVolumeInput{
			VolumeId: aws.String(volume), InstanceId: aws.String(id), Device: aws.String(device)})
		return err
	}, k.isAttached(t, volume, id))
	if err != nil {
		return fmt.Errorf("attach %s as %s: %w", volume, device, err)
	}
	t.begun = volume + ":" + id // where the attachment is a definition of its own
	_, err = t.volume(ctx, volume, "be attached", func(v types.Volume, found bool) (bool, error) {
		return found && attachedOn(v) == id && v.Attachments[0].State == types.VolumeAttachmentStateAttached, nil
	})
	if err == nil {
		t.progress("volume %s is attached to %s as %s", volume, id, device)
	}
	return err
}

func (k instances) isAttached(t *task, volume, id string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		list, err := volumes{}.list(ctx, query{cloud: t.Cloud, filters: []types.Filter{cloud.Filter("volume-id", volume)}})
		return len(list) == 1 && attachedOn(list[0]) == id, err
	}
}

// attachedOn is the instance that a volume is on.
func attachedOn(v types.Volume) string {
	for _, a := range v.Attachments {
		if a.State != types.VolumeAttachmentStateDetached {
			return aws.ToString(a.InstanceId)
		}
	}
	return ""
}

// detach frees a volume from an instance and waits until it is.
func (k instances) detach(ctx context.Context, t *task, volume, from string) error {
	_, err := k.updateAPI(t.Cloud).DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: aws.String(volume), InstanceId: aws.String(from)})
	// A volume that is free already is in an incorrect state to be freed.
	if err != nil && cloud.Code(err) != "IncorrectState" && !cloud.NotFound(err) {
		return fmt.Errorf("detach %s: %w", volume, err)
	}
	_, err = t.volume(ctx, volume, "be free (a mounted one has to be unmounted first)", func(v types.Volume, found bool) (bool, error) {
		return !found || v.State == types.VolumeStateAvailable, nil
	})
	return err
}

// release frees a volume from any instance of this environment but one, which
// is stopped first, so that all it has written reaches the volume.
func (k instances) release(ctx context.Context, t *task, volume, but string) error {
	list, err := volumes{}.list(ctx, query{cloud: t.Cloud, filters: []types.Filter{cloud.Filter("volume-id", volume)}})
	if err != nil {
		return err
	}
	for _, v := range list {
		holder := attachedOn(v)
		if holder == "" || holder == but {
			continue
		}
		if !t.ours(holder) {
			return fmt.Errorf("volume %s is attached to instance %s, which is not of this environment", volume, holder)
		}
		if err := k.stop(ctx, t, holder); err != nil {
			return err
		}
		if err := k.detach(ctx, t, volume, holder); err != nil {
			return err
		}
	}
	return nil
}

// stop stops an instance and waits until it has.
func (k instances) stop(ctx context.Context, t *task, id string) error {
	t.progress("stopping %s", id)
	err := t.Cloud.Stops.Do(ctx, id)
	if cloud.Code(err) == "IncorrectInstanceState" {
		err = k.stopStarted(ctx, t, id)
	}
	if err != nil && !cloud.NotFound(err) {
		return fmt.Errorf("stop %s: %w", id, err)
	}
	_, err = t.instance(ctx, id, "stop", stopDeadline, func(i types.Instance, found bool) (bool, error) {
		return !found || over(i) || stateOf(i) == types.InstanceStateNameStopped, nil
	})
	return err
}

// stopStarted stops an instance once it has started: EC2 refuses to stop one
// that is pending, as one is that an interrupted run has just started again.
func (k instances) stopStarted(ctx context.Context, t *task, id string) error {
	now, err := t.instance(ctx, id, "have started", runDeadline, func(i types.Instance, found bool) (bool, error) {
		return !found || stateOf(i) != types.InstanceStateNamePending, nil
	})
	if err != nil || stateSeen(now) != types.InstanceStateNameRunning {
		return err
	}
	if err := t.Cloud.Stops.Do(ctx, id); cloud.Code(err) != "IncorrectInstanceState" {
		return err
	}
	return nil
}
