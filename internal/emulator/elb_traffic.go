package emulator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// elbTraffic is what load balancers do with connections, where there are machines
// to forward to. Each has a loopback address of its own, as machines have, and
// its listeners listen there while this process has the cloud open. Where a
// port may not be taken another one is; ListenersFile says which.
type elbTraffic struct {
	s *elbService

	mu     sync.Mutex // never taken within a transaction: listen begins one under it
	closed bool
	open   map[string]*port // by the listener's ARN

	books sync.Mutex        // taken within transactions, which never begin under it
	load  map[string]int    // connections and requests under way, by target
	turns map[string]uint64 // how often something was chosen, by what from
}

// port is an open listener.
type port struct {
	world    world
	listener string // its ARN
	name     string // the load balancer's
	wanted   netip.AddrPort
	protocol types.ProtocolEnum
	l        net.Listener
	server   *http.Server // of an application load balancer
	life     context.Context
	end      context.CancelFunc
}

// ListenersFile is the file in the cloud's folder that tells where listeners
// can be reached: a line each, with the load balancer's name, protocol and
// port, and the address.
const ListenersFile = "listeners"

func newTraffic(s *elbService) *elbTraffic {
	t := &elbTraffic{s: s, open: map[string]*port{}, load: map[string]int{}, turns: map[string]uint64{}}
	s.cloud.onOpen(func(context.Context) error { t.listen(); return nil })
	s.cloud.onClose(t.close)
	machines := s.cloud.hooks.listens
	s.cloud.hooks.listens = func(ip netip.Addr, n uint16) (netip.AddrPort, bool) {
		if at, ok := t.listens(netip.AddrPortFrom(ip, n)); ok {
			return at, true
		}
		return machines(ip, n)
	}
	return t
}

// listens finds where a listener really is.
func (t *elbTraffic) listens(wanted netip.AddrPort) (netip.AddrPort, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.open {
		if p.wanted == wanted {
			return p.l.Addr().(*net.TCPAddr).AddrPort(), true
		}
	}
	return netip.AddrPort{}, false
}

// changed has the listeners follow what the running transaction makes of them.
func (t *elbTraffic) changed() { t.s.cloud.store.afterCommit(t.listen) }

// wanted are the listeners that should be open. Those over UDP are not: what
// arrives there has no end by which one could tell who gets it.
func (t *elbTraffic) wanted() map[string]*port {
	all := map[string]*port{}
	_ = t.s.cloud.store.transact(func() error { // it fails when the cloud is closed: then there are none
		for _, w := range t.s.listeners.worlds() {
			for _, row := range t.s.listeners.all(w) {
				b, ok := t.s.balancers.get(w, *row.Listener.LoadBalancerArn)
				protocol := row.Listener.Protocol
				if !ok || !b.Loopback.IsValid() || protocol == types.ProtocolEnumUdp || protocol == types.ProtocolEnumTcpUdp {
					continue
				}
				all[row.arn()] = &port{world: w, listener: row.arn(), name: b.name(), protocol: protocol, wanted: netip.AddrPortFrom(b.Loopback, uint16(*row.Listener.Port))}
			}
		}
		return nil
	})
	return all
}

// listen opens and closes listeners until they are as they should be. One that
// cannot be opened at all is tried again with the next change.
func (t *elbTraffic) listen() {
	if t.s.cloud.kind == NoMachines {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	wanted := t.wanted()
	for arn, p := range t.open {
		if now := wanted[arn]; now == nil || now.wanted != p.wanted || now.protocol != p.protocol {
			p.close()
			delete(t.open, arn)
		}
	}
	for _, arn := range sortedKeys(wanted) {
		if t.open[arn] != nil {
			continue
		}
		if p := wanted[arn]; t.serve(p) == nil {
			t.open[arn] = p
		}
	}
	t.note()
}

// bind takes the port, or another one where that may not be.
func bind(at netip.AddrPort) (net.Listener, error) {
	var all error
	for _, try := range []netip.AddrPort{at, netip.AddrPortFrom(at.Addr(), 0), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 0)} {
		l, err := net.Listen("tcp", try.String())
		if err == nil {
			return l, nil
		}
		all = errors.Join(all, err)
	}
	return nil, all
}

// serve opens one listener.
func (t *elbTraffic) serve(p *port) error {
	l, err := bind(p.wanted)
	if err != nil {
		return err
	}
	p.life, p.end = context.WithCancel(t.s.cloud.life)
	p.l = l
	if p.protocol == types.ProtocolEnumHttps || p.protocol == types.ProtocolEnumTls {
		certificate, err := selfSigned(p.name, p.wanted.Addr())
		if err != nil {
			return errors.Join(err, l.Close())
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}})
	}
	if overHTTP(p.protocol) {
		p.server = t.httpServer(p)
		t.s.cloud.spawn(func(context.Context) { _ = p.server.Serve(l) }) // it ends when the listener is closed
		return nil
	}
	t.s.cloud.spawn(func(context.Context) { t.accept(p, l) })
	return nil
}

// close cuts off what goes through the listener, as the end of a load balancer
// does.
func (p *port) close() {
	p.end()
	_ = p.l.Close() // nobody is to hear of it
	if p.server != nil {
		_ = p.server.Close()
	}
}

func (t *elbTraffic) close(context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for arn, p := range t.open {
		p.close()
		delete(t.open, arn)
	}
	t.note()
	return nil
}

// note writes down where listeners are, or nothing where there are none: for
// people, so it matters to nobody here whether that works.
func (t *elbTraffic) note() {
	file := filepath.Join(t.s.cloud.dir, ListenersFile)
	var lines []string
	for _, p := range t.open {
		lines = append(lines, fmt.Sprintf("%s\t%s %d\t%s\n", p.name, p.protocol, p.wanted.Port(), p.l.Addr()))
	}
	if len(lines) == 0 {
		_ = os.Remove(file)
		return
	}
	sort.Strings(lines)
	_ = os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600)
}

// busy is how many connections and requests a target has.
func (t *elbTraffic) busy(target string) int {
	t.books.Lock()
	defer t.books.Unlock()
	return t.load[target]
}

func (t *elbTraffic) begin(target string) {
	t.books.Lock()
	defer t.books.Unlock()
	t.load[target]++
}

func (t *elbTraffic) done(target string) {
	t.books.Lock()
	defer t.books.Unlock()
	if t.load[target]--; t.load[target] <= 0 {
		delete(t.load, target)
	}
}

// turn counts how often something was chosen.
func (t *elbTraffic) turn(from string) uint64 {
	t.books.Lock()
	defer t.books.Unlock()
	t.turns[from]++
	return t.turns[from] - 1
}
