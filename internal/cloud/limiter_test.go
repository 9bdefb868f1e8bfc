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
				wait = l.reserve("ec2", test.action, 1)
			}
			if wait.Round(time.Millisecond) != test.want {
				t.Errorf("call %d waits %v, want %v", test.calls, wait, test.want)
			}
		})
	}
}

// All of Route 53's calls draw from one bucket, in whichever region they are
// made.
func TestRoute53Bucket(t *testing.T) {
	now := time.Unix(0, 0)
	global := newLimiter(true)
	global.now = func() time.Time { return now }
	var wait time.Duration
	for i := range 10 {
		region := newLimiter(true)
		region.global = global
		wait = region.whose(serviceRoute53).reserve(serviceRoute53, []string{"ListHostedZones", "ChangeResourceRecordSets"}[i%2], 1)
		if region.whose("ec2") != region {
			t.Error("EC2's buckets are the region's")
		}
	}
	if wait.Round(time.Millisecond) != time.Second {
		t.Errorf("the tenth call waits %v, want 1s", wait)
	}
}

func TestThrottlingSlowsDownOnce(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimiter(false)
	l.now = func() time.Time { return now }
	throttled := &smithy.GenericAPIError{Code: "RequestLimitExceeded"}
	for range 40 { // forty callers of one burst
		l.saw("ec2", "RunInstances", 1, throttled)
	}
	a := l.of("ec2", "RunInstances")
	if a.factor != 0.5 {
		t.Errorf("factor %v after one burst, want 0.5", a.factor)
	}
	if wait := l.reserve("ec2", "RunInstances", 1); wait.Round(time.Millisecond) != time.Second {
		t.Errorf("the next call waits %v, want 1s: one token at half of 2 a second", wait)
	}
	for range 25 {
		l.saw("ec2", "RunInstances", 1, nil)
	}
	if a.factor < 0.99 {
		t.Errorf("factor %v after 25 good calls, want full speed", a.factor)
	}
}

// TestBurstWithinBuckets sends 60 calls of the scarcest action through EC2's own
// bucket, as it stands at the other end, on a clock that only waiting moves:
// none is refused where the bucket is known, and where it is not every refused
// one gets through in the end.
func TestBurstWithinBuckets(t *testing.T) {
	throttled := &smithy.GenericAPIError{Code: "RequestLimitExceeded"}
	for _, test := range []struct {
		name    string
		paced   bool
		refused int           // at most
		within  time.Duration // 55 beyond the bucket, 2 a second, are 27.5 s
	}{
		{"paced", true, 0, 28 * time.Second},
		{"learning", false, 60, 3 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			start := time.Unix(0, 0)
			now := start
			l := newLimiter(test.paced)
			l.now = func() time.Time { return now }
			tokens, filled, refused := 5.0, now, 0
			for call := range 60 {
				for sent := false; !sent; {
					now = now.Add(l.reserve("ec2", "RunInstances", 1))
					tokens = min(5, tokens+now.Sub(filled).Seconds()*2)
					filled = now
					var err error
					if sent = tokens >= 0.999; sent { // what time.Duration rounds off is not meant
						tokens--
					} else {
						refused++
						err = throttled
					}
					l.saw("ec2", "RunInstances", 1, err)
					if refused > 1000 {
						t.Fatalf("call %d never gets through", call)
					}
				}
			}
			if refused > test.refused || now.Sub(start) > test.within {
				t.Errorf("%d refused, %s for 60 calls", refused, now.Sub(start))
			}
			t.Logf("%d refused, %s", refused, now.Sub(start))
		})
	}
}
