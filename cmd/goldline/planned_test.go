package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/launch"
)

func TestPlannedRolloutText(t *testing.T) {
	batches := func(sizes ...int) (list []launch.PlannedBatch) {
		n := 0
		for _, size := range sizes {
			var b launch.PlannedBatch
			for range size {
				b.Addresses = append(b.Addresses, fmt.Sprintf("instance.web[%d]", n))
				n++
			}
			list = append(list, b)
		}
		return list
	}
	canary := batches(1, 3, 2)
	canary[0].Canary, canary[0].BakeSeconds = true, 600
	list := []launch.PlannedRollout{
		{Definition: "instance.web", Method: launch.MethodInstance, Strategy: "OneAtATime", Instances: 6, Serving: 5, Batches: batches(1, 1, 1, 1, 1, 1),
			Health: []string{"status", "target_group", "http 8080/health"}, HealthyAfter: 3, DeadlineSeconds: 300, Hooks: []string{"after_replace"}, OnFailure: "stop"},
		{Definition: "instance.web", Method: launch.MethodInstance, Strategy: "Canary", Instances: 6, Serving: 6, Batches: canary,
			Health: []string{"status"}, HealthyAfter: 1, DeadlineSeconds: 5400, OnFailure: "rollback"},
		{Definition: "instance.web", Method: launch.MethodRootVolume, Strategy: "OneAtATime", Instances: 100, Serving: 99, Batches: batches(slicesOf(1, 100)...),
			HealthyAfter: 1, DeadlineSeconds: 30, OnFailure: "stop", Irreversible: nil},
		{Definition: "instance.db", Method: launch.MethodInstance, Instances: 1, Batches: []launch.PlannedBatch{{Addresses: []string{"instance.db"}}},
			Health: []string{"status"}, HealthyAfter: 1, DeadlineSeconds: 900, OnFailure: "stop", Irreversible: []string{"instance.db"}},
		{Definition: "auto_scaling_group.web", Method: launch.MethodRefresh, Strategy: "Canary", Instances: 10, Serving: 9, Steps: []string{"10%", "100%"}, BakeSeconds: 60, EndBakeSeconds: 300,
			Health: []string{"in service"}, HealthyAfter: 1, OnFailure: "rollback"},
		{Definition: "auto_scaling_group.api", Method: launch.MethodBlueGreen, Strategy: "BlueGreen", Instances: 2, Serving: 2, Steps: []string{"50%", "100%"}, BakeSeconds: 300, KeepSeconds: 3600,
			Health: []string{"in service", "target_group"}, HealthyAfter: 1, DeadlineSeconds: 600, OnFailure: "rollback"},
	}
	want := `Roll-out of instance.web, OneAtATime, 6 batches: at least 5 of 6 serve throughout
  in order: [0], then [1], then [2], then [3], then [4], then [5]
  healthy: status, target_group, http 8080/health, 3 times in a row, within 5m
  hooks: after_replace
  one that fails is put back, and no other follows

Roll-out of instance.web, Canary, 3 batches: all 6 serve throughout
  in order: [0] (canary, watched for 10m), then [1]-[3], then [4] [5]
  healthy: status, within 1h30m
  one that fails is put back, and no other follows; what took the new build goes back, too

Roll-out of instance.web, OneAtATime, in place by another root volume, 100 batches: at least 99 of 100 serve throughout
  in order: [0], then [1], then [2], then [3], then [4], then [5], then [6], then [7], then [8], then [9], then (89 more), then [99]
  healthy: when it runs, within 30s
  one that fails is put back, and no other follows

Replacement of instance.db, without a rollout: it does not serve meanwhile
  healthy: status, within 15m
  cannot be put back, since it goes before its successor is made: instance.db

Roll-out of auto_scaling_group.web, Canary, an instance refresh: at least 9 of 10 serve throughout
  stops for 1m at 10%, 100%, and is watched for 5m in the end
  healthy: in service
  a failure puts the instances that were replaced back

Roll-out of auto_scaling_group.api, BlueGreen: all 2 serve throughout
  a new group beside the old one gets 50%, 100% of the traffic, watched for 5m after each; the old one stays for 1h, until when a rollback goes back to it
  healthy: in service, target_group, within 10m
  a failure moves the traffic back and removes the new group

`
	var out bytes.Buffer
	w := &text{out: &out, paint: painter(false)}
	plannedRollouts(w, list)
	if got := out.String(); got != want {
		t.Errorf("it says\n%s\nwant\n%s", got, strings.TrimSpace(want))
	}
}

func slicesOf(value, n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = value
	}
	return list
}
