package emulator

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/goldline-dev/goldline/internal/machine"
)

// The owner of a folder answers on a socket in it. Beside AWS's calls there
// are two of its own: a lease is held open for as long as somebody goes
// through the owner; resolve finds where a machine's port really is.
const (
	leasePath   = "/-/lease"
	resolvePath = "/-/resolve"
)

// ownerCard is the file that tells others where the owner answers.
type ownerCard struct {
	PID     int          `json:"pid"`
	Socket  string       `json:"socket"`
	Machine machine.Kind `json:"machine"`
}

const cardName = "owner.json"

// maxSocketPath is what every system takes: 104 bytes on macOS, 108 on Linux,
// with the byte that ends it.
const maxSocketPath = 103

// owner is a cloud that this process owns, and its socket.
type owner struct {
	cloud  *Cloud
	leases *leases
	stop   context.CancelFunc
	ended  chan error
	clean  func() error
}

// openShared opens the cloud and answers on its socket.
func openShared(ctx context.Context, o Options) (*owner, error) {
	c, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	shared := &owner{cloud: c, leases: newLeases(), stop: func() {}, clean: func() error { return nil }}
	if o.Dir == "" {
		return shared, nil
	}
	if err := shared.listen(); err != nil {
		return nil, errors.Join(fmt.Errorf("share the local cloud: %w", err), c.Close())
	}
	return shared, nil
}

func (o *owner) listen() error {
	socket, clean, err := socketPath(o.cloud.dir)
	if err != nil {
		return err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return errors.Join(err, clean())
	}
	card, err := json.Marshal(ownerCard{PID: os.Getpid(), Socket: socket, Machine: o.cloud.Machine()})
	path := filepath.Join(o.cloud.dir, cardName)
	if err == nil {
		err = writeSynced(path+".new", card)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return errors.Join(err, l.Close(), clean())
	}
	o.clean = func() error { return errors.Join(os.Remove(path), clean()) }
	ctx, cancel := context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.Handle("/", o.cloud.Handler())
	mux.HandleFunc(resolvePath, func(w http.ResponseWriter, r *http.Request) {
		at, err := o.cloud.resolve(r.FormValue("addr"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, at) // whoever asked may have gone
	})
	mux.HandleFunc(leasePath, func(w http.ResponseWriter, r *http.Request) { o.lease(ctx, w, r) })
	o.stop, o.ended = cancel, make(chan error, 1)
	go func() { o.ended <- serveHTTP(ctx, l, mux) }()
	return nil
}

// lease lasts until its holder closes the connection or the owner ends.
func (o *owner) lease(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	o.leases.add(1)
	defer o.leases.add(-1)
	w.WriteHeader(http.StatusOK)
	if http.NewResponseController(w).Flush() != nil {
		return
	}
	select {
	case <-r.Context().Done():
	case <-ctx.Done():
	}
}

// close finishes the calls in flight, then closes the cloud: whoever finds the
// socket closed knows that a call was not carried out.
func (o *owner) close() error {
	o.stop()
	var errs []error
	if o.ended != nil {
		errs = append(errs, <-o.ended)
	}
	return errors.Join(append(errs, o.clean(), o.cloud.Close())...)
}

// socketPath is where a folder's socket is: in it, or in a temporary folder
// where that path would be too long. Only an owner asks, so what is left there
// is a dead one's.
func socketPath(dir string) (path string, clean func() error, err error) {
	if card, err := readCard(dir); err == nil {
		_ = os.Remove(card.Socket) // it is gone already where its owner ended well
		if parent := filepath.Dir(card.Socket); parent != dir {
			_ = os.Remove(parent)
		}
	}
	path = filepath.Join(dir, "socket")
	if len(path) <= maxSocketPath {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", nil, err
		}
		return path, func() error { return nil }, nil
	}
	short, err := os.MkdirTemp("", "goldline-")
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(short, "socket")
	if len(path) > maxSocketPath {
		return "", nil, errors.Join(fmt.Errorf("the path of the temporary folder %s is too long for a socket", short), os.Remove(short))
	}
	return path, func() error { return os.RemoveAll(short) }, nil
}

func readCard(dir string) (ownerCard, error) {
	var card ownerCard
	text, err := os.ReadFile(filepath.Join(dir, cardName))
	if err != nil {
		return card, err
	}
	return card, json.Unmarshal(text, &card)
}

// leases counts who goes through an owner.
type leases struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed while there are none
}

func newLeases() *leases {
	l := &leases{none: make(chan struct{})}
	close(l.none)
	return l
}

func (l *leases) add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n == 0 {
		l.none = make(chan struct{})
	}
	if l.n += n; l.n == 0 {
		close(l.none)
	}
}

func (l *leases) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// wait waits until nobody holds a lease, or ctx ends.
func (l *leases) wait(ctx context.Context) {
	l.mu.Lock()
	none := l.none
	l.mu.Unlock()
	select {
	case <-none:
	case <-ctx.Done():
	}
}

// remote is a cloud that another process owns.
type remote struct {
	pid  int
	kind machine.Kind
	http *http.Transport
	held net.Conn // the lease
	once sync.Once
}

// errNotReached is a call that the owner certainly never saw.
var errNotReached = errors.New("the owner of the local cloud was not reached")

// borrow finds the owner and takes a lease from it.
func borrow(ctx context.Context, o Options) (*remote, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	card, err := readCard(dir)
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", card.Socket)
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", errNotReached, err)
		}
		return conn, err
	}
	held, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = held.Close() }) // ends the wait for the answer
	defer stop()
	if err := takeLease(held); err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return &remote{pid: card.PID, kind: card.Machine, held: held, http: &http.Transport{
		// Every call has a connection of its own, so that one that is refused
		// certainly was not carried out.
		DisableKeepAlives:  true,
		DisableCompression: true,
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}, nil
}

func takeLease(conn net.Conn) error {
	if _, err := io.WriteString(conn, "GET "+leasePath+" HTTP/1.1\r\nHost: goldline\r\n\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK { // its body lasts as long as the lease
		return fmt.Errorf("the owner of the local cloud answered %s", answer.Status)
	}
	return nil
}

// leave gives the lease back.
func (r *remote) leave() {
	r.once.Do(func() { _ = r.held.Close() }) // the owner sees it gone either way
}

func (r *remote) roundTrip(req *http.Request) (*http.Response, error) {
	if req.Host == "" {
		req.Host = req.URL.Host
	}
	req.URL = withHost(req.URL, "goldline")
	return r.http.RoundTrip(req)
}

func (r *remote) resolve(ctx context.Context, addr string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://goldline"+resolvePath+"?addr="+url.QueryEscape(addr), nil)
	if err != nil {
		return "", err
	}
	answer, err := r.roundTrip(req)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK {
		return "", errors.New(strings.TrimSpace(string(text)))
	}
	return string(text), nil
}
