package probe

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/leash"
)

func TestTail(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", "it is empty"}, {"\n\n", "it is empty"}, {"a\nb\n", "its last lines:\n  a\n  b"}, {"a\nb\nc", "its last lines:\n  b\n  c"},
	} {
		if got := tail(test.text, 2); got != test.want {
			t.Errorf("tail of %q: %q", test.text, got)
		}
	}
}

// TestTCP: a port that listens passes, at whichever address; one that does not
// says why.
func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	var d net.Dialer
	look := TCP(d.DialContext, []string{"127.0.0.1"}, port)
	if ok, saw, err := look(t.Context()); !ok || err != nil {
		t.Errorf("saw %s, %v", saw, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if ok, saw, _ := look(t.Context()); ok || !strings.Contains(saw, "refused") {
		t.Errorf("a closed port: %t, %s", ok, saw)
	}
	if ok, saw, _ := TCP(d.DialContext, nil, port)(t.Context()); ok || saw != "it has no address" {
		t.Errorf("no address: %t, %s", ok, saw)
	}
}

func TestConsoleAndCommand(t *testing.T) {
	read := func(text string, err error) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return text, err }
	}
	pattern := regexp.MustCompile("(?m)^ready")
	if ok, _, err := Console(read("boot\nready 1\n", nil), pattern)(t.Context()); !ok || err != nil {
		t.Error("the line is not found", err)
	}
	if ok, saw, _ := Console(read("boot\n", nil), pattern)(t.Context()); ok || !strings.Contains(saw, `"^ready"; its last lines:`) {
		t.Errorf("saw %s", saw)
	}
	if _, _, err := Console(read("", errors.New("denied")), pattern)(t.Context()); err == nil {
		t.Error("a console that cannot be read is no error")
	}
	var printed []string
	all := All(Console(read("ready", nil), pattern), Command(leash.Command{Argv: []string{"sh", "-c", "echo one; exit $code"}, Env: []string{"code=0"}}, func(s string) { printed = append(printed, s) }))
	if ok, saw, err := all(t.Context()); !ok || err != nil || len(printed) != 1 {
		t.Errorf("saw %s, %v, printed %v", saw, err, printed)
	}
	if ok, saw, _ := Command(leash.Command{Argv: []string{"sh", "-c", "echo one; exit 3"}}, nil)(t.Context()); ok || !strings.Contains(saw, "exit status 3; its last lines:\n  one") {
		t.Errorf("saw %s", saw)
	}
	if _, _, err := Command(leash.Command{Argv: []string{"no-such-program-anywhere"}}, nil)(t.Context()); fail.ExitCode(err) != fail.CodeInput || !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("error %v", err)
	}
}
