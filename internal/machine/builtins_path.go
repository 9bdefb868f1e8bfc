package machine

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"strings"
)

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
