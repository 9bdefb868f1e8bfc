package bake

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// process is one process's way to the cloud. At its nth call it does something:
// ends the process, before or after the call is carried out, or interrupts it.
type process struct {
	next   http.RoundTripper
	at     int
	before func() // called as the nth call comes
	dies   string // "before" or "after" the call; empty for neither
	turn   chan struct{}
	calls  int
	dead   bool
}

// errGone keeps the SDK from trying again: there is no process to do it.
type errGone struct{ error }

func (errGone) RetryableError() bool { return false }
func (e errGone) Unwrap() error      { return e.error }

func (p *process) RoundTrip(r *http.Request) (*http.Response, error) {
	p.turn <- struct{}{}
	p.calls++
	now := p.calls == p.at
	if now && p.dies == "before" {
		p.dead = true
	}
	dead := p.dead
	if now && p.dies == "after" {
		p.dead = true
	}
	<-p.turn
	if now && p.before != nil {
		p.before()
	}
	if dead {
		return nil, errGone{syscall.ECONNREFUSED}
	}
	answer, err := p.next.RoundTrip(r)
	if now && p.dies == "after" {
		return nil, errGone{syscall.ECONNREFUSED}
	}
	return answer, err
}

// bakeAround bakes an image whose builder is stubbed, once through a process
// that something happens to, and hands over what came of it.
func (l *local) bakeAround(image *project.Image, p *process) (Build, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p.next, p.turn = l.Transport(), make(chan struct{}, 1)
	options := l.options("broken-" + image.Version)
	if p.at > 0 {
		p.at++ // the first call asks who the caller is
		p.before = cancel
		options.Cloud = l.reach(p)
	}
	return New(options).Bake(ctx, image)
}

func (l *local) stubbed(server sshServer, version string) *project.Image {
	i := l.image("web")
	i.Version = version
	i.SSHHost, i.SSHPort, i.SSHHostPublicKey = "127.0.0.1", server.port, server.hostKey
	return i
}

// builds counts the AMIs of a version.
func (l *local) builds(c *cloud.Cloud, version string) (available, all int) {
	found, err := describeAMIs(context.Background(), c, &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		l.t.Fatal(err)
	}
	for _, ami := range found {
		if cloud.TagSet(ami.Tags)["goldline:version"] == version {
			all++
			if ami.State == "available" && aws.ToString(ami.ImageId) != "" {
				available++
			}
		}
	}
	return available, all
}

// lasting is the inventory without AMIs and their snapshots.
func (l *local) lasting() string {
	var kept []string
	for _, line := range strings.Split(l.inventory(), "\n") {
		if kind, _, _ := strings.Cut(line, ":"); !strings.HasSuffix(kind, " image") && !strings.HasSuffix(kind, " snapshot") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

func TestEveryCallGoesWrongOnce(t *testing.T) {
	for _, wrong := range []string{"interrupt", "gone before", "gone after", "refused", "lost answer"} {
		t.Run(wrong, func(t *testing.T) {
			t.Parallel()
			l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: 2 * time.Millisecond}, nil)
			server := stubSSH(t)
			clean := l.lasting()
			l.ResetCalls()
			if _, err := l.bakeAround(l.stubbed(server, "undisturbed"), &process{}); err != nil {
				t.Fatalf("%v\n%s", err, l.said.String())
			}
			calls := l.actions()
			t.Logf("%d calls: %v", len(calls), calls)
			for n := 1; n <= len(calls) && !t.Failed(); n++ {
				l.goWrong(server, wrong, n)
				if after := l.lasting(); after != clean {
					t.Errorf("call %d: left behind after the next bake\n%s\n%s", n, after, l.said.String())
				}
			}
		})
	}
}

// wrong prepares that the nth call goes wrong in some way.
func (l *local) wrong(how string, n int) *process {
	p := &process{}
	switch how {
	case "interrupt":
		p.at = n
	case "gone before", "gone after":
		p.at, p.dies = n, strings.TrimPrefix(how, "gone ")
	case "refused":
		l.Inject(emulator.Fault{Service: "ec2", Nth: n, Kind: emulator.Error, Code: "UnauthorizedOperation"})
	case "lost answer":
		l.Inject(emulator.Fault{Service: "ec2", Nth: n, Kind: emulator.LostAnswer})
	}
	return p
}

// goWrong lets the nth call of a bake go wrong, bakes again, and says what is
// not as it must be.
func (l *local) goWrong(server sshServer, wrong string, n int) {
	version := fmt.Sprintf("%s-%d", strings.ReplaceAll(wrong, " ", "-"), n)
	p := l.wrong(wrong, n)
	l.said.Reset()
	before := l.inventory()
	_, err := l.bakeAround(l.stubbed(server, version), p)
	l.ClearFaults()
	if wrong == "interrupt" && err != nil {
		if !errors.Is(err, context.Canceled) || fail.ExitCode(err) != fail.CodeInterrupted {
			l.t.Errorf("call %d: error %v (%d)", n, err, fail.ExitCode(err))
		}
		if after := l.inventory(); after != before {
			l.t.Errorf("call %d: an interrupt left\n%s\nwhere there was\n%s\n%s", n, after, before, l.said.String())
		}
	}
	again := l.options("again-" + version)
	if _, err := New(again).Bake(context.Background(), l.stubbed(server, version)); err != nil {
		l.t.Errorf("call %d: the next bake: %v", n, err)
	}
	if available, all := l.builds(again.Cloud, version); available != 1 || all != 1 {
		l.t.Errorf("call %d: %d builds, %d of them available, want one\n%s", n, all, available, l.said.String())
	}
}
