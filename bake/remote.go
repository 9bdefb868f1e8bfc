package bake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	sdkssh "github.com/hashicorp/packer-plugin-sdk/sdk-internals/communicator/ssh"
	"golang.org/x/crypto/ssh"
)

// errDisconnected says that the connection ended before a command did.
var errDisconnected = errors.New("the connection was lost")

// remote is the builder, reached by the SDK's SSH communicator. That one knows
// no context for most of what it does: so the connections are kept here, and
// closing them ends whatever goes on.
type remote struct {
	comm packersdk.Communicator
	dial func(context.Context) (net.Conn, error)

	mu    sync.Mutex
	ctx   context.Context // that of the call under way, for a reconnection
	conns []net.Conn
}

// connect opens a connection and proves who is at its other end.
func connect(ctx context.Context, address string, config *ssh.ClientConfig, pty bool, dial func(context.Context) (net.Conn, error)) (*remote, error) {
	r := &remote{dial: dial, ctx: ctx}
	stop := context.AfterFunc(ctx, r.drop)
	defer stop()
	comm, err := sdkssh.New(address, &sdkssh.Config{
		SSHConfig:              config,
		Connection:             r.open,
		Pty:                    pty,
		DisableAgentForwarding: true, // the caller's keys are no business of a builder's
		HandshakeTimeout:       20 * time.Second,
		KeepAliveInterval:      5 * time.Second,
	})
	if err != nil {
		r.drop()
		return nil, err
	}
	r.comm = comm
	return r, nil
}

// open is called by the SDK for the first connection and for those after one
// was lost.
func (r *remote) open() (net.Conn, error) { return r.keep(r.dial) }

// keep opens a connection for the call under way, and keeps it, to be dropped.
func (r *remote) keep(dial func(context.Context) (net.Conn, error)) (net.Conn, error) {
	r.mu.Lock()
	ctx := r.ctx
	r.mu.Unlock()
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, conn)
	return conn, nil
}

// drop closes every connection.
func (r *remote) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

// during makes a call of the SDK's end when ctx does.
func (r *remote) during(ctx context.Context, call func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	r.ctx = ctx
	r.mu.Unlock()
	stop := context.AfterFunc(ctx, r.drop)
	defer stop()
	err := call()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// run runs a command and gives its exit code. Each line that it prints goes to
// line, without its end.
func (r *remote) run(ctx context.Context, command string, line func(string)) (int, error) {
	return r.runWith(ctx, command, nil, line)
}

// runWith is run with a standard input.
func (r *remote) runWith(ctx context.Context, command string, input []byte, line func(string)) (int, error) {
	out := &lines{emit: line}
	cmd := &packersdk.RemoteCmd{Command: command, Stdin: bytes.NewReader(input), Stdout: out, Stderr: out}
	code := 0
	err := r.during(ctx, func() error {
		if err := r.comm.Start(ctx, cmd); err != nil {
			return err
		}
		code = cmd.Wait()
		return nil
	})
	out.flush()
	switch {
	case err != nil:
		return 0, err
	case code == packersdk.CmdDisconnect:
		return 0, errDisconnected
	}
	return code, nil
}

// upload writes a file on the builder. mode is its permissions.
func (r *remote) upload(ctx context.Context, path string, content []byte, mode os.FileMode) error {
	var info os.FileInfo = fileInfo{name: path, size: int64(len(content)), mode: mode}
	return r.during(ctx, func() error { return r.comm.Upload(path, bytes.NewReader(content), &info) })
}

func (r *remote) uploadDir(ctx context.Context, dst, src string) error {
	return r.during(ctx, func() error { return uploadFolder(r.comm, dst, src, nil) })
}

func (r *remote) download(ctx context.Context, path string, to io.Writer) error {
	return r.during(ctx, func() error { return r.comm.Download(path, to) })
}

func (r *remote) downloadDir(ctx context.Context, src, dst string) error {
	return r.during(ctx, func() error { return r.comm.DownloadDir(src, dst, nil) })
}

// connectionLost tells whether it was the connection that failed a call, and
// not the builder that refused it.
func connectionLost(err error) bool {
	var network net.Error
	var missing *ssh.ExitMissingError
	return errors.Is(err, errDisconnected) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.As(err, &network) || errors.As(err, &missing) || errors.Is(err, sdkssh.ErrHandshakeTimeout) ||
		// These have no type of their own.
		strings.Contains(err.Error(), "handshake failed") || strings.Contains(err.Error(), "client not available")
}

// fileInfo describes content that lies in no file, so that the SDK knows its
// length without writing one.
type fileInfo struct {
	name string
	size int64
	mode os.FileMode
}

func (f fileInfo) Name() string       { return f.name }
func (f fileInfo) Size() int64        { return f.size }
func (f fileInfo) Mode() os.FileMode  { return f.mode }
func (f fileInfo) ModTime() time.Time { return time.Time{} }
func (f fileInfo) IsDir() bool        { return false }
func (f fileInfo) Sys() any           { return nil }

// longest is how much of a line without an end is kept.
const longest = 64 << 10

// lines calls emit for each line written to it. It may be written to from
// several goroutines: a command's output and its errors.
type lines struct {
	mu   sync.Mutex
	rest []byte
	emit func(string)
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		end := bytes.IndexByte(l.rest, '\n')
		if end < 0 && len(l.rest) < longest {
			return len(p), nil
		}
		if end < 0 {
			end = len(l.rest) - 1
		}
		l.line(l.rest[:end+1])
		l.rest = l.rest[end+1:]
	}
}

func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.line(l.rest)
		l.rest = nil
	}
}

// line passes on what a terminal would show of a line: what stands behind its
// last carriage return.
func (l *lines) line(raw []byte) {
	text := strings.TrimRight(string(raw), "\r\n")
	if at := strings.LastIndexByte(text, '\r'); at >= 0 {
		text = text[at+1:]
	}
	l.emit(text)
}

// tail keeps the last lines of an output, for the error that it led to.
type tail struct {
	mu   sync.Mutex
	last []string
}

// tailLines is how much output stands in an error. All of it was shown as it
// came.
const tailLines = 12

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, line)
	if len(t.last) > tailLines {
		t.last = t.last[1:]
	}
}

// under puts the output below an error.
func (t *tail) under(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.last) == 0 {
		return err
	}
	return fmt.Errorf("%w\n    | %s", err, strings.Join(t.last, "\n    | "))
}
