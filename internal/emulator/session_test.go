package emulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/goldline-dev/goldline/internal/machine"
)

// names lists the parameters in a folder that nobody has open.
func names(t *testing.T, dir string) map[string]bool {
	t.Helper()
	c := newTestCloud(t, Options{Dir: dir})
	defer c.Close()
	found := map[string]bool{}
	for pages := ssm.NewDescribeParametersPaginator(c.ssm, &ssm.DescribeParametersInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Parameters {
			found[*p.Name] = true
		}
	}
	return found
}

func joinCloud(t *testing.T, dir string) *Session {
	t.Helper()
	s, err := Join(t.Context(), Options{Dir: dir, Machine: NoMachines, Transition: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Whatever was answered before kill -9 is there afterwards.
func TestKilledOwnerLosesNothing(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		c := startChild(t, dir)
		c.want("joined true")
		c.send(fmt.Sprintf("flood r%d", round))
		kept := 20 + 7*round
		for i := range kept {
			c.want(fmt.Sprint("kept ", i))
		}
		c.kill()
		found := names(t, dir)
		for i := range kept {
			if name := fmt.Sprintf("r%d-%d", round, i); !found[name] {
				t.Errorf("%s was answered and is lost", name)
			}
		}
	}
}

// A process that was going through another one takes over when that one is
// killed, with everything that it had.
func TestTakeOverFromKilledOwner(t *testing.T) {
	dir := t.TempDir()
	first := startChild(t, dir)
	first.want("joined true")
	second := startChild(t, dir)
	second.want("joined false")
	s := joinCloud(t, dir)
	first.send("put from-first")
	first.want("ok true")
	second.send("put from-second")
	second.want("ok false")
	if err := putNew(t.Context(), ssmOver(s.Transport()), "from-here"); err != nil {
		t.Fatal(err)
	}
	first.kill()
	second.send("put after")
	second.want("ok true")
	// The same name again is refused, so this process reads what second wrote.
	err := putNew(t.Context(), ssmOver(s.Transport()), "after")
	wantCode(t, err, "ParameterAlreadyExists")
	if s.Owner() {
		t.Error("two processes own the cloud")
	}
	second.kill()
	if err := putNew(t.Context(), ssmOver(s.Transport()), "last"); err != nil {
		t.Fatal(err)
	}
	if !s.Owner() {
		t.Error("nobody took over")
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	found := names(t, dir)
	for _, name := range []string{"from-first", "from-second", "from-here", "after", "last"} {
		if !found[name] {
			t.Errorf("%s is lost", name)
		}
	}
}

// Two processes that write at the same time, while owners come and go, lose
// nothing and do nothing twice.
func TestOwnersComeAndGo(t *testing.T) {
	dir := t.TempDir()
	s := joinCloud(t, dir)
	var wait sync.WaitGroup
	for g := range 2 {
		wait.Go(func() {
			client := ssmOver(s.Transport())
			for i := range 40 {
				if err := putNew(t.Context(), client, fmt.Sprintf("here-%d-%d", g, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		other := startChild(t, dir)
		if !strings.HasPrefix(other.line(), "joined") {
			t.Fatal("the other process did not join")
		}
		other.send(fmt.Sprintf("put there-%d", other.cmd.Process.Pid))
		if !strings.HasPrefix(other.line(), "ok") {
			t.Fatal("the other process did not write")
		}
		other.send("close")
		other.want("closing")
	}
	wait.Wait()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := names(t, dir); len(found) != 82 {
		t.Errorf("%d parameters, not 82", len(found))
	}
}

// An owner that closes waits for those that go through it.
func TestOwnerLingers(t *testing.T) {
	dir := t.TempDir()
	s := joinCloud(t, dir)
	other := startChild(t, dir)
	other.want("joined false")
	if n := s.Others(); n != 1 {
		t.Errorf("%d others, not 1", n)
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close(context.Background()) }()
	other.send("put meanwhile")
	other.want("ok false")
	select {
	case <-closed:
		t.Fatal("the owner did not wait")
	default:
	}
	other.send("close")
	other.want("closing")
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
}

// An owner whose time is up goes, and the other one goes on.
func TestOwnerLingersNoLongerThanItMay(t *testing.T) {
	dir := t.TempDir()
	s := joinCloud(t, dir)
	other := startChild(t, dir)
	other.want("joined false")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	other.send("put afterwards")
	other.want("ok true")
	if _, err := s.Transport().RoundTrip(httptest.NewRequest("GET", "http://x/", nil)); !errors.Is(err, errSessionClosed) {
		t.Errorf("a call after Close: %v", err)
	}
}

func TestLongFolderSharesThroughAShortSocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	s := joinCloud(t, dir)
	other := startChild(t, dir)
	other.want("joined false")
	card, err := readCard(dir)
	if err != nil {
		t.Fatal(err)
	}
	other.send("close")
	other.want("closing")
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(card.Socket)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left (%v)", card.Socket, err)
	}
}

func TestMachineKindStaysWithTheFolder(t *testing.T) {
	dir := t.TempDir()
	s := joinCloud(t, dir)
	defer s.Close(t.Context())
	if s.Machine() != NoMachines {
		t.Errorf("machine kind is %q", s.Machine())
	}
	_, err := Join(t.Context(), Options{Dir: dir, Machine: machine.InProcess})
	if !errors.Is(err, ErrOwned) || !strings.Contains(err.Error(), "machine kind none, not in-process") {
		t.Errorf("another kind while it is open: %v", err)
	}
	if _, err := Open(t.Context(), Options{Dir: dir}); !errors.Is(err, ErrOwned) {
		t.Errorf("opened twice: %v", err)
	}
}

func TestDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	real := l.Addr().(*net.TCPAddr).AddrPort()
	dir := t.TempDir()
	owner := joinCloud(t, dir)
	defer owner.Close(t.Context())
	owner.Cloud().hooks.listens = func(ip netip.Addr, port uint16) (netip.AddrPort, bool) {
		return real, ip.String() == "203.0.113.7" && port == 22
	}
	other := joinCloud(t, dir)
	defer other.Close(t.Context())
	if other.Owner() {
		t.Fatal("both own the cloud")
	}
	for name, s := range map[string]*Session{"owner": owner, "other": other} {
		for addr, ok := range map[string]bool{"203.0.113.7:22": true, real.String(): true, "203.0.113.8:22": false, "example.com:22": false} {
			conn, err := s.Dial(t.Context(), "tcp", addr)
			if (err == nil) != ok {
				t.Errorf("%s: dial %s: %v", name, addr, err)
			}
			if err == nil {
				conn.Close()
			}
		}
	}
}

// A folder that cannot be opened is free again at once.
func TestOpenFailsCleanly(t *testing.T) {
	dir := t.TempDir()
	journal := filepath.Join(dir, "journal")
	if err := os.WriteFile(journal, []byte("{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Join(t.Context(), Options{Dir: dir, Machine: NoMachines}); err == nil || !strings.Contains(err.Error(), "damaged at line 1") {
			t.Errorf("error is %v", err)
		}
	}
	if err := os.Remove(journal); err != nil {
		t.Fatal(err)
	}
	if err := joinCloud(t, dir).Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// What serves a session goes on when the owner behind it changes.
func TestSessionServes(t *testing.T) {
	dir := t.TempDir()
	first := startChild(t, dir)
	first.want("joined true")
	s := joinCloud(t, dir)
	defer s.Close(t.Context())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	cfg := configOf(nil, "AKID", "", testRegion)
	url := "http://" + l.Addr().String()
	cfg.BaseEndpoint, cfg.HTTPClient = &url, nil
	client := ssm.NewFromConfig(cfg)
	if err := putNew(t.Context(), client, "a"); err != nil {
		t.Error(err)
	}
	first.kill()
	wantCode(t, putNew(t.Context(), client, "a"), "ParameterAlreadyExists")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
