package emulator

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// driven is a cloud without machines on a clock that the test moves.
func driven(t *testing.T) (*testCloud, *DrivenClock) {
	t.Helper()
	clock := NewDrivenClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	return newTestCloud(t, Options{Clock: clock, Transition: time.Second}), clock
}

// clientsOf are the usual clients of a cloud that the test itself closes.
func clientsOf(c *Cloud) *testCloud {
	return &testCloud{Cloud: c, ec2: ec2.NewFromConfig(configOf(c.Transport(), "AKIDLOCAL", "", testRegion))}
}

// must is a call's answer, or the end of the test.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// debian is the newest Debian image for x86_64.
func debian(t *testing.T, c *testCloud) string {
	t.Helper()
	out := must(c.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{
		Owners: []string{"136693071363"}, Filters: where("name", "debian-12-amd64-*"),
	}))(t)
	newest := types.Image{CreationDate: new("")}
	for _, image := range out.Images {
		if *image.CreationDate > *newest.CreationDate {
			newest = image
		}
	}
	return deref(newest.ImageId)
}

// where makes filters of pairs of a name and a value.
func where(pairs ...string) []types.Filter {
	var list []types.Filter
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, types.Filter{Name: new(pairs[i]), Values: strings.Split(pairs[i+1], ",")})
	}
	return list
}

func tagging(kind types.ResourceType, pairs ...string) []types.TagSpecification {
	spec := types.TagSpecification{ResourceType: kind}
	for i := 0; i < len(pairs); i += 2 {
		spec.Tags = append(spec.Tags, types.Tag{Key: new(pairs[i]), Value: new(pairs[i+1])})
	}
	return []types.TagSpecification{spec}
}

func run(t *testing.T, c *testCloud, change func(*ec2.RunInstancesInput)) types.Instance {
	t.Helper()
	in := &ec2.RunInstancesInput{ImageId: new(debian(t, c)), InstanceType: "t3.micro", MinCount: new(int32(1)), MaxCount: new(int32(1))}
	if change != nil {
		change(in)
	}
	return must(c.ec2.RunInstances(t.Context(), in))(t).Instances[0]
}

func instanceNow(t *testing.T, c *testCloud, id string) types.Instance {
	t.Helper()
	return must(c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}}))(t).Reservations[0].Instances[0]
}

func wantState(t *testing.T, c *testCloud, id string, state types.InstanceStateName) {
	t.Helper()
	if got := instanceNow(t, c, id).State.Name; got != state {
		t.Errorf("%s is %s, not %s", id, got, state)
	}
}

func TestHandlersHonourParametersThatExist(t *testing.T) {
	c := newTestCloud(t, Options{})
	for _, service := range sortedKeys(c.registry) {
		for _, action := range sortedKeys(c.registry[service]) {
			op := c.registry[service][action]
			for _, path := range op.honours.unknownTo(op.input) {
				t.Errorf("%s of %s honours a parameter that does not exist: %s", action, service, path)
			}
		}
	}
}

func TestAParameterThatIsNotHonouredIsRefused(t *testing.T) {
	c := newTestCloud(t, Options{})
	_, err := c.ec2.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: new(debian(t, c)), InstanceType: "t3.micro", MinCount: new(int32(1)), MaxCount: new(int32(1)), KernelId: new("aki-1"),
	})
	wantCode(t, err, "UnsupportedOperation")
	if err != nil && !strings.Contains(err.Error(), "KernelId") {
		t.Errorf("the error does not name the parameter: %v", err)
	}
}

func TestInstanceLifecycleOnADrivenClock(t *testing.T) {
	c, clock := driven(t)
	ctx := t.Context()
	before := must(c.Inventory())(t)
	made := run(t, c, func(in *ec2.RunInstancesInput) { in.TagSpecifications = tagging("instance", "Name", "web") })
	id := *made.InstanceId
	if made.State.Name != "pending" || *made.Tags[0].Value != "web" || made.PublicIpAddress == nil {
		t.Errorf("launched: %s, tags %v, public address %v", made.State.Name, made.Tags, made.PublicIpAddress)
	}
	wantState(t, c, id, "pending")
	clock.Advance(time.Second)
	wantState(t, c, id, "running")
	status := func() types.SummaryStatus {
		return must(c.ec2.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: []string{id}}))(t).InstanceStatuses[0].InstanceStatus.Status
	}
	if got := status(); got != "initializing" {
		t.Errorf("status is %s at first", got)
	}
	clock.Advance(time.Second)
	if got := status(); got != "ok" {
		t.Errorf("status is %s after a while", got)
	}
	must(c.ec2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}}))(t)
	wantState(t, c, id, "stopping")
	clock.Advance(time.Second)
	wantState(t, c, id, "stopped")
	must(c.ec2.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: []string{id}}))(t)
	wantState(t, c, id, "pending")
	clock.Advance(time.Second)
	must(c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
	wantState(t, c, id, "shutting-down")
	clock.Advance(time.Second)
	wantState(t, c, id, "terminated")
	if after := must(c.Inventory())(t); !reflect.DeepEqual(before, after) {
		t.Errorf("left behind: %v", after)
	}
	clock.Advance(time.Hour)
	_, err := c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	wantCode(t, err, "InvalidInstanceID.NotFound")
}

// callAs carries an action out as another account, in any region.
func callAs(c *testCloud, account, region, action string, in any) (out any, err error) {
	who := caller{Account: account, Region: region, ARN: "arn:aws:iam::" + account + ":root"}
	err = c.store.transact(func() error {
		c.settle(who.world())
		c.settle(world{Region: region})
		out, err = c.registry["ec2"][action].call(withCaller(context.Background(), who), in)
		return err
	})
	return out, err
}

// wantLocal checks the code of an error that came straight from a handler.
func wantLocal(t *testing.T, err error, code string) {
	t.Helper()
	var e *apiError
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error is %v, not %s", err, code)
	}
}
