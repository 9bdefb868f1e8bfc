package machine

import (
	"context"
	"io"
	"strings"
)

// guest is what one kind of machine does in its own way: a file system, and
// processes on it.
type guest interface {
	// tree is the machine's file system with the rights of its root user.
	tree() *tree
	// as does something to the tree with a user's rights instead, as far as the
	// kind tells users apart. It must not leave its goroutine.
	as(user account, do func() error) error
	// run runs a program until it ends or ctx does; then everything that still
	// belongs to its group is killed. The error says that it could not be run.
	run(ctx context.Context, p process) (exit int, err error)
	// bind makes an attached volume's contents appear at a folder.
	bind(ctx context.Context, volume, target string) error
	// unbind takes away what is mounted at a folder.
	unbind(ctx context.Context, target string) error
	// otherMount serves mount(8) and umount(8) for anything that is no volume.
	otherMount(ctx context.Context, p process) int
	// devices is told which volumes' device nodes the machine has now.
	devices(names []string) error
	// letBecome lets the login user use sudo.
	letBecome(user account) error
	// path is PATH as the machine's processes have it.
	path() string
	// end kills every process and returns when none is left.
	end(ctx context.Context) error
}

// process is a program to run on a machine.
type process struct {
	argv    []string
	user    account
	env     []string
	dir     string // where it starts; the root folder if that is not there
	in      io.Reader
	out     io.Writer
	err     io.Writer
	tty     *terminal // a terminal takes the place of in, out and err
	signals <-chan string
}

// terminal is what a client asked for with pty-req.
type terminal struct {
	term    string
	width   int
	height  int
	resized <-chan [2]int // columns, rows
}

const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is what a process of the user finds in its environment.
func (m *running) environment(user account, extra ...string) []string {
	env := []string{
		"PATH=" + m.guest.path(),
		"HOME=" + user.home,
		"USER=" + user.name,
		"LOGNAME=" + user.name,
		"SHELL=" + user.shell,
	}
	env = append(env, m.surroundings()...)
	for _, pair := range extra {
		name, _, ok := strings.Cut(pair, "=")
		if ok && name != "" && !reserved[name] {
			env = append(env, pair)
		}
	}
	return env
}

// surroundings are the variables that are the same for every user.
func (m *running) surroundings() []string {
	return []string{
		"LANG=C.UTF-8",
		"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + m.imds.url(),
		"LOCAL_IPV4=" + m.spec.Address.String(),
	}
}

// reserved are the variables that an SSH client does not get to set.
var reserved = map[string]bool{"PATH": true, "HOME": true, "USER": true, "LOGNAME": true, "SHELL": true, "LD_PRELOAD": true, "LD_LIBRARY_PATH": true}
