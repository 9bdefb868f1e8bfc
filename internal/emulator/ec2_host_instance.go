package emulator

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/machine"
)

// stopTime bounds how long a machine may take to stop.
const stopTime = 15 * time.Second

// nextOfInstance is the next piece of work for an instance's machine, its
// volumes, or the snapshots that are being taken of it; nil if there is none.
func (h *hosts) nextOfInstance(w world, row instanceRow) step {
	at := h.machineOf(row.ID)
	switch {
	case row.Settled && !row.Reboot && row.State == stateTerminated:
		return nil
	case !row.Settled && row.goesDown():
		return func(ctx context.Context) error { return h.bringDown(ctx, w, row) }
	case row.Reboot && row.isUp():
		return func(ctx context.Context) error { return h.reboot(ctx, w, row) }
	}
	if todo := h.nextSnapshots(w, row); todo != nil {
		return todo
	}
	// One that is pending and settled was started by a process that is gone.
	up := row.State == statePending && !row.Settled || row.isUp() && h.wants(row.ID)
	if up && at == nil {
		if !h.volumesReady(w, row.ID) {
			return nil // their workers kick this one when they are
		}
		spec := h.spec(w, row)
		return func(ctx context.Context) error { return h.bringUp(ctx, w, row.ID, spec) }
	}
	return h.nextAttachment(w, row, at)
}

// wants says whether a running instance's machine has to run in this process.
func (h *hosts) wants(instance string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.wanted[instance] && h.failed[instance] == nil
}

func (h *hosts) volumesReady(w world, instance string) bool {
	for _, volume := range h.s.volumesOf(w, instance) {
		if !volume.Root && (!volume.Filled || h.beingRead(volume.id())) {
			return false
		}
	}
	return true
}

// beingRead says whether a snapshot is being taken of a volume's own folder.
func (h *hosts) beingRead(volume string) bool {
	for key := range h.s.snapshots.rows {
		for _, row := range h.s.snapshots.all(parseWorld(key)) {
			if !row.Filled && row.Instance == "" && deref(row.Snapshot.VolumeId) == volume {
				return true
			}
		}
	}
	return false
}

// spec is what an instance's machine is started with.
func (h *hosts) spec(w world, row instanceRow) machine.Spec {
	spec := machine.Spec{
		ID: row.ID, Dir: h.machineDir(row.ID), OS: row.OS, Arch: string(row.Arch), User: row.User,
		Hostname: hostname(row.Private), Address: row.Loopback, Volumes: map[string]string{},
		Metadata:   func(path string) (string, bool) { return h.s.metadata(w, row.ID, path) },
		PoweredOff: func() { h.poweredOff(w, row.ID) },
	}
	for _, layer := range row.Layers {
		spec.Layers = append(spec.Layers, h.layerDir(layer))
	}
	if row.PublicKey != "" {
		spec.AuthorizedKeys = []string{row.PublicKey}
	}
	spec.UserData, _ = base64.StdEncoding.DecodeString(row.UserData) // checked when it was given
	for _, volume := range h.s.volumesOf(w, row.ID) {
		if !volume.Root && volume.Attachment.State != types.VolumeAttachmentStateDetaching {
			spec.Volumes[*volume.Attachment.Device] = h.volumeDir(volume.id())
		}
	}
	return spec
}

func hostname(private netip.Addr) string {
	return "ip-" + strings.ReplaceAll(private.String(), ".", "-")
}

// start starts a machine and keeps it.
func (h *hosts) start(ctx context.Context, w world, id string, spec machine.Spec) error {
	if err := os.MkdirAll(filepath.Dir(spec.Dir), 0o755); err != nil {
		return err
	}
	console, err := os.OpenFile(h.consoleFile(id), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	spec.Console = console
	m, err := machine.Start(ctx, h.s.cloud.kind, spec)
	if err != nil {
		h.s.cloud.forgetKinds()
		return errors.Join(err, console.Close())
	}
	at := &host{machine: m, console: console, devices: map[string]string{}}
	h.mu.Lock()
	closed := h.closed
	if !closed {
		h.running[id] = at
		h.wanted[id] = true
	}
	h.mu.Unlock()
	if closed {
		return errors.Join(context.Canceled, at.stop(ctx, id))
	}
	h.s.cloud.spawn(func(ctx context.Context) { h.watchBoot(ctx, w, id, at) })
	return nil
}

// watchBoot notes that a machine has booted, for its status checks.
func (h *hosts) watchBoot(ctx context.Context, w world, id string, at *host) {
	select {
	case <-at.machine.Booted():
	case <-ctx.Done():
		return
	}
	if h.machineOf(id) != at {
		return // it was stopped before it had booted
	}
	_ = h.s.cloud.store.transact(func() error { // fails only when the cloud closes
		if row, ok := h.s.instances.get(w, id); ok {
			row.Booted = true
			h.s.instances.put(w, id, row)
		}
		return nil
	})
}

// bringUp starts the machine of an instance that is pending, or running as far
// as its callers know.
func (h *hosts) bringUp(ctx context.Context, w world, id string, spec machine.Spec) error {
	startErr := h.start(ctx, w, id, spec)
	if startErr != nil && (ctx.Err() != nil || h.over()) {
		return startErr // the next process tries again
	}
	return h.s.cloud.store.transact(func() error {
		row, ok := h.s.instances.get(w, id)
		if !ok {
			return nil
		}
		switch {
		case startErr == nil && row.State == statePending && !row.Settled:
			row.Fresh = false
			h.s.settled(w, row)
		case startErr != nil && row.State == statePending:
			row.Reason = &types.StateReason{
				Code: new("Server.InternalError"), Message: new("Server.InternalError: Internal error on launch: " + startErr.Error()),
			}
			row.State, row.Due = pick(row.Fresh, stateShuttingDown, stateStopping), h.s.cloud.clock.Now()
			h.s.instances.put(w, id, row)
		case startErr != nil:
			h.mu.Lock()
			h.failed[id] = startErr
			h.mu.Unlock()
		}
		return nil
	})
}

// halt stops an instance's machine if it runs.
func (h *hosts) halt(ctx context.Context, id string) error {
	h.mu.Lock()
	at := h.running[id]
	delete(h.running, id)
	delete(h.wanted, id)
	delete(h.failed, id)
	h.mu.Unlock()
	if at == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	return at.stop(ctx, id)
}

// bringDown stops the machine of an instance that is stopping or shutting
// down, and takes its volumes out of it if it's never to run again.
func (h *hosts) bringDown(ctx context.Context, w world, row instanceRow) error {
	trouble := h.halt(ctx, row.ID)
	if row.State == stateShuttingDown {
		trouble = errors.Join(trouble, h.rescue(ctx, w, row))
	}
	return h.s.cloud.store.transact(func() error {
		now, ok := h.s.instances.get(w, row.ID)
		if !ok || now.State != row.State {
			return nil
		}
		if trouble != nil && now.Reason == nil {
			now.Reason = &types.StateReason{Code: new("Server.InternalError"), Message: new(trouble.Error())}
		}
		h.s.settled(w, now)
		return nil
	})
}

// rescue takes the volumes that outlive an instance out of its machine.
func (h *hosts) rescue(ctx context.Context, w world, row instanceRow) error {
	var volumes []volumeRow
	err := h.s.cloud.store.transact(func() error {
		volumes = keep(h.s.volumesOf(w, row.ID), func(v volumeRow) bool { return !deref(v.Attachment.DeleteOnTermination) })
		return nil
	})
	for _, v := range volumes {
		if v.Root {
			err = errors.Join(err, machine.Purge(h.volumeDir(v.id())), h.takeRoot(ctx, row.ID, h.volumeDir(v.id())))
		} else {
			err = errors.Join(err, h.release(row.ID, v))
		}
	}
	return err
}

// takeRoot copies what a machine has changed to a new folder.
func (h *hosts) takeRoot(ctx context.Context, instance, to string) error {
	if _, err := os.Stat(h.machineDir(instance)); errors.Is(err, os.ErrNotExist) {
		return os.MkdirAll(to, 0o755) // the machine never ran
	}
	return machine.Capture(ctx, h.machineDir(instance), to)
}

// release gives a volume its folder back from a machine that doesn't run.
func (h *hosts) release(instance string, v volumeRow) error {
	if _, err := os.Stat(h.volumeDir(v.id())); err == nil {
		return nil // it never came into the machine
	}
	return machine.Release(h.machineDir(instance), *v.Attachment.Device, h.volumeDir(v.id()))
}

// reboot stops a machine and starts it again.
func (h *hosts) reboot(ctx context.Context, w world, row instanceRow) error {
	ran := h.machineOf(row.ID) != nil
	trouble := h.halt(ctx, row.ID)
	if row.NewRoot != "" {
		trouble = errors.Join(trouble, h.clearRoot(ctx, w, row))
	}
	var spec machine.Spec
	err := h.s.cloud.store.transact(func() error {
		if now, ok := h.s.instances.get(w, row.ID); ok {
			now.Reboot = false
			now.Booted = !ran
			h.s.instances.put(w, row.ID, now)
			if task, ok := h.s.rootTasks.get(w, now.NewRoot); ok {
				h.s.swapRoot(w, task)
				now, _ = h.s.instances.get(w, row.ID)
			}
			spec = h.spec(w, now)
		}
		return nil
	})
	if err != nil || !ran {
		return err
	}
	return h.restart(ctx, w, row.ID, spec, trouble)
}

// restart starts the machine of a running instance after it was stopped for a
// moment. Why that failed is told by what needs the machine next.
func (h *hosts) restart(ctx context.Context, w world, id string, spec machine.Spec, trouble error) error {
	h.mu.Lock()
	h.wanted[id] = true
	h.mu.Unlock()
	if err := errors.Join(trouble, h.start(ctx, w, id, spec)); err != nil {
		h.mu.Lock()
		h.failed[id] = err
		h.mu.Unlock()
	}
	return nil
}

// poweredOff is called when something on the machine has shut it down.
func (h *hosts) poweredOff(w world, id string) {
	_ = h.s.cloud.store.transact(func() error { // fails only when the cloud closes
		row, ok := h.s.instances.get(w, id)
		if !ok || !row.isUp() {
			return nil
		}
		row.Reason = &types.StateReason{
			Code: new("Client.InstanceInitiatedShutdown"), Message: new("Client.InstanceInitiatedShutdown: Instance initiated shutdown"),
		}
		to := pick(row.Shutdown == types.ShutdownBehaviorTerminate, stateShuttingDown, stateStopping)
		h.s.begin(w, row, to)
		return nil
	})
}

// nextAttachment is the next volume to attach to an instance's machine, or to
// detach from it. at is nil if the machine doesn't run: then files stay where
// they are until it starts, or move without it.
func (h *hosts) nextAttachment(w world, row instanceRow, at *host) step {
	for _, v := range h.s.volumesOf(w, row.ID) {
		if v.Settled || v.Root {
			continue
		}
		detach := v.Attachment.State == types.VolumeAttachmentStateDetaching
		if !detach && (!v.Filled || h.beingRead(v.id())) {
			continue
		}
		return func(context.Context) error {
			return h.change(w, row.ID, v, at, detach)
		}
	}
	return nil
}

func (h *hosts) change(w world, instance string, v volumeRow, at *host, detach bool) error {
	var trouble error
	switch device := *v.Attachment.Device; {
	case detach && at == nil:
		trouble = h.release(instance, v)
	case detach:
		trouble = at.machine.Detach(device, h.volumeDir(v.id()))
	case at != nil:
		trouble = at.machine.Attach(device, h.volumeDir(v.id()))
	}
	return h.s.cloud.store.transact(func() error {
		now, ok := h.s.volumes.get(w, v.id())
		if !ok || now.on() != instance {
			return nil
		}
		if trouble != nil {
			now = h.undoChange(now, detach)
			now.Trouble = fmt.Sprint(trouble)
		}
		now.Settled = true
		h.s.volumes.put(w, v.id(), now)
		h.s.cloud.schedule(w, h.s.until(now.Due), "ec2-volume", v.id())
		return nil
	})
}

// undoChange takes a volume back to where it was before a change that failed:
// EC2 leaves a volume that is still in use "busy".
func (h *hosts) undoChange(v volumeRow, detach bool) volumeRow {
	v.Attachment = new(*v.Attachment)
	if detach {
		v.Attachment.State = types.VolumeAttachmentStateBusy
		return v
	}
	v.Attachment.State = types.VolumeAttachmentStateDetaching
	return v
}

// answersAt tells whether an address is an instance's: one of its own, private or
// public, or an elastic one at a secondary private address.
func (s *ec2Service) answersAt(w world, row instanceRow, ip netip.Addr) bool {
	if row.publicAddress() == ip || row.Loopback == ip || row.Private == ip || slices.Contains(row.More, ip) {
		return true
	}
	return slices.ContainsFunc(row.More, func(addr netip.Addr) bool {
		a, ok := s.elasticAt(w, row.Interface, addr)
		return ok && *a.PublicIp == ip.String()
	})
}

// listens finds where a machine's port really is, and starts the machine if it
// doesn't run in this process yet. Its SSH server may be on another port where
// it can't have its own address's port 22; what else runs on it listens on its
// loopback address.
func (h *hosts) listens(ip netip.Addr, port uint16) (netip.AddrPort, bool) {
	var found instanceRow
	err := h.s.cloud.store.transact(func() error {
		for w := range h.worlds() {
			for _, row := range h.s.instances.all(w) {
				if h.s.answersAt(w, row, ip) && row.isUp() && row.Launched.After(found.Launched) {
					found = row
				}
			}
		}
		return nil
	})
	if err != nil || found.ID == "" {
		return netip.AddrPort{}, false
	}
	ctx, cancel := context.WithTimeout(h.s.cloud.life, stopTime)
	defer cancel()
	if err := h.wake(ctx, func(r instanceRow) bool { return r.ID == found.ID }); err != nil {
		return netip.AddrPort{}, false
	}
	at := h.machineOf(found.ID)
	switch {
	case at == nil:
		return netip.AddrPort{}, false
	case port == 22:
		return at.machine.SSH(), true
	}
	return netip.AddrPortFrom(found.Loopback, port), true
}
