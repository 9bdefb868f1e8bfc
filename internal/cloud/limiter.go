package cloud

import (
	"context"
	"sync"
	"time"
)

// bucket is a request token bucket: size tokens at most, refilled at rate a
// second.
type bucket struct {
	size, rate float64
}

// The buckets of EC2's API, for one account in one region:
// https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
var (
	readBucket   = bucket{100, 20}
	mutateBucket = bucket{50, 5}
)

// serviceRoute53 is Route 53 as the SDK's middleware names it. All of its calls
// share one bucket, which is the account's in every region:
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
const serviceRoute53 = "route 53"

var route53Bucket = bucket{5, 5}

func bucketOf(service, action string) bucket {
	if service == "ssm" {
		return bucket{40, 40} // default throughput of Parameter Store, shared by its actions
	}
	if service == serviceRoute53 {
		return route53Bucket
	}
	if service != "ec2" {
		return bucket{100, 50}
	}
	switch action {
	case "RunInstances", "StartInstances":
		return bucket{5, 2}
	case "CopyImage":
		return bucket{100, 1}
	case "CreateTags", "DeleteTags":
		return bucket{100, 10}
	case "CreateNatGateway":
		return bucket{10, 1}
	case "CreateVpcEndpoint":
		return bucket{4, 0.3}
	case "TerminateInstances", "CreateSnapshot", "CreateSnapshots", "DeregisterImage", "DeleteSnapshot", "ModifyImageAttribute", "ModifySnapshotAttribute",
		"CreateVolume", "DeleteVolume", "CreateNetworkInterface", "AssociateIamInstanceProfile", "CreateLaunchTemplateVersion", "ModifyLaunchTemplate", "ModifyInstanceMetadataOptions":
		return bucket{100, 5}
	case "DescribeInstanceStatus":
		return bucket{50, 10} // asked by ID, which neither filters nor paginates
	}
	if len(action) > 8 && action[:8] == "Describe" || len(action) > 3 && action[:3] == "Get" {
		return readBucket
	}
	return mutateBucket
}

// resourceBucketOf is the second bucket of the actions that EC2 also limits by
// how many instances they are about, whatever the calls:
// https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
func resourceBucketOf(service, action string) (bucket, bool) {
	if service != "ec2" {
		return bucket{}, false
	}
	switch action {
	case "RunInstances", "StartInstances":
		return bucket{1000, 2}, true
	case "TerminateInstances", "StopInstances":
		return bucket{1000, 20}, true
	}
	return bucket{}, false
}

// limiter keeps calls within EC2's buckets. Where those are known to hold it
// paces from the start; elsewhere it begins to when a call is throttled. Under
// throttling it slows down once for all callers of an action, and gets faster
// again bit by bit.
type limiter struct {
	mu      sync.Mutex
	paced   bool
	actions map[string]*allowance
	global  *limiter // of what the account has one bucket for; nil for this one
	now     func() time.Time
}

// allowance is what is left of one action's bucket.
type allowance struct {
	bucket
	tokens   float64
	factor   float64 // of the bucket's rate; halved when throttled
	last     time.Time
	slowed   time.Time
	enforced bool
	// instances is what is left of the action's second bucket; nil for none.
	instances *allowance
}

func newLimiter(paced bool) *limiter {
	return &limiter{paced: paced, actions: map[string]*allowance{}, now: time.Now}
}

func (l *limiter) of(service, action string) *allowance {
	key := service + ":" + action
	if service == "ssm" || service == serviceRoute53 {
		key = service // one bucket for the whole service
	}
	a, ok := l.actions[key]
	if !ok {
		a = l.full(bucketOf(service, action))
		if b, ok := resourceBucketOf(service, action); ok {
			a.instances = l.full(b)
		}
		l.actions[key] = a
	}
	return a
}

func (l *limiter) full(b bucket) *allowance {
	return &allowance{bucket: b, tokens: b.size, factor: 1, last: l.now(), enforced: l.paced}
}

// whose is the limiter that a service's calls draw from.
func (l *limiter) whose(service string) *limiter {
	if l.global != nil && service == serviceRoute53 {
		return l.global
	}
	return l
}

// take waits until a call about so many instances may be sent.
func (l *limiter) take(ctx context.Context, service, action string, instances int) error {
	return Sleep(ctx, l.reserve(service, action, instances))
}

// reserve takes a call's tokens, going into debt where there are none, and says
// how long it takes until that debt is paid.
func (l *limiter) reserve(service, action string, instances int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, now := l.of(service, action), l.now()
	wait := a.draw(now, 1)
	if a.instances != nil {
		wait = max(wait, a.instances.draw(now, float64(instances)))
	}
	return wait
}

// tick is what a wait is longer than the bucket takes, which counts in floating
// point as the limiter does: a token that is there but for a billionth of it is
// not there.
const tick = time.Microsecond

func (a *allowance) draw(now time.Time, tokens float64) time.Duration {
	rate := a.rate * a.factor
	a.tokens = min(a.size, a.tokens+now.Sub(a.last).Seconds()*rate) - tokens
	a.last = now
	if !a.enforced {
		a.tokens = max(a.tokens, 0)
	}
	if a.tokens >= 0 {
		return 0
	}
	return time.Duration(-a.tokens/rate*float64(time.Second)) + tick
}

// saw takes in how an attempt ended.
func (l *limiter) saw(service, action string, instances int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.of(service, action)
	if !Throttled(err) {
		if a.factor < 1 {
			a.factor = min(1, a.factor+0.02)
		}
		return
	}
	a.enforced = true
	if a.instances != nil {
		// A refused call takes nothing from either bucket, and does not say which of
		// them was empty. How many instances were asked for is known exactly, so that
		// bucket is believed as it stands.
		a.instances.enforced = true
		a.instances.tokens = min(a.instances.size, a.instances.tokens+float64(instances))
	}
	now := l.now()
	if now.Sub(a.slowed) < time.Second {
		return // others of the same burst: slow down once
	}
	a.slowed = now
	a.tokens = min(a.tokens, 0)
	a.factor = max(0.1, a.factor/2)
}
