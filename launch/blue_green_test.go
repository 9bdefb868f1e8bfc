package launch

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// blueGreen is a project with a group behind a load balancer, whose listener
// and rule forward to one of a pair of target groups.
func blueGreenFiles() map[string]string {
	files := scaling()
	files["topology/internet_gateways/main.yaml"] = "vpc: main\n"
	files["topology/load_balancers/web.yaml"] = "subnets: [a, b]\n"
	files["topology/target_groups/all.yaml"] = "name: blue\nvpc: main\nprotocol: HTTP\nport: 8080\n---\nname: green\nvpc: main\nprotocol: HTTP\nport: 8080\n"
	files["topology/listeners/web.yaml"] = "load_balancer: web\nport: 80\nprotocol: HTTP\ndefault_action: {forward: blue}\n"
	files["topology/listener_rules/api.yaml"] = "listener: web\npriority: 10\nconditions: [{path_pattern: [/api/*]}]\naction: {forward: {target_group: blue, stickiness: 60}}\n"
	files[scalingFile] = "launch_template: web\nmin_size: 2\nmax_size: 6\nsubnets: [a, b]\ntarget_groups: [blue]\nalternate_target_groups: [green]\n" +
		"rollout: {strategy: BlueGreen, keep: 1h, steps: [10%, 50%, 100%]}\n"
	return files
}

func newBlueGreen(t *testing.T) (s *site, first string) {
	t.Helper()
	s = newSite(t, blueGreenFiles())
	return s, s.promote("web", "1.0.0")
}

// groups are the names of the groups that there are, each with its instances'
// versions of the launch template and its share of the traffic.
func (s *site) groups() map[string]string {
	s.t.Helper()
	w, err := newWorld(s.options())
	if err == nil {
		err = w.readInventory(context.Background())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	l, _ := remembers[*listening](w.memo, "elb listeners")
	all := map[string]string{}
	for _, f := range w.inventory.all {
		g, ok := f.raw.(types.AutoScalingGroup)
		if !ok {
			continue
		}
		percent := 100
		if l != nil {
			percent, _ = trafficOf(l, w.pairs(), g)
		}
		versions := map[string]bool{}
		for _, i := range g.Instances {
			versions[aws.ToString(i.LaunchTemplate.Version)] = true
		}
		kept := ""
		if f.kept() {
			kept = " kept"
		}
		all[f.id] = fmt.Sprintf("%d of version %s, %d%%%s", len(g.Instances), strings.Join(union(versions), ","), percent, kept)
	}
	return all
}

func (s *site) wantGroups(what string, want map[string]string) {
	s.t.Helper()
	if got := s.groups(); !maps.Equal(got, want) {
		s.t.Errorf("%s: %v, not %v", what, got, want)
	}
}

func TestBlueGreen(t *testing.T) {
	s, first := newBlueGreen(t)
	before := s.platformOnly()
	s.launch()
	s.settled()
	s.wantGroups("launched", map[string]string{"shop-dev-web": "2 of version 1, 100%"})
	s.promote("web", "2.0.0")
	if got := summaryOf(s.plan()); !strings.Contains(got, "replace auto_scaling_group.web: launch_template: ") || !strings.Contains(got, "blue-green beside shop-dev-web") {
		t.Errorf("the plan is\n%s", got)
	}
	s.launch()
	s.settled()
	s.wantGroups("rolled out", map[string]string{"shop-dev-web": "2 of version 1, 0% kept", "shop-dev-web-2": "2 of version 2, 100%"})
	if _, err := s.cloud.AutoScaling.SetDesiredCapacity(context.Background(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("shop-dev-web-2"), DesiredCapacity: aws.Int32(3)}); err != nil {
		t.Fatal(err)
	}

	s.point("web", first)
	s.launch()
	s.settled()
	s.wantGroups("rolled back", map[string]string{"shop-dev-web": "3 of version 1, 100%", "shop-dev-web-2": "3 of version 2, 0% kept"})

	s.promote("web", "3.0.0")
	s.launch()
	s.settled()
	s.wantGroups("rolled out while one was kept", map[string]string{"shop-dev-web": "3 of version 1, 0% kept", "shop-dev-web-4": "3 of version 3, 100%"})

	over := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	if err := (autoScalingGroups{}).retag(context.Background(), s.cloud, []types.AutoScalingGroup{{AutoScalingGroupName: aws.String("shop-dev-web")}}, map[string]string{tags.KeepUntil: over}); err != nil {
		t.Fatal(err)
	}
	if got := summaryOf(s.plan()); got != "delete auto_scaling_group.web: shop-dev-web-4 has replaced it, and it was kept until "+over {
		t.Errorf("the plan is %s", got)
	}
	s.launch()
	s.settled()
	s.wantGroups("kept long enough", map[string]string{"shop-dev-web-4": "3 of version 3, 100%"})
	s.edit("topology/listener_rules/api.yaml", "stickiness: 60", "stickiness: 90")
	s.edit("topology/listeners/web.yaml", "port: 80", "port: 81")
	s.launch()
	s.settled()
	s.wantGroups("front changed", map[string]string{"shop-dev-web-4": "3 of version 3, 100%"})
	s.destroy()
	sameInventory(t, "destroyed", before, s.platformOnly())
}

// TestBlueGreenFails: a new group that never becomes healthy goes again, and the
// old one has all of the traffic.
func TestBlueGreenFails(t *testing.T) {
	s, _ := newBlueGreen(t)
	s.launch()
	before := s.groups()
	s.promote("web", "2.0.0")
	s.edit("topology/launch_templates/web.yaml", "instance_type", "key_name: nobody\ninstance_type")
	_, err := s.tryLaunch(context.Background())
	if fail.ExitCode(err) != fail.CodeClean || !strings.Contains(err.Error(), "key pair 'nobody' does not exist") {
		t.Errorf("error %v (%d)", err, fail.ExitCode(err))
	}
	s.wantGroups("put back", before)
	s.edit("topology/launch_templates/web.yaml", "key_name: nobody\n", "")
	s.launch()
	s.settled()
	s.wantGroups("mended", map[string]string{"shop-dev-web": "2 of version 1, 0% kept", "shop-dev-web-2": "2 of version 3, 100%"})
}

// TestBlueGreenProves: the new group's instances pass the roll-out's own probes
// before they get traffic, and while they are watched with it; local commands run
// around it.
func TestBlueGreenProves(t *testing.T) {
	s, _ := newBlueGreen(t)
	hooks := "hooks: {before_replace: " + note + ", after_replace: " + note + ", after_rollout: " + note + "}"
	s.edit(scalingFile, "steps: [10%, 50%, 100%]", "steps: [50%, 100%], bake_time: 20ms, deadline: 1s, health: {command: 'test ! -e ill'}, "+hooks)
	s.launch()
	before := s.groups()
	s.promote("web", "2.0.0")
	ill := func() {
		if err := os.WriteFile(filepath.Join(s.dir, "ill"), nil, 0o600); err != nil {
			t.Error(err)
		}
	}
	ill()
	_, err := s.tryLaunch(context.Background())
	s.wantPutBack(err, before, ": test ! -e ill: exit status 1")
	s.edit(scalingFile, "deadline: 1s", "deadline: 2m")
	well := func() {
		if err := os.Remove(filepath.Join(s.dir, "ill")); err != nil {
			t.Error(err)
		}
	}
	well()
	s.wantPutBack(s.launchWhen(context.Background(), "watched with 100%", ill), before, "did not stay healthy: after ")
	well()
	if err := os.Remove(filepath.Join(s.dir, "noted")); err != nil {
		t.Error(err)
	}
	s.launch()
	s.settled()
	s.wantGroups("rolled out", map[string]string{"shop-dev-web": "2 of version 1, 0% kept", "shop-dev-web-2": "2 of version 2, 100%"})
	got := s.noted()
	if len(got) != 4 || got[0] != "before_replace:auto_scaling_group.web::2.0.0" || !strings.HasPrefix(got[1], "after_replace:auto_scaling_group.web:i-") || got[3] != "after_rollout:auto_scaling_group.web::2.0.0" {
		t.Errorf("hooks: %v", got)
	}
}

// TestBlueGreenKilled: wherever a launch ends, the next one goes on to the same
// end.
func TestBlueGreenKilled(t *testing.T) {
	t.Parallel()
	for _, at := range []emulator.Fault{
		{Service: "autoscaling", Action: "CreateAutoScalingGroup", Nth: 1, Kind: emulator.DieAfter},
		{Service: "elasticloadbalancing", Action: "ModifyListener", Nth: 2, Kind: emulator.DieAfter},
		{Service: "elasticloadbalancing", Action: "ModifyRule", Nth: 3, Kind: emulator.Die},
		{Service: "autoscaling", Action: "CreateOrUpdateTags", Nth: 1, Kind: emulator.Die},
	} {
		t.Run(at.Action, func(t *testing.T) {
			s, first := newBlueGreen(t)
			s.launch()
			second := s.promote("web", "2.0.0")
			s.dies(at)
			s.launch()
			s.settled()
			s.wantGroups("in the end", map[string]string{"shop-dev-web": "2 of version 1, 0% kept", "shop-dev-web-2": "2 of version 2, 100%"})
			s.point("web", first)
			s.launch()
			s.point("web", second)
			at.Nth = max(1, at.Nth-1)
			if at.Action == "CreateAutoScalingGroup" {
				return // nothing is created
			}
			s.dies(at)
			s.launch()
			s.settled()
			s.wantGroups("back and forth", map[string]string{"shop-dev-web": "2 of version 1, 0% kept", "shop-dev-web-2": "2 of version 2, 100%"})
		})
	}
}

// dies launches with a fault that ends the process.
func (s *site) dies(at emulator.Fault) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.onDie = cancel
	s.local.Inject(at)
	if _, err := s.tryLaunch(ctx); err == nil {
		s.t.Fatal("the launch went on")
	}
	s.reconnect()
}

func TestBlueGreenMistakes(t *testing.T) {
	for name, test := range map[string]struct{ file, old, new, want string }{
		"nowhere to go":      {scalingFile, "alternate_target_groups: [green]\n", "", "this one has nowhere to move it"},
		"a name":             {scalingFile, "target_groups: [blue]", "auto_scaling_group_name: fleet\ntarget_groups: [blue]", "two cannot have one name"},
		"too few":            {scalingFile, "alternate_target_groups: [green]", "alternate_target_groups: [green, blue]", "there are 1 target_groups and 2 alternates"},
		"the same":           {scalingFile, "alternate_target_groups: [green]", "alternate_target_groups: [blue]", "blue is the target group itself"},
		"a listener on it":   {"topology/listeners/web.yaml", "forward: blue", "forward: green", "listener.web forwards to target_group.green"},
		"watched briefly":    {scalingFile, "keep: 1h,", "keep: 1h, bake_time: 59s,", " takes up to 1m0s to call an instance unhealthy"},
		"weights of its own": {"topology/listeners/web.yaml", "forward: blue", "forward: {target_groups: [blue, red]}", "a blue-green roll-out needs its weights"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, blueGreenFiles())
			s.write(map[string]string{"topology/target_groups/red.yaml": "vpc: main\nprotocol: HTTP\nport: 8080\n"})
			s.edit(test.file, test.old, test.new)
			_, err := s.topology()
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "web.yaml:") {
				t.Errorf("error %v", err)
			}
		})
	}
}
