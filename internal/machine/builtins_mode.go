package machine

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

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
