package emulator

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

const guest = "111111111111"

func (c *testCloud) kmsOf(account string) *kms.Client {
	return kms.NewFromConfig(configOf(c.Transport(), account, "", testRegion))
}

func (c *testCloud) ec2Of(account string) *ec2.Client {
	return ec2.NewFromConfig(configOf(c.Transport(), account, "", testRegion))
}

func TestKeys(t *testing.T) {
	c := newTestCloud(t, Options{})
	ctx, own := t.Context(), c.kmsOf(defaultAccount)
	before, err := c.Inventory()
	if err != nil {
		t.Fatal(err)
	}
	made, err := own.CreateKey(ctx, &kms.CreateKeyInput{Description: aws.String("images"), Tags: []types.Tag{{TagKey: aws.String("a"), TagValue: aws.String("b")}}})
	if err != nil {
		t.Fatal(err)
	}
	id := made.KeyMetadata.KeyId
	alias := &kms.CreateAliasInput{AliasName: aws.String("alias/images"), TargetKeyId: id}
	if _, err := own.CreateAlias(ctx, alias); err != nil {
		t.Fatal(err)
	}
	if _, err := own.CreateAlias(ctx, alias); codeOf(err) != "AlreadyExistsException" {
		t.Errorf("the alias twice: %v", err)
	}
	for _, name := range []string{*id, *made.KeyMetadata.Arn, "alias/images", strings.Replace(*made.KeyMetadata.Arn, "key/"+*id, "alias/images", 1)} {
		out, err := own.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(name)})
		if err != nil || *out.KeyMetadata.KeyId != *id || out.KeyMetadata.KeyManager != types.KeyManagerTypeCustomer || *out.KeyMetadata.Description != "images" {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	managed, err := own.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String("alias/aws/ebs")})
	if err != nil || managed.KeyMetadata.KeyManager != types.KeyManagerTypeAws {
		t.Errorf("AWS's own: %+v, %v", managed, err)
	}
	if _, err := own.DisableKey(ctx, &kms.DisableKeyInput{KeyId: managed.KeyMetadata.KeyId}); codeOf(err) != "AccessDeniedException" {
		t.Errorf("AWS's own disabled: %v", err)
	}
	if _, err := own.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: aws.Int32(6)}); codeOf(err) != "ValidationException" {
		t.Errorf("deleted in 6 days: %v", err)
	}
	if _, err := own.DeleteAlias(ctx, &kms.DeleteAliasInput{AliasName: aws.String("alias/images")}); err != nil {
		t.Error(err)
	}
	if _, err := own.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: id}); err != nil {
		t.Error(err)
	}
	if _, err := own.EnableKey(ctx, &kms.EnableKeyInput{KeyId: id}); codeOf(err) != "KMSInvalidStateException" {
		t.Errorf("enabled while it is being deleted: %v", err)
	}
	if after, err := c.Inventory(); err != nil || len(after) != len(before) {
		t.Errorf("left: %v, %v", after, err)
	}
}

// Another account may use a key when its policy or a grant says so, and not
// otherwise.
func TestKeyAccess(t *testing.T) {
	root := "arn:aws:iam::" + guest + ":root"
	statement := func(effect, principal, actions, condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"kms:*","Resource":"*"},` +
			`{"Effect":"` + effect + `","Principal":` + principal + `,"Action":` + actions + `,"Resource":"*"` + condition + `}]}`
	}
	for name, c := range map[string]struct {
		policy string
		grant  []types.GrantOperation
		to     string
		want   bool
	}{
		"nothing":          {},
		"root":             {policy: statement("Allow", `{"AWS":"`+root+`"}`, `"kms:*"`, ""), want: true},
		"account":          {policy: statement("Allow", `{"AWS":["`+guest+`"]}`, `["kms:Decrypt","kms:Create*","kms:DescribeKey"]`, ""), want: true},
		"role":             {policy: statement("Allow", `{"AWS":"arn:aws:iam::`+guest+`:role/deploy"}`, `["kms:*"]`, ""), want: true},
		"everybody":        {policy: statement("Allow", `"*"`, `"kms:*"`, ""), want: true},
		"everybody in one": {policy: statement("Allow", `{"AWS":"*"}`, `"kms:*"`, `,"Condition":{"StringEquals":{"kms:CallerAccount":"222222222222"}}`)},
		"too little":       {policy: statement("Allow", `{"AWS":"`+root+`"}`, `["kms:Encrypt"]`, "")},
		"denied":           {policy: statement("Deny", `{"AWS":"`+root+`"}`, `"kms:Decrypt"`, ""), grant: []types.GrantOperation{"Decrypt", "CreateGrant"}, to: root},
		"grant":            {grant: []types.GrantOperation{"Decrypt", "CreateGrant", "DescribeKey"}, to: root, want: true},
		"grant to a role":  {grant: []types.GrantOperation{"CreateGrant", "Decrypt"}, to: "arn:aws:iam::" + guest + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling", want: true},
		"grant to another": {grant: []types.GrantOperation{"Decrypt", "CreateGrant"}, to: "arn:aws:iam::222222222222:root"},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := newTestCloud(t, Options{})
			ctx, own := t.Context(), cloud.kmsOf(defaultAccount)
			made, err := own.CreateKey(ctx, &kms.CreateKeyInput{})
			if err != nil {
				t.Fatal(err)
			}
			key := made.KeyMetadata.Arn
			if c.policy != "" {
				if _, err := own.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: key, Policy: &c.policy}); err != nil {
					t.Fatal(err)
				}
			}
			if c.grant != nil {
				in := &kms.CreateGrantInput{KeyId: key, GranteePrincipal: &c.to, Operations: c.grant, Name: aws.String("share")}
				first, err := own.CreateGrant(ctx, in)
				if err != nil {
					t.Fatal(err)
				}
				if again, err := own.CreateGrant(ctx, in); err != nil || *again.GrantId != *first.GrantId {
					t.Errorf("the same grant again: %+v, %v", again, err)
				}
			}
			snapshot := cloud.lockedSnapshot(t, key)
			if got := cloud.copiesTo(t, snapshot); got != c.want {
				t.Errorf("a copy by the other account: %v", got)
			}
		})
	}
}

// lockedSnapshot is a snapshot that is encrypted with a key and shared with the
// guest.
func (c *testCloud) lockedSnapshot(t *testing.T, key *string) *string {
	t.Helper()
	volume, err := c.ec2.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String(testRegion + "a"), Size: aws.Int32(1), Encrypted: aws.Bool(true), KmsKeyId: key})
	if err != nil {
		t.Fatal(err)
	}
	if err := ec2.NewVolumeAvailableWaiter(c.ec2, func(o *ec2.VolumeAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = askSoon, askLate }).Wait(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{*volume.VolumeId}}, awaitAtMost); err != nil {
		t.Fatal(err)
	}
	made, err := c.ec2.CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: volume.VolumeId})
	if err != nil {
		t.Fatal(err)
	}
	c.settled(t, c.ec2, *made.SnapshotId)
	_, err = c.ec2.ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{SnapshotId: made.SnapshotId, OperationType: ec2types.OperationTypeAdd, UserIds: []string{guest}})
	if err != nil {
		t.Fatal(err)
	}
	return made.SnapshotId
}

// settled waits until a snapshot is complete, or is not to be.
func (c *testCloud) settled(t *testing.T, by *ec2.Client, id string) ec2types.Snapshot {
	t.Helper()
	for {
		out, err := by.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
		if err != nil {
			t.Fatal(err)
		}
		if out.Snapshots[0].State != ec2types.SnapshotStatePending {
			return out.Snapshots[0]
		}
	}
}

func (c *testCloud) copiesTo(t *testing.T, snapshot *string) bool {
	t.Helper()
	there := c.ec2Of(guest)
	out, err := there.CopySnapshot(t.Context(), &ec2.CopySnapshotInput{SourceRegion: aws.String(testRegion), SourceSnapshotId: snapshot, Encrypted: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	copied := c.settled(t, there, *out.SnapshotId)
	if copied.State == ec2types.SnapshotStateError && !strings.Contains(aws.ToString(copied.StateMessage), "key ID is not accessible") {
		t.Errorf("the copy says %q", aws.ToString(copied.StateMessage))
	}
	return copied.State == ec2types.SnapshotStateCompleted
}

// An instance of an AMI whose key its account may not use ends at once.
func TestInstanceWithoutItsKey(t *testing.T) {
	c := newTestCloud(t, Options{})
	snapshot := c.lockedSnapshot(t, aws.String("alias/own"))
	image, err := c.ec2.RegisterImage(t.Context(), &ec2.RegisterImageInput{
		Name: aws.String("locked"), RootDeviceName: aws.String("/dev/xvda"), Architecture: ec2types.ArchitectureValuesX8664, VirtualizationType: aws.String("hvm"),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: snapshot}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ec2.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{ImageId: image.ImageId, UserIds: []string{guest}, OperationType: ec2types.OperationTypeAdd}); err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string]ec2types.InstanceStateName{defaultAccount: ec2types.InstanceStateNameRunning, guest: ec2types.InstanceStateNameTerminated} {
		by := c.ec2Of(account)
		out, err := by.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: image.ImageId, InstanceType: ec2types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
		if err != nil {
			t.Fatal(err)
		}
		for {
			now, err := by.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{*out.Instances[0].InstanceId}})
			if err != nil {
				t.Fatal(err)
			}
			i := now.Reservations[0].Instances[0]
			if state := i.State.Name; state == ec2types.InstanceStateNamePending || state == ec2types.InstanceStateNameShuttingDown {
				continue
			} else if state != want || want == ec2types.InstanceStateNameTerminated && aws.ToString(i.StateReason.Code) != "Client.InternalError" {
				t.Errorf("%s: %s %+v", account, state, i.StateReason)
			}
			break
		}
	}
}
