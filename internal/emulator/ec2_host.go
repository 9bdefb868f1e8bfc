package emulator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/goldline-dev/goldline/internal/machine"
)

// hosts run the machines of instances and move the files of volumes and
// snapshots, beside the requests. Rows say what has to be so; for each item
// (an instance, a volume, a snapshot) at most one worker at a time brings it
// about, step by step, and notes each step in the item's row. So the work of a
// process that was killed is simply taken up by the next.
type hosts struct {
	s *ec2Service

	mu      sync.Mutex
	closed  bool
	workers map[string]*worker // by item
	running map[string]*host   // by instance
	wanted  map[string]bool    // running instances whose machines have to run in this process
	failed  map[string]error   // why one of those doesn't
}

// worker is the one goroutine at work on an item.
type worker struct {
	again bool          // something changed meanwhile: look once more
	idle  chan struct{} // closed when it ends
}

// host is a running machine.
type host struct {
	machine machine.Machine
	console *os.File
	devices map[string]string // attached in this process: volume to device
}

func newHosts(s *ec2Service) *hosts {
	h := &hosts{
		s: s, workers: map[string]*worker{}, running: map[string]*host{}, wanted: map[string]bool{}, failed: map[string]error{},
	}
	s.cloud.onOpen(h.resume)
	s.cloud.onClose(h.close)
	s.cloud.hooks.listens = h.listens
	return h
}

// sweeping is the item of the worker that removes folders nothing needs.
const sweeping = "sweep"

// on says whether instances run on machines here.
func (h *hosts) on() bool { return h.s.cloud.kind != NoMachines }

// booted says whether an instance's machine runs in this process and has booted.
func (h *hosts) booted(instance string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.running[instance]
	if at == nil {
		return false
	}
	select {
	case <-at.machine.Booted():
		return true
	default:
		return false
	}
}

func (h *hosts) machineDir(instance string) string {
	return filepath.Join(h.s.cloud.dir, "machines", instance)
}
func (h *hosts) consoleFile(instance string) string { return h.machineDir(instance) + ".console" }
func (h *hosts) volumeDir(volume string) string {
	return filepath.Join(h.s.cloud.dir, "volumes", volume)
}

// layerDir is a folder within the snapshot's, since drafts are made beside it.
func (h *hosts) layerDir(layer string) string {
	return filepath.Join(h.s.cloud.dir, "snapshots", layer, "files")
}

// kick has a worker look at an item once the running transaction is kept.
func (h *hosts) kick(w world, item string) {
	if h.on() {
		h.s.cloud.store.afterCommit(func() { h.work(w, item) })
	}
}

// finish has a worker look at an item once the running transaction is kept, and
// holds the call's answer back until it has nothing left to do.
func (h *hosts) finish(w world, item string) {
	if h.on() {
		h.s.cloud.store.afterCommit(func() { <-h.work(w, item) })
	}
}

// work starts the worker of an item, or has it look again. The channel closes
// when it has nothing left to do.
func (h *hosts) work(w world, item string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at := h.workers[item]; at != nil {
		at.again = true
		return at.idle
	}
	at := &worker{idle: make(chan struct{})}
	if h.closed {
		close(at.idle)
		return at.idle
	}
	h.workers[item] = at
	h.s.cloud.spawn(func(ctx context.Context) {
		defer close(at.idle)
		for h.round(ctx, w, item) && h.once(item, at) {
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.workers[item] == at {
			delete(h.workers, item)
		}
	})
	return at.idle
}

// once says whether a worker has to look again, and lets go of the item if not.
func (h *hosts) once(item string, at *worker) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at.again && !h.closed {
		at.again = false
		return true
	}
	delete(h.workers, item)
	return false
}

// round does everything that there is to do for an item now. It is false if
// the worker has to give up: the cloud closes, or its store takes no more.
func (h *hosts) round(ctx context.Context, w world, item string) bool {
	for ctx.Err() == nil && !h.over() {
		step, err := h.next(w, item)
		if err != nil {
			return false
		}
		if step == nil {
			return true
		}
		if err := step(ctx); err != nil {
			return false
		}
	}
	return false
}

func (h *hosts) over() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// step is one piece of work. It notes in the row that it is done, or why it
// could not be; its error is for when even that can't be noted.
type step func(context.Context) error

// next looks up what has to be done for an item.
func (h *hosts) next(w world, item string) (step, error) {
	if item == sweeping {
		return nil, h.sweep()
	}
	var todo step
	err := h.s.cloud.store.transact(func() error {
		if row, ok := h.s.instances.get(w, item); ok {
			todo = h.nextOfInstance(w, row)
		}
		if row, ok := h.s.volumes.get(w, item); ok {
			todo = h.nextOfVolume(w, row)
		}
		if row, ok := h.s.snapshots.get(w, item); ok && row.Instance == "" {
			todo = h.nextOfSnapshot(w, row)
		}
		return nil
	})
	return todo, err
}

// resume takes up what an earlier process left undone, a boot among it.
// Machines of running instances that had booted start only when they are needed:
// see Wake.
func (h *hosts) resume(context.Context) error {
	return h.s.cloud.store.transact(func() error {
		for w := range h.worlds() {
			for _, row := range h.s.instances.all(w) {
				switch {
				case row.isUp() && !row.Booted && row.Settled && h.on():
					h.want(row.ID)
					h.kick(w, row.ID)
				case row.Settled && !row.Reboot:
				case h.on():
					h.kick(w, row.ID)
				default:
					h.s.settled(w, row)
				}
			}
			for _, row := range h.s.volumes.all(w) {
				if h.on() && (!row.Filled || !row.Settled) {
					h.kick(w, row.id())
					h.kick(w, row.on())
				}
			}
			for _, row := range h.s.snapshots.all(w) {
				if h.on() && !row.Filled {
					h.kick(w, row.id())
					h.kick(row.World, row.Instance)
				}
			}
		}
		h.kick(world{}, sweeping)
		return nil
	})
}

// worlds are the worlds that have anything in them.
func (h *hosts) worlds() map[world]bool {
	all := map[world]bool{}
	add := func(key string) { all[parseWorld(key)] = true }
	for key := range h.s.instances.rows {
		add(key)
	}
	for key := range h.s.volumes.rows {
		add(key)
	}
	for key := range h.s.snapshots.rows {
		add(key)
	}
	return all
}

// close stops all machines at the same time, and lets workers end.
func (h *hosts) close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	running := h.running
	h.running = map[string]*host{}
	h.mu.Unlock()
	errs := make(chan error, len(running))
	for id, at := range running {
		go func() { errs <- at.stop(ctx, id) }()
	}
	var all error
	for range running {
		all = errors.Join(all, <-errs)
	}
	return all
}

func (at *host) stop(ctx context.Context, id string) error {
	err := at.machine.Stop(ctx)
	if at.console != nil {
		err = errors.Join(err, at.console.Close())
	}
	if err != nil {
		return fmt.Errorf("stop the machine of %s: %w", id, err)
	}
	return nil
}

// Wake starts the machines of all running instances that don't run in this
// process yet, as after a power cut: they boot again, with the files that they
// had. It returns when all of them have started, though not booted. Dial wakes
// the one machine that it's for; a process that serves others wakes all.
func (c *Cloud) Wake(ctx context.Context) error {
	if err := c.ec2.hosts.wake(ctx, func(instanceRow) bool { return true }); err != nil {
		return fmt.Errorf("wake the machines: %w", err)
	}
	return nil
}

// wake starts the machines of the instances that match.
func (h *hosts) wake(ctx context.Context, match func(instanceRow) bool) error {
	if !h.on() {
		return nil
	}
	woken := map[string]<-chan struct{}{}
	err := h.s.cloud.store.transact(func() error {
		for w := range h.worlds() {
			for _, row := range h.s.instances.all(w) {
				if !row.isUp() || !match(row) || h.machineOf(row.ID) != nil {
					continue
				}
				h.want(row.ID)
				woken[row.ID] = h.work(w, row.ID)
			}
		}
		return nil
	})
	for _, id := range sortedKeys(woken) {
		select {
		case <-woken[id]:
		case <-ctx.Done():
			return ctx.Err()
		}
		h.mu.Lock()
		err = errors.Join(err, h.failed[id])
		h.mu.Unlock()
	}
	return err
}

// want has an instance's machine run in this process, also where that failed
// before.
func (h *hosts) want(instance string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wanted[instance] = true
	delete(h.failed, instance)
}

func (h *hosts) machineOf(instance string) *host {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running[instance]
}

// sweep removes the folders of terminated instances, of deleted volumes, and of
// layers that no snapshot and no instance is made of any more. What's there is
// listed before what's needed: something new is in neither or in the latter.
func (h *hosts) sweep() error {
	found := map[string][]string{}
	for _, kind := range []string{"machines", "volumes", "snapshots"} {
		entries, err := os.ReadDir(filepath.Join(h.s.cloud.dir, kind))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for _, entry := range entries {
			found[kind] = append(found[kind], entry.Name())
		}
	}
	needed := map[string]bool{}
	err := h.s.cloud.store.transact(func() error {
		h.needed(needed)
		return nil
	})
	if err != nil {
		return err
	}
	var all error
	for kind, names := range found {
		for _, name := range names {
			if !needed[name] {
				all = errors.Join(all, machine.Purge(filepath.Join(h.s.cloud.dir, kind, name)))
			}
		}
	}
	return all
}

// needed marks the names of all folders that rows speak of.
func (h *hosts) needed(names map[string]bool) {
	for w := range h.worlds() {
		for _, row := range h.s.instances.all(w) {
			names[row.ID+".console"] = true
			if row.State == stateTerminated {
				continue
			}
			names[row.ID] = true
			for _, layer := range row.Layers {
				names[layer] = true
			}
		}
		for _, row := range h.s.volumes.all(w) {
			names[row.id()] = true
			for _, layer := range row.Layers {
				names[layer] = true
			}
		}
		for _, row := range h.s.snapshots.all(w) {
			names[row.id()] = true
			if !row.Filled {
				names[*row.Snapshot.VolumeId] = true
			}
			for _, layer := range row.Layers {
				names[layer] = true
			}
		}
	}
}
