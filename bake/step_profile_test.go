package bake

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/project"
)

// TestTemporaryProfile: role and profile are gone after any bake, however each
// call that makes or removes them ended.
func TestTemporaryProfile(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: 2 * time.Millisecond}, nil)
	server := stubSSH(t)
	image := func(version string) *project.Image {
		i := l.stubbed(server, version)
		i.TemporaryProfile = &project.PolicyDocument{Statement: []project.PolicyStatement{{Effect: "Allow", Action: []string{"s3:GetObject"}, Resource: []string{"*"}}}}
		return i
	}
	clean := l.lasting()
	l.ResetCalls()
	if _, err := l.bakeAround(image("undisturbed"), &process{}); err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	if !strings.Contains(l.said.String(), "created instance profile goldline-bake-") || l.lasting() != clean {
		t.Errorf("left behind:\n%s\n%s", l.lasting(), l.said.String())
	}
	calls := l.actions()
	iamCalls := []string{
		"ListRoles", "CreateRole", "PutRolePolicy", "CreateInstanceProfile", "AddRoleToInstanceProfile",
		"RemoveRoleFromInstanceProfile", "DeleteInstanceProfile", "DeleteRolePolicy", "DeleteRole",
	}
	tried := 0
	for n, action := range calls {
		if !slices.Contains(iamCalls, action) {
			continue
		}
		tried++
		for _, wrong := range []string{"interrupt", "gone after", "refused", "lost answer"} {
			version := strings.ReplaceAll(wrong, " ", "-") + "-" + action
			_, first := l.bakeAround(image(version), l.wrong(wrong, n+1))
			l.ClearFaults()
			if _, err := New(l.options("again-"+version)).Bake(context.Background(), image(version)); err != nil {
				t.Errorf("%s at %s: the next bake: %v", wrong, action, err)
			}
			// A build that the first made whole needs no second bake: another one cleans up.
			if l.lasting() != clean {
				if _, err := New(l.options("more-"+version)).Bake(context.Background(), image(version+"-more")); err != nil {
					t.Errorf("%s at %s: another bake: %v", wrong, action, err)
				}
			}
			if left := l.lasting(); left != clean {
				t.Fatalf("%s at %s (%v): left behind\n%s\n%s", wrong, action, first, left, l.said.String())
			}
		}
	}
	if tried != len(iamCalls) {
		t.Errorf("%d of the calls were tried: %v", tried, calls)
	}
}
