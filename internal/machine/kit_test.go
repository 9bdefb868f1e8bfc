package machine

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// keyPair is a client's or host's SSH key.
type keyPair struct {
	signer  gossh.Signer
	private string
	public  string
}

func newKey(t testing.TB) keyPair {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{signer, string(pem.EncodeToMemory(block)), strings.TrimSpace(string(gossh.MarshalAuthorizedKey(signer.PublicKey())))}
}

// output is a console that tests may read while the machine runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(data)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// rig is a machine under test.
type rig struct {
	t       testing.TB
	kind    Kind
	spec    Spec
	machine Machine
	console *output
	key     keyPair
	off     chan struct{}
}

// kinds runs a test for each kind of machine, and says which it cannot.
func kinds(t *testing.T, test func(t *testing.T, kind Kind)) {
	works := map[Kind]bool{}
	for _, kind := range Available(t.Context(), t.TempDir()) {
		works[kind] = true
	}
	for _, kind := range []Kind{Overlay, UserNS, InProcess} {
		t.Run(string(kind), func(t *testing.T) {
			if !works[kind] {
				t.Skipf("machines of kind %s do not work on this system", kind)
			}
			test(t, kind)
		})
	}
}

// testDir is a folder on a real disk, removed whatever is in it.
func testDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "machine-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Purge(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func newRig(t testing.TB, kind Kind, edit ...func(*Spec)) *rig {
	t.Helper()
	r := &rig{t: t, kind: kind, console: &output{}, key: newKey(t), off: make(chan struct{})}
	r.spec = Spec{
		ID: "i-0123456789abcdef0", Dir: filepath.Join(testDir(t), "m"), OS: "debian-12", Arch: "x86_64", User: "admin",
		AuthorizedKeys: []string{r.key.public + " tester"}, Hostname: "ip-127-0-0-1", Address: netip.MustParseAddr("127.0.0.1"),
		Console: r.console, PoweredOff: func() { close(r.off) },
	}
	for _, one := range edit {
		one(&r.spec)
	}
	r.start()
	return r
}

func (r *rig) start() {
	r.t.Helper()
	machine, err := Start(r.t.Context(), r.kind, r.spec)
	if err != nil {
		r.t.Fatalf("start: %v\nconsole:\n%s", err, r.console)
	}
	r.machine = machine
	r.t.Cleanup(func() { r.stop() })
	select {
	case <-machine.Booted():
	case <-time.After(30 * time.Second):
		r.t.Fatalf("still booting; console:\n%s", r.console)
	}
}

func (r *rig) stop() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.machine.Stop(ctx); err != nil {
		r.t.Errorf("stop: %v", err)
	}
}

func (r *rig) dialAs(user string, key keyPair, check gossh.HostKeyCallback) (*gossh.Client, error) {
	return gossh.Dial("tcp", r.machine.SSH().String(), &gossh.ClientConfig{
		User: user, Auth: []gossh.AuthMethod{gossh.PublicKeys(key.signer)}, HostKeyCallback: check, Timeout: 10 * time.Second,
	})
}

func (r *rig) dial() *gossh.Client {
	r.t.Helper()
	client, err := r.dialAs(r.spec.User, r.key, gossh.InsecureIgnoreHostKey())
	if err != nil {
		r.t.Fatalf("ssh: %v\nconsole:\n%s", err, r.console)
	}
	r.t.Cleanup(func() { client.Close() })
	return client
}

// try runs a command over SSH.
func (r *rig) try(command string) (stdout, stderr string, exit int) {
	r.t.Helper()
	client := r.dial()
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		r.t.Fatal(err)
	}
	defer session.Close()
	var out, errOut bytes.Buffer
	session.Stdout, session.Stderr = &out, &errOut
	err = session.Run(command)
	var status *gossh.ExitError
	switch {
	case errors.As(err, &status):
		exit = status.ExitStatus()
	case err != nil:
		r.t.Fatalf("%s: %v", command, err)
	}
	return out.String(), errOut.String(), exit
}

// sh runs a command that has to succeed and gives its output.
func (r *rig) sh(command string) string {
	r.t.Helper()
	stdout, stderr, exit := r.try(command)
	if exit != 0 {
		r.t.Fatalf("%s: exit code %d\n%s%s\nconsole:\n%s", command, exit, stdout, stderr, r.console)
	}
	return strings.TrimSpace(stdout)
}

// says runs a command and compares its output.
func (r *rig) says(command, want string) {
	r.t.Helper()
	if got := r.sh(command); got != want {
		r.t.Errorf("%s: %q, want %q", command, got, want)
	}
}

func userDataWithHostKey(host keyPair) []byte {
	return fmt.Appendf(nil, "#cloud-config\nssh_keys:\n  ed25519_private: |\n    %s\n  ed25519_public: %s\n",
		strings.ReplaceAll(strings.TrimSpace(host.private), "\n", "\n    "), host.public)
}
