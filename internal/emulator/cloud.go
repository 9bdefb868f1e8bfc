package emulator

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goldline-dev/goldline/internal/machine"
)

// Options say how a local cloud behaves.
type Options struct {
	// Dir keeps the cloud from one process to the next; empty keeps it in
	// memory, with its machines in a temporary folder that Close removes.
	Dir string
	// Machine is what instances run on; empty is the kind that Dir was used
	// with before, or the best that works here.
	// None of the machines start when it is NoMachines.
	Machine machine.Kind
	// Transition is how long a change of state takes (pending to running):
	// 120 ms when zero.
	Transition time.Duration
	// Clock is the system's when nil.
	Clock Clock
	// Buckets switches EC2's request token buckets on.
	Buckets bool
	// Latency is added to every call.
	Latency time.Duration
	// Consistency is how long something new stays invisible to reads.
	Consistency time.Duration
	// ProfileDelay is how long EC2 does not know a new instance profile that IAM
	// shows already.
	ProfileDelay time.Duration
	// OnDie is called by a fault of kind Die. It stands for the end of the
	// calling process: a test cancels what it runs.
	OnDie func()
}

// NoMachines is the machine kind of a cloud whose instances run nothing: for
// tests and measurements of calls alone.
const NoMachines machine.Kind = "none"

const defaultTransition = 120 * time.Millisecond

// Cloud is a local cloud. Its methods may be called from many goroutines.
type Cloud struct {
	options     Options
	clock       Clock
	dir         string // where its files are: Options.Dir or a temporary folder
	kind        machine.Kind
	store       *store
	registry    registry
	wires       map[string]*wire
	settlers    map[string]settler
	transitions *table[transition]
	settings    *table[string]
	sessions    *table[session]
	kinds       []inventoryKind
	faults      *faults
	buckets     *buckets
	calls       *calls
	iam         *iamService
	ec2         *ec2Service
	elb         *elbService
	scaling     *scalingService
	ssm         *ssmService
	kms         *kmsService
	dns         *route53Service
	hooks       hooks

	unlock   func() error
	life     context.Context // ends when the cloud closes
	end      context.CancelFunc
	spawning sync.Mutex
	work     sync.WaitGroup // what spawn has started
	opened   bool
	closing  atomic.Bool
	once     sync.Once
	closed   error
}

// hooks are how resources reach beyond their tables. EC2 fills them in newEC2.
type hooks struct {
	// open runs once, when the store is loaded; close once, before it closes.
	open  []func(context.Context) error
	close []func(context.Context) error
	// inUse says whether anything depends on the machine kind: instances that
	// are not terminated, or images with files of their own.
	inUse func() bool
	// listens finds where a machine's port really is, from one of the
	// emulated addresses of its instance.
	listens func(ip netip.Addr, port uint16) (netip.AddrPort, bool)
	// publicImage is the ID of a source image in a region, empty if there is
	// none: os is debian-12, ubuntu-24.04 or amazon-linux-2023.
	publicImage func(region, os, arch string) string
	// imageExists says whether an AMI can be used in a world.
	imageExists func(w world, id string) bool
}

// Open opens a local cloud, which no other process may have open: it holds a
// lock on the folder until Close. ErrOwned says that another process has it;
// Join goes through that one.
func Open(ctx context.Context, o Options) (*Cloud, error) {
	if o.Transition == 0 {
		o.Transition = defaultTransition
	}
	c, err := newCloud(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open the local cloud: %w", err)
	}
	return c, nil
}

func newCloud(ctx context.Context, o Options) (_ *Cloud, err error) {
	c := &Cloud{options: o, clock: o.Clock, registry: registry{}, settlers: map[string]settler{}, calls: &calls{}}
	c.life, c.end = context.WithCancel(context.WithoutCancel(ctx))
	if c.clock == nil {
		c.clock = systemClock{}
	}
	c.faults, c.buckets = &faults{}, newBuckets(c.clock)
	if c.wires, err = newWires(); err != nil {
		return nil, err
	}
	if err := c.claim(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	c.store = openStore(c.options.Dir)
	c.transitions = newTable[transition](c.store, "transitions")
	c.settings = newTable[string](c.store, "settings")
	newSTS(c)
	c.ssm = newSSM(c)
	c.kms = newKMS(c)
	c.iam = newIAM(c)
	c.ec2 = newEC2(c)
	c.elb = newELB(c)
	c.scaling = newScaling(c)
	c.dns = newRoute53(c)
	newStacks(c)
	if err := c.store.load(); err != nil {
		return nil, err
	}
	if err := c.checkTransitions(); err != nil {
		return nil, err
	}
	if err := c.chooseKind(ctx); err != nil {
		return nil, err
	}
	c.opened = true
	for _, f := range c.hooks.open {
		if err := f(ctx); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// claim takes the folder for this process alone.
func (c *Cloud) claim() error {
	if c.options.Dir == "" {
		dir, err := os.MkdirTemp("", "goldline-local-")
		if err != nil {
			return err
		}
		c.dir, c.unlock = dir, func() error { return os.RemoveAll(dir) }
		return nil
	}
	dir, err := filepath.Abs(c.options.Dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	c.dir, c.options.Dir = dir, dir
	c.unlock, err = lockFile(filepath.Join(dir, "lock"))
	return err
}

// The settings rows that hold the machine kind, and which kinds were found to
// work under which conditions: finding out takes longer than most calls.
const (
	machineSetting = "machine"
	worksSetting   = "machine-kinds"
)

// chooseKind settles what instances run on. A folder keeps the kind that it
// was first used with for as long as something in it depends on that kind.
func (c *Cloud) chooseKind(ctx context.Context) error {
	recorded, known := c.settings.get(world{}, machineSetting)
	before, asked := machine.Kind(recorded), c.options.Machine
	bound := known && c.hooks.inUse != nil && c.hooks.inUse()
	remedy := fmt.Sprintf("remove the folder %s to start afresh", c.dir)
	switch {
	case bound && asked != "" && asked != before:
		return fmt.Errorf("its instances and images are of machine kind %s, not %s: %s", before, asked, remedy)
	case bound:
		asked = before
	}
	if asked != NoMachines {
		available, err := c.workingKinds(ctx)
		if err != nil {
			return err
		}
		switch {
		case asked == "":
			asked = available[0]
		case !containsKind(available, asked) && bound:
			return fmt.Errorf("its machines are of kind %s, which does not work here (%v does): %s", asked, available, remedy)
		case !containsKind(available, asked):
			return fmt.Errorf("machine kind %s does not work here: %v does", asked, available)
		}
	}
	c.kind = asked
	return c.store.transact(func() error {
		if before != c.kind {
			c.settings.put(world{}, machineSetting, string(c.kind))
		}
		return nil
	})
}

// workingKinds are the kinds that work here, tried out unless they were under
// the same conditions before.
func (c *Cloud) workingKinds(ctx context.Context) ([]machine.Kind, error) {
	conditions := machine.Conditions(c.dir)
	noted, _ := c.settings.get(world{}, worksSetting)
	names, under, _ := strings.Cut(noted, " ")
	var kinds []machine.Kind
	if conditions != "" && under == conditions {
		for name := range strings.SplitSeq(names, ",") {
			kinds = append(kinds, machine.Kind(name))
		}
		return kinds, nil
	}
	kinds = machine.Available(ctx, c.dir)
	if conditions == "" || ctx.Err() != nil { // a trial cut short says nothing
		return kinds, ctx.Err()
	}
	tried := make([]string, len(kinds))
	for i, kind := range kinds {
		tried[i] = string(kind)
	}
	return kinds, c.store.transact(func() error {
		c.settings.put(world{}, worksSetting, strings.Join(tried, ",")+" "+conditions)
		return nil
	})
}

// forgetKinds has the next start try the kinds out again: a machine that did not
// start may mean that something has changed which conditions do not tell.
func (c *Cloud) forgetKinds() {
	_ = c.store.transact(func() error { // fails only when the cloud closes
		c.settings.remove(world{}, worksSetting)
		return nil
	})
}

func containsKind(kinds []machine.Kind, kind machine.Kind) bool {
	for _, k := range kinds {
		if k == kind {
			return true
		}
	}
	return false
}

// Machine is the kind of machine that instances run on.
func (c *Cloud) Machine() machine.Kind { return c.kind }

// closeTime bounds how long Close waits for machines to stop.
const closeTime = 20 * time.Second

// Close stops every machine and releases the folder. Calls after it fail as if
// nothing listened.
func (c *Cloud) Close() error {
	c.once.Do(func() {
		c.closing.Store(true)
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		var errs []error
		if c.opened {
			for i := len(c.hooks.close) - 1; i >= 0; i-- {
				errs = append(errs, c.hooks.close[i](ctx))
			}
		}
		c.spawning.Lock()
		c.end()
		c.spawning.Unlock()
		c.work.Wait()
		errs = append(errs, c.store.close(), c.unlock())
		c.closed = errors.Join(errs...)
	})
	return c.closed
}

// onOpen and onClose add a hook.
func (c *Cloud) onOpen(f func(context.Context) error)  { c.hooks.open = append(c.hooks.open, f) }
func (c *Cloud) onClose(f func(context.Context) error) { c.hooks.close = append(c.hooks.close, f) }

// spawn runs f beside the requests, on a context that ends when the cloud
// closes; Close waits for it. A settler or handler starts it with
// store.afterCommit, so that it never runs for what was undone.
func (c *Cloud) spawn(f func(ctx context.Context)) {
	c.spawning.Lock()
	defer c.spawning.Unlock()
	if c.life.Err() != nil {
		return
	}
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		f(c.life)
	}()
}

// visible says whether something made at a time can be seen by reads yet.
func (c *Cloud) visible(created time.Time) bool {
	return !c.clock.Now().Before(created.Add(c.options.Consistency))
}
