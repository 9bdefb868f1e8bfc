package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/launch"
)

var webInstance = launch.Instance{
	Address: "instance.web[0]", ID: "i-1", Image: "web", AMI: "ami-1", Version: "1.0", PrivateIP: "10.0.1.5", PublicIP: "203.0.113.9",
}

// newChecking is a check of dev whose instances answer at the given addresses.
func newChecking(t *testing.T, spec *project.CheckStage, at map[string]string) *checking {
	t.Helper()
	p := load(t)
	stage := PlannedStage{Name: "check", Kind: KindCheck, Environment: "dev", stage: &project.Stage{Name: "check", Check: spec}}
	env, err := p.Environment("dev")
	if err != nil {
		t.Fatal(err)
	}
	r := &run{
		options:  Options{Project: p, Run: "r1"},
		plan:     &Plan{Pipeline: "p", Stages: []PlannedStage{stage}, definitions: map[string]definitions{"check": {topology: &project.Topology{Environment: env}}}},
		outcomes: map[string]outcome{},
	}
	deadline := spec.Deadline.Or(10 * time.Second)
	spec.Interval = project.Duration(time.Millisecond)
	return &checking{run: r, stage: stage, spec: spec, deadline: deadline, cloud: &cloud.Cloud{
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			real, ok := at[address]
			if !ok {
				return nil, fmt.Errorf("no route to %s", address)
			}
			return new(net.Dialer).DialContext(ctx, network, real)
		},
	}}
}

// deadline is a context whose time is over when the test says so: how much a busy
// machine does within milliseconds is nothing to rely on.
type deadline struct {
	context.Context
	over chan struct{}
}

func newDeadline(t *testing.T) *deadline { return &deadline{t.Context(), make(chan struct{})} }

func (d *deadline) Done() <-chan struct{} { return d.over }

func (d *deadline) Err() error {
	select {
	case <-d.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestHTTPCheck(t *testing.T) {
	tries := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/health/1.0":
			fmt.Fprint(w, "web 1.0 is well in dev")
		case "/late":
			if tries++; tries < 3 {
				http.Error(w, "starting", http.StatusServiceUnavailable)
			}
		case "/moved":
			http.Redirect(w, r, "/health/1.0", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	private, public := map[string]string{"10.0.1.5:8080": address}, map[string]string{"203.0.113.9:8080": address}
	for _, test := range []struct {
		name string
		spec project.HTTPCheck
		at   map[string]string
		want string // in the error
	}{
		{"names are filled in", project.HTTPCheck{Path: "/health/${instance.version}", Contains: "well in ${environment.name}"}, private, ""},
		{"the public address", project.HTTPCheck{Path: "/health/1.0"}, public, ""},
		{"after some tries", project.HTTPCheck{Path: "/late"}, private, ""},
		{"a redirect is what it is", project.HTTPCheck{Path: "/moved", Status: 302}, private, ""},
		{"another status", project.HTTPCheck{Path: "/nothing"}, private, "answers 404 Not Found, not 200"},
		{"another text", project.HTTPCheck{Path: "/health/1.0", Contains: "version 2"}, private, `answers without "version 2"; its last lines:` + "\n  web 1.0 is well"},
		{"no way there", project.HTTPCheck{Path: "/health/1.0"}, nil, "no route to 203.0.113.9:8080"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.spec.Port = 8080
			c := newChecking(t, &project.CheckStage{HTTP: &test.spec, Deadline: project.Duration(200 * time.Millisecond)}, test.at)
			within := newDeadline(t)
			if dial, dials := c.cloud.Dial, 0; test.want != "" {
				c.cloud.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					if dials++; dials == 3 { // the first look is over, which may try two addresses
						close(within.over)
						return nil, within.Err()
					}
					return dial(ctx, network, address)
				}
			}
			err := c.instance(within, webInstance, event.Discard)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "instance.web[0] (i-1): not within 200ms: ") {
				t.Errorf("error %v does not name the instance and the deadline", err)
			}
		})
	}
}

func TestCommandCheck(t *testing.T) {
	spec := &project.CheckStage{Command: []string{"sh", "-c", `echo "$GOLDLINE_ENVIRONMENT"; cp "$GOLDLINE_INSTANCES" instances; echo x >> tries; test $(wc -l < tries) -eq 3`}}
	c := newChecking(t, spec, nil)
	sink := &recorded{}
	if err := c.command(t.Context(), []launch.Instance{webInstance}, sink); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(c.run.options.Project.Dir, "instances"))
	var got []launch.Instance
	if err != nil || json.Unmarshal(text, &got) != nil || len(got) != 1 || got[0] != webInstance {
		t.Errorf("instances %s, %v", text, err)
	}
	if sink.text() != "output dev" {
		t.Errorf("events %s", sink.text())
	}

	c = newChecking(t, &project.CheckStage{Command: []string{"no-such-program-anywhere"}}, nil)
	if err := c.command(t.Context(), nil, sink); fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("error %v of a program that is not there", err)
	}
}

func TestACheckThatIsOverSaysWhatItSaw(t *testing.T) {
	c, within, looks := newChecking(t, &project.CheckStage{Deadline: project.Duration(time.Minute)}, nil), newDeadline(t), 0
	err := c.until(within, func(ctx context.Context) (bool, string, error) {
		if looks++; looks == 3 {
			close(within.over)
			return false, ctx.Err().Error(), nil
		}
		return false, fmt.Sprintf("look %d: exit status 3", looks), nil
	}, event.Discard)
	if err == nil || err.Error() != "not within 1m0s: look 2: exit status 3" {
		t.Errorf("error %v", err)
	}
}

func TestAnInterruptedCheckSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := newChecking(t, &project.CheckStage{}, nil)
	err := c.until(ctx, func(context.Context) (bool, string, error) { cancel(); return false, "nothing yet", nil }, event.Discard)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
