package emulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/goldline-dev/goldline/internal/machine"
)

// ErrOwned says that another process has the local cloud open.
var ErrOwned = errors.New("another process has the local cloud open")

// errSessionClosed is the end of every call after Close.
var errSessionClosed = errors.New("the session with the local cloud is closed")

// Session is one process's use of a local cloud that several share through its
// folder. One of them owns it: the machines are that process's. The others go
// through the owner's socket. When the owner has gone, the next call of one of
// the others makes that one the owner.
type Session struct {
	options Options
	turn    chan struct{} // holds a token: whoever has it may change what follows
	owned   *owner
	remote  *remote
	closed  bool
}

// patience is how long Join waits for an owner that holds the folder and does
// not answer: one that is starting, or stopping its machines.
const patience = 30 * time.Second

// Join opens the local cloud in o.Dir, or joins the process that has it open.
// Without Dir the cloud is this process's alone.
func Join(ctx context.Context, o Options) (*Session, error) {
	s := &Session{options: o, turn: make(chan struct{}, 1)}
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	s.turn <- struct{}{}
	return s, nil
}

// connect makes this process the owner, or finds the one that is.
func (s *Session) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		var err error
		if s.owned, err = openShared(ctx, s.options); err == nil {
			return nil
		}
		if !errors.Is(err, ErrOwned) {
			return err
		}
		if s.remote, err = borrow(ctx, s.options); err == nil {
			return s.agree()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w and does not answer: %w", ErrOwned, err)
		case <-again.C:
		}
	}
}

// agree refuses an owner with another kind of machine than the one asked for.
func (s *Session) agree() error {
	asked, has := s.options.Machine, s.remote.kind
	if asked == "" || asked == has {
		return nil
	}
	pid := s.remote.pid
	s.remote.leave()
	s.remote = nil
	return fmt.Errorf("%w with machine kind %s, not %s: end process %d first", ErrOwned, has, asked, pid)
}

// take waits for the turn.
func (s *Session) take(ctx context.Context) error {
	select {
	case <-s.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Session) give() { s.turn <- struct{}{} }

// current is where calls go now.
func (s *Session) current(ctx context.Context) (*owner, *remote, error) {
	if err := s.take(ctx); err != nil {
		return nil, nil, err
	}
	defer s.give()
	if s.closed {
		return nil, nil, errSessionClosed
	}
	return s.owned, s.remote, nil
}

// succeed finds the next owner after one whose socket is gone, which may be
// this process.
func (s *Session) succeed(ctx context.Context, gone *remote) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.give()
	if s.closed {
		return errSessionClosed
	}
	if s.remote != gone {
		return nil // another call has been here
	}
	gone.leave()
	s.remote = nil
	if err := s.connect(context.WithoutCancel(ctx)); err != nil {
		s.remote = gone // the next call tries again
		return fmt.Errorf("the process that had the local cloud open has gone: %w", err)
	}
	return nil
}

// Transport reaches the cloud, whoever owns it. A call that certainly did not
// reach an owner that has gone is made again at the next one; after any other
// failure only the caller can know what to do.
func (s *Session) Transport() http.RoundTripper { return sessionTransport{s} }

type sessionTransport struct{ session *Session }

func (t sessionTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		defer r.Body.Close()
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	for {
		owned, remote, err := t.session.current(r.Context())
		if err != nil {
			return nil, err
		}
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		if owned != nil {
			return owned.cloud.Transport().RoundTrip(again)
		}
		again.ContentLength = int64(len(body))
		answer, err := remote.roundTrip(again)
		if !errors.Is(err, errNotReached) {
			return answer, err
		}
		if err := t.session.succeed(r.Context(), remote); err != nil {
			return nil, err
		}
	}
}

// Dial reaches a machine's port by an address of its instance; see Cloud.Dial.
func (s *Session) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	for {
		owned, remote, err := s.current(ctx)
		if err != nil {
			return nil, err
		}
		if owned != nil {
			return owned.cloud.Dial(ctx, network, addr)
		}
		at, err := remote.resolve(ctx, addr)
		switch {
		case err == nil:
			return (&net.Dialer{}).DialContext(ctx, network, at)
		case !errors.Is(err, errNotReached):
			return nil, &net.OpError{Op: "dial", Net: network, Err: err}
		}
		if err := s.succeed(ctx, remote); err != nil {
			return nil, err
		}
	}
}

// Owner says whether the machines are this process's.
func (s *Session) Owner() bool { return s.Cloud() != nil }

// Cloud is the cloud itself where this process owns it, nil otherwise.
func (s *Session) Cloud() *Cloud {
	owned, _, err := s.current(context.Background())
	if err != nil || owned == nil {
		return nil
	}
	return owned.cloud
}

// Machine is the kind of machine that instances run on, empty after Close.
func (s *Session) Machine() machine.Kind {
	owned, remote, err := s.current(context.Background())
	switch {
	case err != nil:
		return ""
	case owned != nil:
		return owned.cloud.Machine()
	}
	return remote.kind
}

// Others is how many other processes go through this one.
func (s *Session) Others() int {
	owned, _, err := s.current(context.Background())
	if err != nil || owned == nil {
		return 0
	}
	return owned.leases.count()
}

// Serve opens the cloud to any AWS client on a listener, until ctx ends. It
// closes the listener, not the session.
func (s *Session) Serve(ctx context.Context, l net.Listener) error {
	return serveHTTP(ctx, l, &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL, r.Out.Host = withHost(r.In.URL, "goldline"), r.In.Host },
		Transport: s.Transport(),
		ErrorLog:  silent(),
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // a broken connection stays one
		},
	})
}

func withHost(u *url.URL, host string) *url.URL {
	copied := *u
	copied.Scheme, copied.Host = "http", host
	return &copied
}

// Close ends the session. An owner first waits until the others that go
// through it have finished, or ctx ends; then it stops the machines. Whoever
// still needs the cloud then becomes its owner, and the machines start again
// there.
func (s *Session) Close(ctx context.Context) error {
	// The turn is only ever held for as long as a change of owners takes.
	if err := s.take(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	owned, remote, closed := s.owned, s.remote, s.closed
	if owned == nil || closed {
		s.closed = true
	}
	s.give()
	switch {
	case closed:
		return nil
	case remote != nil:
		remote.leave()
		return nil
	}
	// While it lingers, the owner's own calls go on.
	owned.leases.wait(ctx)
	if err := s.take(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	closed, s.closed = s.closed, true
	s.give()
	if closed {
		return nil // another Close has been here meanwhile
	}
	return owned.close()
}
