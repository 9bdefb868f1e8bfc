package launch

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/machine"
	"github.com/goldline-dev/goldline/internal/tags"
	"golang.org/x/crypto/ssh"
)

// What a build's service is like; it is the build's version.
const (
	firstBuild = "first"
	goodBuild  = "good"
	neverWell  = "never-healthy"    // its health never answers 200
	notForLong = "healthy-at-first" // its health answers 200 a few times only
	noBoot     = "crashes-at-boot"  // its instances end by themselves
	untilAsked = "ill-with-traffic" // its health answers 200 until somebody asks for something else
)

// services are what runs on the instances: a server at each one's address, from
// when it runs until it is told to stop.
type services struct {
	s       *site
	mu      sync.Mutex
	down    map[string]bool // told to stop
	servers map[string]*http.Server
	to      http.RoundTripper
}

// RoundTrip sees calls that stop or start instances: a service ends with the
// call, not when somebody notices.
func (v *services) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if form, err := url.ParseQuery(string(body)); err == nil {
			v.told(form)
		}
	}
	return v.to.RoundTrip(r)
}

func (v *services) told(form url.Values) {
	action := form.Get("Action")
	if action != "StopInstances" && action != "TerminateInstances" && action != "StartInstances" {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for n := 1; form.Get(fmt.Sprintf("InstanceId.%d", n)) != ""; n++ {
		id := form.Get(fmt.Sprintf("InstanceId.%d", n))
		v.down[id] = action != "StartInstances"
		if server := v.servers[id]; server != nil && v.down[id] {
			_ = server.Close() // as a kernel does
			delete(v.servers, id)
		}
	}
}

// run keeps the services up until ctx ends.
func (v *services) run(ctx context.Context, c *cloud.Cloud) {
	for cloud.Sleep(ctx, 5*time.Millisecond) == nil {
		out, err := c.EC2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: []types.Filter{cloud.Filter("instance-state-name", "running")}})
		if err != nil {
			continue
		}
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				v.serve(ctx, c, i)
			}
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, server := range v.servers {
		_ = server.Close()
	}
}

func (v *services) serve(ctx context.Context, c *cloud.Cloud, i types.Instance) {
	id, version := aws.ToString(i.InstanceId), cloud.TagSet(i.Tags)[tags.Version]
	if version == noBoot {
		_, _ = c.EC2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.down[id] || v.servers[id] != nil || i.PublicIpAddress == nil {
		return
	}
	l, err := net.Listen("tcp", net.JoinHostPort(*i.PublicIpAddress, "8080"))
	if err != nil {
		return // the address is not there yet
	}
	var asked atomic.Int32
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" && (version == neverWell || version == notForLong && asked.Add(1) > 40 || version == untilAsked && asked.Load() > 0) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		if r.URL.Path != "/health" && r.URL.Path != "/alive" && version == untilAsked {
			asked.Add(1)
		}
		_, _ = io.WriteString(w, version)
	})}
	v.servers[id] = server
	go func() { _ = server.Serve(l) }()
}

// client asks the service through its load balancer until ctx ends.
type client struct {
	asked, failed int
	first         string         // what the first failure looked like
	by            map[string]int // how often each build answered
	moves         bool           // what it asks at moves, and a connection does not: one that is cut off is made anew
}

func (c *client) run(ctx context.Context, s *site, dns string, pause time.Duration) {
	over := &http.Client{Transport: &http.Transport{DialContext: s.local.Dial, DisableKeepAlives: true}, Timeout: 30 * time.Second}
	for cloud.Sleep(ctx, pause) == nil {
		c.asked++
		err := c.ask(over, "http://"+dns+"/")
		if c.moves && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)) {
			err = c.ask(over, "http://"+dns+"/")
		}
		if err != nil {
			if c.failed++; c.first == "" {
				c.first = err.Error()
			}
		}
	}
}

// ask asks once.
func (c *client) ask(over *http.Client, url string) error {
	answer, err := over.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	build, err := io.ReadAll(answer.Body)
	c.by[string(build)]++
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("answer %s", answer.Status)
	}
	return err
}

// live is a fleet with services, which a client asks all the time.
type liveFleet struct {
	*site
	signer ssh.Signer
	stop   func() *client
}

func newLiveFleet(t *testing.T, n int, data bool, rollout string, pause time.Duration) *liveFleet {
	t.Helper()
	s := newSiteOn(t, machine.InProcess, rollingFleet(n, data, rollout))
	s.edit("topology/subnets/all.yaml", "availability_zone: a", "availability_zone: a\nmap_public_ip_on_launch: true")
	s.edit("topology/target_groups/web.yaml", "healthy_threshold: 2", "path: /health, healthy_threshold: 2, unhealthy_threshold: 2")
	s.edit("topology/target_groups/web.yaml", "deregistration_delay: 0", "deregistration_delay: 1")
	v := &services{s: s, down: map[string]bool{}, servers: map[string]*http.Server{}, to: s.wire.to}
	s.wire.to = v
	f := &liveFleet{site: s, signer: s.importKey("test")}
	s.edit(webFile, "subnet: a", "key_name: test\nsubnet: a")
	f.serve(v, n, pause)
	return f
}

// serve runs the services of all instances, launches the first build, waits until
// n targets are healthy, and has a client ask from then on until stop.
func (f *liveFleet) serve(v *services, n int, pause time.Duration) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { v.run(ctx, f.connect()) })
	f.t.Cleanup(func() { cancel(); running.Wait() })
	f.promote("web", firstBuild)
	f.launch()
	out, err := f.cloud.ELB.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{})
	if err != nil {
		f.t.Fatal(err)
	}
	f.await(n)
	asking, enough := context.WithCancel(ctx)
	c := &client{by: map[string]int{}}
	var ended sync.WaitGroup
	ended.Go(func() { c.run(asking, f.site, *out.LoadBalancers[0].DNSName, pause) })
	f.stop = func() *client { enough(); ended.Wait(); return c }
	f.t.Cleanup(func() { f.stop() })
}

// await waits until n targets are healthy.
func (f *liveFleet) await(n int) {
	f.t.Helper()
	groups, err := f.cloud.ELB.DescribeTargetGroups(context.Background(), &elb.DescribeTargetGroupsInput{})
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		out, err := f.cloud.ELB.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: groups.TargetGroups[0].TargetGroupArn})
		if err != nil {
			f.t.Fatal(err)
		}
		healthy := 0
		for _, d := range out.TargetHealthDescriptions {
			if serves(d) {
				healthy++
			}
		}
		if healthy == n {
			return
		}
		if cloud.Sleep(ctx, 5*time.Millisecond) != nil {
			f.t.Fatalf("%d of %d targets are healthy", healthy, n)
		}
	}
}

// importKey gives the cloud a key pair, and its private part.
func (s *site) importKey(name string) ssh.Signer {
	s.t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.cloud.EC2.ImportKeyPair(context.Background(), &ec2.ImportKeyPairInput{KeyName: aws.String(name), PublicKeyMaterial: ssh.MarshalAuthorizedKey(key)})
	if err != nil {
		s.t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		s.t.Fatal(err)
	}
	return signer
}

// servesThrough is one roll-out under the eyes of a client.
type servesThrough struct {
	strategy, build string
	data            bool
	promised        bool // the strategy promises capacity
}

func (c servesThrough) String() string {
	return fmt.Sprintf("%s, %s, volumes %t", c.strategy, c.build, c.data)
}

var rollouts = map[string]string{
	"OneAtATime":           "strategy: OneAtATime",
	"HalfAtATime":          "strategy: HalfAtATime",
	"AllAtOnce":            "strategy: AllAtOnce",
	"minimum_healthy 75%":  "minimum_healthy: 75%",
	"Canary":               "canary: {instances: 1, bake_time: 5s}",
	"HalfAtATime, watched": "strategy: HalfAtATime, bake_time: 5s",
	"AllAtOnce, watched":   "strategy: AllAtOnce, bake_time: 5s",
}

// roll rolls a build out and returns what the client saw.
func (c servesThrough) roll(t *testing.T, n, sample int, pause time.Duration) (*client, error) {
	deadline := map[string]string{goodBuild: "2m", notForLong: "10s", neverWell: "400ms", noBoot: "400ms"}[c.build]
	f := newLiveFleet(t, n, c.data, fmt.Sprintf("{%s, healthy_after: 2, deadline: %s}", rollouts[c.strategy], deadline), pause)
	sums := map[int]string{}
	for i := range sample {
		f.site.run(fmt.Sprintf("instance.web[%d]", i), f.signer, fmt.Sprintf("mkfs.ext4 -q /dev/xvdf && mkdir -p /data && mount /dev/xvdf /data && echo order %d > /data/orders", i))
		sums[i] = fmt.Sprintf("order %d\n", i)
	}
	f.promote("web", c.build)
	_, err := f.tryLaunch(t.Context())
	seen := f.stop()
	for i, want := range sums {
		if got := f.site.run(fmt.Sprintf("instance.web[%d]", i), f.signer, "mkdir -p /data; mount /dev/xvdf /data >/dev/null 2>&1; cat /data/orders"); got != want {
			t.Errorf("volume %d holds %q, want %q", i, got, want)
		}
	}
	if c.build == goodBuild {
		f.await(n)
		return seen, err
	}
	if got, want := f.versions(), strings.TrimSuffix(strings.Repeat(firstBuild+" ", n), " "); got != want && (c.build != notForLong || strings.Contains(rollouts[c.strategy], "bake_time")) {
		t.Errorf("after going back the instances run %s", got)
	}
	return seen, err
}

// TestRolloutServes: a client asks through roll-outs, and no request fails where
// the strategy promises capacity: not for a good build, and not for a bad one.
func TestRolloutServes(t *testing.T) {
	if os.Getenv("ROLLOUT_TABLE") != "" {
		rolloutTable(t)
		return
	}
	for _, c := range []servesThrough{
		{"OneAtATime", goodBuild, true, true},
		{"AllAtOnce", goodBuild, false, true},
		{"AllAtOnce", neverWell, true, false},
		{"HalfAtATime", noBoot, true, true},
		{"Canary", notForLong, true, true},
		{"HalfAtATime, watched", notForLong, true, true},
	} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			sample := 0
			if c.data {
				sample = 1
			}
			seen, err := c.roll(t, 3, sample, 5*time.Millisecond)
			switch {
			case (c.build == goodBuild) != (err == nil):
				t.Errorf("error %v", err)
			case err != nil && fail.ExitCode(err) != fail.CodeClean:
				t.Errorf("code %d: %v, left %v", fail.ExitCode(err), err, fail.LeftOf(err))
			}
			if c.promised && seen.failed > 0 {
				t.Errorf("%d of %d requests failed: %s", seen.failed, seen.asked, seen.first)
			}
			if seen.asked == 0 {
				t.Error("nothing was asked")
			}
			t.Logf("%d asked, %d failed, %v", seen.asked, seen.failed, err)
		})
	}
}

// rolloutTable prints all strategies and builds as bench/README.md shows them: six
// instances with a volume each, asked twenty times a second.
func rolloutTable(t *testing.T) {
	fmt.Println("| strategy | build | requests | failed | took | outcome |\n|---|---|---|---|---|---|")
	for _, strategy := range []string{"OneAtATime", "HalfAtATime", "AllAtOnce", "minimum_healthy 75%", "Canary", "HalfAtATime, watched", "AllAtOnce, watched"} {
		for _, build := range []string{goodBuild, neverWell, notForLong, noBoot} {
			c := servesThrough{strategy: strategy, build: build, data: true}
			t.Run(c.String(), func(t *testing.T) {
				began := time.Now()
				seen, err := c.roll(t, 6, 6, 50*time.Millisecond)
				outcome := "succeeded"
				if err != nil {
					outcome = map[int]string{fail.CodeClean: "put back", fail.CodeDirty: "stopped"}[fail.ExitCode(err)]
				}
				fmt.Printf("| %s | %s | %d | %d | %.1f s | %s |\n", strategy, build, seen.asked, seen.failed, time.Since(began).Seconds(), outcome)
			})
		}
	}
}
