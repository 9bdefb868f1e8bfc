package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	shimDir = "run/goldline" // on a file system in memory: part of no image
	oldRoot = shimDir + "/old"
)

// mountPlan is how a machine's file system is put together. The root and each
// system folder of the host are an overlay of their own: the machine's changed
// files, its layers, this package's base files, and at the bottom the host's.
type mountPlan struct {
	kind     Kind
	spec     Spec
	trees    []string // host folders without the leading slash; "" is the root, over no host folder
	hasMasks map[int]bool
}

// hostTrees are the host's folders that a machine builds upon: programs, their
// settings, and what the package managers know.
var hostTrees = []string{
	"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc",
	"var/lib/dpkg", "var/lib/apt", "var/cache/apt", "var/cache/debconf", "var/lib/pam", "var/lib/ucf", "var/lib/alternatives",
	"var/lib/rpm", "var/lib/dnf", "var/lib/python", "var/lib/polkit-1", "var/lib/dictionaries-common",
}

func planMounts(kind Kind, spec Spec) (*mountPlan, error) {
	p := &mountPlan{kind: kind, spec: spec, trees: []string{""}, hasMasks: map[int]bool{}}
	for _, tree := range hostTrees {
		info, err := os.Lstat("/" + tree)
		if err != nil || !info.IsDir() {
			continue // not there, or a link into /usr
		}
		if strings.HasPrefix(spec.Dir+"/", "/"+tree+"/") {
			return nil, fmt.Errorf("the machine's folder is within the system's /%s", tree)
		}
		p.trees = append(p.trees, tree)
	}
	base := filepath.Join(spec.Dir, "base")
	masks := filepath.Join(spec.Dir, "masks")
	stage := filepath.Join(spec.Dir, "stage")
	for _, dir := range []string{base, masks, stage} {
		if err := errors.Join(purge(dir), os.MkdirAll(dir, 0o755)); err != nil {
			return nil, err
		}
	}
	for _, tree := range p.trees {
		for _, part := range []string{upperFolder, "work"} {
			dir := filepath.Join(spec.Dir, part, overlayName(tree))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return nil, err
			}
		}
	}
	if err := p.makeBase(base); err != nil {
		return nil, fmt.Errorf("base files: %w", err)
	}
	for i, layer := range spec.Layers {
		deleted, err := readDeletions(layer)
		if err != nil {
			return nil, err
		}
		if len(deleted) > 0 {
			p.hasMasks[i] = true
			if err := p.mask(filepath.Join(masks, fmt.Sprint(i)), deleted); err != nil {
				return nil, fmt.Errorf("layer %s: %w", layer, err)
			}
		}
	}
	return p, p.makePipes()
}

// mask makes a layer's list of deletions into whiteouts, which lie between the
// layer and those below it.
func (p *mountPlan) mask(dir string, deleted []string) error {
	for _, entry := range deleted {
		whole := filepath.Join(dir, strings.TrimSuffix(entry, "/"))
		if err := os.MkdirAll(filepath.Dir(whole), 0o755); err != nil {
			return err
		}
		if !strings.HasSuffix(entry, "/") {
			if err := unix.Mknod(whole, unix.S_IFCHR, 0); err != nil && !errors.Is(err, unix.EEXIST) {
				return err
			}
			continue
		}
		if err := os.MkdirAll(whole, 0o755); err != nil {
			return err
		}
		if err := unix.Setxattr(whole, p.opaque(), []byte("y"), 0); err != nil {
			return err
		}
	}
	return nil
}

func (p *mountPlan) opaque() string {
	if p.kind == UserNS {
		return "user.overlay.opaque"
	}
	return "trusted.overlay.opaque"
}

// makeBase writes the files that take the place of the host's own: a machine
// has other users, another name, and none of the host's secrets.
func (p *mountPlan) makeBase(base string) error {
	if err := makeDirs(base); err != nil {
		return err
	}
	for _, tree := range p.trees {
		if err := os.MkdirAll(filepath.Join(base, tree), 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		if target, err := os.Readlink("/" + name); err == nil {
			if err := os.Symlink(target, filepath.Join(base, name)); err != nil {
				return err
			}
		}
	}
	// the list of deletions in a layer's root is not the machine's to see
	hide := filepath.Join(p.spec.Dir, "masks", "top")
	if err := p.mask(hide, []string{deletedFile}); err != nil {
		return err
	}
	if err := p.hideSecrets(base); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		if err := copySettings(base); err != nil {
			return err
		}
	}
	for name, text := range p.ownFiles() {
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(name, "shadow") {
			mode = 0o640
		}
		if err := os.WriteFile(filepath.Join(base, name), []byte(text), mode); err != nil {
			return err
		}
	}
	return nil
}

// hideSecrets covers what in /etc not everyone on the host may read.
func (p *mountPlan) hideSecrets(base string) error {
	keep := []string{"/etc/sudoers", "/etc/sudoers.d", "/etc/shadow", "/etc/gshadow", "/etc/apt/auth.conf", "/etc/apt/auth.conf.d"}
	return filepath.WalkDir("/etc", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // what this process cannot read, the machine cannot either
		}
		if slices.Contains(keep, name) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		secret := info.Mode().IsRegular() && info.Mode().Perm()&0o004 == 0 || strings.HasPrefix(name, "/etc/ssh/ssh_host_") ||
			entry.IsDir() && info.Mode().Perm()&0o005 != 0o005
		if !secret {
			return nil
		}
		if err := p.mask(base, []string{strings.TrimPrefix(name, "/")}); err != nil {
			return err
		}
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
}

// copySettings copies what can be read of /etc. In a user namespace without
// privileges the host's files have an owner that the namespace does not know,
// and so not even its root may change them.
func copySettings(base string) error {
	c := newCopier()
	return filepath.WalkDir("/etc", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // not readable: hidden already
		}
		info, err := entry.Info()
		if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
			return nil
		}
		to := filepath.Join(base, name)
		if there, err := os.Lstat(to); err == nil && (!there.IsDir() || !info.IsDir()) {
			return nil // a whiteout
		}
		err = c.copy(name, to, base)
		if errors.Is(err, fs.ErrPermission) {
			return nil
		}
		return err
	})
}

// ownFiles are /etc's files that differ from the host's.
func (p *mountPlan) ownFiles() map[string]string {
	files := map[string]string{"etc/os-release": osRelease(p.spec.OS), "etc/fstab": standardFiles("")["etc/fstab"], "etc/motd": ""}
	var passwd, shadow, group, gshadow strings.Builder
	for _, field := range hostLines("/etc/passwd", 7) {
		if ofPerson(field[2]) {
			continue
		}
		if field[0] == "root" {
			field[5] = "/root"
			if _, err := os.Stat("/bin/bash"); err == nil {
				field[6] = "/bin/bash"
			}
		}
		passwd.WriteString(strings.Join(field, ":") + "\n")
		shadow.WriteString(field[0] + ":*:19700:0:99999:7:::\n")
	}
	for _, field := range hostLines("/etc/group", 4) {
		if ofPerson(field[2]) {
			continue
		}
		field[3] = ""
		group.WriteString(strings.Join(field, ":") + "\n")
		gshadow.WriteString(field[0] + ":*::\n")
	}
	files["etc/passwd"], files["etc/shadow"] = passwd.String(), shadow.String()
	files["etc/group"], files["etc/gshadow"] = group.String(), gshadow.String()
	if data, err := os.ReadFile("/etc/resolv.conf"); err == nil { // often a link into /run
		files["etc/resolv.conf"] = string(data)
	}
	if p.kind == UserNS {
		// the only user that there is in such a namespace
		if info, err := os.Stat("/etc/apt/apt.conf.d"); err == nil && info.IsDir() {
			if os.MkdirAll(filepath.Join(p.spec.Dir, "base/etc/apt/apt.conf.d"), 0o755) == nil {
				files["etc/apt/apt.conf.d/00-one-user"] = "APT::Sandbox::User \"root\";\n"
			}
		}
	}
	return files
}

// ofPerson says that a number is a person's, not the system's.
func ofPerson(number string) bool { return len(number) > 3 && number != "65534" && number != "65533" }

func hostLines(name string, fields int) [][]string {
	data, _ := os.ReadFile(name) // none is as good as empty
	var all [][]string
	for line := range strings.Lines(string(data)) {
		if field := strings.Split(strings.TrimSpace(line), ":"); len(field) == fields {
			all = append(all, field)
		}
	}
	return all
}

// makePipes makes the pipes by which the machine reaches this process.
func (p *mountPlan) makePipes() error {
	dir := filepath.Join(p.spec.Dir, "pipes")
	if err := errors.Join(purge(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	for name, mode := range map[string]fs.FileMode{"console": 0o622, "root": 0o600, "any": 0o622} {
		pipe := filepath.Join(dir, name)
		if err := unix.Mkfifo(pipe, 0o600); err != nil {
			return err
		}
		if err := os.Chmod(pipe, mode); err != nil {
			return err
		}
	}
	return nil
}

// overlay is the mount command for one tree. Names are relative to the stage
// folder, where the layers are bound: an overlay's options hold neither colons
// nor many characters.
func (p *mountPlan) overlay(tree string) string {
	lower := []string{}
	add := func(name, dir string) {
		if info, err := os.Lstat(filepath.Join(dir, tree)); err == nil && info.IsDir() {
			lower = append(lower, filepath.Join(name, tree))
		}
	}
	if tree == "" {
		lower = append(lower, "m/masks/top")
	}
	for i, layer := range p.spec.Layers {
		add(fmt.Sprintf("l%d", i), layer)
		if p.hasMasks[i] {
			add(fmt.Sprintf("m/masks/%d", i), filepath.Join(p.spec.Dir, "masks", fmt.Sprint(i)))
		}
	}
	add("m/base", filepath.Join(p.spec.Dir, "base"))
	if tree != "" {
		lower = append(lower, "/"+tree)
	}
	name := overlayName(tree)
	options := fmt.Sprintf("lowerdir=%s,upperdir=m/%s/%s,workdir=m/work/%s", strings.Join(lower, ":"), upperFolder, name, name)
	if p.kind == UserNS {
		options += ",userxattr" // which turns redirects off by itself
	} else {
		options += ",redirect_dir=off"
	}
	return fmt.Sprintf("mount -t overlay overlay -o %s %s\n", quote(options), quote(filepath.Join("r", tree)))
}

// script is what the machine's first process does: mounts, and then nothing but
// wait. It runs in the machine's folder. No program of the machine is run
// before the host's files are out of reach, nor by this process at all.
func (p *mountPlan) script() string {
	var s strings.Builder
	s.WriteString("set -e\numask 022\nmount --make-rprivate /\n")
	// the stage: m is the machine's folder, l0... its layers, r its root to be
	s.WriteString("machine=$PWD\nmount -t tmpfs -o mode=0755 stage stage\ncd stage\nmkdir m r")
	for i := range p.spec.Layers {
		fmt.Fprintf(&s, " l%d", i)
	}
	s.WriteString("\nmount --bind \"$machine\" m\n")
	for i, layer := range p.spec.Layers {
		fmt.Fprintf(&s, "mount --bind %s l%d\n", quote(layer), i)
	}
	for _, tree := range p.trees {
		s.WriteString(p.overlay(tree))
	}
	s.WriteString(`mount -t tmpfs -o mode=0755,nodev run r/run
mkdir -p r/run/lock r/` + oldRoot + ` r/` + shimDir + `/bin r/` + shimDir + `/requests
chmod 1777 r/` + shimDir + `/requests
mount -t proc -o nosuid,nodev,noexec proc r/proc
hostname ` + quote(p.spec.Hostname) + `
mount --bind r/proc/sys r/proc/sys
mount -o remount,bind,ro,nosuid,nodev,noexec r/proc/sys
mount -t tmpfs -o mode=0755,nosuid dev r/dev
for node in null zero full random urandom tty; do : > r/dev/$node; mount --bind /dev/$node r/dev/$node; done
: > r/dev/console; mount --bind m/pipes/console r/dev/console
ln -s console r/dev/ttyS0
for pipe in root any; do : > r/` + shimDir + `/$pipe; mount --bind m/pipes/$pipe r/` + shimDir + `/$pipe; done
ln -s pts/ptmx r/dev/ptmx; ln -s /proc/self/fd r/dev/fd
ln -s /proc/self/fd/0 r/dev/stdin; ln -s /proc/self/fd/1 r/dev/stdout; ln -s /proc/self/fd/2 r/dev/stderr
mkdir r/dev/pts r/dev/shm r/dev/.volumes
mount -t tmpfs -o mode=1777,nosuid,nodev shm r/dev/shm
mount --bind m/dev r/dev/.volumes
mount -o remount,bind,nosuid,nodev r/dev
`)
	if p.kind == Overlay {
		s.WriteString("mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts r/dev/pts\nmount -t sysfs -o ro,nosuid,nodev,noexec sysfs r/sys\n")
		for _, file := range []string{"sysrq-trigger", "kcore", "keys", "timer_list"} {
			fmt.Fprintf(&s, "[ ! -e r/proc/%s ] || mount --bind /dev/null r/proc/%s\n", file, file)
		}
	} else {
		s.WriteString("mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts r/dev/pts\n")
	}
	s.WriteString("cd r\npivot_root . " + oldRoot + "\n")
	if p.kind == UserNS {
		s.WriteString("umount -l /" + oldRoot + "\n")
	}
	// Children that the machine's programs leave behind are the first process's: a
	// shell that waits takes them away, while one that reads ends with the first. It
	// waits for what reads to the end of the leash.
	s.WriteString("trap '' HUP INT TERM\necho ready\nexec 3<&0 >/dev/null 2>&1\ncat <&3 &\nleash=$!\nexec 3<&- </dev/null\nwhile kill -0 $leash; do wait $leash || :; done\n")
	return s.String()
}
