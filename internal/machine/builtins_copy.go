package machine

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// destination is where name goes: into dest if that is a folder.
func (c *call) destination(dest, name string, asFile bool) string {
	if !asFile {
		if info, err := c.g.files.stat(c.abs(dest)); err == nil && info.IsDir() {
			return path.Join(c.abs(dest), path.Base(name))
		}
	}
	return c.abs(dest)
}

// twoOrMore splits sources and destination, which -t gives too.
func (c *call) twoOrMore(o options) (sources []string, dest string, ok bool) {
	if dest := o.get("t", "target-directory"); dest != "" {
		return o.rest, dest, len(o.rest) > 0
	}
	if len(o.rest) < 2 {
		c.errorf("missing file operand")
		return nil, "", false
	}
	last := len(o.rest) - 1
	return o.rest[:last], o.rest[last], true
}

func runCp(c *call) int {
	o, ok := c.parse("arRfpvdnTt:LPHu", "archive", "recursive", "force", "verbose", "no-clobber", "no-target-directory", "target-directory:", "preserve", "parents", "no-dereference", "reflink")
	if !ok {
		return 1
	}
	sources, dest, ok := c.twoOrMore(o)
	if !ok {
		return 1
	}
	recursive := o.has("a", "archive", "r", "R", "recursive")
	keepLinks := o.has("a", "archive", "d", "P", "no-dereference") || recursive && !o.has("L")
	exit := 0
	for _, source := range sources {
		to := c.destination(dest, source, o.has("T", "no-target-directory"))
		if strings.HasSuffix(source, "/.") && recursive {
			to = c.abs(dest)
		}
		from := c.abs(source)
		if to == from {
			c.errorf("'%s' and '%s' are the same file", source, dest)
			exit = 1
			continue
		}
		if strings.HasPrefix(to, from+"/") {
			c.errorf("cannot copy a directory, '%s', into itself, '%s'", source, dest)
			exit = 1
			continue
		}
		if o.has("n", "no-clobber") {
			if _, err := c.g.files.lstat(to); err == nil {
				continue
			}
		}
		if err := c.copyFile(from, to, recursive, keepLinks, o.has("a", "archive", "p", "preserve")); err != nil {
			exit = c.fail("cannot copy '"+source+"'", err)
		}
	}
	return exit
}

func (c *call) copyFile(from, to string, recursive, keepLinks, keepTimes bool) error {
	if c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	t := c.g.files
	look := t.stat
	if keepLinks {
		look = t.lstat
	}
	info, err := look(from)
	if err != nil {
		return err
	}
	switch {
	case info.IsDir():
		if !recursive {
			return errors.New("-r not specified; omitting directory")
		}
		if err := t.mkdir(to, 0o777&^c.g.mask()); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		children, err := t.readDir(from)
		if err != nil {
			return err
		}
		for _, child := range children {
			if err := c.copyFile(path.Join(from, child.Name()), path.Join(to, child.Name()), true, keepLinks, keepTimes); err != nil {
				return err
			}
		}
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := t.readlink(from)
		if err != nil {
			return err
		}
		if err := forget(t, to); err != nil {
			return err
		}
		return t.symlink(target, to)
	default:
		if err := c.copyContents(from, to, info.Mode().Perm()); err != nil {
			return err
		}
	}
	if !keepTimes {
		return nil
	}
	if err := t.chmod(to, info.Mode()); err != nil {
		return err
	}
	return t.chtimes(to, info.ModTime(), info.ModTime())
}

func (c *call) copyContents(from, to string, perm fs.FileMode) error {
	in, err := c.open(from, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := c.open(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func runMv(c *call) int {
	o, ok := c.parse("fvnTt:iu", "force", "verbose", "no-clobber", "no-target-directory", "target-directory:")
	if !ok {
		return 1
	}
	sources, dest, ok := c.twoOrMore(o)
	if !ok {
		return 1
	}
	exit := 0
	for _, source := range sources {
		from, to := c.abs(source), c.destination(dest, source, o.has("T", "no-target-directory"))
		if o.has("n", "no-clobber") {
			if _, err := c.g.files.lstat(to); err == nil {
				continue
			}
		}
		err := c.g.files.rename(from, to)
		if errors.Is(err, syscall.EXDEV) {
			if err = c.copyFile(from, to, true, true, true); err == nil {
				err = c.g.files.removeAll(from)
			}
		}
		if err != nil {
			exit = c.fail("cannot move '"+source+"' to '"+dest+"'", err)
		}
	}
	return exit
}

func runLn(c *call) int {
	o, ok := c.parse("sfnvTrt:", "symbolic", "force", "no-dereference", "verbose", "no-target-directory", "relative", "target-directory:")
	if !ok {
		return 1
	}
	if len(o.rest) == 1 {
		o.rest = append(o.rest, path.Base(o.rest[0]))
	}
	sources, dest, ok := c.twoOrMore(o)
	if !ok {
		return 1
	}
	exit := 0
	for _, source := range sources {
		asFile := o.has("T", "no-target-directory")
		if info, err := c.g.files.lstat(c.abs(dest)); err == nil && info.Mode()&fs.ModeSymlink != 0 && o.has("n", "no-dereference") {
			asFile = true
		}
		to := c.destination(dest, source, asFile)
		if o.has("f", "force") {
			_ = forget(c.g.files, to) // what keeps it shows below
		}
		var err error
		if o.has("s", "symbolic") {
			err = c.g.files.symlink(source, to)
		} else {
			err = c.g.files.link(c.abs(source), to)
		}
		if err != nil {
			exit = c.fail("failed to create link '"+to+"'", err)
		}
	}
	return exit
}

func runInstall(c *call) int {
	o, ok := c.parse("dDm:o:g:vcTt:pCsb", "directory", "mode:", "owner:", "group:", "target-directory:", "no-target-directory")
	if !ok {
		return 1
	}
	mode := fs.FileMode(0o755)
	if text := o.get("m", "mode"); text != "" {
		var err error
		if mode, err = parseMode(text, 0); err != nil {
			c.errorf("%v", err)
			return 1
		}
	}
	finish := func(p string) error {
		if err := c.g.files.chmod(p, mode); err != nil {
			return err
		}
		if o.get("o", "owner") == "" && o.get("g", "group") == "" {
			return nil
		}
		user, err := ownerOf(c.g.files, strings.TrimSuffix(o.get("o", "owner")+":"+o.get("g", "group"), ":"))
		if err != nil {
			return err
		}
		return own(c.g.files, p, user)
	}
	if o.has("d", "directory") {
		for _, name := range o.rest {
			if err := errors.Join(c.g.files.mkdirAll(c.abs(name), 0o755), finish(c.abs(name))); err != nil {
				return c.fail(name, err)
			}
		}
		return 0
	}
	sources, dest, ok := c.twoOrMore(o)
	if !ok {
		return 1
	}
	if o.has("D") {
		dir := path.Dir(c.abs(dest))
		if o.has("t", "target-directory") {
			dir = c.abs(dest)
		}
		if err := c.g.files.mkdirAll(dir, 0o755); err != nil {
			return c.fail(dest, err)
		}
	}
	for _, source := range sources {
		to := c.destination(dest, source, o.has("T", "no-target-directory"))
		err := forget(c.g.files, to)
		if err == nil {
			err = c.copyContents(source, to, 0o600)
		}
		if err == nil {
			err = finish(to)
		}
		if err != nil {
			return c.fail(source, err)
		}
	}
	return 0
}
