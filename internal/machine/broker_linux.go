package machine

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// broker answers the programs of a namespaced machine that stand in front of
// the host's: device commands are carried out by this process. A program sends
// its process number through a pipe, root's or anyone's, after leaving its
// arguments in a file, and reads the answer from a pipe that it has made.
type broker struct {
	g     *namespaced
	pipes []*os.File
	work  sync.WaitGroup
}

// shim asks this process and prints the answer: o and e before lines of output
// and errors, x before the exit code.
const shim = `#!/bin/sh
d=/` + shimDir + `
q=$d/requests/$$
trap 'rm -f "$q" "$q.answer"' EXIT
mkfifo -m 600 "$q.answer" && exec 3<>"$q.answer" || exit 1
printf '%s\0' "$PWD" "${0##*/}" "$@" >"$q"
if [ -w "$d/root" ]; then echo $$ >"$d/root"; else echo $$ >"$d/any"; fi
while IFS= read -r l <&3; do
	case $l in
	o*) printf '%s\n' "${l#o}" ;;
	e*) printf '%s\n' "${l#e}" >&2 ;;
	x*) exit "${l#x}" ;;
	esac
done
`

// sudoShim is sudo for the login user and root, on hosts with and without one.
// become is the program that changes the user, empty where there is only one.
func sudoShim(become string, environment []string) string {
	quoted := make([]string, len(environment))
	for i, pair := range environment {
		quoted[i] = quote(pair)
	}
	return `#!/bin/sh
user=root keep= login= shell= dir=
while [ $# -gt 0 ]; do
	case $1 in
	--) shift; break ;;
	-u|--user|-g|--group|-C|-p|-D|--chdir)
		case $1 in -u|--user) user=$2 ;; -D|--chdir) dir=$2 ;; esac
		[ $# -ge 2 ] || exit 1
		shift 2 ;;
	--user=*) user=${1#*=}; shift ;;
	--preserve-env*) keep=1; shift ;;
	--login) login=1; shift ;;
	--*) shift ;;
	-u?*) user=${1#-u}; shift ;;
	-?*)
		case $1 in *E*) keep=1 ;; esac
		case $1 in *i*) login=1 ;; esac
		case $1 in *s*) shell=1 ;; esac
		case $1 in -*[vkKl]*) [ $# -gt 1 ] || exit 0 ;; esac
		case $1 in -*u) user=$2; shift ;; esac
		shift ;;
	*) break ;;
	esac
done
user=${user#\#}
line=$(getent passwd "$user") || { echo "sudo: unknown user $user" >&2; exit 1; }
IFS=: read -r name _ uid gid _ home start <<END
$line
END
[ -z "$login" ] || dir=${dir:-$home}
if [ -n "$login$shell" ]; then
	if [ $# -gt 0 ]; then set -- "$start" -c "$*"; else set -- "$start"; fi
elif [ $# -eq 0 ]; then
	echo "usage: sudo [-E] [-n] [-u user] command" >&2; exit 1
fi
[ -z "$dir" ] || set -- sh -c 'cd "$1" || exit 1; shift; exec "$@"' sh "$dir" "$@"
caller=$(id -un)
set -- "HOME=$home" "USER=$name" "LOGNAME=$name" "SHELL=$start" "SUDO_USER=$caller" "PATH=/` + shimDir + `/bin:` + systemPath + `" "$@"
if [ -z "$keep" ]; then
	[ -z "$TERM" ] || set -- "TERM=$TERM" "$@"
	set -- -i ` + strings.Join(quoted, " ") + ` "$@"
fi
become=` + quote(become) + `
if [ -z "$become" ] || [ "$(id -u)" = "$uid" ]; then exec env "$@"; fi
exec "$become" "--reuid=$uid" "--regid=$gid" --init-groups -- env "$@"
`
}

// systemctlShim records what is enabled and started: no init system runs here.
const systemctlShim = `#!/bin/sh
want=/etc/systemd/system/multi-user.target.wants active=/run/systemd-active verb= now=
mkdir -p "$want" "$active" 2>/dev/null
for arg; do
	case $arg in
	--now) now=1 ;;
	-*) ;;
	*)
		if [ -z "$verb" ]; then verb=$arg; continue; fi
		unit=${arg##*/}
		case $unit in *.*) ;; *) unit=$unit.service ;; esac
		case $verb in
		enable|reenable) ln -sfn "/etc/systemd/system/$unit" "$want/$unit" || exit 1; [ -z "$now" ] || : >"$active/$unit" ;;
		disable|mask) rm -f "$want/$unit" || exit 1; [ -z "$now" ] || rm -f "$active/$unit" ;;
		start|restart|reload|reload-or-restart|try-restart) : >"$active/$unit" || exit 1 ;;
		stop|kill) rm -f "$active/$unit" ;;
		is-enabled) if [ -L "$want/$unit" ]; then echo enabled; else echo disabled; exit 1; fi ;;
		is-active|status) if [ -e "$active/$unit" ]; then echo active; else echo inactive; exit 3; fi ;;
		esac ;;
	esac
done
[ "$verb" != is-system-running ] || echo running
`

func newBroker(g *namespaced, plan *mountPlan) (*broker, error) {
	b := &broker{g: g}
	bin := "/" + shimDir + "/bin"
	scripts := map[string]string{"shim": shim, "systemctl": systemctlShim, "cloud-init": cloudInitCommand}
	for _, name := range deviceCommands {
		if err := g.files.symlink("shim", path.Join(bin, name)); err != nil {
			return nil, err
		}
	}
	if g.m.imds != nil {
		become := ""
		if g.kind == Overlay {
			become = path.Join(bin, "become")
		}
		scripts["sudo"] = sudoShim(become, g.m.surroundings())
	}
	for name, text := range scripts {
		if err := g.files.writeFile(path.Join(bin, name), []byte(text), 0o755); err != nil {
			return nil, err
		}
	}
	for name, answer := range map[string]func(string){"root": b.asker(superuser), "any": b.asker(account{name: "nobody", uid: 65534})} {
		if err := b.listen(filepath.Join(plan.spec.Dir, "pipes", name), answer); err != nil {
			return nil, err
		}
	}
	return b, b.listen(filepath.Join(plan.spec.Dir, "pipes", "console"), func(line string) { g.m.console.printf("%s", line) })
}

// letBecome gives the login user the program that sudo changes users with: a
// copy of setpriv for root and that user's group alone.
func (g *namespaced) letBecome(user account) error {
	if g.kind != Overlay {
		return nil
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		return err
	}
	data, err := os.ReadFile(setpriv)
	if err != nil {
		return err
	}
	p := "/" + shimDir + "/bin/become"
	if err := g.files.writeFile(p, data, 0o700); err != nil {
		return err
	}
	if err := g.files.chown(p, 0, user.gid); err != nil {
		return err
	}
	return g.files.chmod(p, fileMode(0o4750))
}

// listen reads lines from a pipe. It is opened for writing too, so that it does
// not end with its last writer.
func (b *broker) listen(pipe string, answer func(line string)) error {
	file, err := os.OpenFile(pipe, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	b.pipes = append(b.pipes, file)
	b.work.Add(1)
	go func() {
		defer b.work.Done()
		scanner := bufio.NewScanner(file)
		for scanner.Scan() {
			answer(scanner.Text())
		}
	}()
	return nil
}

func (b *broker) close() {
	for _, pipe := range b.pipes {
		_ = pipe.Close()
	}
	b.work.Wait()
}

// asker answers requests with the rights of a user, one at a time.
func (b *broker) asker(user account) func(string) {
	return func(number string) {
		if number == "" || strings.Trim(number, "0123456789") != "" {
			return
		}
		request := path.Join("/", shimDir, "requests", number)
		var out answer
		exit, err := b.carryOut(request, user, &out)
		if err != nil {
			fmt.Fprintf(out.as('e'), "%v\n", err)
			exit = 1
		}
		fmt.Fprintf(&out.text, "x%d\n", exit)
		b.reply(request+".answer", out.text.Bytes())
	}
}

func (b *broker) carryOut(request string, user account, out *answer) (int, error) {
	data, err := b.g.files.readFile(request)
	if err != nil {
		return 0, err
	}
	words := strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
	if len(words) < 2 {
		return 0, errors.New("bad request")
	}
	return b.g.m.deviceCommand(b.g.m.life, process{
		argv: words[1:], dir: words[0], user: user, in: strings.NewReader(""), out: out.as('o'), err: out.as('e'),
	}), nil
}

// reply writes to the pipe that the asking program reads, and to nothing else
// that might stand in its place.
func (b *broker) reply(pipe string, text []byte) {
	file, err := b.g.files.open(pipe, os.O_WRONLY, 0)
	if err != nil {
		return // the program is gone
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		_, _ = file.Write(text)
	}
}

// answer collects output, each line after the letter of its stream.
type answer struct{ text bytes.Buffer }

func (a *answer) as(letter byte) io.Writer { return &lettered{a, letter} }

type lettered struct {
	to     *answer
	letter byte
}

func (l *lettered) Write(data []byte) (int, error) {
	for line := range bytes.Lines(data) {
		l.to.text.WriteByte(l.letter)
		l.to.text.Write(bytes.TrimSuffix(line, []byte("\n")))
		l.to.text.WriteByte('\n')
	}
	return len(data), nil
}
