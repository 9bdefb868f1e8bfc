package machine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func newGuest(ctx context.Context, kind Kind, m *running) (guest, error) {
	switch kind {
	case InProcess:
		return newInProcess(m)
	case Overlay, UserNS:
		return newNamespaced(ctx, kind, m)
	}
	return nil, fmt.Errorf("kind %q is not known", kind)
}

// probe starts a small machine of the kind below dir: whether the kernel, the
// file system and the rights of this process are enough is best tried.
func probe(ctx context.Context, kind Kind, dir string) error {
	if kind == Overlay && os.Geteuid() != 0 {
		return unix.EPERM
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	trial, err := os.MkdirTemp(dir, ".probe-")
	if err != nil {
		return err
	}
	defer func() { _ = purge(trial) }() // what is left is an empty machine's folder
	m := &running{kind: kind, spec: Spec{ID: "i-probe", Dir: filepath.Join(trial, "machine"), Hostname: "probe"}, console: newConsole(nil)}
	var cancel context.CancelFunc
	m.life, cancel = context.WithCancel(ctx)
	defer cancel()
	if err := claim(m.spec.Dir, kind); err != nil {
		return err
	}
	if m.volumes, err = newVolumes(filepath.Join(m.spec.Dir, "dev")); err != nil {
		return err
	}
	g, err := newNamespaced(ctx, kind, m)
	if err != nil {
		return err
	}
	return g.end(context.WithoutCancel(ctx))
}
