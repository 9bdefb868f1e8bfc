package emulator

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/machine"
)

// served is a load balancer whose targets are machines with a service of the
// test's own at their addresses.
type served struct {
	*front
	dns    string
	client *http.Client
	hosts  []string // of the instances
	ids    []string
}

// newServed has two instances, whose services give their IDs as the answer to
// every request; to /slow only once release is closed.
func newServed(t *testing.T, kind types.LoadBalancerTypeEnum, protocol types.ProtocolEnum, release chan struct{}) *served {
	t.Helper()
	c := newTestCloud(t, Options{Machine: machine.InProcess, Dir: t.TempDir()})
	f := &served{front: newFront(t, c, kind, protocol, 8080)}
	f.dns = *must(f.elb.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{Names: []string{"web"}}))(t).LoadBalancers[0].DNSName
	f.client = &http.Client{
		Transport:     &http.Transport{DialContext: c.Dial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	must(f.elb.ModifyTargetGroup(t.Context(), &elb.ModifyTargetGroupInput{TargetGroupArn: &f.group, HealthCheckIntervalSeconds: new(int32(15))}))(t)
	for range 2 {
		f.add(t, release)
	}
	return f
}

// add launches one more instance with its service, which is not registered.
func (f *served) add(t *testing.T, release chan struct{}) {
	t.Helper()
	id := *run(t, f.testCloud, nil).InstanceId
	awaitRunning(t, f.testCloud, id)
	host := *instanceNow(t, f.testCloud, id).PublicIpAddress
	l, err := net.Listen("tcp", net.JoinHostPort(host, "8080"))
	if err != nil {
		t.Skipf("the address %s cannot be listened on: %v", host, err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-release
		}
		w.Header().Set("X-Seen", r.Host+" "+r.Header.Get("X-Forwarded-For")+" "+r.Header.Get("X-Forwarded-Proto"))
		_, _ = io.WriteString(w, id)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	f.hosts, f.ids = append(f.hosts, host), append(f.ids, id)
}

// registerAll registers all instances and waits until they are healthy.
func (f *served) registerAll(t *testing.T) {
	t.Helper()
	for _, id := range f.ids {
		f.register(t, id)
	}
	f.await(t, func(list []types.TargetHealthDescription) bool {
		return len(list) == len(f.ids) && !slices.ContainsFunc(list, func(d types.TargetHealthDescription) bool {
			return d.TargetHealth.State != types.TargetHealthStateEnumHealthy
		})
	})
}

// await asks for the targets' health until it is as it should be.
func (f *served) await(t *testing.T, done func([]types.TargetHealthDescription) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), awaitAtMost)
	defer cancel()
	for {
		list := must(f.elb.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: &f.group}))(t).TargetHealthDescriptions
		if done(list) {
			return
		}
		pause(ctx)
	}
}

// pause waits a moment before something is looked at again.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(askSoon):
	}
}

// ask gives the status and the body of an answer of the load balancer's.
func (f *served) ask(t *testing.T, path string) (int, string, http.Header) {
	t.Helper()
	answer, err := f.client.Get("http://" + f.dns + path)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body), answer.Header
}

func TestApplicationTraffic(t *testing.T) {
	f := newServed(t, types.LoadBalancerTypeEnumApplication, types.ProtocolEnumHttp, nil)
	listener := f.listen(t, types.ProtocolEnumHttp)
	if status, _, _ := f.ask(t, "/"); status != http.StatusServiceUnavailable {
		t.Errorf("without targets the answer is %d", status)
	}
	f.registerAll(t)
	answers := map[string]int{}
	for range 10 {
		_, body, header := f.ask(t, "/")
		answers[body]++
		if want := f.dns + " 127.0.0.1 http"; header.Get("X-Seen") != want {
			t.Errorf("the target sees %q, want %q", header.Get("X-Seen"), want)
		}
	}
	if answers[f.ids[0]] != 5 || answers[f.ids[1]] != 5 {
		t.Errorf("answers %v", answers)
	}
	green := *must(f.elb.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{Name: new("green"), Protocol: types.ProtocolEnumHttp, Port: new(int32(9)), VpcId: &f.vpc}))(t).TargetGroups[0].TargetGroupArn
	for i, rule := range []struct {
		condition types.RuleCondition
		action    types.Action
	}{
		{types.RuleCondition{Field: new("path-pattern"), Values: []string{"/old/*"}},
			types.Action{Type: types.ActionTypeEnumRedirect, RedirectConfig: &types.RedirectActionConfig{StatusCode: types.RedirectActionStatusCodeEnumHttp301, Protocol: new("HTTPS"), Port: new("443"), Path: new("/new/#{path}")}}},
		{types.RuleCondition{Field: new("query-string"), QueryStringConfig: &types.QueryStringConditionConfig{Values: []types.QueryStringKeyValuePair{{Key: new("v"), Value: new("t?a")}}}},
			types.Action{Type: types.ActionTypeEnumFixedResponse, FixedResponseConfig: &types.FixedResponseActionConfig{StatusCode: new("418"), MessageBody: new("tea")}}},
		{types.RuleCondition{Field: new("source-ip"), SourceIpConfig: &types.SourceIpConditionConfig{Values: []string{"10.0.0.0/8"}}},
			types.Action{Type: types.ActionTypeEnumFixedResponse, FixedResponseConfig: &types.FixedResponseActionConfig{StatusCode: new("403")}}},
		{types.RuleCondition{Field: new("path-pattern"), Values: []string{"/mixed"}},
			types.Action{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{TargetGroups: []types.TargetGroupTuple{
				{TargetGroupArn: &f.group, Weight: new(int32(3))}, {TargetGroupArn: &green, Weight: new(int32(1))}}}}},
	} {
		must(f.elb.CreateRule(t.Context(), &elb.CreateRuleInput{ListenerArn: &listener, Priority: new(int32(i + 1)), Conditions: []types.RuleCondition{rule.condition}, Actions: []types.Action{rule.action}}))(t)
	}
	if status, _, header := f.ask(t, "/old/page?a=1"); status != http.StatusMovedPermanently || header.Get("Location") != "https://"+f.dns+"/new/old/page?a=1" {
		t.Errorf("a redirect: %d %s", status, header.Get("Location"))
	}
	if status, body, _ := f.ask(t, "/?v=TEA"); status != http.StatusTeapot || body != "tea" {
		t.Errorf("a fixed response: %d %s", status, body)
	}
	statuses := map[int]int{}
	for range 8 {
		status, _, _ := f.ask(t, "/mixed")
		statuses[status]++
	}
	if statuses[http.StatusOK] != 6 || statuses[http.StatusServiceUnavailable] != 2 {
		t.Errorf("by weights 3 and 1: %v", statuses)
	}
	must(f.elb.ModifyTargetGroupAttributes(t.Context(), &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &f.group, Attributes: []types.TargetGroupAttribute{{Key: new("stickiness.enabled"), Value: new("true")}}}))(t)
	if _, _, header := f.ask(t, "/"); !strings.HasPrefix(header.Get("Set-Cookie"), "AWSALB=") {
		t.Errorf("a sticky answer has the cookie %q", header.Get("Set-Cookie"))
	}
	f.secure(t)
	f.noted(t, true)
	must(f.elb.DeleteLoadBalancer(t.Context(), &elb.DeleteLoadBalancerInput{LoadBalancerArn: &f.balancer}))(t)
	if status, _, _ := f.ask(t, "/"); status != 0 {
		t.Errorf("after the load balancer the answer is %d", status)
	}
	f.noted(t, false)
}

// secure asks over TLS.
func (f *served) secure(t *testing.T) {
	t.Helper()
	must(f.elb.CreateListener(t.Context(), &elb.CreateListenerInput{LoadBalancerArn: &f.balancer, Protocol: types.ProtocolEnumHttps, Port: new(int32(443)),
		Certificates:   []types.Certificate{{CertificateArn: new("arn:aws:acm:eu-central-1:000000000000:certificate/one")}},
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &f.group}}}))(t)
	answer, err := f.client.Get("https://" + f.dns + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || !strings.HasSuffix(answer.Header.Get("X-Seen"), " https") {
		t.Errorf("over TLS: %d, the target sees %q", answer.StatusCode, answer.Header.Get("X-Seen"))
	}
}

// noted wants the file of listeners to name the load balancer, or to be gone.
func (f *served) noted(t *testing.T, there bool) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, ListenersFile))
	if there != (err == nil && strings.Contains(string(text), "web\tHTTP 80\t")) {
		t.Errorf("the file of listeners holds %q, %v", text, err)
	}
}

// TestDrainingTraffic: a target that leaves gets nothing new, finishes what it
// has, and is gone then.
func TestDrainingTraffic(t *testing.T) {
	release := make(chan struct{})
	f := newServed(t, types.LoadBalancerTypeEnumApplication, types.ProtocolEnumHttp, release)
	f.listen(t, types.ProtocolEnumHttp)
	f.registerAll(t)
	slow := make(chan string, 2)
	for range 2 {
		go func() {
			_, body, _ := f.ask(t, "/slow")
			slow <- body
		}()
	}
	for _, id := range f.ids {
		for f.Cloud.elb.traffic.busy(f.key(id)) == 0 { // until the request has arrived
			pause(t.Context())
		}
	}
	must(f.elb.DeregisterTargets(t.Context(), &elb.DeregisterTargetsInput{TargetGroupArn: &f.group, Targets: []types.TargetDescription{{Id: &f.ids[0]}}}))(t)
	for range 4 {
		if _, body, _ := f.ask(t, "/"); body != f.ids[1] {
			t.Errorf("a request is answered by %s, which leaves", body)
		}
	}
	draining := func(list []types.TargetHealthDescription) bool {
		return slices.ContainsFunc(list, func(d types.TargetHealthDescription) bool {
			return *d.Target.Id == f.ids[0] && d.TargetHealth.State == types.TargetHealthStateEnumDraining
		})
	}
	f.await(t, draining)
	close(release)
	if got := []string{<-slow, <-slow}; !slices.Contains(got, f.ids[0]) || !slices.Contains(got, f.ids[1]) {
		t.Errorf("slow requests are answered with %v", got)
	}
	f.await(t, func(list []types.TargetHealthDescription) bool { return len(list) == 1 })
}

// key is a target's in the books of traffic.
func (f *served) key(id string) string {
	w := world{Account: "000000000000", Region: testRegion}
	return w.String() + " " + targetRow{Group: f.group, Instance: id, Port: 8080}.key()
}

// TestNetworkTraffic: a network load balancer carries bytes, and the listeners
// of a cloud that is opened again are there again.
func TestNetworkTraffic(t *testing.T) {
	f := newServed(t, types.LoadBalancerTypeEnumNetwork, types.ProtocolEnumTcp, nil)
	f.listen(t, types.ProtocolEnumTcp)
	f.registerAll(t)
	answers := map[string]int{}
	for range 4 {
		_, body, _ := f.ask(t, "/")
		answers[body]++
	}
	if answers[f.ids[0]] != 2 || answers[f.ids[1]] != 2 {
		t.Errorf("answers %v", answers)
	}
	conn := must(f.Dial(t.Context(), "tcp", f.dns+":80"))(t)
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if text := string(must(io.ReadAll(conn))(t)); !strings.Contains(text, f.ids[0]) && !strings.Contains(text, f.ids[1]) {
		t.Errorf("the answer is %q", text)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", f.dns+":80"); err == nil {
		t.Error("it listens although the cloud is closed", conn.Close())
	}
	again := newTestCloud(t, Options{Machine: machine.InProcess, Dir: f.options.Dir})
	f.client.Transport = &http.Transport{DialContext: again.Dial, DisableKeepAlives: true}
	if status, body, _ := f.ask(t, "/"); status != http.StatusOK || !slices.Contains(f.ids, body) {
		t.Errorf("in the cloud opened again: %d %s", status, body)
	}
}
