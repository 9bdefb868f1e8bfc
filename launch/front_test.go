package launch

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/goldline-dev/goldline/internal/fail"
)

const (
	balancerFile  = "topology/load_balancers/web.yaml"
	groupFile     = "topology/target_groups/all.yaml"
	listenerFile  = "topology/listeners/all.yaml"
	ruleFile      = "topology/listener_rules/all.yaml"
	certificateOf = "arn:aws:acm:eu-central-1:000000000000:certificate/"
)

// frontFiles are an application load balancer over two target groups, with a
// listener that redirects, a secure one and rules, and a network one beside it.
func frontFiles() map[string]string {
	return map[string]string{
		"topology/vpcs/main.yaml": "cidr_block: 10.0.0.0/16\n",
		"topology/subnets/all.yaml": "name: a\nvpc: main\ncidr_block: 10.0.1.0/24\navailability_zone: a\n---\nname: b\nvpc: main\ncidr_block: 10.0.2.0/24\navailability_zone: b\n" +
			"---\nname: c\nvpc: main\ncidr_block: 10.0.3.0/24\navailability_zone: c\n",
		"topology/internet_gateways/main.yaml": "vpc: main\n",
		"topology/security_groups/front.yaml":  "vpc: main\ningress:\n  - {protocol: tcp, port: 80, cidr_blocks: [0.0.0.0/0]}\n",
		balancerFile: "name: web\nsubnets: [a, b]\nsecurity_groups: [front]\nidle_timeout: 30\n" +
			"---\nname: orders\ntype: network\nscheme: internal\nsubnets: [a]\ncross_zone: true\n",
		groupFile: "name: blue\nvpc: main\nprotocol: HTTP\nport: 8080\nderegistration_delay: 5\nstickiness: {type: lb_cookie, duration: 60}\n" +
			"health_check: {path: /healthy, interval: 10, timeout: 5, healthy_threshold: 2, matcher: 200-299}\n" +
			"---\nname: green\nvpc: main\nprotocol: HTTP\nport: 8080\n---\nname: orders\nvpc: main\nprotocol: TCP\nport: 5432\n",
		listenerFile: "name: http\nload_balancer: web\nport: 80\nprotocol: HTTP\ndefault_action:\n  redirect: {status_code: 301, protocol: HTTPS, port: \"443\"}\n" +
			"---\nname: https\nload_balancer: web\nport: 443\nprotocol: HTTPS\ncertificates: [" + certificateOf + "one, " + certificateOf + "two]\n" +
			"default_action:\n  forward: {target_groups: [{target_group: blue, weight: 9}, {target_group: green}], stickiness: 60}\n" +
			"---\nname: orders\nload_balancer: orders\nport: 5432\nprotocol: TCP\ndefault_action: {forward: orders}\n",
		ruleFile: "name: old\nlistener: https\npriority: 10\nconditions:\n  - path_pattern: [/old/*, /older/*]\n  - host_header: [shop.example.com]\naction:\n  fixed_response: {status_code: 410, message_body: gone}\n" +
			"---\nname: beta\nlistener: https\npriority: 20\nconditions:\n  - http_header: {name: X-Beta, values: [\"1\"]}\n  - query_string: [beta, {key: v, value: \"2\"}]\n  - source_ip: [10.0.0.0/8]\naction: {forward: green}\n",
	}
}

func TestFront(t *testing.T) {
	live(t, frontFiles(), []step{
		{"balancer in place", func(s *site) {
			s.edit(balancerFile, "subnets: [a, b]", "subnets: [b, c]")
			s.edit(balancerFile, "idle_timeout: 30", "idle_timeout: 40\naccess_logs: {bucket: logs, prefix: web}")
		}, []string{"change load_balancer.web: subnets; access_logs.bucket; access_logs.enabled; access_logs.prefix; idle_timeout"}},
		{"group in place", func(s *site) {
			s.edit(groupFile, "deregistration_delay: 5", "deregistration_delay: 7\nslow_start: 30")
			s.edit(groupFile, "path: /healthy", "path: /well")
		}, []string{"change target_group.blue: health_check.path; deregistration_delay; slow_start"}},
		{"listeners in place", func(s *site) {
			s.edit(listenerFile, "weight: 9", "weight: 5")
			s.edit(listenerFile, certificateOf+"two", certificateOf+"three, "+certificateOf+"four")
			s.edit(listenerFile, "port: 80\n", "port: 8080\n")
		}, []string{"change listener.https: certificates[1:]; default_action", "change listener.http: port"}},
		{"rules trade places", func(s *site) {
			s.edit(ruleFile, "priority: 10", "priority: 15")
			s.edit(ruleFile, "priority: 20", "priority: 10")
			s.edit(ruleFile, "priority: 15", "priority: 20")
			s.edit(ruleFile, "message_body: gone", "message_body: away")
		}, []string{"change listener_rule.old: priority; action", "change listener_rule.beta: priority"}},
		{"a rule in the place of one that goes", func(s *site) {
			s.write(map[string]string{ruleFile: "name: old\nlistener: https\npriority: 10\nconditions: [{path_pattern: [/old/*]}]\naction: {fixed_response: {status_code: 410}}\n"})
		}, []string{"change listener_rule.old: priority; conditions; action", "delete listener_rule.beta: no definition has it"}},
		{"tags", func(s *site) { s.edit(ruleFile, "name: old", "name: old\ntags: {cost: \"7\"}") }, []string{"change listener_rule.old: tags"}},
		{"another group", func(s *site) { s.edit(groupFile, "port: 8080\nderegistration", "port: 8081\nderegistration") },
			[]string{"replace target_group.blue: port: 8080 -> 8081", "change listener.https: default_action"}},
		{"another balancer", func(s *site) { s.edit(balancerFile, "subnets: [b, c]", "scheme: internal\nsubnets: [b, c]") },
			[]string{"replace load_balancer.web: scheme: internet-facing -> internal",
				"replace listener.https: load_balancer: shop-dev-web -> (known after launch)",
				"replace listener_rule.old: listener: one of shop-dev-web -> (known after launch)",
				"replace listener.http: load_balancer: shop-dev-web -> (known after launch)"}},
		{"fewer", func(s *site) { s.write(map[string]string{listenerFile: "", ruleFile: ""}) },
			[]string{"delete listener.http: no definition has it", "delete listener_rule.old: no definition has it", "delete listener.https: no definition has it", "delete listener.orders: no definition has it"}},
	})
}

// TestFrontCalls: what a plan asks does not grow with rules and targets, and
// tags are asked for 20 at a time.
func TestFrontCalls(t *testing.T) {
	s := newSite(t, frontFiles())
	s.launch()
	count := func() map[string]int {
		s.local.ResetCalls()
		s.settled()
		calls := map[string]int{}
		for _, c := range s.local.Calls() {
			if c.Service == "elasticloadbalancing" {
				calls[c.Action]++
			}
		}
		return calls
	}
	before := count()
	if before["DescribeLoadBalancers"] != 1 || before["DescribeTargetGroups"] != 1 || before["DescribeListeners"] != 2 || before["DescribeRules"] != 2 || before["DescribeTags"] != 2 {
		t.Errorf("calls %v", before)
	}
	s.write(map[string]string{"topology/listener_rules/more.yaml": "count: 8\nlistener: https\npriority: 10${index}\nconditions: [{path_pattern: [\"/${index}/*\"]}]\naction: {forward: green}\n"})
	s.launch()
	after := count()
	for action, n := range after {
		if n != before[action] {
			t.Errorf("%s is called %d times, and was %d times", action, n, before[action])
		}
	}
}

func TestFrontEveryCallFailsOnce(t *testing.T) {
	t.Parallel()
	disturb(t, frontFiles(), func(s *site) {
		s.edit(ruleFile, "priority: 10", "priority: 15")
		s.edit(balancerFile, "subnets: [a, b]", "subnets: [b, c]")
		s.edit(groupFile, "port: 8080\nderegistration", "port: 8081\nderegistration")
	}, 17)
}

// TestFrontNames: a name is at most 32 characters long, one of each generation,
// and one that somebody else's load balancer has is refused by the plan.
func TestFrontNames(t *testing.T) {
	s := newSite(t, frontFiles())
	long := "a-service-with-a-name-that-is-too-long"
	s.write(map[string]string{"topology/target_groups/long.yaml": "name: " + long + "\nvpc: main\nprotocol: HTTP\nport: 80\ncount: 2\n"})
	s.launch()
	s.settled()
	_, err := s.cloud.ELB.CreateTargetGroup(context.Background(), &elb.CreateTargetGroupInput{Name: aws.String("shop-dev-red"), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(80),
		VpcId: aws.String(s.id("vpc.main"))})
	if err != nil {
		t.Fatal(err)
	}
	s.write(map[string]string{"topology/target_groups/red.yaml": "vpc: main\nprotocol: HTTP\nport: 80\n"})
	if _, err := s.tryLaunch(t.Context()); fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "target_group.red: the name shop-dev-red is taken by arn:") {
		t.Errorf("error %v", err)
	}
}

// id is the ID of what an address has.
func (s *site) id(address string) string {
	s.t.Helper()
	w, err := newWorld(s.options())
	if err == nil {
		err = w.readInventory(context.Background())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range w.inventory.all {
		if f.address() == address {
			return f.id
		}
	}
	s.t.Fatalf("there is no %s", address)
	return ""
}

func TestFrontMistakes(t *testing.T) {
	f := frontFiles()
	wrong := func(file, old, new string, want ...string) {
		t.Helper()
		mistaken(t, f, file, old, new, want...)
	}
	wrong(balancerFile, "subnets: [a, b]", "subnets: [a]", "web.yaml:2:10: an application load balancer needs subnets in at least two zones, here is 1")
	wrong("topology/subnets/all.yaml", "availability_zone: b", "availability_zone: a", "subnet.b lies in zone eu-central-1a, as does subnet.a")
	wrong(balancerFile, "name: orders", "name: orders\nload_balancer_name: "+strings.Repeat("x", 33), "web.yaml:7:21: load_balancer_name is 33 characters long: Elastic Load Balancing takes 32")
	wrong(balancerFile, "name: orders", "name: orders\nload_balancer_name: internal-x", "cannot begin with internal-")
	wrong(balancerFile, "name: orders", "name: orders\nload_balancer_name: or_ders", `"or_ders" is no name of a load balancer`)
	wrong(balancerFile, "type: network", "type: network\nidle_timeout: 5", "idle_timeout is for application load balancers")
	wrong(balancerFile, "idle_timeout: 30", "attributes: {idle_timeout.timeout_seconds: \"30\"}", "the attribute idle_timeout.timeout_seconds has a key of its own (say idle_timeout)")
	wrong(balancerFile, "idle_timeout: 30", "attributes: {client_keepalive.seconds: \"60\"}", `no attribute client_keepalive.seconds (did you mean "client_keep_alive.seconds"?)`)
	wrong(balancerFile, "idle_timeout: 30", "tags: {note: \"a, b\"}", `does not take the tag note: "a, b"`)
	wrong(listenerFile, "protocol: HTTP\n", "protocol: TCP\n", "load_balancer.web is a load balancer of type application: it does not listen for TCP (HTTP or HTTPS)", "a listener over TCP can only forward")
	wrong(listenerFile, "port: 443\n", "port: 80\n", "all.yaml:10:7: listener.http listens on port 80 of web already")
	wrong(listenerFile, "certificates: ["+certificateOf+"one, "+certificateOf+"two]\n", "", "a listener over HTTPS needs a certificate")
	wrong(listenerFile, "forward: orders", "forward: order", `no resource target_group.order (did you mean "orders"?)`)
	wrong(listenerFile, "forward: orders", "forward: green", "a listener over TCP does not suit target_group.green, which is over HTTP (it forwards to target groups over TCP or TCP_UDP)")
	wrong(listenerFile, "{forward: orders}", "{forward: orders, redirect: {status_code: 301, path: /}}", "an action does one thing, not 2")
	wrong(listenerFile, ", protocol: HTTPS, port: \"443\"", "", "a redirect to the same URL goes round for ever")
	wrong(ruleFile, "priority: 20", "priority: 10", "all.yaml:12:11: listener_rule.old has priority 10 of https already")
	wrong(ruleFile, "listener: https\npriority: 20", "listener: orders\npriority: 20", "listener.orders is over TCP: rules are for listeners over HTTP and HTTPS")
	wrong(ruleFile, "- host_header: [shop.example.com]", "- path_pattern: [/more]", "a rule has one condition about path_pattern")
	wrong(ruleFile, "[shop.example.com]", "[shop]", `"shop" is no host: it needs a dot`)
	wrong(ruleFile, "[10.0.0.0/8]", "[10.0.0.0/8, 11.0.0.0/8, 12.0.0.0/8]", "the conditions have 6 values: Elastic Load Balancing takes 5")
	wrong(ruleFile, "[10.0.0.0/8]", "[10.0.0.1]", `"10.0.0.1" is no CIDR block`)
	wrong(groupFile, "timeout: 5", "timeout: 10", "the timeout, 10 seconds, must be shorter than the interval, 10")
	wrong(groupFile, "interval: 10, timeout: 5", "interval: 5", "the interval, 5 seconds, must be longer than the timeout, which is 5 by default")
	wrong(groupFile, "type: lb_cookie, duration: 60", "type: source_ip", "a target group over HTTP has no stickiness by source_ip")
	wrong(groupFile, "path: /healthy, ", "path: /healthy, protocol: TCP, ", "a target group over HTTP is asked over HTTP or HTTPS")
	wrong(groupFile, "port: 5432", "port: 5432\nprotocol_version: HTTP2", "protocol_version is for the protocols HTTP and HTTPS")
	wrong(groupFile, "deregistration_delay: 5", "slow_start: 5", "a target group over HTTP takes no slow_start of 5")
}

// TestOneBalancerATargetGroup: Elastic Load Balancing has it so.
func TestOneBalancerATargetGroup(t *testing.T) {
	f := frontFiles()
	f["topology/load_balancers/second.yaml"] = "subnets: [a, b]\n"
	f["topology/listeners/second.yaml"] = "load_balancer: second\nport: 80\nprotocol: HTTP\ndefault_action: {fixed_response: {status_code: 200}}\n"
	mistaken(t, f, "topology/listeners/second.yaml", "{fixed_response: {status_code: 200}}", "{forward: green}", "second.yaml:4:27: target_group.green serves load_balancer.web already: a target group is for one load balancer")
}

// TestFrontAdopted: what stands in front was made by hand. The topology changes
// what it states of it and listens on a port of its own; destroy takes only
// that away.
func TestFrontAdopted(t *testing.T) {
	f := frontFiles()
	for _, file := range []string{balancerFile, groupFile, listenerFile, ruleFile} {
		delete(f, file)
	}
	s := newSite(t, f)
	s.launch()
	ctx := t.Context()
	made, err := s.cloud.ELB.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("by-hand"), Subnets: []string{s.id("subnet.a"), s.id("subnet.b")}})
	if err != nil {
		t.Fatal(err)
	}
	group, err := s.cloud.ELB.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{Name: aws.String("by-hand"), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: aws.String(s.id("vpc.main")),
		Tags: []types.Tag{{Key: aws.String("role"), Value: aws.String("web")}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.cloud.ELB.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: made.LoadBalancers[0].LoadBalancerArn, Protocol: types.ProtocolEnumHttp, Port: aws.Int32(80),
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: group.TargetGroups[0].TargetGroupArn}}})
	if err != nil {
		t.Fatal(err)
	}
	before := s.inventory()
	s.write(map[string]string{
		balancerFile: "adopt: {name: by-hand}\nidle_timeout: 20\n",
		groupFile:    "name: web\nadopt: {tags: {role: web}}\nderegistration_delay: 3\n",
		listenerFile: "name: http\nadopt: {load_balancer: by-hand, port: 80}\n---\nname: more\nload_balancer: web\nport: 81\nprotocol: HTTP\ndefault_action: {forward: web}\n",
		ruleFile:     "name: x\nlistener: http\npriority: 3\nconditions: [{path_pattern: [/x]}]\naction: {fixed_response: {status_code: 404}}\n",
	})
	want := "create listener_rule.x\nchange target_group.web: deregistration_delay\nchange load_balancer.web: idle_timeout\ncreate listener.more"
	if got := summaryOf(s.plan()); got != want {
		t.Errorf("the plan is\n%s\nwant\n%s", got, want)
	}
	s.launch()
	s.settled()
	s.write(map[string]string{ruleFile: ""})
	if got := summaryOf(s.plan()); got != "delete listener_rule.x: no definition has it" {
		t.Errorf("the plan is\n%s", got)
	}
	s.launch()
	s.edit(balancerFile, "idle_timeout: 20", "idle_timeout: 20\nscheme: internal")
	if _, err := s.tryLaunch(ctx); fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "load_balancer.web is adopted, and would have to be replaced: scheme: internet-facing -> internal") {
		t.Errorf("error %v", err)
	}
	s.edit(balancerFile, "\nscheme: internal", "")
	s.edit(listenerFile, "---\nname: more", "---\nname: other")
	s.launch()
	s.settled()
	s.edit(listenerFile, "---\nname: other\nload_balancer: web\nport: 81\nprotocol: HTTP\ndefault_action: {forward: web}\n", "")
	s.launch()
	sameInventory(t, "after all of its own is gone", before, s.inventory())
}
