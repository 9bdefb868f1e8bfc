package machine

import (
	"context"
	"crypto/subtle"
	"path"
	"strings"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// newSSH makes the machine's SSH server. It runs in this process for every kind
// of machine: what a client may do does not depend on what the host has
// installed. Public keys only, no forwarding.
func (m *running) newSSH(hostKeys []gossh.Signer) *ssh.Server {
	server := &ssh.Server{
		Version:           "OpenSSH_9.2 goldline",
		Handler:           m.session,
		PublicKeyHandler:  m.mayLogin,
		SubsystemHandlers: map[string]ssh.SubsystemHandler{"sftp": m.sftp},
		ChannelHandlers:   map[string]ssh.ChannelHandler{"session": ssh.DefaultSessionHandler},
		RequestHandlers:   map[string]ssh.RequestHandler{},
	}
	for _, key := range hostKeys {
		server.AddHostKey(key)
	}
	return server
}

// mayLogin reads the user's keys on the machine at each login, so that taking
// one away there takes effect at once.
func (m *running) mayLogin(ctx ssh.Context, key ssh.PublicKey) bool {
	t := m.guest.tree()
	user, ok := lookup(t, ctx.User())
	if !ok || strings.HasSuffix(user.shell, "/nologin") || strings.HasSuffix(user.shell, "/false") {
		return false
	}
	rest, err := t.readFile(path.Join(user.home, ".ssh", "authorized_keys"))
	for err == nil && len(rest) > 0 {
		var known gossh.PublicKey
		if known, _, _, rest, err = gossh.ParseAuthorizedKey(rest); err != nil {
			return false
		}
		if subtle.ConstantTimeCompare(known.Marshal(), key.Marshal()) == 1 {
			return true
		}
	}
	return false
}

// hangUp is how long a session's last output may take to get out.
const hangUp = 2 * time.Second

func (m *running) session(s ssh.Session) {
	user, ok := lookup(m.guest.tree(), s.User())
	if !ok {
		_ = s.Exit(255) // the user was deleted since the login
		return
	}
	ctx, cancel := context.WithCancel(m.life)
	defer cancel()
	unhook := context.AfterFunc(s.Context(), cancel) // the client is gone
	defer unhook()
	if scp, ok := scpRequest(s.RawCommand()); ok {
		_ = s.Exit(m.scp(ctx, user, scp, s, s, s.Stderr()))
		return
	}
	p := process{user: user, dir: user.home, in: s, out: s, err: s.Stderr(), env: m.environment(user, s.Environ()...)}
	shell := user.shell
	if shell == "" {
		shell = "/bin/sh"
	}
	p.argv = []string{shell, "-c", s.RawCommand()}
	if s.RawCommand() == "" {
		p.argv = []string{shell, "-l"}
	}
	if request, sizes, ok := s.Pty(); ok {
		p.tty = &terminal{term: request.Term, width: request.Window.Width, height: request.Window.Height, resized: windowSizes(ctx, sizes)}
		p.env = append(p.env, "TERM="+request.Term)
	}
	p.signals = forward(ctx, s)
	exit, err := m.guest.run(ctx, p)
	if err != nil && ctx.Err() == nil {
		_, _ = s.Stderr().Write([]byte(err.Error() + "\n"))
		exit = 255
	}
	_ = s.Exit(exit) // a client that has gone needs no status
}

func windowSizes(ctx context.Context, sizes <-chan ssh.Window) <-chan [2]int {
	out := make(chan [2]int)
	go func() {
		defer close(out)
		for size := range sizes { // closed by the library with the session
			select {
			case out <- [2]int{size.Width, size.Height}:
			case <-ctx.Done():
			}
		}
	}()
	return out
}

// forward passes on the client's signals by their names without SIG.
func forward(ctx context.Context, s ssh.Session) <-chan string {
	in, out := make(chan ssh.Signal, 8), make(chan string)
	s.Signals(in)
	go func() {
		defer s.Signals(nil)
		for {
			select {
			case signal := <-in:
				select {
				case out <- string(signal):
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// scpCall is a server-side scp as the classic client starts it.
type scpCall struct {
	sudo      bool
	sink      bool // -t: the client sends
	recursive bool
	times     bool
	dirOnly   bool // -d: the target has to be a folder
	targets   []string
}

// scpRequest recognizes `[sudo] scp -t|-f ...`, so that the classic protocol
// works on machines without that program too.
func scpRequest(line string) (scpCall, bool) {
	if !strings.Contains(line, "scp ") {
		return scpCall{}, false
	}
	file, err := syntax.NewParser().Parse(strings.NewReader(line), "")
	if err != nil || len(file.Stmts) != 1 {
		return scpCall{}, false
	}
	call, ok := file.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Assigns) > 0 || len(file.Stmts[0].Redirs) > 0 {
		return scpCall{}, false
	}
	words, err := expand.Fields(&expand.Config{NoUnset: true}, call.Args...)
	if err != nil {
		return scpCall{}, false
	}
	return scpArguments(words)
}

func scpArguments(words []string) (scpCall, bool) {
	var call scpCall
	for len(words) > 0 && (path.Base(words[0]) == "sudo" || call.sudo && strings.HasPrefix(words[0], "-")) {
		call.sudo = true
		words = words[1:]
	}
	if len(words) == 0 || path.Base(words[0]) != "scp" {
		return scpCall{}, false
	}
	source := false
	for i, word := range words[1:] {
		if !strings.HasPrefix(word, "-") || word == "-" {
			call.targets = words[1+i:]
			break
		}
		if word == "--" {
			call.targets = words[2+i:]
			break
		}
		call.sink = call.sink || strings.Contains(word, "t")
		source = source || strings.Contains(word, "f")
		call.recursive = call.recursive || strings.Contains(word, "r")
		call.times = call.times || strings.Contains(word, "p")
		call.dirOnly = call.dirOnly || strings.Contains(word, "d")
	}
	return call, call.sink != source && len(call.targets) > 0
}
