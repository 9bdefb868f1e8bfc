package machine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
)

// volumes are the block devices of a machine. A volume is a folder: empty until
// it is formatted, and holding its file system's files from then on. While
// attached it lives in the machine's folder, so that it is at one place only.
type volumes struct {
	dir   string // holds one folder for each attached volume
	guest guest

	mu       sync.Mutex
	attached map[string][]string // device name without /dev/ to its mount points
}

// superblock is what mkfs writes, within lost+found, which every file system
// has and no program looks into.
const superblock = "lost+found/superblock"

func newVolumes(dir string) (*volumes, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &volumes{dir: dir, attached: map[string][]string{}}, nil
}

// deviceName takes /dev/sdf, sdf or xvdf apart.
func deviceName(device string) (string, error) {
	name := strings.TrimPrefix(device, "/dev/")
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/+ \n") {
		return "", fmt.Errorf("device %q: not a device name", device)
	}
	return name, nil
}

// aliases are the names that a device goes by on the machine: kernels with
// Xen's driver call sdf xvdf.
func aliases(name string) []string {
	if letter, ok := strings.CutPrefix(name, "xvd"); ok {
		return []string{name, "sd" + letter}
	}
	if letter, ok := strings.CutPrefix(name, "sd"); ok {
		return []string{name, "xvd" + letter}
	}
	return []string{name}
}

// adopt takes a volume before the machine runs. One that is already in place,
// because the process that attached it was killed, stays.
func (v *volumes) adopt(device, dir string) error {
	name, err := deviceName(device)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.take(name, dir)
}

func (v *volumes) take(name, dir string) error {
	for _, alias := range aliases(name) {
		if _, busy := v.attached[alias]; busy {
			return fmt.Errorf("device /dev/%s is in use", name)
		}
	}
	inside := filepath.Join(v.dir, name)
	err := os.Rename(dir, inside)
	if errors.Is(err, os.ErrNotExist) {
		if _, statErr := os.Stat(inside); statErr == nil {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("attach /dev/%s: %w", name, err)
	}
	v.attached[name] = nil
	return nil
}

func (v *volumes) attach(_ context.Context, device, dir string) error {
	name, err := deviceName(device)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.take(name, dir); err != nil {
		return err
	}
	return v.guest.devices(v.sorted())
}

func (v *volumes) detach(ctx context.Context, device, dir string) error {
	name, err := deviceName(device)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	mounts, ok := v.attached[name]
	if !ok {
		return fmt.Errorf("detach: nothing is attached as /dev/%s", name)
	}
	for i := len(mounts) - 1; i >= 0; i-- {
		if err := v.guest.unbind(ctx, mounts[i]); err != nil {
			return fmt.Errorf("detach /dev/%s: unmount %s: %w", name, mounts[i], err)
		}
		v.attached[name] = mounts[:i]
	}
	if err := os.Rename(filepath.Join(v.dir, name), dir); err != nil {
		return fmt.Errorf("detach /dev/%s: %w", name, err)
	}
	delete(v.attached, name)
	return v.guest.devices(v.sorted())
}

func (v *volumes) names() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sorted()
}

func (v *volumes) sorted() []string {
	names := make([]string, 0, len(v.attached))
	for name := range v.attached {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// find says which attached volume a device path, an alias of it, UUID=, or
// LABEL= means.
func (v *volumes) find(source string) (string, bool) {
	if tag, want, ok := strings.Cut(source, "="); ok {
		for _, name := range v.sorted() {
			format, formatted := v.format(name)
			if formatted && (tag == "UUID" && format.uuid == want || tag == "LABEL" && format.label == want) {
				return name, true
			}
		}
		return "", false
	}
	for _, name := range v.sorted() {
		for _, alias := range aliases(name) {
			if source == "/dev/"+alias {
				return name, true
			}
		}
	}
	return "", false
}

// format is what blkid tells of a volume.
type format struct {
	kind  string
	uuid  string
	label string
}

// format reads a volume's file system. A folder that came with files but was
// not formatted here is taken for an ext4 file system and given an identity.
func (v *volumes) format(name string) (format, bool) {
	dir := filepath.Join(v.dir, name)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) == 0 {
		return format{}, false
	}
	var found format
	data, err := os.ReadFile(filepath.Join(dir, superblock))
	if err != nil {
		found = format{kind: "ext4", uuid: newUUID()}
		if err := writeSuperblock(dir, found); err != nil {
			return format{}, false
		}
		return found, true
	}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "TYPE":
			found.kind = value
		case "UUID":
			found.uuid = value
		case "LABEL":
			found.label = value
		}
	}
	return found, true
}

func writeSuperblock(dir string, f format) error {
	if err := os.MkdirAll(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		return err
	}
	text := fmt.Sprintf("TYPE=%s\nUUID=%s\nLABEL=%s\n", f.kind, f.uuid, f.label)
	return os.WriteFile(filepath.Join(dir, superblock), []byte(text), 0o600)
}

// reformat empties a volume and gives it a new identity.
func (v *volumes) reformat(name string, f format) error {
	dir := filepath.Join(v.dir, name)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := purge(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	return writeSuperblock(dir, f)
}

func newUUID() string {
	var raw [16]byte
	_, _ = io.ReadFull(rand.Reader, raw[:]) // never fails
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:])
}

// Release gives the folder of a volume back from a stopped machine. Doing it
// again, when dir is there already, changes nothing.
func Release(machineDir, device, dir string) error {
	name, err := deviceName(device)
	if err != nil {
		return err
	}
	for _, alias := range aliases(name) {
		inside := filepath.Join(machineDir, "dev", alias)
		if _, err := os.Lstat(inside); err == nil {
			if err := os.Rename(inside, dir); err != nil {
				return fmt.Errorf("release /dev/%s: %w", name, err)
			}
			return nil
		}
	}
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("release /dev/%s: %w", name, err)
	}
	return nil
}
