package emulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/machine"
)

// nextOfVolume fills a new volume's folder.
func (h *hosts) nextOfVolume(w world, row volumeRow) step {
	if row.Filled || row.Root {
		return nil
	}
	return func(ctx context.Context) error { return h.fill(ctx, w, row) }
}

func (h *hosts) fill(ctx context.Context, w world, row volumeRow) error {
	dir := h.volumeDir(row.id())
	trouble := machine.Purge(dir)
	if trouble == nil {
		trouble = os.MkdirAll(dir, 0o755)
	}
	for i := len(row.Layers) - 1; i >= 0 && trouble == nil; i-- {
		trouble = copyTree(ctx, h.layerDir(row.Layers[i]), dir)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return h.s.cloud.store.transact(func() error {
		now, ok := h.s.volumes.get(w, row.id())
		if !ok {
			return nil
		}
		now.Filled, now.Layers = true, nil
		if trouble != nil {
			now.Volume.State, now.Trouble = types.VolumeStateError, trouble.Error()
		}
		h.s.volumes.put(w, row.id(), now)
		if now.Volume.State == types.VolumeStateCreating {
			h.s.cloud.schedule(w, h.s.until(now.Due), "ec2-volume", row.id())
		}
		if at := now.on(); at != "" {
			h.kick(w, at)
		}
		return nil
	})
}

// nextOfSnapshot takes a snapshot of a volume that no instance has.
func (h *hosts) nextOfSnapshot(w world, row snapshotRow) step {
	if row.Filled {
		return nil
	}
	return func(ctx context.Context) error {
		trouble := h.take(ctx, row)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return h.taken(w, row, trouble)
	}
}

// nextSnapshots takes the snapshots that wait for an instance's files: of its
// root, and of the volumes that it has. An image that is to be consistent has
// the machine stopped for all of its snapshots together.
func (h *hosts) nextSnapshots(w world, row instanceRow) step {
	shared := world{Region: w.Region}
	waiting := keep(h.s.snapshots.all(shared), func(r snapshotRow) bool { return !r.Filled && r.Instance == row.ID && r.World == w })
	if len(waiting) == 0 {
		return nil
	}
	return func(ctx context.Context) error { return h.takeAll(ctx, w, shared, row.ID, waiting) }
}

func (h *hosts) takeAll(ctx context.Context, w, shared world, instance string, waiting []snapshotRow) error {
	stopped := false
	for _, row := range waiting {
		stopped = stopped || row.Reboot
	}
	stopped = stopped && h.machineOf(instance) != nil
	var halted error
	if stopped {
		halted = h.halt(ctx, instance)
	}
	for _, row := range waiting {
		trouble := h.take(ctx, row)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := h.taken(shared, row, trouble); err != nil {
			return err
		}
	}
	if !stopped {
		return nil
	}
	var spec machine.Spec
	up := false
	err := h.s.cloud.store.transact(func() error {
		if row, ok := h.s.instances.get(w, instance); ok && row.isUp() {
			up, spec = true, h.spec(w, row)
		}
		return nil
	})
	if err != nil || !up {
		return err
	}
	return h.restart(ctx, w, instance, spec, halted)
}

// take copies what a snapshot is of into its folder.
func (h *hosts) take(ctx context.Context, row snapshotRow) error {
	to := h.layerDir(row.id())
	if err := machine.Purge(filepath.Dir(to)); err != nil {
		return err
	}
	if row.Root && row.Instance != "" {
		return h.takeRoot(ctx, row.Instance, to)
	}
	from := h.volumeDir(*row.Snapshot.VolumeId)
	if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) && row.Instance != "" {
		from = h.attachedDir(row.Instance, row.Device)
	}
	return copyTree(ctx, from, to)
}

// attachedDir is where a volume's files are while a machine has it.
func (h *hosts) attachedDir(instance, device string) string {
	name := strings.TrimPrefix(device, "/dev/")
	dev := filepath.Join(h.machineDir(instance), "dev")
	if entries, err := os.ReadDir(dev); err == nil {
		for _, entry := range entries {
			if sameDevice(entry.Name(), name) {
				name = entry.Name()
			}
		}
	}
	return filepath.Join(dev, name)
}

// taken notes the end of a snapshot's copying.
func (h *hosts) taken(shared world, row snapshotRow, trouble error) error {
	return h.s.cloud.store.transact(func() error {
		now, ok := h.s.snapshots.get(shared, row.id())
		if !ok {
			h.kick(shared, sweeping)
			return nil
		}
		now.Filled = true
		if trouble != nil {
			now.Trouble = trouble.Error()
		}
		h.s.snapshots.put(shared, row.id(), now)
		h.s.cloud.schedule(shared, h.s.until(now.Due), "ec2-snapshot", row.id())
		if v, ok := h.s.volumes.get(row.World, *row.Snapshot.VolumeId); ok && v.on() != "" {
			h.kick(row.World, v.on())
		}
		return nil
	})
}

// copyTree copies a folder's contents into another: files, folders and links,
// with modes, times and, where this process may, owners.
func copyTree(ctx context.Context, from, to string) error {
	return filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if err := copyEntry(name, filepath.Join(to, rest), info); err != nil {
			return fmt.Errorf("copy %s: %w", rest, err)
		}
		return nil
	})
}

func copyEntry(from, to string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(target, to); err != nil {
			return err
		}
		return own(to, info)
	case info.Mode().IsRegular():
		if err := copyFile(from, to); err != nil {
			return err
		}
	default:
		return nil // sockets and the like hold nothing
	}
	if err := own(to, info); err != nil {
		return err
	}
	if err := os.Chmod(to, info.Mode()); err != nil {
		return err
	}
	if info.IsDir() {
		return nil // its time changes with what comes into it
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
