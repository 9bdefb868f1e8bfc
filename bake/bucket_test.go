package bake

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/goldline-dev/goldline/internal/project"
)

// TestThroughBuckets bakes many images at once through EC2's own buckets, on a
// clock that only waiting moves: however many calls are refused, none is lost.
// BAKE_IMAGES is how many. With buckets that are known, as on AWS, none may be
// refused.
func TestThroughBuckets(t *testing.T) {
	images := 20
	if text := os.Getenv("BAKE_IMAGES"); text != "" {
		var err error
		if images, err = strconv.Atoi(text); err != nil {
			t.Fatalf("BAKE_IMAGES: %v", err)
		}
	}
	for name, known := range map[string]bool{"known": true, "learned": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { throughBuckets(t, images, known) })
		})
	}
}

func throughBuckets(t *testing.T, images int, known bool) {
	server, hostKey := newServer(t, sayAllWell)
	dial := func(context.Context, string, string) (net.Conn, error) {
		here, there := newPipe()
		_ = graph.Background(func() error { server.HandleConn(there); return nil })
		return here, nil
	}
	// What takes AWS half a minute.
	ec2, err := emulator.Open(context.Background(), emulator.Options{Machine: emulator.NoMachines, Buckets: true, Transition: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer ec2.Close()
	c, err := cloud.NewProvider(cloud.Config{Transport: ec2.Transport(), Paced: known, Dial: dial}).For(context.Background(), cloud.Target{Region: region})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	baker := New(Options{Project: "shop", Dir: dir, Environment: "dev", Cloud: c, Run: "r1"})
	ec2.ResetCalls()
	began := time.Now()
	err = graph.Each(context.Background(), 0, images, func(ctx context.Context, n int) error {
		i := (&local{dir: dir}).image(fmt.Sprintf("svc%d", n))
		i.SSHHost, i.SSHHostPublicKey = "127.0.0.1", hostKey
		i.Provisioners = []*project.Provisioner{{Type: "shell", Options: &Shell{Inline: []string{"true"}}}}
		_, err := baker.Bake(ctx, i)
		return err
	})
	took, refused := time.Since(began), 0
	calls := ec2.Calls()
	count := map[string]int{}
	for _, call := range calls {
		count[call.Action]++
		if call.Code == "RequestLimitExceeded" {
			refused++
		}
	}
	t.Logf("%d images: %s on the driven clock, %d calls, %d of them refused: %v", images, took.Round(100*time.Millisecond), len(calls), refused, count)
	if err != nil {
		t.Fatal(err)
	}
	if known && refused > 0 || refused > len(calls)/2 {
		t.Errorf("%d of %d calls were refused", refused, len(calls))
	}
}

// pipe is one end of a connection within this process, with room for what the
// other has not read yet. Unlike a socket's, its waits let a test's clock move on.
type pipe struct{ in, out *flow }

type flow struct {
	mu     sync.Mutex
	moved  *sync.Cond
	bytes  []byte
	closed bool
}

func newPipe() (net.Conn, net.Conn) {
	a, b := &flow{}, &flow{}
	a.moved, b.moved = sync.NewCond(&a.mu), sync.NewCond(&b.mu)
	return &pipe{a, b}, &pipe{b, a}
}

func (p *pipe) Read(into []byte) (int, error) {
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	for len(p.in.bytes) == 0 && !p.in.closed {
		p.in.moved.Wait()
	}
	if len(p.in.bytes) == 0 {
		return 0, io.EOF
	}
	n := copy(into, p.in.bytes)
	p.in.bytes = p.in.bytes[n:]
	return n, nil
}

func (p *pipe) Write(from []byte) (int, error) {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	if p.out.closed {
		return 0, io.ErrClosedPipe
	}
	p.out.bytes = append(p.out.bytes, from...)
	p.out.moved.Broadcast()
	return len(from), nil
}

func (p *pipe) Close() error {
	for _, f := range []*flow{p.in, p.out} {
		f.mu.Lock()
		f.closed = true
		f.moved.Broadcast()
		f.mu.Unlock()
	}
	return nil
}

func (p *pipe) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (p *pipe) RemoteAddr() net.Addr             { return p.LocalAddr() }
func (p *pipe) SetDeadline(time.Time) error      { return nil }
func (p *pipe) SetReadDeadline(time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }
