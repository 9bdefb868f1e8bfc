package bake

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	gliderssh "github.com/gliderlabs/ssh"
	"github.com/goldline-dev/goldline/internal/graph"
	"golang.org/x/crypto/ssh"
)

// sshServer is an SSH server on loopback that stands for a builder.
type sshServer struct {
	port    int
	hostKey string // as ssh_host_public_key takes it
	keyFile string // of the one who may log in
}

// realSSH runs what it is asked to with the host's sh.
func realSSH(t *testing.T) sshServer {
	t.Helper()
	if _, err := exec.LookPath("scp"); err != nil {
		t.Skip("scp is not installed: an SSH server cannot take files")
	}
	private, login, err := newKey("ed25519")
	if err != nil {
		t.Fatal(err)
	}
	s := serveSSH(t, func(s gliderssh.Session) {
		cmd := exec.Command("/bin/sh", "-c", s.RawCommand())
		cmd.Stdout, cmd.Stderr = s, s.Stderr()
		stdin, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			_ = s.Exit(126)
			return
		}
		_, _ = io.Copy(stdin, s)
		stdin.Close()
		_ = cmd.Wait()
		_ = s.Exit(cmd.ProcessState.ExitCode())
	}, func(key gliderssh.PublicKey) bool { return bytes.Equal(key.Marshal(), login.PublicKey().Marshal()) })
	s.keyFile = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(s.keyFile, []byte(private), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// fedMark is what a script in one session has to print.
var fedMark = regexp.MustCompile(`goldline: (begin|closing|closed) [0-9a-f]{8}`)

// stubSSH takes any key, runs nothing, and says that all went well.
func stubSSH(t *testing.T) sshServer {
	t.Helper()
	return serveSSH(t, sayAllWell, func(gliderssh.PublicKey) bool { return true })
}

func sayAllWell(s gliderssh.Session) {
	_, _ = io.Copy(io.Discard, s)
	for _, mark := range fedMark.FindAllString(s.RawCommand(), -1) {
		if strings.HasPrefix(mark, "goldline: closed") {
			mark = sealingMark + "\n" + sealedMark + "\n" + mark + " 0"
		}
		_, _ = io.WriteString(s, mark+"\n")
	}
	_, _ = io.WriteString(s, sealedMark+"\n")
	_ = s.Exit(0)
}

func serveSSH(t *testing.T, handle gliderssh.Handler, accept func(gliderssh.PublicKey) bool) sshServer {
	t.Helper()
	server, hostKey := newServer(t, handle)
	server.PublicKeyHandler = func(_ gliderssh.Context, key gliderssh.PublicKey) bool { return accept(key) }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := graph.Background(func() error { return server.Serve(l) })
	t.Cleanup(func() {
		server.Close()
		_ = served()
	})
	return sshServer{port: l.Addr().(*net.TCPAddr).Port, hostKey: hostKey}
}

// newServer is one that takes any key, and the host key that it has.
func newServer(t *testing.T, handle gliderssh.Handler) (*gliderssh.Server, string) {
	t.Helper()
	_, hostKey, err := newKey("ed25519")
	if err != nil {
		t.Fatal(err)
	}
	server := &gliderssh.Server{
		Handler: handle,
		// It serves as a bastion too.
		ChannelHandlers:             map[string]gliderssh.ChannelHandler{"session": gliderssh.DefaultSessionHandler, "direct-tcpip": gliderssh.DirectTCPIPHandler},
		LocalPortForwardingCallback: func(gliderssh.Context, string, uint32) bool { return true },
		PasswordHandler:             func(_ gliderssh.Context, password string) bool { return password == "let me in" },
		PublicKeyHandler:            func(gliderssh.Context, gliderssh.PublicKey) bool { return true },
	}
	server.AddHostKey(hostKey)
	return server, string(ssh.MarshalAuthorizedKey(hostKey.PublicKey()))
}
