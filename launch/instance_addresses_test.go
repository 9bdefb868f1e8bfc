package launch

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/tags"
)

const poolInstance = "topology/instances/pool.yaml"

func addressFiles() map[string]string {
	common := "ami: " + anyAMI + "\ninstance_type: t3.small\nsubnet: a\n"
	return map[string]string{
		"topology/vpcs/main.yaml":              "cidr_block: 10.0.0.0/16\n",
		"topology/internet_gateways/main.yaml": "vpc: main\n",
		"topology/subnets/a.yaml":              "vpc: main\ncidr_block: 10.0.1.0/24\navailability_zone: a\n",
		"topology/elastic_ips/public.yaml":     "instance: web\nprivate_ip: 10.0.1.50\n",
		webInstance:                            common + "secondary_private_ips: [10.0.1.50, 10.0.1.51]\nrollout: {strategy: OneAtATime}\n",
		poolInstance:                           common + "secondary_private_ip_count: 2\ncount: 2\nrollout: {strategy: AllAtOnce}\n",
	}
}

// secondaryNow are the secondary addresses that instances have, by address in the
// topology; an elastic one at any is marked.
func (s *site) secondaryNow() map[string]string {
	s.t.Helper()
	out, err := s.cloud.EC2.DescribeInstances(s.t.Context(), &ec2.DescribeInstancesInput{})
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[string]string{}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			if over(i) {
				continue
			}
			var list []string
			for _, a := range i.NetworkInterfaces[0].PrivateIpAddresses[1:] {
				text := aws.ToString(a.PrivateIpAddress)
				if a.Association != nil {
					text += "*"
				}
				list = append(list, text)
			}
			slices.Sort(list)
			all[cloud.TagSet(i.Tags)[tags.Address]] = strings.Join(list, " ")
		}
	}
	return all
}

func (s *site) hasAddresses(what string, want map[string]string) {
	s.t.Helper()
	if got := s.secondaryNow(); !maps.Equal(got, want) {
		s.t.Errorf("%s: %v, not %v", what, got, want)
	}
}

func TestInstanceAddresses(t *testing.T) {
	var pool map[string]string
	live(t, addressFiles(), []step{
		{"a successor takes them over, with the elastic one", func(s *site) {
			pool = s.secondaryNow()
			if pool["instance.web"] != "10.0.1.50* 10.0.1.51" || len(strings.Fields(pool["instance.pool[1]"])) != 2 {
				t.Errorf("launched with %v", pool)
			}
			s.edit(webInstance, "t3.small", "t3.small\ntenancy: dedicated")
			s.edit(poolInstance, "t3.small", "t3.small\ntenancy: dedicated")
		}, []string{"replace instance.web: tenancy: default -> dedicated", "change elastic_ip.public: instance", "replace instance.pool[0]: tenancy: default -> dedicated", "replace instance.pool[1]: tenancy: default -> dedicated"}},
		{"others and more in place", func(s *site) {
			s.hasAddresses("successors", pool)
			s.edit(webInstance, "10.0.1.51", "10.0.1.52")
			s.edit(poolInstance, "ip_count: 2", "ip_count: 3")
		}, []string{"change instance.web: secondary_private_ips", "change instance.pool[0]: secondary_private_ip_count", "change instance.pool[1]: secondary_private_ip_count"}},
		{"two change places", func(s *site) {
			s.edit(webInstance, "10.0.1.52", "10.0.1.60")
			s.write(map[string]string{"topology/instances/app.yaml": "ami: " + anyAMI + "\ninstance_type: t3.small\nsubnet: a\nsecondary_private_ips: [10.0.1.52]\n"})
		}, []string{"change instance.web: secondary_private_ips", "create instance.app"}},
		{"and back, with one by number and the elastic one", func(s *site) {
			s.edit(webInstance, "10.0.1.50, 10.0.1.60", "10.0.1.52")
			s.edit("topology/instances/app.yaml", "10.0.1.52", "10.0.1.50, 10.0.1.60")
			s.edit("topology/elastic_ips/public.yaml", "instance: web", "instance: app")
			s.edit(poolInstance, "ip_count: 3", "ip_count: 1")
		}, []string{"change instance.app: secondary_private_ips", "change elastic_ip.public: instance", "change instance.pool[0]: secondary_private_ip_count", "change instance.pool[1]: secondary_private_ip_count", "change instance.web: secondary_private_ips"}},
		{"what is not stated stays", func(s *site) {
			if got := s.secondaryNow(); got["instance.web"] != "10.0.1.52" || got["instance.app"] != "10.0.1.50* 10.0.1.60" {
				t.Errorf("after the exchange: %v", got)
			}
			s.edit(webInstance, "secondary_private_ips: [10.0.1.52]\n", "")
		}, nil},
		{"none", func(s *site) { s.edit(webInstance, "subnet: a", "subnet: a\nsecondary_private_ips: []") }, []string{"change instance.web: secondary_private_ips"}},
		{"a fixed address goes first, and those by number come back", func(s *site) {
			s.write(map[string]string{"topology/instances/one.yaml": "ami: " + anyAMI + "\ninstance_type: t3.small\nsubnet: a\nprivate_ip: 10.0.1.99\nsecondary_private_ip_count: 2\n"})
		}, []string{"create instance.one"}},
		{"the same ones", func(s *site) {
			pool = s.secondaryNow()
			s.edit("topology/instances/one.yaml", "t3.small", "t3.small\ntenancy: dedicated")
		}, []string{"replace instance.one: tenancy: default -> dedicated"}},
		{"as they were", func(s *site) { s.hasAddresses("after the replacement", pool) }, nil},
	})
}

// TestInstanceAddressesAreTakenBack: drift is seen and mended; addresses that
// something else has, or that a type has no room for, are refused by the plan.
func TestInstanceAddressesAreTakenBack(t *testing.T) {
	s := newSite(t, addressFiles())
	s.launch()
	web, pool := s.running("instance.web").Instance, s.running("instance.pool[0]").Instance
	_, err := s.cloud.EC2.AssignPrivateIpAddresses(t.Context(), &ec2.AssignPrivateIpAddressesInput{
		NetworkInterfaceId: aws.String(ownInterface(pool)), PrivateIpAddresses: []string{"10.0.1.51"}, AllowReassignment: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Audit(t.Context(), s.options())
	if err != nil {
		t.Fatal(err)
	}
	if got := summaryOf(plan); got != "change instance.web: secondary_private_ips\nchange instance.pool[0]: secondary_private_ip_count" {
		t.Errorf("audit:\n%s", got)
	}
	s.launch()
	s.settled()
	if now := s.running("instance.web").Instance; aws.ToString(now.InstanceId) != aws.ToString(web.InstanceId) || len(secondaryOf(now)) != 2 {
		t.Errorf("not mended: %v", s.secondaryNow())
	}
	foreign, err := s.cloud.EC2.CreateNetworkInterface(t.Context(), &ec2.CreateNetworkInterfaceInput{SubnetId: web.SubnetId,
		PrivateIpAddresses: []types.PrivateIpAddressSpecification{{PrivateIpAddress: aws.String("10.0.1.80"), Primary: aws.Bool(true)}, {PrivateIpAddress: aws.String("10.0.1.77")}}})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"[10.0.1.50, 10.0.1.51, 10.0.1.52, 10.0.1.53]":             "t3.small has 4 private addresses an interface",
		"[10.0.1.50, " + aws.ToString(pool.PrivateIpAddress) + "]": "is the primary private address of " + aws.ToString(pool.InstanceId),
		"[10.0.1.50, 10.0.1.77]":                                   aws.ToString(foreign.NetworkInterface.NetworkInterfaceId) + " has 10.0.1.77, and is not of this environment",
	} {
		s.edit(webInstance, "[10.0.1.50, 10.0.1.51]", text)
		if err := s.planError(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
		s.edit(webInstance, text, "[10.0.1.50, 10.0.1.51]")
	}
	if _, err := s.cloud.EC2.DeleteNetworkInterface(t.Context(), &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: foreign.NetworkInterface.NetworkInterfaceId}); err != nil {
		t.Fatal(err)
	}
	s.destroy()
}

// TestInstanceAddressesEveryCallFailsOnce: whatever happens in a replacement, in a
// roll-out or not, the place keeps its addresses.
func TestInstanceAddressesEveryCallFailsOnce(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(s *site){
		"list":  func(*site) {},
		"count": func(s *site) { s.edit(webInstance, "s: [10.0.1.50, 10.0.1.51]", "_count: 2") },
		"alone": func(s *site) { s.edit(webInstance, "rollout: {strategy: OneAtATime}\n", "") },
		"data":  func(*site) {},
	} {
		files := addressFiles()
		delete(files, poolInstance)
		if name == "data" {
			files["topology/volumes/data.yaml"] = "availability_zone: a\nsize: 1\n"
			files[webInstance] += "volumes: [{volume: data, device: /dev/sdf}]\n"
		}
		story := story{name, func(s *site) {
			s.launch()
			edit(s)
			s.edit(webInstance, "t3.small", "t3.small\ntenancy: dedicated")
		}, launchIt}
		calm := newSite(t, files)
		story.prepare(calm)
		want := calm.secondaryNow()
		calm.local.ResetCalls()
		if err := launchIt(context.Background(), calm); err != nil {
			t.Fatal(err)
		}
		calm.hasAddresses(name, want)
		calls, shape := len(calm.local.Calls()), calm.shape()
		var faults []emulator.Fault
		for offset, kind := range []emulator.FaultKind{emulator.Error, emulator.LostAnswer, emulator.Die, emulator.DieAfter} {
			for n := 1 + offset; n <= calls; n += 19 {
				faults = append(faults, emulator.Fault{Nth: n, Kind: kind, Code: codeFor(kind)})
			}
		}
		err := graph.Each(context.Background(), 16, len(faults), func(_ context.Context, i int) error {
			s := newSite(t, files)
			disturbedOn(t, s, story, shape, faults[i])
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestInstanceAddressesGoBackAfterAKill: a run that is killed when the addresses
// have moved leaves it to the next one to give them back.
func TestInstanceAddressesGoBackAfterAKill(t *testing.T) {
	files := addressFiles()
	delete(files, poolInstance) // whose own status checks would be asked for, too
	s := newSite(t, files)
	s.launch()
	before, old := s.secondaryNow(), aws.ToString(s.running("instance.web").InstanceId)
	s.edit(webInstance, "t3.small", "t3.small\ntenancy: dedicated")
	s.fault("ec2", "AssignPrivateIpAddresses", emulator.DieAfter, "", 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.onDie = cancel
	if _, err := s.tryLaunch(ctx); err == nil {
		t.Fatal("it was not killed")
	}
	s.reconnect()
	s.fault("ec2", "DescribeInstanceStatus", emulator.Error, "UnauthorizedOperation", 1)
	if _, err := s.tryLaunch(t.Context()); err == nil || !strings.Contains(err.Error(), "UnauthorizedOperation") {
		t.Fatalf("error %v", err)
	}
	s.hasAddresses("put back", before)
	if now := aws.ToString(s.running("instance.web").InstanceId); now != old {
		t.Errorf("%s runs, not %s", now, old)
	}
	s.launch()
	s.settled()
	s.hasAddresses("in the end", before)
	s.destroy()
}

// TestAddressAnswersThroughout: who asks at a secondary address is answered by the
// old instance until the new one answers its status checks, and by the old one
// again when the new one does not become healthy.
func TestAddressAnswersThroughout(t *testing.T) {
	f := newLiveFleet(t, 1, false, "{strategy: OneAtATime, healthy_after: 2, deadline: 2m}", 5*time.Millisecond)
	f.edit(webFile, "subnet: a", "subnet: a\nsecondary_private_ips: [10.0.1.50]")
	f.launch()
	asking, enough := context.WithCancel(t.Context())
	c := &client{by: map[string]int{}, moves: true}
	var ended sync.WaitGroup
	ended.Go(func() { c.run(asking, f.site, "10.0.1.50:8080", 5*time.Millisecond) })
	f.promote("web", goodBuild)
	f.launch()
	f.edit(webFile, "deadline: 2m", "deadline: 1s")
	f.promote("web", neverWell)
	if _, err := f.tryLaunch(t.Context()); fail.ExitCode(err) != fail.CodeClean {
		t.Errorf("a build that is never healthy: %v", err)
	}
	enough()
	ended.Wait()
	if balanced := f.stop(); c.failed+balanced.failed > 0 || c.asked == 0 {
		t.Errorf("%d of %d requests failed at the address (%s), and %d of %d through the load balancer (%s)", c.failed, c.asked, c.first, balanced.failed, balanced.asked, balanced.first)
	}
	f.hasAddresses("in the end", map[string]string{"instance.web[0]": "10.0.1.50"})
}

// TestImportOfInstanceAddresses: what an instance has beside its primary address is
// written down, and where an elastic one is.
func TestImportOfInstanceAddresses(t *testing.T) {
	files := addressFiles()
	delete(files, poolInstance)
	s := newSite(t, files)
	s.launch()
	s.loseTags()
	for name := range files {
		s.write(map[string]string{name: ""})
	}
	text := s.importAll(ImportOptions{}).text()
	s.settled()
	for _, want := range []string{"secondary_private_ips: [10.0.1.50, 10.0.1.51]\n", "private_ip: 10.0.1.50\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the import does not hold %q:\n%s", want, text)
		}
	}
}

func TestInstanceAddressMistakes(t *testing.T) {
	f := addressFiles()
	mistaken(t, f, webInstance, "10.0.1.51", "10.0.2.51", "10.0.2.51 lies outside subnet.a")
	mistaken(t, f, webInstance, "10.0.1.51", "10.0.1.3", "10.0.1.3 is an address of subnet.a that AWS keeps", "the first four addresses of a subnet and the last are reserved")
	mistaken(t, f, webInstance, "10.0.1.51", "10.0.1.255", "10.0.1.255 is an address of subnet.a that AWS keeps")
	mistaken(t, f, webInstance, "10.0.1.51", "10.0.1.50", "10.0.1.50 stands in secondary_private_ips[0] already")
	mistaken(t, f, webInstance, "subnet: a", "subnet: a\nsecondary_private_ip_count: 2", "one of secondary_private_ips and secondary_private_ip_count")
	mistaken(t, f, poolInstance, "_count: 2\n", "s: [10.0.1.7]\n", "instance.pool[0] has the address 10.0.1.7 already")
	mistaken(t, f, poolInstance, "subnet: a", "subnet: a\nprivate_ip: 10.0.1.${index}", "10.0.1.1 is an address of subnet.a that AWS keeps")
	mistaken(t, f, "topology/elastic_ips/public.yaml", "10.0.1.50", "10.0.1.77", "instance.web has no address 10.0.1.77", "its secondary_private_ips are 10.0.1.50, 10.0.1.51")
	mistaken(t, f, "topology/elastic_ips/public.yaml", "instance: web\n", "", "an address of what?")
}
