package project

import (
	"strings"
	"testing"
)

// TestRolloutWhereItStands: the nearest roll-out holds as a whole.
func TestRolloutWhereItStands(t *testing.T) {
	p := load(t, `
-- environments/dev.yaml --
account: "000000000000"
region: eu-central-1
rollout:
  strategy: HalfAtATime
  hooks: {after_rollout: "echo $${GOLDLINE_ADDRESS} ${GOLDLINE_RUN}"}
-- topology/instances/web.yaml --
subnet: subnet-12345678
count: 2
rollout: {canary: {bake_time: 1m}, health: {target_group: false, tcp: "${var.port}"}, minimum_healthy: 1}
-- topology/instances/db.yaml --
subnet: subnet-12345678
`)
	top, err := p.Topology("dev", map[string]string{"port": "5432"})
	if err != nil {
		t.Fatal(render(p, err))
	}
	for _, r := range top.Resources {
		got := top.Effective(nil, r)
		if r.Name == "db" && (got.Kind() != HalfAtATime || got.Hooks.AfterRollout[2] != "echo ${GOLDLINE_ADDRESS} ${GOLDLINE_RUN}") {
			t.Errorf("%s: %+v", r.Address, got)
		}
		if r.Name == "web" && (got.Kind() != CanaryFirst || got.Canary.Instances.Of(9) != 1 || got.Health.TCP != 5432 || got.MinimumHealthy.Of(9) != 1) {
			t.Errorf("%s: %+v", r.Address, got)
		}
		if stage := (&Rollout{Strategy: AllAtOnce}); top.Effective(stage, r) != stage {
			t.Error("the stage's does not win")
		}
	}
	if status, group := (*Health)(nil).Checks(); !status || !group {
		t.Error("health that is not given checks nothing")
	}
}

// TestRollsBack: all of an environment goes back where one of its definitions does.
func TestRollsBack(t *testing.T) {
	const back, stop = "on_failure: rollback", "on_failure: stop"
	for _, c := range []struct {
		env, web, db string
		stage        *Rollout
		want         bool
	}{
		{"", "", "", nil, false},
		{"", back, "", nil, true},
		{"", stop, back, nil, true},
		{"protected: true", "", "", nil, true},
		{"protected: true", stop, "", nil, true},
		{"protected: true", stop, stop, nil, false},
		{"rollout: {on_failure: stop}", back, "", nil, true},
		{"rollout: {on_failure: rollback}", stop, stop, nil, false},
		{"protected: true", stop, stop, &Rollout{Strategy: OneAtATime}, true},
		{"protected: true", back, back, &Rollout{OnFailure: FailureStop}, false},
	} {
		p := load(t, "-- environments/dev.yaml --\naccount: \"000000000000\"\nregion: eu-central-1\n"+c.env+
			"\n-- topology/subnets/a.yaml --\ncidr_block: 10.0.0.0/24\nvpc: vpc-12345678\n-- topology/instances/web.yaml --\nsubnet: subnet-12345678\nrollout: {"+c.web+
			"}\n-- topology/instances/db.yaml --\nsubnet: subnet-12345678\nrollout: {"+c.db+"}\n")
		top, err := p.Topology("dev", nil)
		if err != nil {
			t.Fatal(render(p, err))
		}
		if got := top.RollsBack(c.stage); got != c.want {
			t.Errorf("%q, %q, %q, stage %+v: %v", c.env, c.web, c.db, c.stage, got)
		}
	}
}

// TestRolloutMistakes: what contradicts itself is reported at its place.
func TestRolloutMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"{strategy: OneAtATim}":                                   `did you mean`,
		"{strategi: OneAtATime}":                                  `unknown key "strategi"`,
		"{strategy: OneAtATime, minimum_healthy: 75%}":            "OneAtATime says already how many instances serve",
		"{strategy: HalfAtATime, canary: 1}":                      "HalfAtATime has no canary",
		"{keep: 1h}":                                              "keep is a matter of BlueGreen alone",
		"{strategy: BlueGreen, steps: [50%, 10%, 100%]}":          "each step is more than the one before: 10% after 50%",
		"{strategy: BlueGreen, steps: [50%]}":                     "the last step is 100%, not 50%",
		"{strategy: BlueGreen, steps: []}":                        "at least one step",
		"{health: {status: false, target_group: false}}":          "nothing tells when an instance is healthy",
		"{health: {console: '('}}":                                "not a regular expression",
		"{health: {http: {port: 70000}}}":                         "too large",
		"{hooks: {before_replace: 'x ${instance.web.id}'}}":       "${instance.web.id} has no value in a roll-out",
		"{minimum_healthy: lots}":                                 "minimum_healthy: How many",
		"{healthy_after: 0}":                                      "too small",
		"{deadline: -1m}":                                         "cannot be negative",
		"{replace: root}":                                         "expected instance or root-volume",
		"{canary: {instances: 0%}}":                               "expected a count of at least 1, or 1% to 100%",
		"{minimum_healthy: 101%}":                                 "expected a count, or 0% to 100%",
		"{deadline: 0s}":                                          "no time to become healthy in",
		"{health: {http: {path: health}}}":                        "expected a path that begins with /",
		"{health: {command: ''}}":                                 "command is empty",
		"{on_failure: retry}":                                     "expected rollback or stop",
		"{health: {http: {path: '/${environment.nam}'}, tcp: 1}}": "environment.nam",
	} {
		for place, archive := range map[string]string{
			"environments/dev.yaml":         "account: \"000000000000\"\nregion: eu-central-1\nrollout: " + text + "\n",
			"topology/instances/web.yaml":   "subnet: subnet-12345678\nrollout: " + text + "\n",
			"pipelines/release.yaml":        "stages:\n  - name: a\n    launch: {environment: dev, rollout: " + text + "}\n",
			"pipelines/back.yaml":           "stages:\n  - name: a\n    rollback: {images: all, environment: dev, rollout: " + text + "}\n",
			"topology/subnets/nowhere.yaml": "vpc: vpc-12345678\ncidr_block: 10.0.0.0/24\nrollout: " + text + "\n",
		} {
			files := "-- " + place + " --\n" + archive
			if !strings.HasPrefix(place, "environments") {
				files += "-- environments/dev.yaml --\naccount: \"000000000000\"\nregion: eu-central-1\n"
			}
			expect := want
			if strings.HasPrefix(place, "topology/subnets") {
				expect = "subnet has no roll-out: it runs no instances"
			}
			p, err := Load(write(t, "-- goldline.yaml --\nproject: shop\nladder: [dev]\n"+files), testVocabulary())
			if err == nil {
				err = p.Validate(nil)
			}
			if err == nil {
				t.Errorf("%s: %s is accepted", place, text)
			} else if shown := render(p, err); !strings.Contains(shown, expect) || !strings.Contains(shown, place+":") {
				t.Errorf("%s: %s:\n%s\nwant %s", place, text, shown, expect)
			}
		}
	}
}
