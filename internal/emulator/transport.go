package emulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Handler serves every service on one port: the credential scope of a
// request's signature says which one it is for.
func (c *Cloud) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, err := c.serve(r)
		if err != nil {
			panic(http.ErrAbortHandler) // the server breaks the connection
		}
		for name, values := range a.header {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body) // whoever asked may have gone
	})
}

// Transport reaches the cloud in this process, with no port. What would be a
// broken or refused connection is an error of the same kind.
func (c *Cloud) Transport() http.RoundTripper { return transport{c} }

type transport struct{ cloud *Cloud }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body := r.Body
	if body == nil {
		body = http.NoBody
	}
	defer body.Close()
	inner := r.Clone(r.Context())
	inner.Body = body
	a, err := t.cloud.serve(inner)
	switch {
	case errors.Is(err, errLost):
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	case errors.Is(err, errRefused):
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case err != nil:
		return nil, err
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: r,
	}, nil
}

// grace is how long a server waits for calls in flight when it is told to end.
const grace = 5 * time.Second

// Serve answers on a listener until ctx ends, then finishes the calls in
// flight. It closes the listener.
func (c *Cloud) Serve(ctx context.Context, l net.Listener) error {
	return serveHTTP(ctx, l, c.Handler())
}

// silent is a log of servers that goes nowhere: what callers do wrong is told
// to them.
func silent() *log.Logger { return log.New(io.Discard, "", 0) }

func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: silent()}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if server.Shutdown(bounded) != nil {
			_ = server.Close() // what did not finish in time is cut off
		}
	})
	err := server.Serve(l)
	if stop() {
		return err // the listener failed of itself
	}
	<-ended
	return nil
}

// Dial reaches a port of a machine by an address of its instance, as Describe
// calls show it, and what listens on loopback by its own. Other addresses are
// refused: nothing of the local cloud leaves this machine.
func (c *Cloud) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	at, err := c.resolve(addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	return (&net.Dialer{}).DialContext(ctx, network, at)
}

// resolve finds where an emulated address really is.
func (c *Cloud) resolve(addr string) (string, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if host == "localhost" {
		return addr, nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "", fmt.Errorf("%s is no address of the local cloud", host)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return "", fmt.Errorf("%s is no port", service)
	}
	if c.hooks.listens != nil {
		if at, ok := c.hooks.listens(ip, uint16(port)); ok {
			return at.String(), nil
		}
	}
	if ip.IsLoopback() {
		return addr, nil
	}
	return "", fmt.Errorf("no running machine of the local cloud has the address %s", host)
}
