package plugin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/leash"
	"github.com/ugorji/go/codec"
)

// What a plugin asks for before it serves, so that nobody starts one by mistake,
// and the ports that it may listen on where there are no sockets.
var handshake = []string{
	"PACKER_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
	"PACKER_PLUGIN_MIN_PORT=10000", "PACKER_PLUGIN_MAX_PORT=25000",
}

// process is a plugin that runs.
type process struct {
	path   string
	cancel context.CancelFunc
	ended  chan struct{} // closed once it has ended
	wait   func() error
	err    error  // how it ended; valid once ended is closed
	dir    string // for its temporary files
	mux    *mux
	client *rpc.Client
}

// start starts a component, connects to it and hands over what it writes to its
// standard error, line by line.
func start(ctx context.Context, p Plugin, component, folder string, log func(string)) (*process, error) {
	dir, err := os.MkdirTemp("", "goldline-plugin-*")
	if err != nil {
		return nil, fmt.Errorf("temporary folder: %w", err)
	}
	within, cancel := context.WithCancel(ctx)
	pr := &process{path: p.Path, cancel: cancel, ended: make(chan struct{}), dir: dir}
	cmd := exec.CommandContext(within, p.Path, "start", "provisioner", component)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), append(handshake, "TMPDIR="+dir)...)
	read, write := io.Pipe()
	logged := &lineWriter{emit: log}
	cmd.Stdout, cmd.Stderr = write, logged
	pr.wait = graph.Background(func() error {
		defer close(pr.ended)
		pr.err = leash.Run(cmd)
		logged.flush()
		return write.Close() // which never fails
	})
	if err := pr.connect(ctx, read); err != nil {
		return nil, errors.Join(err, pr.end())
	}
	return pr, nil
}

// connect reads where the plugin listens, and opens the stream for calls.
func (pr *process) connect(ctx context.Context, out io.Reader) error {
	line := make(chan string, 1)
	read := graph.Background(func() error {
		scanner := bufio.NewScanner(out)
		for first := true; scanner.Scan(); first = false {
			if first {
				line <- scanner.Text()
			}
		}
		_, err := io.Copy(io.Discard, out) // what a scanner has no room for
		return err
	})
	end := pr.wait
	pr.wait = func() error { return errors.Join(end(), read()) }
	late := time.NewTimer(describeTime)
	defer late.Stop()
	var text string
	select {
	case text = <-line:
	case <-pr.ended:
		return fmt.Errorf("plugin %s ended before it served: %w", pr.path, orEOF(pr.err))
	case <-late.C:
		return fmt.Errorf("plugin %s does not say within %s where it listens", pr.path, describeTime)
	case <-ctx.Done():
		return ctx.Err()
	}
	parts := strings.SplitN(strings.TrimSpace(text), "|", 4)
	if len(parts) != 4 {
		return fmt.Errorf("plugin %s says %q in place of where it listens", pr.path, text)
	}
	if err := checkAPI(pr.path, parts[0]+"."+parts[1]); err != nil {
		return err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, parts[2], parts[3])
	if err != nil {
		return fmt.Errorf("connect to plugin %s: %w", pr.path, err)
	}
	if pr.mux, err = newMux(conn); err != nil {
		return errors.Join(err, conn.Close())
	}
	stream, err := pr.mux.dial(0)
	if err != nil {
		return fmt.Errorf("call plugin %s: %w", pr.path, err)
	}
	pr.client = rpc.NewClientWithCodec(codec.GoRpc.ClientCodec(stream, msgpack()))
	return nil
}

// msgpack is how calls and answers are written.
func msgpack() *codec.MsgpackHandle { return &codec.MsgpackHandle{WriteExt: true} }

func orEOF(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

// call makes a call and waits for its answer, or for the end of the plugin or of
// ctx.
func (pr *process) call(ctx context.Context, method string, args any) error {
	var reply any
	call := pr.client.Go(method, args, &reply, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		var said rpc.ServerError
		if call.Error != nil && !errors.As(call.Error, &said) {
			return pr.broken(call.Error)
		}
		return call.Error
	case <-pr.ended:
		return pr.broken(io.ErrUnexpectedEOF)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ErrEnded says that a plugin's process ended before it was done.
var ErrEnded = errors.New("ended in the middle")

// broken is the error of a call whose connection ended, which is mostly since the
// plugin did.
func (pr *process) broken(err error) error {
	patience := time.NewTimer(leash.Goodbye)
	defer patience.Stop()
	select {
	case <-pr.ended:
		return fmt.Errorf("plugin %s %w: %w", pr.path, ErrEnded, orEOF(pr.err))
	case <-patience.C:
		return fmt.Errorf("plugin %s: %w", pr.path, err)
	}
}

// end closes the connection, upon which a plugin ends, and sees to it that it
// does.
func (pr *process) end() error {
	if pr.client != nil {
		_ = pr.client.Close() // what it was asked for is done, or failed already
	}
	if pr.mux != nil {
		_ = pr.mux.close() // the same
	}
	patience := time.NewTimer(leash.Goodbye)
	defer patience.Stop()
	if pr.client != nil {
		select {
		case <-pr.ended:
		case <-patience.C:
		}
	}
	pr.cancel()
	err := pr.wait()
	return errors.Join(err, os.RemoveAll(pr.dir))
}
