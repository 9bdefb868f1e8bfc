package bake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/gliderlabs/ssh"
	"github.com/goldline-dev/goldline/internal/graph"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	gossh "golang.org/x/crypto/ssh"
)

// proxy is an SSH server on loopback whose commands run on the builder. Both of
// its keys are made for one provisioner, unless the recipe names others.
type proxy struct {
	server  *ssh.Server
	served  func() error
	host    gossh.Signer
	port    int
	keyFile string // with which one logs in; empty where the recipe names the public half
}

func newProxy(ctx context.Context, b *bake, s *Ansible, dir string) (*proxy, error) {
	p := &proxy{}
	var err error
	if p.host, err = proxyHostKey(b, s); err != nil {
		return nil, err
	}
	login, err := p.loginKey(b, s, dir)
	if err != nil {
		return nil, err
	}
	listener, err := listenOn(s.LocalPort)
	if err != nil {
		return nil, err
	}
	p.port = listener.Addr().(*net.TCPAddr).Port
	p.server = &ssh.Server{
		HostSigners:      []ssh.Signer{p.host},
		PublicKeyHandler: func(_ ssh.Context, key ssh.PublicKey) bool { return ssh.KeysEqual(key, login) },
		Handler:          func(session ssh.Session) { pass(ctx, b, session, session.RawCommand()) },
		SubsystemHandlers: map[string]ssh.SubsystemHandler{
			"sftp": func(session ssh.Session) { pass(ctx, b, session, orText(s.SFTPCommand, "/usr/lib/sftp-server -e")) },
		},
	}
	p.served = graph.Background(func() error {
		if err := p.server.Serve(listener); !errors.Is(err, ssh.ErrServerClosed) {
			return err
		}
		return nil
	})
	return p, nil
}

func proxyHostKey(b *bake, s *Ansible) (gossh.Signer, error) {
	if s.HostKeyFile == "" {
		_, signer, err := newKey("ed25519")
		return signer, err
	}
	text, err := os.ReadFile(resolve(b.image, s.HostKeyFile))
	if err != nil {
		return nil, err
	}
	signer, err := gossh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("ssh_host_key_file: %w", err)
	}
	return signer, nil
}

// loginKey is the public key that may log in.
func (p *proxy) loginKey(b *bake, s *Ansible, dir string) (gossh.PublicKey, error) {
	if s.AuthorizedKeyFile != "" {
		text, err := os.ReadFile(resolve(b.image, s.AuthorizedKeyFile))
		if err != nil {
			return nil, err
		}
		return parsePublicKey(string(text))
	}
	private, signer, err := newKey("ed25519")
	if err != nil {
		return nil, err
	}
	p.keyFile = filepath.Join(dir, "key")
	return signer.PublicKey(), os.WriteFile(p.keyFile, []byte(private), 0o600)
}

// pass runs a session's command on the builder.
func pass(ctx context.Context, b *bake, session ssh.Session, command string) {
	if command == "" {
		fmt.Fprintln(session.Stderr(), "the proxy runs commands alone")
		_ = session.Exit(1) // the client has gone if this does not reach it
		return
	}
	cmd := &packersdk.RemoteCmd{Command: command, Stdin: session, Stdout: session, Stderr: session.Stderr()}
	code := 255
	if err := b.remote.comm.Start(ctx, cmd); err != nil {
		fmt.Fprintln(session.Stderr(), err)
	} else if code = cmd.Wait(); code == packersdk.CmdDisconnect {
		code = 255
	}
	_ = session.Exit(code)
}

func (p *proxy) close() error {
	err := p.server.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, p.served())
}
