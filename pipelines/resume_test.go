package pipelines

import (
	"maps"
	"slices"
	"testing"
)

func TestResume(t *testing.T) {
	stage := func(name, kind, environment, state string, amis ...string) StageResult {
		s := StageResult{Name: name, Kind: kind, Environment: environment, State: state}
		for _, ami := range amis {
			s.Items = append(s.Items, ItemResult{Item: "web", AMI: ami})
		}
		return s
	}
	bake := stage("bake", KindBake, "dev", StateSucceeded, "ami-1")
	promoteDev, launchDev := stage("promote-dev", KindPromote, "dev", StateSucceeded, "ami-1"), stage("launch-dev", KindLaunch, "dev", StateSucceeded)
	promoteProd := stage("promote-prod", KindPromote, "prod", StateSucceeded, "ami-2")
	for name, test := range map[string]struct {
		stages []StageResult
		want   []string
		builds map[string]string
	}{
		"all done": {[]StageResult{bake, promoteDev, launchDev}, nil, map[string]string{"web": "ami-1"}},
		"waits": {
			[]StageResult{bake, promoteDev, launchDev, stage("approve", KindApproval, "prod", StateWaiting), stage("promote-prod", KindPromote, "prod", StateSkipped)},
			[]string{"approve", "promote-prod"}, map[string]string{"web": "ami-1"},
		},
		"put back": { // the promotion succeeded, and was taken back with what failed after it
			[]StageResult{bake, promoteDev, launchDev, stage("approve", KindApproval, "prod", StateSucceeded), promoteProd, stage("launch-prod", KindLaunch, "prod", StateFailed)},
			[]string{"promote-prod", "launch-prod"}, map[string]string{"web": "ami-2"},
		},
		"check failed": {
			[]StageResult{bake, promoteDev, launchDev, stage("check-dev", KindCheck, "dev", StateFailed), stage("promote-prod", KindPromote, "prod", StateSkipped)},
			[]string{"promote-dev", "launch-dev", "check-dev", "promote-prod"}, map[string]string{"web": "ami-1"},
		},
		"gone back by a stage": { // a rollback once more would go back one build further
			[]StageResult{stage("back", KindRollback, "prod", StateSucceeded), stage("check", KindCheck, "prod", StateFailed)},
			[]string{"check"}, map[string]string{},
		},
		"on record without environments": {
			[]StageResult{stage("promote-dev", KindPromote, "", StateSucceeded, "ami-1"), stage("launch-dev", KindLaunch, "", StateFailed)},
			[]string{"launch-dev"}, map[string]string{"web": "ami-1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			stages, builds := Result{Stages: test.stages}.Resume()
			if !slices.Equal(stages, test.want) || !maps.Equal(builds, test.builds) {
				t.Errorf("got %v with %v, want %v with %v", stages, builds, test.want, test.builds)
			}
		})
	}
	if _, builds := (Result{Builds: map[string]string{"web": "ami-0"}, Stages: []StageResult{launchDev}}).Resume(); builds["web"] != "ami-0" {
		t.Errorf("builds of the run before are lost: %v", builds)
	}
}
