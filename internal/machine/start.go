package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/gliderlabs/ssh"
)

var errInvalid error = syscall.EINVAL

// running is a started machine of any kind.
type running struct {
	spec    Spec
	kind    Kind
	guest   guest
	imds    *imds
	ssh     *ssh.Server
	sshAddr netip.AddrPort
	doors   []net.Listener
	volumes *volumes
	power   *power
	console *console

	userData    userData
	userDataErr error // of its reading; fails the boot, not the start

	life   context.Context // ends when the machine stops
	cancel context.CancelFunc
	work   sync.WaitGroup // servers and the boot

	booted  chan struct{}
	bootErr error // set before booted is closed

	stop    sync.Once
	stopErr error
}

// Available tells the kinds of machine that really work below dir, best first.
// The in-process kind is always among them.
func Available(ctx context.Context, dir string) []Kind {
	var kinds []Kind
	for _, kind := range []Kind{Overlay, UserNS} {
		if probe(ctx, kind, dir) == nil {
			kinds = append(kinds, kind)
		}
	}
	return append(kinds, InProcess)
}

// Start starts a machine. When it returns, the machine's SSH server and its
// metadata service listen, and the boot is under way. ctx bounds the start, not
// the machine.
func Start(ctx context.Context, kind Kind, spec Spec) (Machine, error) {
	m, err := start(ctx, kind, spec)
	if err != nil {
		return nil, fmt.Errorf("machine %s: %w", spec.ID, err)
	}
	return m, nil
}

func start(ctx context.Context, kind Kind, spec Spec) (_ *running, err error) {
	if err := check(&spec); err != nil {
		return nil, err
	}
	if err := claim(spec.Dir, kind); err != nil {
		return nil, err
	}
	m := &running{spec: spec, kind: kind, booted: make(chan struct{}), console: newConsole(spec.Console)}
	m.life, m.cancel = context.WithCancel(context.WithoutCancel(ctx))
	m.power = newPower(m.poweredOff)
	m.userData, m.userDataErr = parseUserData(spec.UserData)
	if name := m.userData.config.Hostname; name != "" {
		m.spec.Hostname = name
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.abandon(ctx))
		}
	}()
	metadata, err := listen(m.spec.Address, 80)
	if err != nil {
		return nil, fmt.Errorf("metadata service: %w", err)
	}
	m.doors = append(m.doors, metadata)
	m.imds = newIMDS(&m.spec, metadata)
	m.serve(func() error { return m.imds.server.Serve(metadata) })
	if m.volumes, err = newVolumes(filepath.Join(spec.Dir, "dev")); err != nil {
		return nil, err
	}
	for device, dir := range spec.Volumes {
		if err := m.volumes.adopt(device, dir); err != nil {
			return nil, err
		}
	}
	inside, err := newGuest(ctx, kind, m)
	if err != nil {
		return nil, err // what comes with an error may be a nil of some type, and is no guest
	}
	m.guest, m.volumes.guest = inside, inside
	if err := m.guest.devices(m.volumes.names()); err != nil {
		return nil, err
	}
	boot, err := m.prepareBoot()
	if err != nil {
		return nil, fmt.Errorf("boot: %w", err)
	}
	secure, err := listen(m.spec.Address, 22)
	if err != nil {
		return nil, fmt.Errorf("ssh: %w", err)
	}
	m.doors = append(m.doors, secure)
	m.sshAddr = netip.MustParseAddrPort(secure.Addr().String())
	m.ssh = m.newSSH(boot.hostKeys)
	m.serve(func() error { return m.ssh.Serve(secure) })
	m.work.Add(1)
	go func() {
		defer m.work.Done()
		defer close(m.booted)
		m.bootErr = boot.run(m.life)
	}()
	return m, nil
}

func check(spec *Spec) error {
	if spec.ID == "" || spec.Dir == "" {
		return errors.New("a machine needs an ID and a folder")
	}
	dir, err := filepath.Abs(spec.Dir)
	if err != nil {
		return err
	}
	spec.Dir = dir
	for i, layer := range spec.Layers {
		if layer, err = filepath.Abs(layer); err != nil {
			return err
		}
		if info, err := os.Stat(layer); err != nil {
			return fmt.Errorf("layer: %w", err)
		} else if !info.IsDir() {
			return fmt.Errorf("layer %s: not a folder", layer)
		}
		spec.Layers[i] = layer
	}
	if !spec.Address.IsValid() {
		spec.Address = netip.MustParseAddr("127.0.0.1")
	}
	if !spec.Address.IsLoopback() {
		return fmt.Errorf("address %s: not a loopback address", spec.Address)
	}
	if spec.User == "" {
		spec.User = "root"
	}
	if spec.Hostname == "" {
		spec.Hostname = spec.ID
	}
	if len(spec.UserData) > 16<<10 {
		return fmt.Errorf("user data: %d bytes, at most %d are allowed", len(spec.UserData), 16<<10)
	}
	return nil
}

// claim makes the machine's folder and notes which kind its files are of: each
// kind keeps them in a way of its own.
func claim(dir string, kind Kind) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	note := filepath.Join(dir, "kind")
	was, err := os.ReadFile(note)
	if errors.Is(err, os.ErrNotExist) {
		return os.WriteFile(note, []byte(kind), 0o644)
	}
	if err == nil && Kind(was) != kind {
		return fmt.Errorf("%s holds a machine of kind %s, not %s", dir, was, kind)
	}
	return err
}

// listen takes the port of the address, another port of it, or any of 127.0.0.1.
func listen(addr netip.Addr, port uint16) (net.Listener, error) {
	var all error
	for _, at := range []netip.AddrPort{
		netip.AddrPortFrom(addr, port),
		netip.AddrPortFrom(addr, 0),
		netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 0),
	} {
		listener, err := net.Listen("tcp", at.String())
		if err == nil {
			return listener, nil
		}
		all = errors.Join(all, err)
	}
	return nil, all
}

func (m *running) serve(server func() error) {
	m.work.Add(1)
	go func() {
		defer m.work.Done()
		err := server()
		if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, ssh.ErrServerClosed) && m.life.Err() == nil {
			m.console.printf("server: %v", err)
		}
	}()
}

func (m *running) SSH() netip.AddrPort     { return m.sshAddr }
func (m *running) IMDS() string            { return m.imds.url() }
func (m *running) Booted() <-chan struct{} { return m.booted }

func (m *running) BootFailed() error {
	select {
	case <-m.booted:
		return m.bootErr
	default:
		return nil
	}
}

func (m *running) Attach(device, dir string) error {
	return m.volumes.attach(m.life, device, dir)
}

func (m *running) Detach(device, dir string) error {
	return m.volumes.detach(m.life, device, dir)
}

func (m *running) Stop(ctx context.Context) error {
	m.stop.Do(func() { m.stopErr = m.halt(ctx) })
	return m.stopErr
}

// abandon undoes a start that came only part of the way.
func (m *running) abandon(ctx context.Context) error {
	return m.Stop(context.WithoutCancel(ctx))
}

func (m *running) halt(ctx context.Context) error {
	m.cancel()
	m.power.stop()
	for _, door := range m.doors {
		_ = door.Close() // a server that has not begun to serve would not close it
	}
	var all error
	if m.ssh != nil {
		_ = m.ssh.Close() // its listener is closed either way
	}
	if m.guest != nil {
		all = m.guest.end(ctx)
	}
	if m.imds != nil {
		_ = m.imds.server.Close()
	}
	done := make(chan struct{})
	go func() { m.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		return errors.Join(all, fmt.Errorf("stop: %w", ctx.Err()))
	}
	return all
}

func (m *running) poweredOff() {
	if m.spec.PoweredOff != nil && m.life.Err() == nil {
		m.spec.PoweredOff()
	}
}

// console is where the machine prints. It never fails: nobody may be looking.
type console struct {
	mu  sync.Mutex
	out io.Writer
}

func newConsole(out io.Writer) *console {
	if out == nil {
		out = io.Discard
	}
	return &console{out: out}
}

func (c *console) Write(data []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.out.Write(data)
	return len(data), nil
}

func (c *console) printf(format string, args ...any) {
	fmt.Fprintf(c, format+"\n", args...)
}

// power waits for the machine to be shut down from inside.
type power struct {
	off func()

	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

func newPower(off func()) *power { return &power{off: off} }

// in shuts the machine down after a while; a later call takes the place of an
// earlier one. The callback runs on a goroutine of its own, so it may stop the
// machine.
func (p *power) in(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timer = time.AfterFunc(delay, func() {
		p.mu.Lock()
		first := !p.over
		p.over = true
		p.mu.Unlock()
		if first {
			p.off()
		}
	})
}

func (p *power) cancelled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil && !p.over {
		p.timer.Stop()
		p.timer = nil
	}
}

// stop forgets a shutdown that has not begun.
func (p *power) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.timer != nil {
		p.timer.Stop()
	}
}
