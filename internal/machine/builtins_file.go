package machine

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func fileBuiltins() map[string]builtin {
	return map[string]builtin{
		"cat": runCat, "mkdir": runMkdir, "rmdir": runRmdir, "cp": runCp, "mv": runMv, "rm": runRm, "unlink": runRm, "ln": runLn, "ls": runLs,
		"chmod": runChmod, "chown": runChown, "chgrp": runChgrp, "touch": runTouch, "install": runInstall, "find": runFind,
		"stat": runStat, "mktemp": runMktemp, "readlink": runReadlink, "realpath": runRealpath, "truncate": runTruncate, "du": runTrue, "df": runTrue,
	}
}

// each opens the named files one after another, "-" and none being the input.
func (c *call) each(names []string, do func(io.Reader) error) int {
	if len(names) == 0 {
		names = []string{"-"}
	}
	exit := 0
	for _, name := range names {
		if name == "-" {
			if err := do(c.in); err != nil {
				exit = c.fail("-", err)
			}
			continue
		}
		file, err := c.open(name, os.O_RDONLY, 0)
		if err == nil {
			err = do(file)
			_ = file.Close() // it was only read
		}
		if err != nil {
			exit = c.fail(name, err)
		}
	}
	return exit
}

func runCat(c *call) int {
	o, ok := c.parse("nAevtEu", "number")
	if !ok {
		return 1
	}
	if !o.has("n", "number") {
		return c.each(o.rest, func(r io.Reader) error {
			_, err := io.Copy(c.out, r)
			return err
		})
	}
	number := 0
	return c.each(o.rest, func(r io.Reader) error {
		scanner := bufio.NewScanner(r)
		scanner.Buffer(nil, 16<<20)
		for scanner.Scan() {
			number++
			fmt.Fprintf(c.out, "%6d\t%s\n", number, scanner.Text())
		}
		return scanner.Err()
	})
}

// parseMode reads chmod's modes, octal or symbolic, against what a file has.
func parseMode(text string, old fs.FileMode) (fs.FileMode, error) {
	if bits, err := strconv.ParseUint(text, 8, 12); err == nil {
		return fileMode(uint32(bits)), nil
	}
	bits := unixBits(old)
	for clause := range strings.SplitSeq(text, ",") {
		at := strings.IndexAny(clause, "+-=")
		if at < 0 {
			return 0, fmt.Errorf("invalid mode: '%s'", text)
		}
		who, action, perms := clause[:at], clause[at], clause[at+1:]
		mask, bad := uint32(0), false
		for _, letter := range who {
			switch letter {
			case 'u':
				mask |= 0o4700
			case 'g':
				mask |= 0o2070
			case 'o':
				mask |= 0o1007
			case 'a':
				mask |= 0o7777
			default:
				bad = true
			}
		}
		if who == "" {
			mask = 0o7777
		}
		want := uint32(0)
		for _, letter := range perms {
			switch letter {
			case 'r':
				want |= 0o444
			case 'w':
				want |= 0o222
			case 'x':
				want |= 0o111
			case 'X':
				if old.IsDir() || bits&0o111 != 0 {
					want |= 0o111
				}
			case 's':
				want |= 0o6000
			case 't':
				want |= 0o1000
			default:
				bad = true
			}
		}
		if bad {
			return 0, fmt.Errorf("invalid mode: '%s'", text)
		}
		switch want &= mask; action {
		case '+':
			bits |= want
		case '-':
			bits &^= want
		case '=':
			bits = bits&^(mask&0o777) | want
		}
	}
	return fileMode(bits), nil
}

func runMkdir(c *call) int {
	o, ok := c.parse("pm:v", "parents", "mode:", "verbose")
	if !ok {
		return 1
	}
	exit := 0
	for _, name := range o.rest {
		p := c.abs(name)
		_, before := c.g.files.stat(p)
		var err error
		if o.has("p", "parents") {
			err = c.g.files.mkdirAll(p, 0o777&^c.g.mask())
		} else {
			err = c.g.files.mkdir(p, 0o777&^c.g.mask())
		}
		if text := o.get("m", "mode"); err == nil && text != "" && before != nil {
			var mode fs.FileMode
			if mode, err = parseMode(text, fs.ModeDir|0o777); err == nil {
				err = c.g.files.chmod(p, mode)
			}
		}
		if err != nil {
			exit = c.fail("cannot create directory '"+name+"'", err)
		}
	}
	return exit
}

func runRmdir(c *call) int {
	o, ok := c.parse("pv", "ignore-fail-on-non-empty", "parents")
	if !ok {
		return 1
	}
	exit := 0
	for _, name := range o.rest {
		info, err := c.g.files.lstat(c.abs(name))
		if err == nil && !info.IsDir() {
			err = syscall.ENOTDIR
		}
		if err == nil {
			err = c.g.files.remove(c.abs(name))
		}
		if err != nil && !o.has("ignore-fail-on-non-empty") {
			exit = c.fail("failed to remove '"+name+"'", err)
		}
	}
	return exit
}

func runRm(c *call) int {
	o, ok := c.parse("rRfidv", "recursive", "force", "verbose", "preserve-root", "no-preserve-root", "one-file-system", "dir")
	if !ok {
		return 1
	}
	force, recursive, exit := o.has("f", "force"), o.has("r", "R", "recursive"), 0
	if len(o.rest) == 0 && !force {
		c.errorf("missing operand")
		return 1
	}
	for _, name := range o.rest {
		p := c.abs(name)
		if p == "/" {
			c.errorf("it is dangerous to operate recursively on '/'")
			exit = 1
			continue
		}
		info, err := c.g.files.lstat(p)
		switch {
		case err != nil && force && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)):
			continue
		case err != nil:
		case info.IsDir() && recursive:
			err = c.g.files.removeAll(p)
		case info.IsDir() && !o.has("d", "dir"):
			err = syscall.EISDIR
		default:
			err = c.g.files.remove(p)
		}
		if err != nil {
			exit = c.fail("cannot remove '"+name+"'", err)
		}
	}
	return exit
}

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

// walk visits a file and, if it is a folder, all below it.
func (c *call) walk(p string, visit func(p string, info fs.FileInfo) error) error {
	info, err := c.g.files.lstat(p)
	if err != nil {
		return err
	}
	if c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	if err := visit(p, info); err != nil || !info.IsDir() {
		return err
	}
	children, err := c.g.files.readDir(p)
	if err != nil {
		return err
	}
	for _, child := range children {
		if err := c.walk(path.Join(p, child.Name()), visit); err != nil {
			return err
		}
	}
	return nil
}

// changeEach does something to files, with -R to all below them too.
func (c *call) changeEach(names []string, recursive bool, change func(p string, info fs.FileInfo) error) int {
	exit := 0
	for _, name := range names {
		p := c.abs(name)
		var err error
		if recursive {
			err = c.walk(p, change)
		} else {
			var info fs.FileInfo
			if info, err = c.g.files.stat(p); err == nil {
				err = change(p, info)
			}
		}
		if err != nil {
			exit = c.fail("cannot access '"+name+"'", err)
		}
	}
	return exit
}

func runChmod(c *call) int {
	args := c.args[1:]
	recursive := false
	for len(args) > 0 && (args[0] == "-R" || args[0] == "-v" || args[0] == "-f" || args[0] == "-c" || args[0] == "--recursive" || args[0] == "--") {
		recursive = recursive || strings.HasSuffix(args[0], "R") || args[0] == "--recursive"
		args = args[1:]
	}
	if len(args) < 2 {
		c.errorf("missing operand")
		return 1
	}
	if _, err := parseMode(args[0], 0); err != nil {
		c.errorf("%v", err)
		return 1
	}
	return c.changeEach(args[1:], recursive, func(p string, info fs.FileInfo) error {
		if info.Mode()&fs.ModeSymlink != 0 {
			return nil
		}
		mode, err := parseMode(args[0], info.Mode())
		if err != nil {
			return err
		}
		return c.g.files.chmod(p, mode)
	})
}

func runChown(c *call) int {
	o, ok := c.parse("RhvfcLPH", "recursive", "no-dereference", "reference:")
	if !ok || len(o.rest) < 2 {
		c.errorf("missing operand")
		return 1
	}
	user, err := ownerOf(c.g.files, o.rest[0])
	if err != nil {
		c.errorf("%v", err)
		return 1
	}
	return c.changeEach(o.rest[1:], o.has("R", "recursive"), func(p string, _ fs.FileInfo) error { return own(c.g.files, p, user) })
}

func runChgrp(c *call) int {
	if len(c.args) > 2 {
		for i, arg := range c.args[1:] {
			if !strings.HasPrefix(arg, "-") {
				c.args[i+1] = ":" + arg
				break
			}
		}
	}
	return runChown(c)
}

func runTouch(c *call) int {
	o, ok := c.parse("acmd:t:r:", "no-create", "date:", "reference:")
	if !ok {
		return 1
	}
	at := time.Now()
	if text := o.get("d", "date"); text != "" {
		parsed, err := parseDate(text, at)
		if err != nil {
			c.errorf("invalid date format '%s'", text)
			return 1
		}
		at = parsed
	}
	exit := 0
	for _, name := range o.rest {
		p := c.abs(name)
		_, err := c.g.files.stat(p)
		if errors.Is(err, fs.ErrNotExist) {
			if o.has("c", "no-create") {
				continue
			}
			var file io.Closer
			if file, err = c.open(p, os.O_WRONLY|os.O_CREATE, 0o666); err == nil {
				err = file.Close()
			}
		}
		if err == nil {
			err = c.g.files.chtimes(p, at, at)
		}
		if err != nil {
			exit = c.fail("cannot touch '"+name+"'", err)
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

func runTruncate(c *call) int {
	o, ok := c.parse("s:c", "size:", "no-create")
	if !ok {
		return 1
	}
	size, err := strconv.ParseInt(o.get("s", "size"), 10, 64)
	if err != nil {
		c.errorf("invalid number: '%s'", o.get("s", "size"))
		return 1
	}
	for _, name := range o.rest {
		file, err := c.g.files.open(c.abs(name), os.O_WRONLY|os.O_CREATE, 0o666&^c.g.mask())
		if err == nil {
			err = errors.Join(file.Truncate(size), file.Close())
		}
		if err != nil {
			return c.fail(name, err)
		}
	}
	return 0
}

func runMktemp(c *call) int {
	o, ok := c.parse("dqutp:", "directory", "quiet", "dry-run", "tmpdir", "suffix:")
	if !ok {
		return 1
	}
	dir := c.getenv("TMPDIR")
	if dir == "" {
		dir = "/tmp"
	}
	if given := o.get("p"); given != "" {
		dir = given
	}
	template := "tmp.XXXXXXXXXX"
	if len(o.rest) > 0 {
		template = o.rest[0]
		if !o.has("t", "p", "tmpdir") {
			dir = c.dir
		}
	}
	marks := strings.LastIndex(template, "XXX")
	if marks < 0 {
		c.errorf("too few X's in template '%s'", template)
		return 1
	}
	start := len(strings.TrimRight(template[:marks+3], "X"))
	raw := make([]byte, 8)
	_, _ = rand.Read(raw) // never fails
	name := template[:start] + hex.EncodeToString(raw)[:10] + template[marks+3:] + o.get("suffix")
	if !path.IsAbs(name) {
		name = path.Join(dir, name)
	}
	p := c.abs(name)
	var err error
	if o.has("d", "directory") {
		err = c.g.files.mkdir(p, 0o700)
	} else {
		var file *os.File
		if file, err = c.g.files.open(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			err = file.Close()
		}
	}
	if err != nil {
		return c.fail("failed to create file via template '"+template+"'", err)
	}
	fmt.Fprintln(c.out, name)
	return 0
}

func runReadlink(c *call) int {
	o, ok := c.parse("femnqs", "canonicalize", "canonicalize-existing", "canonicalize-missing", "no-newline")
	if !ok {
		return 1
	}
	exit := 0
	for _, name := range o.rest {
		text, err := "", error(nil)
		if o.has("f", "e", "m", "canonicalize", "canonicalize-existing", "canonicalize-missing") {
			text, err = c.canonical(name, o.has("e", "canonicalize-existing"))
		} else {
			text, err = c.g.files.readlink(c.abs(name))
		}
		if err != nil {
			exit = 1 // silent, as readlink is
			continue
		}
		fmt.Fprint(c.out, text)
		if !o.has("n", "no-newline") {
			fmt.Fprintln(c.out)
		}
	}
	return exit
}

func (c *call) canonical(name string, must bool) (string, error) {
	at, err := c.g.files.resolve(c.abs(name), true)
	if err != nil {
		return "", err
	}
	if must {
		if _, err := c.g.files.stat(at.abs); err != nil {
			return "", err
		}
	}
	return at.abs, nil
}

func runRealpath(c *call) int {
	o, ok := c.parse("emsqz", "canonicalize-existing", "canonicalize-missing", "no-symlinks", "quiet")
	if !ok {
		return 1
	}
	exit := 0
	for _, name := range o.rest {
		text, err := c.canonical(name, o.has("e", "canonicalize-existing"))
		if err != nil {
			exit = c.fail(name, err)
			continue
		}
		fmt.Fprintln(c.out, text)
	}
	return exit
}
