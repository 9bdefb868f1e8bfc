package cloud

import (
	"testing"
	"time"

	"github.com/aws/smithy-go"
)

func TestBuckets(t *testing.T) {
	now := time.Unix(0, 0)
	for _, test := range []struct {
		name   string
		paced  bool
		action string
		calls  int
		want   time.Duration // until the last one may be sent
	}{
		{"within the bucket nothing waits", true, "RunInstances", 5, 0},
		{"beyond it the refill sets the pace", true, "RunInstances", 7, time.Second},
		{"copies refill by one a second", true, "CopyImage", 103, 3 * time.Second},
		{"where no buckets hold nothing waits", false, "RunInstances", 50, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLimiter(test.paced)
			l.now = func() time.Time { return now }
			var wait time.Duration
			for range test.calls {
				wait = l.reserve("ec2", test.action)
			}
			if wait != test.want {
				t.Errorf("call %d waits %v, want %v", test.calls, wait, test.want)
			}
		})
	}
}

func TestThrottlingSlowsDownOnce(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimiter(false)
	l.now = func() time.Time { return now }
	throttled := &smithy.GenericAPIError{Code: "RequestLimitExceeded"}
	for range 40 { // forty callers of one burst
		l.saw("ec2", "RunInstances", throttled)
	}
	a := l.of("ec2", "RunInstances")
	if a.factor != 0.5 {
		t.Errorf("factor %v after one burst, want 0.5", a.factor)
	}
	if wait := l.reserve("ec2", "RunInstances"); wait != time.Second {
		t.Errorf("the next call waits %v, want 1s: one token at half of 2 a second", wait)
	}
	for range 25 {
		l.saw("ec2", "RunInstances", nil)
	}
	if a.factor < 0.99 {
		t.Errorf("factor %v after 25 good calls, want full speed", a.factor)
	}
}
