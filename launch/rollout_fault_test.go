package launch

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/tags"
)

// upheaval is a roll-out whose every call is to go wrong once.
type upheaval struct {
	name    string
	files   map[string]string
	prepare func(s *site)
	bad     bool // it is put back
}

// nextBuild is what most roll-outs roll out.
func nextBuild(s *site) {
	s.promote("web", "1.0.0")
	s.launch()
	s.promote("web", "2.0.0")
}

// luggage is a fleet of two with a volume and an elastic IP each.
func luggage(rollout string) map[string]string {
	files := rollingFleet(2, true, rollout)
	files["topology/elastic_ips/web.yaml"] = "count: 2\n"
	files[webFile] += "elastic_ip: \"web[${index}]\"\n"
	return files
}

// refused is a hook that takes no second build.
const refused = `hooks: {after_replace: "test $GOLDLINE_VERSION != 2.0.0"}`

// proved has each new instance of a group prove itself.
const proved = `health: {command: "true"}, hooks: {before_replace: "true", after_replace: "true"}`

// back goes back to a group that is kept.
func back(s *site) {
	first := s.promote("web", "1.0.0")
	s.launch()
	s.promote("web", "2.0.0")
	s.launch()
	s.point("web", first)
}

// backAndLarger goes back to a group that is kept, which is to have another size.
func backAndLarger(s *site) {
	back(s)
	s.edit(scalingFile, "min_size: 2", "min_size: 3")
}

// nextIsNobodys has a launch template to roll out that no instance comes from.
func nextIsNobodys(s *site) {
	nextBuild(s)
	s.edit("topology/launch_templates/web.yaml", "instance_type", "key_name: nobody\ninstance_type")
}

// with are the files of a group whose definition says something else.
func with(files map[string]string, text string) map[string]string {
	files[scalingFile] = text
	return files
}

func upheavals() []upheaval {
	group := func(rollout string) map[string]string {
		return with(scaling(), "launch_template: web\nmin_size: 2\nmax_size: 6\nsubnets: [a, b]\nhealth_check_grace_period: 30\nrollout: "+rollout+"\n")
	}
	pair := func(rollout string) map[string]string {
		return with(blueGreenFiles(), "launch_template: web\nmin_size: 2\nmax_size: 6\nsubnets: [a, b]\ntarget_groups: [blue]\nalternate_target_groups: [green]\nrollout: "+rollout+"\n")
	}
	return []upheaval{
		{name: "instances one at a time", files: luggage("{strategy: OneAtATime}"), prepare: nextBuild},
		{name: "instances half at a time", files: luggage("{strategy: HalfAtATime}"), prepare: nextBuild},
		{name: "instances all at once", files: luggage("{strategy: AllAtOnce}"), prepare: nextBuild},
		{name: "instances with a minimum", files: luggage("{minimum_healthy: 50%}"), prepare: nextBuild},
		{name: "instances with a canary", files: luggage("{canary: {bake_time: 1ms}}"), prepare: nextBuild},
		{name: "roots one at a time", files: luggage("{strategy: OneAtATime, replace: root-volume}"), prepare: nextBuild},
		{name: "roots all at once", files: luggage("{strategy: AllAtOnce, replace: root-volume}"), prepare: nextBuild},
		{name: "roots with a canary", files: luggage("{canary: {bake_time: 1ms}, replace: root-volume}"), prepare: nextBuild},
		{name: "refresh one at a time", files: group("{strategy: OneAtATime}"), prepare: nextBuild},
		{name: "refresh half at a time", files: group("{strategy: HalfAtATime}"), prepare: nextBuild},
		{name: "refresh with a canary", files: group("{canary: 1}"), prepare: nextBuild},
		{name: "blue-green in steps", files: pair("{strategy: BlueGreen, steps: [50%, 100%]}"), prepare: nextBuild},
		{name: "blue-green watched", files: pair("{strategy: BlueGreen, steps: [50%, 100%], bake_time: 1ms, health: {target_group: false}}"), prepare: nextBuild},
		{name: "blue-green kept", files: pair("{strategy: BlueGreen, keep: 1h}"), prepare: nextBuild},
		{name: "blue-green back", files: pair("{strategy: BlueGreen, keep: 1h}"), prepare: back},
		{name: "blue-green making room", files: pair("{strategy: BlueGreen, keep: 1h}"), prepare: func(s *site) {
			nextBuild(s)
			s.launch()
			s.promote("web", "3.0.0")
		}},
		{name: "refresh that is proved", files: group("{strategy: HalfAtATime, " + proved + "}"), prepare: nextBuild},
		{name: "refresh with a canary that is proved", files: group("{canary: {bake_time: 1ms}, " + proved + "}"), prepare: nextBuild},
		{name: "blue-green that is proved", files: pair("{strategy: BlueGreen, " + proved + "}"), prepare: nextBuild},
		{name: "blue-green back and larger", files: pair("{strategy: BlueGreen, keep: 1h}"), prepare: backAndLarger},
		{name: "bad refresh", files: group("{strategy: HalfAtATime, " + refused + "}"), prepare: nextBuild, bad: true},
		{name: "bad canary of a refresh", files: group("{canary: 1, " + refused + "}"), prepare: nextBuild, bad: true},
		{name: "bad instances one at a time", files: luggage("{strategy: OneAtATime, " + refused + "}"), prepare: nextBuild, bad: true},
		{name: "bad instances all at once", files: luggage("{strategy: AllAtOnce, " + refused + "}"), prepare: nextBuild, bad: true},
		{name: "bad canary", files: luggage("{canary: 1, " + refused + "}"), prepare: nextBuild, bad: true},
		{name: "bad roots", files: luggage("{strategy: AllAtOnce, replace: root-volume, " + refused + "}"), prepare: nextBuild, bad: true},
		{name: "bad canary of roots", files: luggage("{canary: {bake_time: 1ms}, replace: root-volume, " + refused + "}"), prepare: nextBuild, bad: true},
		{name: "bad blue-green", files: pair("{strategy: BlueGreen, keep: 1h}"), prepare: nextIsNobodys, bad: true},
		{name: "bad blue-green back", files: pair("{strategy: BlueGreen, keep: 1h}"), prepare: func(s *site) {
			back(s)
			s.edit(scalingFile, "keep: 1h", `keep: 1h, hooks: {after_replace: "test $GOLDLINE_VERSION != 1.0.0"}`)
		}, bad: true},
		{name: "bad blue-green making room", files: pair("{strategy: BlueGreen, keep: 1h}"), prepare: func(s *site) {
			nextBuild(s)
			s.launch()
			s.promote("web", "3.0.0")
			s.edit("topology/launch_templates/web.yaml", "instance_type", "key_name: nobody\ninstance_type")
		}, bad: true},
	}
}

// TestRolloutEveryCallFailsOnce lets calls of a roll-out fail, lose their answers
// and be the last before a kill, and wants the end state of the undisturbed one
// from the same command again: all calls of all roll-outs with ROLLOUT_FAULTS=all,
// and otherwise some of each.
func TestRolloutEveryCallFailsOnce(t *testing.T) {
	t.Parallel()
	for i, u := range upheavals() {
		t.Run(u.name, func(t *testing.T) { everyCallOf(t, u, i) })
	}
}

func everyCallOf(t *testing.T, u upheaval, salt int) {
	stride := 89 // some three of each
	if os.Getenv("ROLLOUT_FAULTS") == "all" {
		stride = 1
	}
	story := story{"roll-out of " + u.name, u.prepare, launchIt}
	site := func() *site {
		s := newSite(t, u.files)
		s.beside = whatRuns
		return s
	}
	calm := site()
	story.prepare(calm)
	calm.local.ResetCalls()
	if _, err := calm.tryLaunch(t.Context()); (err != nil) != u.bad {
		t.Fatal(err)
	}
	calls, want := len(calm.local.Calls()), calm.shape()
	var faults []emulator.Fault
	for i, kind := range []emulator.FaultKind{emulator.Error, emulator.LostAnswer, emulator.Die, emulator.DieAfter} {
		for n := 1 + (i*17+salt*7)%stride; n <= calls; n += stride {
			faults = append(faults, emulator.Fault{Nth: n, Kind: kind, Code: codeFor(kind)})
		}
	}
	t.Logf("%d calls, %d faults", calls, len(faults))
	err := graph.Each(context.Background(), 16, len(faults), func(_ context.Context, i int) error {
		if s := site(); u.bad {
			putBackOn(t, s, story, want, faults[i])
		} else {
			disturbedOn(t, s, story, want, faults[i])
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// whatRuns are the builds that instances run, and how groups stand: what serves,
// with how much of the traffic, and what a roll-out has hung on them.
func whatRuns(s *site) map[string][]string {
	s.t.Helper()
	ctx, all := context.Background(), map[string][]string{"builds": strings.Fields(s.versions())}
	slices.Sort(all["builds"])
	for name, text := range s.groups() {
		hooks, err := s.cloud.AutoScaling.DescribeLifecycleHooks(ctx, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: aws.String(name)})
		g, there, groupErr := autoScalingGroups{}.byName(ctx, &task{world: &world{Options: s.options()}}, name)
		if err != nil || groupErr != nil || !there {
			s.t.Fatal(name, there, err, groupErr)
		}
		all["groups"] = append(all["groups"], fmt.Sprintf("%s: %s, %d to %d, launches %s, in %d target groups, gate %q, %d hooks", name, text,
			aws.ToInt32(g.MinSize), aws.ToInt32(g.MaxSize), aws.ToString(mainTemplate(g).Version), len(g.TargetGroupARNs),
			autoScalingGroups{}.read(g).tags[tags.Gate], len(hooks.LifecycleHooks)))
	}
	slices.Sort(all["groups"])
	return all
}

// putBackOn is disturbedOn for a roll-out that is put back, also the second time.
func putBackOn(t *testing.T, s *site, story story, want map[string][]string, fault emulator.Fault) {
	t.Helper()
	what := upset(t, s, story, fault)
	err := story.do(context.Background(), s)
	if code := fail.ExitCode(err); code == fail.CodeDirty && strings.Contains(err.Error(), "it runs the new build, not 1.0.0 any more") {
		s.point("web", s.built("web", "1.0.0"))
		s.launch()
	} else if code != fail.CodeClean {
		t.Errorf("%s: the second run does not put everything back: %v", what, err)
	}
	sameInventory(t, what, want, s.shape())
	if err := s.local.Close(); err != nil {
		t.Error(err)
	}
}

// built is the AMI of a build.
func (s *site) built(image, version string) string {
	s.t.Helper()
	out, err := s.cloud.EC2.DescribeImages(context.Background(), &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{cloud.Filter("name", image+"-"+version)}})
	if err != nil || len(out.Images) != 1 {
		s.t.Fatalf("build %s of %s: %v", version, image, err)
	}
	return *out.Images[0].ImageId
}

// TestRolloutCutOffGoesBack: wherever a run is killed while it replaces an
// instance, the next one that does not like the new build leaves the old one as it
// served.
func TestRolloutCutOffGoesBack(t *testing.T) {
	for _, action := range []string{"DeregisterTargets", "StopInstances", "DetachVolume", "RunInstances", "AttachVolume", "RegisterTargets"} {
		s := newSite(t, luggage("{strategy: OneAtATime, "+refused+"}"))
		nextBuild(s)
		before := s.shape()
		s.dies(emulator.Fault{Action: action, Nth: 1, Kind: emulator.DieAfter})
		if _, err := s.tryLaunch(t.Context()); fail.ExitCode(err) != fail.CodeClean || len(fail.LeftOf(err)) > 0 {
			t.Errorf("killed after %s: %v (%d), left %v", action, err, fail.ExitCode(err), fail.LeftOf(err))
		}
		if got := s.versions(); got != "1.0.0 1.0.0" {
			t.Errorf("killed after %s: versions %s", action, got)
		}
		sameInventory(t, "killed after "+action, before, s.shape())
	}
}

// TestRootCutOffProvesItself: a run that is killed between a new root and its
// proof leaves the proof to the next one, which says what cannot be put back.
func TestRootCutOffProvesItself(t *testing.T) {
	s := newSite(t, luggage("{strategy: OneAtATime, replace: root-volume, "+refused+"}"))
	nextBuild(s)
	before := s.shape()
	s.dies(emulator.Fault{Action: "RegisterTargets", Nth: 1, Kind: emulator.DieAfter})
	_, err := s.tryLaunch(t.Context())
	if fail.ExitCode(err) != fail.CodeDirty || !strings.Contains(err.Error(), "it runs the new build, not 1.0.0 any more") || !strings.Contains(strings.Join(fail.Hints(err), " "), "goldline rollback web --env dev") {
		t.Errorf("error %v (%d), hints %v", err, fail.ExitCode(err), fail.Hints(err))
	}
	s.point("web", s.built("web", "1.0.0"))
	s.launch()
	s.settled()
	sameInventory(t, "gone back", before, s.shape())
}
