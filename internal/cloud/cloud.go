// Package cloud is how the rooms reach AWS: clients for one account and region
// that share a limiter and count their calls, waits that poll once for all who
// wait, batched describes, and what an error means. It works the same over AWS,
// over any endpoint that speaks its protocols, and over the local cloud. It
// holds no domain logic and keeps no state between processes.
package cloud

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/goldline-dev/goldline/internal/fail"
)

// Target is where calls go: the account that they must be made in, the region,
// and the role to assume for it, if any.
type Target struct {
	Account string
	Region  string
	Role    string
	// Access, where it is set, says how to call in place of the SDK's own chain. Two
	// targets share a cloud only if it is the same one.
	Access *Access
}

// Config says how clouds are reached. The zero value is AWS, as the AWS SDK's
// own chain of environment, files and metadata configures it.
type Config struct {
	// Transport carries every request in place of the network: the local cloud.
	// With it the caller is account 000000000000, and no configuration of AWS is
	// read.
	Transport http.RoundTripper
	// Paced says that EC2's buckets hold behind Transport as they do on AWS, so that
	// calls are paced before one is refused.
	Paced bool
	// Dial opens connections to instances; net.Dialer when nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// PollMin and PollMax are the first and the longest interval between two
	// polls of a wait: 500 ms and 5 s when zero.
	PollMin, PollMax time.Duration
}

// LocalAccount is the account of whoever uses the local cloud.
const LocalAccount = "000000000000"

// Provider opens clouds, one for each target, and shares what they share.
type Provider struct {
	config  Config
	calls   *Calls
	mu      sync.Mutex
	bases   map[*Access]*aws.Config
	clouds  map[Target]*Cloud
	callers map[identity]caller
	global  map[identity]*limiter // of services without regions
}

// identity is what a caller is known by before it is asked for.
type identity struct {
	role   string
	access *Access
}

func (t Target) identity() identity { return identity{t.Role, t.Access} }

type caller struct{ account, arn string }

// NewProvider returns a provider that has made no call yet.
func NewProvider(c Config) *Provider {
	if c.PollMin == 0 {
		c.PollMin = 500 * time.Millisecond
	}
	if c.PollMax == 0 {
		c.PollMax = 5 * time.Second
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	return &Provider{config: c, calls: newCalls(), bases: map[*Access]*aws.Config{}, clouds: map[Target]*Cloud{}, callers: map[identity]caller{}, global: map[identity]*limiter{}}
}

// Calls counts the API calls of every cloud of this provider.
func (p *Provider) Calls() *Calls { return p.calls }

// Cloud is one account in one region.
type Cloud struct {
	EC2 *ec2.Client
	SSM *ssm.Client
	STS *sts.Client

	AutoScaling    *autoscaling.Client
	CloudFormation *cloudformation.Client
	ELB            *elb.Client
	IAM            *iam.Client
	KMS            *kms.Client
	Route53        *route53.Client

	Account string
	Region  string
	Caller  string // ARN of whoever makes the calls
	Calls   *Calls
	// Dial opens a connection to an instance's address: "10.0.1.5:22".
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// One poller a kind: all who wait for instances share one describe.
	Instances *Poller[types.Instance]
	Statuses  *Poller[types.InstanceStatus]
	Images    *Poller[types.Image]
	Snapshots *Poller[types.Snapshot]
	Volumes   *Poller[types.Volume]
	NATs      *Poller[types.NatGateway]
	// ScalingGroups are known by their names, Refreshes by "GROUP REFRESH-ID".
	ScalingGroups *Poller[scalingtypes.AutoScalingGroup]
	Refreshes     *Poller[scalingtypes.InstanceRefresh]

	LoadBalancers *Poller[elbtypes.LoadBalancer]              // by ARN
	Targets       *Poller[[]elbtypes.TargetHealthDescription] // of target groups, by ARN

	// Starts, Stops and Terminations gather StartInstances, StopInstances and
	// TerminateInstances of many instances into one call.
	Starts, Stops, Terminations *Gather

	targets  gathers
	kept     sync.Map      // IDs of instances of whose consoles AWS has only what it last kept
	patience time.Duration // the unit of Once's pauses
}

// Region is the region of the AWS configuration, or nothing; of the local cloud
// it is what the environment says, or us-east-1.
func (p *Provider) Region(ctx context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	base, err := p.load(ctx, nil)
	if err != nil {
		return "", err
	}
	if p.config.Transport != nil {
		for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
			if region := os.Getenv(name); region != "" {
				return region, nil
			}
		}
		return "us-east-1", nil
	}
	return base.Region, nil
}

// For opens the cloud of a target, or gives the one that is open. It asks STS
// once who the caller is and refuses, as wrong input, when that is not the
// target's account: nothing was changed then. An empty account takes the
// caller's.
func (p *Provider) For(ctx context.Context, t Target) (*Cloud, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.config.Transport != nil {
		t.Access = nil
	}
	if c, ok := p.clouds[t]; ok {
		return c, nil
	}
	cfg, err := p.configFor(ctx, t)
	if err != nil {
		return nil, err
	}
	who, err := p.caller(ctx, cfg, t.identity())
	if err != nil {
		return nil, err
	}
	if t.Account != "" && who.account != t.Account {
		err := fail.Inputf("the environment lives in account %s, but the caller is in account %s (%s)", t.Account, who.account, who.arn)
		return nil, fail.WithHint(err, "use credentials of account %s, or give the environment a `role:` there to assume", t.Account)
	}
	c := p.open(t, cfg, who)
	p.clouds[t] = c
	return c, nil
}

// open makes the clients of a target for a caller, with what polls and gathers for
// all who use them. It makes no call.
func (p *Provider) open(t Target, cfg aws.Config, who caller) *Cloud {
	c := &Cloud{
		EC2: ec2.NewFromConfig(cfg, t.Access.ec2()),
		SSM: ssm.NewFromConfig(cfg),
		STS: sts.NewFromConfig(cfg),

		AutoScaling:    autoscaling.NewFromConfig(cfg),
		CloudFormation: cloudformation.NewFromConfig(cfg),
		ELB:            elb.NewFromConfig(cfg),
		IAM:            iam.NewFromConfig(cfg),
		KMS:            kms.NewFromConfig(cfg),
		Route53:        route53.NewFromConfig(cfg),

		Account: who.account,
		Region:  t.Region,
		Caller:  who.arn,
		Calls:   p.calls,
		Dial:    p.config.Dial,

		patience: p.config.PollMin,
	}
	c.Instances = newPoller(p.config, c.describeInstances)
	c.Statuses = newPoller(p.config, c.describeStatuses)
	c.Images = newPoller(p.config, c.describeImages)
	c.Snapshots = newPoller(p.config, c.describeSnapshots)
	c.Volumes = newPoller(p.config, c.describeVolumes)
	c.NATs = newPoller(p.config, c.describeNATs)
	c.LoadBalancers = newPoller(p.config, c.describeLoadBalancers)
	c.Targets = newPoller(p.config, c.describeTargets)
	c.ScalingGroups = newPoller(p.config, c.describeScalingGroups)
	c.Refreshes = newPoller(p.config, c.describeRefreshes)
	c.Starts = c.NewGather(filterValues, func(ctx context.Context, ids []string) error {
		_, err := c.EC2.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: ids})
		return err
	})
	c.Stops = c.NewGather(filterValues, func(ctx context.Context, ids []string) error {
		_, err := c.EC2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: ids})
		return err
	})
	c.Terminations = c.NewGather(filterValues, func(ctx context.Context, ids []string) error {
		_, err := c.EC2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids})
		return err
	})
	return c
}

// configFor is the SDK's configuration for a target, with a limiter of its own,
// since EC2's buckets are by account and region; what has one bucket an account
// shares a limiter among all regions that a role is used in.
func (p *Provider) configFor(ctx context.Context, t Target) (aws.Config, error) {
	base, err := p.load(ctx, t.Access)
	if err != nil {
		return aws.Config{}, err
	}
	cfg := base.Copy()
	if t.Region != "" {
		cfg.Region = t.Region
	}
	paced := p.paced(base) && !t.Access.foreign()
	limit := newLimiter(paced)
	if p.global[t.identity()] == nil {
		p.global[t.identity()] = newLimiter(paced)
	}
	limit.global = p.global[t.identity()]
	cfg.APIOptions = append(cfg.APIOptions, instrument(p.calls, limit))
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = 9
			if t.Access != nil && t.Access.Retries > 0 {
				o.MaxAttempts = 1 + t.Access.Retries
			}
			o.MaxBackoff = 4 * time.Second
			o.RateLimiter = ratelimit.None // calls are paced by our own limiter, which never gives one up
		})
	}
	t.Access.assume(&cfg)
	if t.Role != "" {
		provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), t.Role, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = "goldline"
		})
		cfg.Credentials = aws.NewCredentialsCache(provider)
	}
	return cfg, nil
}

// paced tells whether EC2's documented buckets hold at the endpoint. Elsewhere
// the limiter only answers to throttling.
func (p *Provider) paced(base *aws.Config) bool {
	return p.config.Paced || p.config.Transport == nil && base.BaseEndpoint == nil
}

func (p *Provider) load(ctx context.Context, a *Access) (*aws.Config, error) {
	if p.bases[a] != nil {
		return p.bases[a], nil
	}
	if p.config.Transport != nil {
		p.bases[a] = &aws.Config{
			Credentials: credentials.NewStaticCredentialsProvider(LocalAccount, "local", ""),
			HTTPClient:  &http.Client{Transport: p.config.Transport},
		}
		return p.bases[a], nil
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(ctx, a.options()...)
	if err != nil {
		return nil, fail.Input(fmt.Errorf("AWS configuration: %w", err))
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		err := fail.Inputf("no AWS credentials were found, so nothing was called")
		return nil, fail.WithHint(err, "give credentials as the AWS CLI takes them (AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `aws configure`), or add --local to use the local cloud, which needs no account")
	}
	cfg.Logger = logging.Nop{} // it writes to standard error, of connections that nobody waits for any more
	p.bases[a] = &cfg
	return p.bases[a], nil
}

func (p *Provider) caller(ctx context.Context, cfg aws.Config, of identity) (caller, error) {
	if who, ok := p.callers[of]; ok {
		return who, nil
	}
	role := of.role
	if role == "" && of.access != nil && of.access.Role != nil {
		role = of.access.Role.ARN
	}
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		if role != "" {
			err = fmt.Errorf("assume role %s: %w", role, err)
		}
		if ctx.Err() != nil {
			return caller{}, err
		}
		if of.access.foreign() && role == "" {
			p.callers[of] = caller{arn: "unknown"} // not AWS's STS, but that EC2 knows the credentials
			return p.callers[of], nil
		}
		return caller{}, fail.Input(fmt.Errorf("ask who the caller is: %w", err))
	}
	who := caller{account: aws.ToString(out.Account), arn: aws.ToString(out.Arn)}
	p.callers[of] = who
	return who, nil
}
