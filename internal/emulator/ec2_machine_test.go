package emulator

import (
	"context"
	"encoding/base64"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/machine"
)

const awaitAtMost = 20 * time.Second

// Waiters ask often: changes take milliseconds here.
const (
	askSoon = 5 * time.Millisecond
	askLate = 50 * time.Millisecond
)

// awaitState waits until an instance is in a state, whatever comes before.
func awaitState(t *testing.T, c *testCloud, id string, state types.InstanceStateName) {
	t.Helper()
	w := ec2.NewInstanceRunningWaiter(c.ec2, func(o *ec2.InstanceRunningWaiterOptions) {
		o.MinDelay, o.MaxDelay = askSoon, askLate
		o.Retryable = func(_ context.Context, _ *ec2.DescribeInstancesInput, out *ec2.DescribeInstancesOutput, err error) (bool, error) {
			return err == nil && out.Reservations[0].Instances[0].State.Name != state, err
		}
	})
	if err := w.Wait(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}}, awaitAtMost); err != nil {
		t.Fatalf("%s does not become %s: %v (%+v)", id, state, err, instanceNow(t, c, id).StateReason)
	}
}

func awaitRunning(t *testing.T, c *testCloud, id string) {
	t.Helper()
	awaitState(t, c, id, stateRunning)
}

func awaitTerminated(t *testing.T, c *testCloud, id string) {
	t.Helper()
	awaitState(t, c, id, stateTerminated)
}

func awaitBooted(t *testing.T, c *testCloud, id string) {
	t.Helper()
	w := ec2.NewInstanceStatusOkWaiter(c.ec2, func(o *ec2.InstanceStatusOkWaiterOptions) { o.MinDelay, o.MaxDelay = askSoon, askLate })
	if err := w.Wait(t.Context(), &ec2.DescribeInstanceStatusInput{InstanceIds: []string{id}}, awaitAtMost); err != nil {
		t.Fatalf("%s does not boot: %v\n%s", id, err, consoleOf(t, c, id))
	}
}

func awaitImage(t *testing.T, c *testCloud, id string) types.Image {
	t.Helper()
	w := ec2.NewImageAvailableWaiter(c.ec2, func(o *ec2.ImageAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = askSoon, askLate })
	out, err := w.WaitForOutput(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{id}}, awaitAtMost)
	if err != nil {
		now := must(c.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{id}}))(t)
		t.Fatalf("%v: %+v", err, now.Images[0].StateReason)
	}
	return out.Images[0]
}

func awaitVolume(t *testing.T, c *testCloud, id string, inUse bool) {
	t.Helper()
	in := &ec2.DescribeVolumesInput{VolumeIds: []string{id}}
	var err error
	if inUse {
		err = ec2.NewVolumeInUseWaiter(c.ec2, func(o *ec2.VolumeInUseWaiterOptions) { o.MinDelay, o.MaxDelay = askSoon, askLate }).Wait(t.Context(), in, awaitAtMost)
	} else {
		err = ec2.NewVolumeAvailableWaiter(c.ec2, func(o *ec2.VolumeAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = askSoon, askLate }).Wait(t.Context(), in, awaitAtMost)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func consoleOf(t *testing.T, c *testCloud, id string) string {
	t.Helper()
	out := must(c.ec2.GetConsoleOutput(t.Context(), &ec2.GetConsoleOutputInput{InstanceId: new(id), Latest: new(true)}))(t)
	text, err := base64.StdEncoding.DecodeString(deref(out.Output))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func script(lines ...string) *string {
	return new(base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n" + strings.Join(lines, "\n") + "\n")))
}

// eachKind runs a test on every kind of machine that works here.
func eachKind(t *testing.T, test func(t *testing.T, c *testCloud)) {
	for _, kind := range machine.Available(t.Context(), t.TempDir()) {
		t.Run(string(kind), func(t *testing.T) { test(t, newTestCloud(t, Options{Machine: kind})) })
	}
}

func TestAnImageStartsWithTheFilesOfItsMachine(t *testing.T) {
	eachKind(t, imageKeepsFiles)
}

func imageKeepsFiles(t *testing.T, c *testCloud) {
	ctx := t.Context()
	first := run(t, c, func(in *ec2.RunInstancesInput) {
		in.UserData = script("mkdir -p /opt/app", "echo from-the-first > /opt/app/marker", "echo first-ready > /dev/console")
	})
	awaitBooted(t, c, *first.InstanceId)
	if text := consoleOf(t, c, *first.InstanceId); !strings.Contains(text, "first-ready") {
		t.Errorf("console: %s", text)
	}
	made := must(c.ec2.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: first.InstanceId, Name: new("app-1")}))(t)
	image := awaitImage(t, c, *made.ImageId)
	wantState(t, c, *first.InstanceId, "running")
	second := run(t, c, func(in *ec2.RunInstancesInput) {
		in.ImageId = image.ImageId
		in.UserData = script("cat /opt/app/marker > /dev/console", "echo from-the-second > /opt/app/second")
	})
	awaitBooted(t, c, *second.InstanceId)
	if text := consoleOf(t, c, *second.InstanceId); !strings.Contains(text, "from-the-first") {
		t.Errorf("the image's file is missing: %s", text)
	}
	made = must(c.ec2.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: second.InstanceId, Name: new("app-2"), NoReboot: new(true)}))(t)
	chained := awaitImage(t, c, *made.ImageId)
	must(c.ec2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: image.ImageId, DeleteAssociatedSnapshots: new(true)}))(t)
	third := run(t, c, func(in *ec2.RunInstancesInput) {
		in.ImageId = chained.ImageId
		in.UserData = script("cat /opt/app/marker /opt/app/second > /dev/console")
	})
	awaitBooted(t, c, *third.InstanceId)
	text := consoleOf(t, c, *third.InstanceId)
	if !strings.Contains(text, "from-the-first") || !strings.Contains(text, "from-the-second") {
		t.Errorf("an image on an image, whose base is gone: %s", text)
	}
}

func TestADataVolumeMovesWithItsContents(t *testing.T) {
	eachKind(t, volumeMoves)
}

func volumeMoves(t *testing.T, c *testCloud) {
	ctx := t.Context()
	launch := func(lines ...string) string {
		id := *run(t, c, func(in *ec2.RunInstancesInput) {
			in.UserData = script(lines...)
			in.Placement = &types.Placement{AvailabilityZone: new(testRegion + "a")}
		}).InstanceId
		awaitBooted(t, c, id)
		return id
	}
	volume := *must(c.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: new(testRegion + "a"), Size: new(int32(1)), VolumeType: "gp3"}))(t).VolumeId
	awaitVolume(t, c, volume, false)
	first := launch("true")
	must(c.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: &volume, InstanceId: &first, Device: new("/dev/sdf")}))(t)
	awaitVolume(t, c, volume, true)
	awaitAttached(t, c, volume)
	inside := filepath.Join(c.dir, "machines", first, "dev", "sdf")
	if err := os.WriteFile(filepath.Join(inside, "ledger"), []byte("42\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	snapshot := *must(c.ec2.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: &volume}))(t).SnapshotId
	if err := ec2.NewSnapshotCompletedWaiter(c.ec2, func(o *ec2.SnapshotCompletedWaiterOptions) { o.MinDelay, o.MaxDelay = askSoon, askLate }).
		Wait(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{snapshot}}, awaitAtMost); err != nil {
		t.Fatal(err)
	}
	must(c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{first}}))(t)
	awaitTerminated(t, c, first)
	awaitVolume(t, c, volume, false)
	if got, _ := os.ReadFile(filepath.Join(c.dir, "volumes", volume, "ledger")); string(got) != "42\n" {
		t.Errorf("the volume came back with %q", got)
	}
	second := launch("true")
	must(c.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: &volume, InstanceId: &second, Device: new("/dev/sdf")}))(t)
	awaitAttached(t, c, volume)
	if got, _ := os.ReadFile(filepath.Join(c.dir, "machines", second, "dev", "sdf", "ledger")); string(got) != "42\n" {
		t.Errorf("the second machine sees %q", got)
	}
	must(c.ec2.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: &volume}))(t)
	awaitVolume(t, c, volume, false)
	copied := *must(c.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: new(testRegion + "b"), SnapshotId: &snapshot, VolumeType: "gp3"}))(t).VolumeId
	awaitVolume(t, c, copied, false)
	if got, _ := os.ReadFile(filepath.Join(c.dir, "volumes", copied, "ledger")); string(got) != "42\n" {
		t.Errorf("a volume of the snapshot has %q", got)
	}
}

func awaitAttached(t *testing.T, c *testCloud, volume string) {
	t.Helper()
	w := ec2.NewVolumeInUseWaiter(c.ec2, func(o *ec2.VolumeInUseWaiterOptions) {
		o.MinDelay, o.MaxDelay = askSoon, askLate
		o.Retryable = func(_ context.Context, _ *ec2.DescribeVolumesInput, out *ec2.DescribeVolumesOutput, err error) (bool, error) {
			if err != nil {
				return false, err
			}
			a := out.Volumes[0].Attachments
			return len(a) == 0 || a[0].State != "attached", nil
		}
	})
	if err := w.Wait(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{volume}}, awaitAtMost); err != nil {
		t.Fatal(err)
	}
}

func TestAMachineThatShutsItselfDown(t *testing.T) {
	c := newTestCloud(t, Options{Machine: machine.InProcess})
	for _, behaviour := range []types.ShutdownBehavior{"stop", "terminate"} {
		id := *run(t, c, func(in *ec2.RunInstancesInput) {
			in.InstanceInitiatedShutdownBehavior, in.UserData = behaviour, script("shutdown -h now")
		}).InstanceId
		awaitState(t, c, id, pick(behaviour == "stop", stateStopped, stateTerminated))
		if code := *instanceNow(t, c, id).StateReason.Code; code != "Client.InstanceInitiatedShutdown" {
			t.Errorf("%s: reason %s", behaviour, code)
		}
	}
}

func TestMachinesWakeInTheNextProcess(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, Machine: machine.InProcess, Transition: time.Millisecond}
	first, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c := clientsOf(first)
	id := *run(t, c, func(in *ec2.RunInstancesInput) {
		in.UserData = script("mkdir -p /var/lib/cloud/scripts/per-boot", "printf '#!/bin/sh\\necho booted-again > /dev/console\\n' > /var/lib/cloud/scripts/per-boot/up", "chmod +x /var/lib/cloud/scripts/per-boot/up")
	}).InstanceId
	awaitBooted(t, c, id)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	c = newTestCloud(t, o)
	private := netip.MustParseAddr(*instanceNow(t, c, id).PrivateIpAddress)
	if c.Cloud.ec2.hosts.machineOf(id) != nil {
		t.Error("a machine runs before anything needs it")
	}
	if at, ok := c.hooks.listens(private, 22); !ok || !at.Addr().IsLoopback() {
		t.Errorf("SSH of a machine that a connection wakes listens at %v", at)
	}
	if err := c.Wake(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-c.Cloud.ec2.hosts.machineOf(id).machine.Booted()
	if text := consoleOf(t, c, id); !strings.Contains(text, "booted-again") {
		t.Errorf("console: %s", text)
	}
}

// TestAnInterruptedBootIsTakenUp: whoever waits for the status checks of an
// instance whose process was killed in mid-boot does not wait for ever.
func TestAnInterruptedBootIsTakenUp(t *testing.T) {
	for state, transition := range map[string]time.Duration{
		"running": time.Millisecond,
		"pending": 3 * time.Second, // longer than the boot takes to begin
	} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			o := Options{Dir: t.TempDir(), Machine: machine.InProcess, Transition: transition}
			first, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			c := clientsOf(first)
			id := *run(t, c, func(in *ec2.RunInstancesInput) {
				in.UserData = new(base64.StdEncoding.EncodeToString([]byte("#cloud-config\nbootcmd:\n  - test -e /var/been || { touch /var/been; echo begun > /dev/console; sleep 600; }\n")))
			}).InstanceId
			if state == "running" {
				awaitRunning(t, c, id)
			}
			deadline := time.Now().Add(awaitAtMost)
			for !strings.Contains(consoleOf(t, c, id), "begun") {
				if time.Now().After(deadline) {
					t.Fatalf("the boot does not begin: %s", consoleOf(t, c, id))
				}
				runtime.Gosched()
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			awaitBooted(t, newTestCloud(t, o), id)
		})
	}
}

func TestNothingIsLeftOnDisk(t *testing.T) {
	c := newTestCloud(t, Options{Machine: machine.InProcess})
	ctx := t.Context()
	id := *run(t, c, nil).InstanceId
	awaitRunning(t, c, id)
	made := must(c.ec2.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: new("short-lived")}))(t)
	awaitImage(t, c, *made.ImageId)
	must(c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
	awaitTerminated(t, c, id)
	must(c.ec2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: made.ImageId, DeleteAssociatedSnapshots: new(true)}))(t)
	<-c.Cloud.ec2.hosts.work(world{}, sweeping)
	for _, kind := range []string{"machines", "volumes", "snapshots"} {
		entries, err := os.ReadDir(filepath.Join(c.dir, kind))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if !strings.HasSuffix(entry.Name(), ".console") {
				t.Errorf("left in %s: %s", kind, entry.Name())
			}
		}
	}
}

func TestWorkThatAProcessLeftIsTakenUp(t *testing.T) {
	o := Options{Dir: t.TempDir(), Machine: machine.InProcess, Transition: time.Millisecond}
	first, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c := clientsOf(first)
	id := *run(t, c, nil).InstanceId
	volume := *must(c.ec2.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: new(testRegion + "a"), Size: new(int32(1))}))(t).VolumeId
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	c = newTestCloud(t, o)
	awaitRunning(t, c, id)
	awaitVolume(t, c, volume, false)
	made := *must(c.ec2.CreateImage(t.Context(), &ec2.CreateImageInput{InstanceId: &id, Name: new("interrupted")}))(t).ImageId
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = newTestCloud(t, o)
	awaitImage(t, c, made)
	must(c.ec2.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = newTestCloud(t, o)
	awaitTerminated(t, c, id)
}

func TestWhatIsNewIsNotSeenAtOnce(t *testing.T) {
	clock := NewDrivenClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	c := newTestCloud(t, Options{Clock: clock, Consistency: time.Minute})
	vpc := makeVPC(t, c, "10.0.0.0/16")
	_, err := c.ec2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{VpcIds: []string{vpc}})
	wantCode(t, err, "InvalidVpcID.NotFound")
	count := func() int {
		return len(must(c.ec2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{Filters: where("tag:Name", "main")}))(t).Vpcs)
	}
	if got := count(); got != 0 {
		t.Errorf("%d VPCs are seen at once", got)
	}
	clock.Advance(time.Minute)
	if got := count(); got != 1 {
		t.Errorf("%d VPCs are seen after the window", got)
	}
}
