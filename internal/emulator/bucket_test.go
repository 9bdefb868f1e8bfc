package emulator

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

func TestBuckets(t *testing.T) {
	for _, c := range []struct {
		action string
		form   url.Values
		size   int
		refill int // a second
	}{
		{"RunInstances", url.Values{"MaxCount": {"1"}}, 5, 2},
		{"StartInstances", nil, 5, 2},
		{"CopyImage", nil, 100, 1},
		{"CreateTags", nil, 100, 10},
		{"CreateVpc", nil, 50, 5},
		{"TerminateInstances", nil, 100, 5},
		{"DescribeInstances", nil, 50, 10},
		{"DescribeInstances", url.Values{"InstanceId.1": {"i-1"}}, 50, 10},
		{"DescribeInstances", url.Values{"MaxResults": {"5"}}, 100, 20},
		{"DescribeInstances", url.Values{"Filter.1.Name": {"x"}}, 100, 20},
		{"DescribeVpcs", nil, 100, 20},
	} {
		t.Run(fmt.Sprint(c.action, c.form), func(t *testing.T) {
			clock := NewDrivenClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
			wires, err := newWires()
			if err != nil {
				t.Fatal(err)
			}
			b := newBuckets(clock)
			req := &request{service: "ec2", action: c.action, wire: wires["ec2"], form: c.form, caller: caller{Account: "1", Region: "r"}}
			drain := func() int {
				for n := 0; ; n++ {
					if b.take(req) != nil {
						return n
					}
				}
			}
			if n := drain(); n != c.size {
				t.Errorf("%d calls at once, not %d", n, c.size)
			}
			elsewhere := *req
			elsewhere.caller.Region = "s"
			if err := b.take(&elsewhere); err != nil {
				t.Errorf("another region: %v", err)
			}
			clock.Advance(time.Second)
			if n := drain(); n != c.refill {
				t.Errorf("%d calls a second later, not %d", n, c.refill)
			}
			clock.Advance(time.Hour)
			if n := drain(); n != c.size {
				t.Errorf("%d calls an hour later, not %d", n, c.size)
			}
		})
	}
}

func TestResourceBucket(t *testing.T) {
	clock := NewDrivenClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	wires, err := newWires()
	if err != nil {
		t.Fatal(err)
	}
	b := newBuckets(clock)
	run := func(count string) error {
		return b.take(&request{service: "ec2", action: "RunInstances", wire: wires["ec2"], form: url.Values{"MaxCount": {count}}})
	}
	if err := run("1001"); err == nil || err.(*apiError).Code != "RequestResourceCountExceeded" {
		t.Errorf("1001 at once: %v", err)
	}
	if err := run("999"); err != nil {
		t.Error(err)
	}
	if err := run("2"); err == nil {
		t.Error("1001 instances were let through")
	}
	if err := run("1"); err != nil {
		t.Error("a refused request took tokens: ", err)
	}
}

func TestBucketsAnswer(t *testing.T) {
	clock := NewDrivenClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	c := newTestCloud(t, Options{Buckets: true, Clock: clock})
	get := func() error {
		_, err := c.ssm.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("a")})
		return err
	}
	for range 40 {
		wantCode(t, get(), "ParameterNotFound")
	}
	wantCode(t, get(), "ThrottlingException")
	clock.Advance(time.Second)
	wantCode(t, get(), "ParameterNotFound")
}
