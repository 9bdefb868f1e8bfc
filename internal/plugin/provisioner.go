package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"
	"strings"
	"sync"
	"time"

	"github.com/goldline-dev/goldline/internal/leash"
	"github.com/ugorji/go/codec"
)

// Job is what a provisioner is to do.
type Job struct {
	// Component is what Plugin.Component gave.
	Component string
	// Folder is where relative paths in Config lead.
	Folder string
	// Config are the provisioner's options, and then Packer's own keys.
	Config []map[string]any
	// Data is what `build` tells of the builder.
	Data map[string]any
	// Log takes the lines that it writes to its standard error; UI those that are
	// for the user, and Wrong those that say what went wrong.
	Log, UI, Wrong func(string)
}

// placeholders stand for what `build` tells before there is a builder. A plugin
// knows them by the value of PackerRunUUID.
func placeholders() map[string]any {
	all := map[string]any{}
	for _, key := range []string{
		"ID", "Host", "Port", "User", "Password", "ConnType", "PackerRunUUID", "PackerHTTPPort", "PackerHTTPIP", "PackerHTTPAddr",
		"SSHPublicKey", "SSHPrivateKey", "WinRMPassword",
	} {
		all[key] = "Build_" + key + ". To set this dynamically in the Packer template, you must use the `build` function"
	}
	return all
}

// prepareArgs and provisionArgs are the SDK's, by their fields' names.
type prepareArgs struct{ Configs []any }

type provisionArgs struct {
	GeneratedData map[string]any
	StreamID      uint32
}

// Check lets a provisioner look at its options. It changes nothing.
func (p Plugin) Check(ctx context.Context, job Job) error {
	pr, err := start(ctx, p, job.Component, job.Folder, job.Log)
	if err != nil {
		return err
	}
	return errors.Join(pr.prepare(ctx, job), pr.end())
}

func (pr *process) prepare(ctx context.Context, job Job) error {
	var args prepareArgs
	for _, c := range job.Config {
		args.Configs = append(args.Configs, c)
	}
	args.Configs = append(args.Configs, placeholders())
	return pr.call(ctx, "Provisioner.Prepare", &args)
}

// Provision lets a provisioner work on a machine. When ctx ends it is told so, has
// a moment, and is ended.
func (p Plugin) Provision(ctx context.Context, job Job, on Machine) error {
	pr, err := start(context.WithoutCancel(ctx), p, job.Component, job.Folder, job.Log)
	if err != nil {
		return err
	}
	err = pr.prepare(ctx, job)
	if err == nil {
		err = pr.provision(ctx, job, on)
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return errors.Join(err, pr.end())
}

func (pr *process) provision(ctx context.Context, job Job, on Machine) error {
	stream := pr.mux.next()
	server := rpc.NewServer()
	machine := &machineServer{ctx: ctx, mux: pr.mux, machine: on}
	if err := errors.Join(server.RegisterName("Communicator", machine), server.RegisterName("Ui", &uiServer{job: job})); err != nil {
		return err
	}
	pr.mux.background(func() error {
		conn, err := pr.mux.accept(ctx, stream)
		if err != nil {
			return err
		}
		server.ServeCodec(codec.GoRpc.ServerCodec(conn, msgpack()))
		return nil
	})
	err := pr.call(ctx, "Provisioner.Provision", &provisionArgs{GeneratedData: job.Data, StreamID: stream})
	if ctx.Err() == nil {
		return err
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), leash.Goodbye)
	defer cancel()
	var nothing any
	_ = pr.call(within, "Provisioner.Cancel", &nothing) // one that does not listen is ended
	return ctx.Err()
}

// uiServer is what a plugin says to the user.
type uiServer struct{ job Job }

// Ask is a question, which nobody is there to answer.
func (s *uiServer) Ask(query string, _ *string) error {
	return fmt.Errorf("nobody can answer %q", query)
}

// Error says what went wrong.
func (s *uiServer) Error(message *string, _ *any) error { each(*message, s.job.Wrong); return nil }

// Message is a line of a program's output.
func (s *uiServer) Message(message *string, _ *any) error { each(*message, s.job.UI); return nil }

// Say is a line of the plugin's own.
func (s *uiServer) Say(message *string, _ *any) error { each(*message, s.job.UI); return nil }

// Machine is for programs that read Packer's output, of which there are none.
func (s *uiServer) Machine(*struct {
	Category string
	Args     []string
}, *any) error {
	return nil
}

func each(text string, emit func(string)) {
	for _, line := range strings.Split(strings.TrimRight(text, "\r\n"), "\n") {
		emit(strings.TrimRight(line, "\r"))
	}
}

// lineWriter hands over whole lines.
type lineWriter struct {
	mu   sync.Mutex
	rest string
	emit func(string)
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest += string(p)
	for {
		line, rest, whole := strings.Cut(w.rest, "\n")
		if !whole {
			return len(p), nil
		}
		w.rest = rest
		w.emit(strings.TrimRight(line, "\r"))
	}
}

func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rest != "" {
		w.emit(w.rest)
		w.rest = ""
	}
}

// fileTime is when a file without a time was changed.
func fileTime(t time.Time) time.Time {
	if t.IsZero() {
		return time.Now()
	}
	return t
}
