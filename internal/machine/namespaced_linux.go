package machine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// namespaced is a machine in namespaces of its own: mounts, processes, host
// name and System V IPC, and with UserNS users too. The network is the host's.
//
// Its first process is the host's shell that set the mounts up. It was started
// before the machine's root was, waits on a pipe for this process to end, and
// never runs a program of the machine: what runs on the machine is started from
// here, with fewer capabilities.
type namespaced struct {
	m       *running
	kind    Kind
	init    *exec.Cmd
	leash   io.WriteCloser // the first process ends when it is closed
	ended   chan struct{}  // the first process is gone, and all others with it
	files   *tree
	shims   *broker
	nsenter string
	endOnce sync.Once
}

func newNamespaced(ctx context.Context, kind Kind, m *running) (_ *namespaced, err error) {
	g := &namespaced{m: m, kind: kind, ended: make(chan struct{})}
	if g.nsenter, err = exec.LookPath("nsenter"); err != nil && kind == UserNS {
		return nil, err
	}
	plan, err := planMounts(kind, m.spec)
	if err != nil {
		return nil, err
	}
	if err := g.boot(ctx, plan); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.end(context.WithoutCancel(ctx)))
		}
	}()
	if kind == Overlay {
		err := g.inside(func() error { return unix.Unmount("/"+oldRoot, unix.MNT_DETACH) })
		if err != nil {
			return nil, fmt.Errorf("leave the host's files: %w", err)
		}
	}
	if g.files, err = newTree(fmt.Sprintf("/proc/%d/root", g.init.Process.Pid)); err != nil {
		return nil, err
	}
	g.files.oneUser = kind == UserNS
	g.shims, err = newBroker(g, plan)
	return g, err
}

// boot starts the first process and waits until the mounts stand.
func (g *namespaced) boot(ctx context.Context, plan *mountPlan) error {
	flags := uintptr(unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC)
	attr := &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL, Setsid: true}
	if g.kind == UserNS {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		size := 1
		if os.Geteuid() == 0 { // layers made by other kinds may hold other users' files
			size = 1 << 16
		}
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: size}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: size}}
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		return err
	}
	setup := filepath.Join(g.m.spec.Dir, "setup")
	if err := os.WriteFile(setup, []byte(plan.script()), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(shell, "setup")
	cmd.SysProcAttr = attr
	cmd.Dir = g.m.spec.Dir
	cmd.Env = []string{"PATH=" + systemPath, "LC_ALL=C"}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	leash, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	started := make(chan error, 1)
	go func() {
		// The kernel kills the first process when the thread that started it
		// ends, so that thread is kept for as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_, _ = cmd.Process.Wait()
		}
		close(g.ended)
	}()
	if err := <-started; err != nil {
		return err
	}
	g.init, g.leash = cmd, leash
	ready := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(said).ReadString('\n')
		ready <- line
	}()
	select {
	case line := <-ready:
		if line == "ready\n" {
			return nil
		}
		<-g.kill()
		// the reader of its complaints ends with the process; Wait is what waits for it
		_ = cmd.Wait()
		return fmt.Errorf("set up mounts: %s", strings.TrimSpace(complaints.String()))
	case <-ctx.Done():
		<-g.kill()
		return ctx.Err()
	}
}

func (g *namespaced) kill() <-chan struct{} {
	_ = g.leash.Close()
	_ = g.init.Process.Kill() // gone already is as good
	return g.ended
}

func (g *namespaced) end(ctx context.Context) error {
	var err error
	g.endOnce.Do(func() {
		select {
		case <-g.kill():
		case <-ctx.Done():
			err = fmt.Errorf("processes still end: %w", ctx.Err())
		}
		if g.shims != nil {
			g.shims.close()
		}
		if g.files != nil {
			g.files.close()
		}
	})
	return err
}

func (g *namespaced) tree() *tree  { return g.files }
func (g *namespaced) path() string { return "/" + shimDir + "/bin:" + systemPath }

// inside does something on a thread that has joined the machine's namespaces.
// The thread is not used again.
func (g *namespaced) inside(do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := g.join(); err != nil {
			done <- err
			return
		}
		done <- do()
	}()
	return <-done
}

func (g *namespaced) join() error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	for _, space := range []struct {
		name string
		flag int
	}{{"uts", unix.CLONE_NEWUTS}, {"ipc", unix.CLONE_NEWIPC}, {"pid", unix.CLONE_NEWPID}, {"mnt", unix.CLONE_NEWNS}} {
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/%s", g.init.Process.Pid, space.name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		err = unix.Setns(fd, space.flag)
		_ = unix.Close(fd)
		if err != nil {
			return fmt.Errorf("join %s namespace: %w", space.name, err)
		}
	}
	return nil
}

// kept are the capabilities that the machine's root has: what packages and
// services need, nothing that reaches the host's kernel, devices or network
// settings.
var kept = map[int]bool{
	unix.CAP_CHOWN: true, unix.CAP_DAC_OVERRIDE: true, unix.CAP_DAC_READ_SEARCH: true, unix.CAP_FOWNER: true, unix.CAP_FSETID: true, unix.CAP_KILL: true,
	unix.CAP_SETGID: true, unix.CAP_SETUID: true, unix.CAP_SETPCAP: true, unix.CAP_NET_BIND_SERVICE: true,
	unix.CAP_SYS_CHROOT: true, unix.CAP_SETFCAP: true, unix.CAP_AUDIT_WRITE: true,
}

func dropCapabilities() error {
	for capability := 0; capability <= unix.CAP_LAST_CAP; capability++ {
		if kept[capability] {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(capability), 0, 0, 0)
		if err != nil && !errors.Is(err, unix.EINVAL) { // not known to this kernel
			return err
		}
	}
	return nil
}

// as uses the file system rights of a thread, which Linux keeps apart.
func (g *namespaced) as(user account, do func() error) error {
	if g.kind == UserNS || user.uid == 0 {
		return do()
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: no one else gets these rights
		gid := uint32(user.gid)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 1, uintptr(pointer(&gid)), 0); errno != 0 {
			result <- errno
			return
		}
		if err := errors.Join(unix.Setfsgid(user.gid), unix.Setfsuid(user.uid)); err != nil {
			result <- err
			return
		}
		result <- do()
	}()
	return <-result
}

// command is what runs p on the machine, not yet started.
func (g *namespaced) command(p process) *exec.Cmd {
	// The shell changes to the folder with the user's own rights.
	line := []string{"/bin/sh", "-c", `cd "$1" 2>/dev/null || cd /; shift; exec "$@"`, "sh", p.dir}
	argv := append(line, p.argv...)
	if g.kind == UserNS {
		enter := []string{"--target", fmt.Sprint(g.init.Process.Pid), "--user", "--preserve-credentials", "--mount", "--uts", "--ipc", "--pid", "--"}
		drop := []string{"/usr/bin/setpriv", "--bounding-set", "-sys_admin,-mknod,-sys_module,-sys_ptrace,-net_admin", "--"}
		cmd := exec.Command(g.nsenter, append(append(enter, drop...), argv...)...)
		cmd.Env, cmd.SysProcAttr = p.env, &syscall.SysProcAttr{}
		return cmd
	}
	cmd := &exec.Cmd{Path: argv[0], Args: argv, Env: p.env, Dir: "/"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: g.credential(p.user)}
	return cmd
}

func (g *namespaced) credential(user account) *syscall.Credential {
	c := &syscall.Credential{Uid: uint32(user.uid), Gid: uint32(user.gid), Groups: []uint32{uint32(user.gid)}}
	data, _ := g.files.readFile("/etc/group") // none is as good as empty
	known := groups(g.files)
	for line := range strings.Lines(string(data)) {
		field := strings.Split(strings.TrimSpace(line), ":")
		if len(field) == 4 {
			for member := range strings.SplitSeq(field[3], ",") {
				if member == user.name {
					c.Groups = append(c.Groups, uint32(known[field[0]]))
				}
			}
		}
	}
	return c
}

// start starts a command; for Overlay on a thread within the namespaces.
func (g *namespaced) start(cmd *exec.Cmd) error {
	if g.kind == UserNS {
		return cmd.Start()
	}
	return g.inside(func() error {
		if err := dropCapabilities(); err != nil {
			return err
		}
		return cmd.Start()
	})
}

func (g *namespaced) run(ctx context.Context, p process) (int, error) {
	cmd := g.command(p)
	if p.tty != nil {
		return g.runTerminal(ctx, cmd, p)
	}
	cmd.SysProcAttr.Setsid = true
	cmd.Stdout, cmd.Stderr = p.out, p.err
	cmd.WaitDelay = hangUp
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	if err := g.start(cmd); err != nil {
		return 0, err
	}
	go func() {
		defer in.Close()
		if p.in != nil {
			_, _ = io.Copy(in, p.in) // ends with the client or with the command
		}
	}()
	defer g.control(ctx, cmd, p.signals)()
	return exitCode(cmd.Wait())
}

// control passes signals on to the command's group, and kills it with ctx. What
// it gives back ends that.
func (g *namespaced) control(ctx context.Context, cmd *exec.Cmd, signals <-chan string) (stop func()) {
	over := make(chan struct{})
	go func() {
		for {
			select {
			case name := <-signals:
				if signal := unix.SignalNum("SIG" + name); signal != 0 {
					_ = unix.Kill(-cmd.Process.Pid, signal)
				}
			case <-ctx.Done():
				_ = unix.Kill(-cmd.Process.Pid, unix.SIGHUP)
				_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
				return
			case <-over:
				return
			}
		}
	}()
	return func() { close(over) }
}

func exitCode(err error) (int, error) {
	var status *exec.ExitError
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return 0, nil
	case errors.As(err, &status):
		if wait, ok := status.Sys().(syscall.WaitStatus); ok && wait.Signaled() {
			return 128 + int(wait.Signal()), nil
		}
		return status.ExitCode(), nil
	}
	return 0, err
}

func (g *namespaced) bind(ctx context.Context, volume, target string) error {
	source := "/dev/.volumes/" + volume
	if g.kind == Overlay {
		return g.inside(func() error { return unix.Mount(source, target, "", unix.MS_BIND, "") })
	}
	return g.privileged(ctx, "mount", "--bind", source, target)
}

func (g *namespaced) unbind(ctx context.Context, target string) error {
	if g.kind == Overlay {
		return g.inside(func() error { return unix.Unmount(target, unix.MNT_DETACH) })
	}
	return g.privileged(ctx, "umount", "-l", target)
}

// privileged runs a program with all the rights that its user namespace gives.
func (g *namespaced) privileged(ctx context.Context, argv ...string) error {
	enter := []string{"--target", fmt.Sprint(g.init.Process.Pid), "--user", "--preserve-credentials", "--mount", "--pid", "--"}
	cmd := exec.CommandContext(ctx, g.nsenter, append(enter, argv...)...)
	cmd.Env = []string{"PATH=" + systemPath}
	cmd.WaitDelay = hangUp
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w", strings.TrimSpace(string(out)), err)
	}
	return nil
}

// otherMount allows the mounts that touch nothing but the machine's own files.
func (g *namespaced) otherMount(ctx context.Context, p process) int {
	if p.argv[0] == "umount" {
		for _, target := range p.argv[1:] {
			if err := g.unbind(ctx, target); err != nil {
				fmt.Fprintf(p.err, "umount: %s: %v\n", target, err)
				return 32
			}
		}
		return 0
	}
	kind, data, rest := "", "", []string(nil)
	flags := uintptr(0)
	for i := 1; i < len(p.argv); i++ {
		switch arg := p.argv[i]; {
		case arg == "-t" && i+1 < len(p.argv):
			i++
			kind = p.argv[i]
		case arg == "-o" && i+1 < len(p.argv):
			i++
			data = p.argv[i]
		case arg == "--bind" || arg == "-B":
			flags = unix.MS_BIND
		case arg == "--rbind" || arg == "-R":
			flags = unix.MS_BIND | unix.MS_REC
		case !strings.HasPrefix(arg, "-"):
			rest = append(rest, arg)
		}
	}
	if data == "bind" {
		flags, data = unix.MS_BIND, ""
	}
	if len(rest) != 2 || flags == 0 && kind != "tmpfs" {
		fmt.Fprintf(p.err, "mount: %s: special device does not exist on an emulated machine.\n", strings.Join(rest, " "))
		return 32
	}
	source, target := filepath.Join(p.dir, rest[0]), rest[1]
	if filepath.IsAbs(rest[0]) {
		source = rest[0]
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(p.dir, target)
	}
	var err error
	switch {
	case g.kind == UserNS && flags != 0:
		err = g.privileged(ctx, "mount", "--rbind", source, target)
	case g.kind == UserNS:
		err = g.privileged(ctx, "mount", "-t", "tmpfs", "tmpfs", target)
	case flags != 0:
		err = g.inside(func() error { return unix.Mount(source, target, "", flags, "") })
	default:
		err = g.inside(func() error { return unix.Mount("tmpfs", target, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "") })
	}
	if err != nil {
		fmt.Fprintf(p.err, "mount: %s: %v\n", target, err)
		return 32
	}
	return 0
}

// devices keeps the volumes' nodes in /dev. They are block devices to the eye
// where that is allowed; none can be opened, as /dev is mounted without devices.
func (g *namespaced) devices(volumes []string) error {
	const unusedMajor = 241 // one of those set aside for local use
	want := map[string]bool{}
	for _, name := range volumes {
		for _, alias := range aliases(name) {
			want[alias] = true
		}
	}
	dev := fmt.Sprintf("/proc/%d/root/dev", g.init.Process.Pid)
	note := filepath.Join(dev, ".volumes-shown")
	shown, _ := os.ReadFile(note) // none is as good as empty
	for _, name := range strings.Fields(string(shown)) {
		if !want[name] {
			if err := os.Remove(filepath.Join(dev, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	minor := uint32(0)
	for _, name := range sortedKeys(want) {
		minor++
		node := filepath.Join(dev, name)
		if _, err := os.Lstat(node); err == nil {
			continue
		}
		err := unix.Mknod(node, unix.S_IFBLK|0o660, int(unix.Mkdev(unusedMajor, minor)))
		if errors.Is(err, unix.EPERM) {
			err = os.WriteFile(node, nil, 0o660)
		}
		if err != nil {
			return err
		}
	}
	return os.WriteFile(note, []byte(strings.Join(sortedKeys(want), "\n")), 0o600)
}

// drained is how long a terminal's last output may take to be read.
const drained = 200 * time.Millisecond
