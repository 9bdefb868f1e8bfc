package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// scp serves the classic scp protocol, either way, and gives its exit code.
func (m *running) scp(ctx context.Context, user account, call scpCall, in io.Reader, out io.Writer, errOut io.Writer) int {
	if call.sudo {
		user = superuser
	}
	peer := &scpPeer{ctx: ctx, m: m, user: user, call: call, in: bufio.NewReader(in), out: out}
	var err error
	if call.sink {
		err = peer.receive(peer.absolute(call.targets[0]))
	} else {
		err = peer.sendAll()
	}
	if err != nil {
		fmt.Fprintf(errOut, "scp: %v\n", err)
		return 1
	}
	if peer.failed {
		return 1
	}
	return 0
}

type scpPeer struct {
	ctx    context.Context
	m      *running
	user   account
	call   scpCall
	in     *bufio.Reader
	out    io.Writer
	failed bool // something was refused; the rest went on
}

var errSCP = errors.New("protocol error")

// absolute finds a target from the user's home folder.
func (p *scpPeer) absolute(target string) string {
	if rest, ok := strings.CutPrefix(target, "~"); ok && (rest == "" || rest[0] == '/') {
		return path.Join(p.user.home, rest)
	}
	if path.IsAbs(target) {
		return target
	}
	return path.Join(p.user.home, target)
}

func (p *scpPeer) ok() error {
	_, err := p.out.Write([]byte{0})
	return err
}

// refuse tells the client of an error and goes on.
func (p *scpPeer) refuse(err error) error {
	p.failed = true
	_, err = fmt.Fprintf(p.out, "\x01scp: %v\n", err)
	return err
}

// acknowledged reads the client's answer to what was sent.
func (p *scpPeer) acknowledged() error {
	code, err := p.in.ReadByte()
	if err != nil {
		return err
	}
	if code == 0 {
		return nil
	}
	text, err := p.in.ReadString('\n')
	if err != nil {
		return err
	}
	if code == 1 {
		p.failed = true
		return nil
	}
	return errors.New(strings.TrimSpace(text))
}

// receive takes files and folders until the client is done.
func (p *scpPeer) receive(target string) error {
	if err := p.ok(); err != nil {
		return err
	}
	stack := []string{target}
	for p.ctx.Err() == nil {
		line, err := p.in.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return nil
		}
		if err != nil {
			return err
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			return errSCP
		}
		into := stack[len(stack)-1]
		switch line[0] {
		case 'T': // times are read and let be
			err = p.ok()
		case 'C':
			err = p.receiveFile(into, line[1:])
		case 'D':
			var dir string
			if dir, err = p.receiveDir(into, line[1:]); err == nil {
				stack = append(stack, dir)
			}
		case 'E':
			if len(stack) == 1 {
				return errSCP
			}
			stack = stack[:len(stack)-1]
			err = p.ok()
		case 1:
			p.failed = true
		case 2:
			return errors.New(line[1:])
		default:
			return errSCP
		}
		if err != nil {
			return err
		}
	}
	return p.ctx.Err()
}

// header takes apart `0644 12 name`.
func header(line string) (mode fs.FileMode, size int64, name string, err error) {
	field := strings.SplitN(line, " ", 3)
	if len(field) != 3 {
		return 0, 0, "", errSCP
	}
	bits, modeErr := strconv.ParseUint(field[0], 8, 12)
	size, sizeErr := strconv.ParseInt(field[1], 10, 64)
	name = field[2]
	if modeErr != nil || sizeErr != nil || size < 0 || name == "" || name == ".." || strings.Contains(name, "/") {
		return 0, 0, "", errSCP
	}
	return fileMode(uint32(bits)), size, name, nil
}

// place is where something called name goes: into a folder that is there, or
// by the target's own name.
func (p *scpPeer) place(target, name string) string {
	t := p.m.guest.tree()
	if info, err := t.stat(target); err == nil && info.IsDir() {
		return path.Join(target, name)
	}
	return strings.TrimSuffix(target, "/")
}

func (p *scpPeer) receiveFile(target, line string) error {
	mode, size, name, err := header(line)
	if err != nil {
		return err
	}
	file := p.place(target, name)
	var to *os.File
	openErr := p.m.guest.as(p.user, func() (err error) {
		to, err = p.m.guest.tree().open(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode.Perm()|0o200)
		return err
	})
	if openErr != nil { // as scp, before the contents come
		return p.refuse(openErr)
	}
	defer to.Close()
	if err := p.ok(); err != nil {
		return err
	}
	if _, err := io.CopyN(to, p.in, size); err != nil {
		return err
	}
	if err := p.acknowledged(); err != nil {
		return err
	}
	chmodErr := p.m.guest.as(p.user, func() error { return to.Chmod(mode) })
	if chmodErr != nil && !errors.Is(chmodErr, fs.ErrPermission) {
		return p.refuse(renamed("chmod", file, chmodErr))
	}
	return p.ok()
}

func (p *scpPeer) receiveDir(target, line string) (string, error) {
	mode, _, name, err := header(line)
	if err != nil {
		return "", err
	}
	if !p.call.recursive {
		return "", errSCP
	}
	dir := p.place(target, name)
	err = p.m.guest.as(p.user, func() error {
		err := p.m.guest.tree().mkdir(dir, mode|0o700)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return "", errors.Join(p.refuse(err), err)
	}
	return dir, p.ok()
}

func (p *scpPeer) sendAll() error {
	if err := p.acknowledged(); err != nil {
		return err
	}
	for _, target := range p.call.targets {
		files, err := p.match(p.absolute(target))
		if err != nil {
			if err := p.refuse(err); err != nil {
				return err
			}
			continue
		}
		for _, file := range files {
			if err := p.send(file); err != nil {
				return err
			}
		}
	}
	return nil
}

// match expands a pattern in a target's last component, which the user's shell
// would have done.
func (p *scpPeer) match(target string) ([]string, error) {
	dir, pattern := path.Split(target)
	if !strings.ContainsAny(pattern, "*?[") {
		return []string{target}, nil
	}
	infos, err := p.m.guest.tree().readDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, info := range infos {
		if ok, _ := path.Match(pattern, info.Name()); ok && !strings.HasPrefix(info.Name(), ".") {
			files = append(files, path.Join(dir, info.Name()))
		}
	}
	if files == nil {
		return []string{target}, nil
	}
	return files, nil
}

func (p *scpPeer) send(file string) error {
	if p.ctx.Err() != nil {
		return p.ctx.Err()
	}
	t := p.m.guest.tree()
	var from *os.File
	err := p.m.guest.as(p.user, func() (err error) {
		from, err = t.open(file, os.O_RDONLY, 0)
		return err
	})
	if err != nil {
		return p.refuse(err)
	}
	defer from.Close()
	info, err := from.Stat()
	switch {
	case err != nil:
		return p.refuse(err)
	case info.IsDir() && !p.call.recursive:
		return p.refuse(fmt.Errorf("%s: not a regular file", file))
	case info.IsDir():
		return p.sendDir(file, info)
	case !info.Mode().IsRegular():
		return p.refuse(fmt.Errorf("%s: not a regular file", file))
	}
	fmt.Fprintf(p.out, "C%04o %d %s\n", unixBits(info.Mode()), info.Size(), path.Base(file))
	if err := p.acknowledged(); err != nil {
		return err
	}
	if _, err := io.CopyN(p.out, from, info.Size()); err != nil {
		return err
	}
	if err := p.ok(); err != nil {
		return err
	}
	return p.acknowledged()
}

func (p *scpPeer) sendDir(dir string, info fs.FileInfo) error {
	infos, err := p.m.guest.tree().readDir(dir)
	if err != nil {
		return p.refuse(err)
	}
	fmt.Fprintf(p.out, "D%04o 0 %s\n", unixBits(info.Mode()), path.Base(dir))
	if err := p.acknowledged(); err != nil {
		return err
	}
	for _, child := range infos {
		if err := p.send(path.Join(dir, child.Name())); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(p.out, "E\n"); err != nil {
		return err
	}
	return p.acknowledged()
}
