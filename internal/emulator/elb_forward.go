package emulator

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// elbRoute is the target that a connection or a request goes to.
type elbRoute struct {
	group  types.TargetGroup
	target string // its key with its world
	at     string // address and port
}

// errNoTargets says that a group has nobody who could answer.
var errNoTargets = errors.New("no targets")

// choose takes a target of one of the groups that an action forwards to, by
// their weights and then by turns: one that is healthy, or where none is any
// that has not left, as a load balancer does. Until t.done is called, the
// target has a connection more.
func (t *elbTraffic) choose(w world, from string, a types.Action, stay func(key string) bool) (r elbRoute, err error) {
	err = t.s.cloud.store.transact(func() error {
		arn := t.weighed(from, a)
		row, ok := t.s.groups.get(w, arn)
		if !ok {
			return errNoTargets
		}
		var well, rest []targetRow
		for _, x := range t.s.targets.all(w) {
			if x.Group != arn || !x.Ends.IsZero() {
				continue
			}
			switch state, _ := t.s.health(w, x, true); state {
			case types.TargetHealthStateEnumHealthy:
				well = append(well, x)
			case types.TargetHealthStateEnumUnused: // it does not run
			default:
				rest = append(rest, x)
			}
		}
		if len(well) == 0 {
			well = rest
		}
		if len(well) == 0 {
			return errNoTargets
		}
		x := t.fair(arn, well, t.s.slowStart(row), t.s.cloud.clock.Now())
		for _, other := range well {
			if row.Attributes["stickiness.enabled"] == "true" && stay != nil && stay(other.key()) {
				x = other
			}
		}
		r = elbRoute{group: row.Group, target: w.String() + " " + x.key(), at: net.JoinHostPort(t.s.hostOf(w, x), strconv.Itoa(int(x.Port)))}
		t.begin(r.target)
		return nil
	})
	return r, err
}

// weighed is the group whose turn it is by the weights.
func (t *elbTraffic) weighed(from string, a types.Action) string {
	if a.ForwardConfig == nil || len(a.ForwardConfig.TargetGroups) == 0 {
		return deref(a.TargetGroupArn)
	}
	weight := func(g types.TargetGroupTuple) uint64 {
		if g.Weight == nil {
			return 1
		}
		return uint64(*g.Weight)
	}
	var total uint64
	for _, g := range a.ForwardConfig.TargetGroups {
		total += weight(g)
	}
	if total == 0 {
		return ""
	}
	n := spread(t.turn(from), total)
	for _, g := range a.ForwardConfig.TargetGroups {
		if n < weight(g) {
			return deref(g.TargetGroupArn)
		}
		n -= weight(g)
	}
	return ""
}

// spread is a number below total for every turn, each as often as any other in
// total turns. One that has a share of them has it all along, and not at a
// stretch.
func spread(turn, total uint64) uint64 {
	step := total*618/1000 + 1 // about the golden section
	for common(step, total) != 1 {
		step++
	}
	return turn % total * step % total
}

func common(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// fair is the target whose turn it is. One that starts slowly leaves turns to
// the next, the fewer the longer it has been there.
func (t *elbTraffic) fair(arn string, list []targetRow, slow time.Duration, now time.Time) targetRow {
	turn := t.turn(arn)
	for skip := range uint64(len(list)) {
		x := list[(turn+skip)%uint64(len(list))]
		share := 100 * now.Sub(x.Well)
		if slow == 0 || x.Well.IsZero() || share >= 100*slow {
			return x
		}
		if n := t.turn("slow start of " + x.key()); spread(n, 100) < uint64(max(1, share/slow)) {
			return x
		}
	}
	return list[turn%uint64(len(list))]
}

// slowStart is how long new targets of a group get less than their share.
func (s *elbService) slowStart(row targetGroupRow) time.Duration {
	seconds, _ := strconv.Atoi(row.Attributes["slow_start.duration_seconds"]) // checked when it was given
	return s.cloud.scaling.scaled(int32(seconds))
}

// hostOf is the address at which a target is reached here: its machine's own.
func (s *elbService) hostOf(w world, row targetRow) string {
	if instance, ok := s.instanceOf(w, row); ok {
		return instance.Loopback.String()
	}
	return row.Instance
}

// dialTime is how long a load balancer tries to connect to a target.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
const dialTime = 10 * time.Second

// dial connects to a target.
func (t *elbTraffic) dial(ctx context.Context, r elbRoute) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := t.s.cloud.Dial(ctx, "tcp", r.at)
	if err != nil || r.group.Protocol != types.ProtocolEnumTls && r.group.Protocol != types.ProtocolEnumHttps {
		return conn, err
	}
	// A load balancer takes whatever certificate a target has.
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}), nil
}

// accept takes the connections of a network load balancer's listener.
func (t *elbTraffic) accept(p *port, l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // it is closed
		}
		t.s.cloud.spawn(func(context.Context) { t.carry(p, conn) })
	}
}

// carry connects one client with a target until both have said all.
func (t *elbTraffic) carry(p *port, client net.Conn) {
	defer client.Close()
	actions, err := t.s.defaultActions(p)
	if err != nil || len(actions) == 0 {
		return
	}
	r, err := t.choose(p.world, p.listener, actions[0], nil)
	if err != nil {
		return // a network load balancer closes the connection
	}
	defer t.done(r.target)
	target, err := t.dial(p.life, r)
	if err != nil {
		return
	}
	defer target.Close()
	stop := context.AfterFunc(p.life, func() {
		_ = client.Close()
		_ = target.Close()
	})
	defer stop()
	there := make(chan struct{})
	go func() {
		defer close(there)
		pour(target, client)
	}()
	pour(client, target)
	<-there
}

// pour copies until one side ends, and tells the other that it did.
func pour(to, from net.Conn) {
	_, _ = io.Copy(to, from) // a broken connection is an end as good as any
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	_ = to.Close()
}

// defaultActions are a listener's as they are now.
func (s *elbService) defaultActions(p *port) (actions []types.Action, err error) {
	err = s.cloud.store.transact(func() error {
		row, ok := s.listeners.get(p.world, p.listener)
		if ok {
			actions = row.Listener.DefaultActions
		}
		return nil
	})
	return actions, err
}

// selfSigned is a certificate for a secure listener: that of the ARN lies in no
// cloud.
func selfSigned(name string, at netip.Addr) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name, Organization: []string{"Goldline local cloud"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{at.AsSlice()},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
