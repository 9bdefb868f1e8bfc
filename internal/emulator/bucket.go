package emulator

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// rate is a token bucket's size and its refill a second.
type rate struct{ size, refill float64 }

// EC2's request token buckets, one per account, region and action:
// https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
var (
	rateRead       = rate{100, 20}
	rateUnfiltered = rate{50, 10} // the same, for the actions below, unfiltered and unpaginated
	rateMutate     = rate{50, 5}
)

func unfiltered(action string) bool {
	switch action {
	case "DescribeInstances", "DescribeInstanceStatus", "DescribeNetworkInterfaces", "DescribeSecurityGroups",
		"DescribeSnapshots", "DescribeSpotInstanceRequests", "DescribeVolumes":
		return true
	}
	return false
}

// requestRate is the bucket of an action of EC2 whose requests say in paged
// whether they filter or paginate.
func requestRate(action string, paged bool) rate {
	switch action {
	case "RunInstances", "StartInstances":
		return rate{5, 2}
	case "CopyImage":
		return rate{100, 1}
	case "CreateTags", "DeleteTags":
		return rate{100, 10}
	case "CreateNatGateway":
		return rate{10, 1}
	case "TerminateInstances", "CreateSnapshot", "CreateSnapshots", "DeregisterImage", "DeleteSnapshot",
		"ModifyImageAttribute", "ModifySnapshotAttribute", "CreateVolume", "DeleteVolume",
		"CreateNetworkInterface", "AssociateIamInstanceProfile", "CreateLaunchTemplateVersion",
		"ModifyLaunchTemplate", "ModifyInstanceMetadataOptions":
		return rate{100, 5}
	}
	read := strings.HasPrefix(action, "Describe") || strings.HasPrefix(action, "Get") || strings.HasPrefix(action, "List")
	switch {
	case read && unfiltered(action) && !paged:
		return rateUnfiltered
	case read:
		return rateRead
	}
	return rateMutate
}

// resourceRate is the second bucket of the actions that are also limited by
// how many instances they are about.
func resourceRate(action string) (rate, bool) {
	switch action {
	case "RunInstances", "StartInstances":
		return rate{1000, 2}, true
	case "TerminateInstances", "StopInstances":
		return rate{1000, 20}, true
	}
	return rate{}, false
}

// ssmRate is the throughput that all of Parameter Store's calls share by
// default: https://docs.aws.amazon.com/general/latest/gr/ssm.html
var ssmRate = rate{40, 40}

// route53Rate is what all of Route 53's calls share, whatever the region:
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
var route53Rate = rate{5, 5}

type bucket struct {
	tokens float64
	at     time.Time
}

type buckets struct {
	mu    sync.Mutex
	clock Clock
	all   map[string]bucket
}

func newBuckets(clock Clock) *buckets { return &buckets{clock: clock, all: map[string]bucket{}} }

// take takes a request's tokens, or refuses it and takes none.
func (b *buckets) take(req *request) error {
	type draw struct {
		key    string
		rate   rate
		tokens float64
	}
	world := req.caller.world().String()
	var draws []draw
	switch req.service {
	case route53Name:
		draws = []draw{{req.caller.Account + " route53", route53Rate, 1}}
	case "ssm":
		draws = []draw{{world + " ssm", ssmRate, 1}}
	case "ec2":
		r := requestRate(req.action, req.paged())
		key := world + " ec2 " + req.action
		if r == rateUnfiltered {
			key += " unfiltered"
		}
		draws = []draw{{key, r, 1}}
		if r, ok := resourceRate(req.action); ok {
			draws = append(draws, draw{key + " resources", r, float64(req.instances())})
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	filled := make([]bucket, len(draws))
	for i, d := range draws {
		if d.tokens > d.rate.size {
			return &apiError{Status: http.StatusServiceUnavailable, Code: "RequestResourceCountExceeded",
				Message: "The request is for more resources than a single request can have."}
		}
		had, ok := b.all[d.key]
		filled[i] = bucket{tokens: d.rate.size, at: now}
		if ok {
			filled[i].tokens = min(d.rate.size, had.tokens+now.Sub(had.at).Seconds()*d.rate.refill)
		}
		if filled[i].tokens < d.tokens {
			return req.wire.throttled()
		}
	}
	for i, d := range draws {
		filled[i].tokens -= d.tokens
		b.all[d.key] = filled[i]
	}
	return nil
}

// paged says whether a read is filtered or paginated.
func (r *request) paged() bool {
	for key := range r.form {
		if key == "MaxResults" || key == "NextToken" || strings.HasPrefix(key, "Filter.") {
			return true
		}
	}
	return false
}

// instances is how many instances a request is about.
func (r *request) instances() int {
	if count, err := strconv.Atoi(r.form.Get("MaxCount")); err == nil && count > 0 {
		return count
	}
	n := 0
	for key := range r.form {
		if strings.HasPrefix(key, "InstanceId.") {
			n++
		}
	}
	return max(n, 1)
}
