package promote

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/tags"
)

// mark is something that is said of a build, with a text to know it by.
type mark struct {
	name string
	do   func(ctx context.Context, p *Promoter, ami, text string) error
	// says tells whether it is said, in all places where it is to be said.
	says func(w *world, ami, text string) bool
}

func marks() []mark {
	everywhere := func(key string) func(w *world, ami, text string) bool {
		return func(w *world, _, text string) bool {
			return strings.Contains(w.tagged("dev", key), text) && strings.Contains(w.tagged("prod", key), text)
		}
	}
	return []mark{
		{"approve", func(ctx context.Context, p *Promoter, ami, text string) error {
			_, err := p.Approve(ctx, ami, "prod", text)
			return err
		}, func(w *world, ami, text string) bool {
			path := strings.TrimSuffix(tags.Pointers("shop", "prod"), "/")
			out, err := w.in("prod").SSM.GetParametersByPath(context.Background(), &ssm.GetParametersByPathInput{Path: aws.String(path), Recursive: aws.Bool(true)})
			if err != nil {
				w.t.Fatal(err)
			}
			n := 0
			for _, v := range out.Parameters {
				if strings.Contains(aws.ToString(v.Value), `"note":"`+text+`"`) {
					n++
				}
			}
			return n == 1
		}},
		{"scan", func(ctx context.Context, p *Promoter, ami, text string) error {
			var n int
			if _, err := fmt.Sscan(text, &n); err != nil {
				return err
			}
			_, err := p.Scanned(ctx, ami, map[string]int{"low": n})
			return err
		}, everywhere(tags.Scanned)},
		{"revoke", func(ctx context.Context, p *Promoter, ami, text string) error {
			_, err := p.Revoke(ctx, ami, text)
			return err
		}, everywhere(tags.Revoked)},
		{"failed", func(ctx context.Context, p *Promoter, ami, text string) error {
			return p.Fail(ctx, "dev", []string{ami}, text)
		}, func(w *world, _, text string) bool {
			return strings.Contains(w.tagged("dev", tags.FailedIn("dev")), text)
		}},
	}
}

// tagged is what a tag of the AMIs of an environment says.
func (w *world) tagged(environment, key string) string {
	w.t.Helper()
	var all []string
	for _, i := range w.images(environment) {
		all = append(all, cloud.TagSet(i.Tags)[key])
	}
	return strings.Join(all, " ")
}

// TestEveryCallOfAMarkFailsOnce: whatever goes wrong with one call of saying
// something of a build, it is told, and the same again says it everywhere. All
// calls go wrong in all ways with FAULTS=all, and otherwise some.
func TestEveryCallOfAMarkFailsOnce(t *testing.T) {
	die := func() {}
	w := openWorld(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond, OnDie: func() { die() }})
	w.project = loadProject(t, "testdata/accounts.txtar")
	w.launch()
	w.awaitInstance()
	ami := w.build("web", "1")
	for _, to := range []string{"dev", "test", "prod"} {
		w.promote("web", to, "")
	}
	kinds := []emulator.FaultKind{emulator.Error, emulator.LostAnswer, emulator.Die, emulator.DieAfter}
	for _, m := range marks() {
		t.Run(m.name, func(t *testing.T) {
			w.local.ResetCalls()
			if err := m.do(t.Context(), w.promoter(), ami, "1000"); err != nil || !m.says(w, ami, "1000") {
				t.Fatalf("undisturbed: %v", err)
			}
			calls := len(w.local.Calls())
			faults := 0
			for n := 1; n <= calls; n++ {
				for k, kind := range kinds {
					if os.Getenv("FAULTS") != "all" && (n*len(kinds)+k)%11 != 0 {
						continue
					}
					faults++
					text := fmt.Sprint(1001 + n*len(kinds) + k)
					ctx, cancel := context.WithCancel(t.Context())
					die = cancel
					w.local.Inject(emulator.Fault{Nth: n, Kind: kind, Code: "AccessDeniedException"})
					p := w.promoter()
					err := m.do(ctx, p, ami, text)
					cancel()
					w.local.ClearFaults()
					if said := m.says(w, ami, text); err == nil && !said && len(p.LeftOut()) == 0 {
						t.Errorf("%s at call %d: it is not said, and nobody is told", kind, n)
					} else if said && fail.ExitCode(err) == fail.CodeInput {
						t.Errorf("%s at call %d: it is said, and called wrong: %v", kind, n, err)
					}
					if err := m.do(t.Context(), w.promoter(), ami, text); err != nil || !m.says(w, ami, text) {
						t.Errorf("%s at call %d: again: %v", kind, n, err)
					}
				}
			}
			t.Logf("%d calls, %d faults", calls, faults)
		})
	}
}
