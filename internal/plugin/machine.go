package plugin

import (
	"context"
	"encoding/gob"
	"errors"
	"io"
	"io/fs"
	"net"
	"time"

	"github.com/goldline-dev/goldline/internal/graph"
)

// Machine is the builder, as plugins reach it. Info may be nil.
type Machine interface {
	// Start starts a command; wait gives its exit code once it has ended and its
	// output was written.
	Start(ctx context.Context, c Command) (wait func() int, err error)
	Upload(path string, from io.Reader, info fs.FileInfo) error
	UploadDir(to, from string, exclude []string) error
	Download(path string, to io.Writer) error
	DownloadDir(from, to string, exclude []string) error
}

// Command is one for a Machine. Its streams may be nil.
type Command struct {
	Text           string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// machineServer serves a Machine to a plugin. Bulk goes over streams of its own.
type machineServer struct {
	ctx     context.Context
	mux     *mux
	machine Machine
}

// startArgs are the SDK's, by their fields' names; a stream 0 is none.
type startArgs = struct {
	Command                                                         string
	StdinStreamId, StdoutStreamId, StderrStreamId, ResponseStreamId uint32
}

// finished is what the stream of the response ends with, in gob.
type finished struct{ ExitStatus int }

// Start starts a command.
func (s *machineServer) Start(args *startArgs, _ *any) error {
	var streams []net.Conn
	end := func() {
		for _, c := range streams {
			_ = c.Close() // the other side has what it needs, or has gone
		}
	}
	open := func(id uint32) (conn net.Conn, err error) {
		if conn, err = s.mux.dial(id); err == nil {
			streams = append(streams, conn)
		}
		return conn, err
	}
	c := Command{Text: args.Command}
	err := errors.Join(
		set(open, args.StdinStreamId, func(conn net.Conn) { c.Stdin = conn }),
		set(open, args.StdoutStreamId, func(conn net.Conn) { c.Stdout = conn }),
		set(open, args.StderrStreamId, func(conn net.Conn) { c.Stderr = conn }),
	)
	var wait func() int
	var answer net.Conn
	if err == nil {
		answer, err = s.mux.dial(args.ResponseStreamId)
	}
	if err == nil {
		if wait, err = s.machine.Start(s.ctx, c); err != nil {
			_ = answer.Close() // nothing is said there
		}
	}
	if err != nil {
		end()
		return err
	}
	// It is not waited for: what a plugin that died has begun ends with the builder.
	_ = graph.Background(func() error {
		code := wait()
		end()
		return errors.Join(gob.NewEncoder(answer).Encode(&finished{ExitStatus: code}), answer.Close())
	})
	return nil
}

func set(open func(uint32) (net.Conn, error), id uint32, to func(net.Conn)) error {
	if id == 0 {
		return nil
	}
	conn, err := open(id)
	if err == nil {
		to(conn)
	}
	return err
}

type uploadArgs = struct {
	Path           string
	ReaderStreamId uint32
	FileInfo       *fileInfo
}

// Upload writes a file.
func (s *machineServer) Upload(args *uploadArgs, _ *any) error {
	conn, err := s.mux.dial(args.ReaderStreamId)
	if err != nil {
		return err
	}
	defer conn.Close()
	if args.FileInfo == nil {
		return s.machine.Upload(args.Path, conn, nil)
	}
	return s.machine.Upload(args.Path, conn, args.FileInfo)
}

type downloadArgs = struct {
	Path           string
	WriterStreamId uint32
}

// Download reads a file.
func (s *machineServer) Download(args *downloadArgs, _ *any) error {
	conn, err := s.mux.dial(args.WriterStreamId)
	if err != nil {
		return err
	}
	defer conn.Close()
	return s.machine.Download(args.Path, conn)
}

type dirArgs = struct {
	Dst, Src string
	Exclude  []string
}

// UploadDir writes a folder of this computer.
func (s *machineServer) UploadDir(args *dirArgs, _ *any) error {
	return s.machine.UploadDir(args.Dst, args.Src, args.Exclude)
}

// DownloadDir reads a folder into one of this computer.
func (s *machineServer) DownloadDir(args *dirArgs, _ *any) error {
	return s.machine.DownloadDir(args.Src, args.Dst, args.Exclude)
}

// fileInfo is how the SDK writes what is known of a file.
type fileInfo struct {
	N string
	S int64
	M fs.FileMode
	T time.Time
}

func (i *fileInfo) Name() string       { return i.N }
func (i *fileInfo) Size() int64        { return i.S }
func (i *fileInfo) Mode() fs.FileMode  { return i.M }
func (i *fileInfo) ModTime() time.Time { return fileTime(i.T) }
func (i *fileInfo) IsDir() bool        { return i.M.IsDir() }
func (i *fileInfo) Sys() any           { return nil }
