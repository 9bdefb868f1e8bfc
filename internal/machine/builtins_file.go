package machine

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
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
