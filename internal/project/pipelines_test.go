package project

import (
	"testing"
)

func TestPipeline(t *testing.T) {
	p := load(t, `
-- images/web.yaml --
source_ami: ami-12345678
-- pipelines/release.yaml --
vars: {banner: hello, note: "${var.banner} you", wait: 90s}
stages:
  - {name: bake, bake: all}
  - {name: bake-one, bake: [web], needs: bake, timeout: "${var.wait}", retry: 2}
  - {name: bake-again, bake: {images: web, rebake: true}, vars: {banner: bye}}
  - {name: promote, promote: {images: [web], to: dev}}
  - {name: launch, launch: dev}
  - {name: destroy, destroy: {environment: dev}}
  - {name: rollback, rollback: {images: all, environment: dev}}
  - {name: run, run: "echo $HOME ${var.note}", vars: {banner: bye}}
  - {name: run-list, run: [make, "${project.name}"]}
  - name: check
    check: {environment: dev, console: '^ready ${instance.version}$', command: "true"}
`)
	pl, err := p.Pipeline("release", map[string]string{"wait": "1h"})
	if err != nil {
		t.Fatal(render(p, err))
	}
	if got := pl.Stages[3].Pos.String(); got != "pipelines/release.yaml:6:5" {
		t.Errorf("promote stands at %s", got)
	}
	all := Names{All: true}
	web := Names{Names: []string{"web"}}
	want := []*Stage{
		{Name: "bake", Bake: &BakeStage{Images: all}},
		{Name: "bake-one", Bake: &BakeStage{Images: web}, Needs: []string{"bake"}, Timeout: Duration(3600e9), Retry: 2},
		{Name: "bake-again", Bake: &BakeStage{Images: web, Rebake: true}, Vars: map[string]string{"banner": "bye"}},
		{Name: "promote", Promote: &PromoteStage{Images: web, To: "dev"}},
		{Name: "launch", Launch: &LaunchStage{Environment: "dev"}},
		{Name: "destroy", Destroy: &DestroyStage{Environment: "dev"}},
		{Name: "rollback", Rollback: &RollbackStage{Images: all, Environment: "dev"}},
		{Name: "run", Run: &RunStage{Command: []string{"sh", "-c", "echo $HOME bye you"}}, Vars: map[string]string{"banner": "bye"}},
		{Name: "run-list", Run: &RunStage{Command: []string{"make", "shop"}}},
		{Name: "check", Check: &CheckStage{Environment: "dev", Images: all, Console: "^ready ${instance.version}$", Command: []string{"sh", "-c", "true"}}},
	}
	if diff := diff(want, withoutPos(pl.Stages)); diff != "" {
		t.Error(diff)
	}
	if diff := diff(map[string]string{"banner": "hello", "note": "hello you", "wait": "1h"}, pl.Vars); diff != "" {
		t.Error(diff)
	}
}

func TestGivenVariablesWinOverAStages(t *testing.T) {
	p := load(t, "-- pipelines/a.yaml --\nstages: [{name: run, run: 'echo ${var.x}', vars: {x: 1}}]\n")
	pl, err := p.Pipeline("a", map[string]string{"x": "2"})
	if err != nil {
		t.Fatal(err)
	}
	if got := pl.Stages[0]; got.Run.Command[2] != "echo 2" || got.Vars["x"] != "2" {
		t.Errorf("%+v", got)
	}
}
