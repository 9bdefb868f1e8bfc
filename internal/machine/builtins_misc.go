package machine

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
)

func sumBuiltins() map[string]builtin {
	all := map[string]builtin{"base64": runBase64, "cmp": runCmp, "diff": runCmp}
	for name, algorithm := range map[string]func() hash.Hash{"md5sum": md5.New, "sha1sum": sha1.New, "sha256sum": sha256.New, "sha512sum": sha512.New} {
		all[name] = func(c *call) int { return runSum(c, algorithm) }
	}
	return all
}

func runSum(c *call, algorithm func() hash.Hash) int {
	o, ok := c.parse("cbt", "check", "quiet", "status", "binary", "text")
	if !ok {
		return 1
	}
	sum := func(name string) (string, error) {
		file, err := c.open(name, os.O_RDONLY, 0)
		if err != nil {
			return "", err
		}
		defer file.Close()
		digest := algorithm()
		_, err = io.Copy(digest, file)
		return hex.EncodeToString(digest.Sum(nil)), err
	}
	if !o.has("c", "check") {
		if len(o.rest) == 0 {
			digest := algorithm()
			_, _ = io.Copy(digest, c.in)
			fmt.Fprintf(c.out, "%x  -\n", digest.Sum(nil))
			return 0
		}
		exit := 0
		for _, name := range o.rest {
			digest, err := sum(name)
			if err != nil {
				exit = c.fail(name, err)
				continue
			}
			fmt.Fprintf(c.out, "%s  %s\n", digest, name)
		}
		return exit
	}
	bad := 0
	exit := c.lines(o.rest, func(_, line string) error {
		want, name, ok := strings.Cut(line, " ")
		if !ok {
			return nil
		}
		name = strings.TrimLeft(name, " *")
		got, err := sum(name)
		verdict := "OK"
		if err != nil || got != want {
			bad, verdict = 1, "FAILED"
		}
		if !o.has("quiet", "status") {
			fmt.Fprintf(c.out, "%s: %s\n", name, verdict)
		}
		return nil
	})
	return max(bad, exit)
}

func runBase64(c *call) int {
	o, ok := c.parse("dw:i", "decode", "wrap:")
	if !ok {
		return 1
	}
	return c.each(o.rest, func(r io.Reader) error {
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if o.has("d", "decode") {
			decoded, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(data), nil)))
			_, _ = c.out.Write(decoded)
			if err != nil {
				return errors.New("invalid input")
			}
			return nil
		}
		width := 76
		if o.has("w", "wrap") {
			if width, err = strconv.Atoi(o.get("w", "wrap")); err != nil {
				return err
			}
		}
		text := base64.StdEncoding.EncodeToString(data)
		for width > 0 && len(text) > width {
			fmt.Fprintln(c.out, text[:width])
			text = text[width:]
		}
		_, _ = io.WriteString(c.out, text)
		if width > 0 && text != "" {
			fmt.Fprintln(c.out)
		}
		return nil
	})
}

// runCmp says whether two files differ, not where: diff's output is for people.
func runCmp(c *call) int {
	o, ok := c.parse("squrN", "silent", "quiet", "brief")
	if !ok || len(o.rest) < 2 {
		return 2
	}
	var contents [2][]byte
	for i, name := range o.rest[:2] {
		if exit := c.each([]string{name}, func(r io.Reader) (err error) {
			contents[i], err = io.ReadAll(r)
			return err
		}); exit != 0 {
			return 2
		}
	}
	if bytes.Equal(contents[0], contents[1]) {
		return 0
	}
	if !o.has("s", "silent", "quiet") {
		fmt.Fprintf(c.out, "%s %s differ\n", o.rest[0], o.rest[1])
	}
	return 1
}

func identityBuiltins() map[string]builtin {
	return map[string]builtin{
		"id": runID, "whoami": runWhoami, "hostname": runHostname, "uname": runUname, "date": runDate, "arch": runUname, "nproc": runNproc,
		"groups": runGroups, "useradd": runUseradd, "adduser": runUseradd, "groupadd": runGroupadd, "addgroup": runGroupadd, "usermod": runUsermod,
		"userdel": runUserdel, "passwd": runTrue, "chage": runTrue, "getent": runGetent, "hostnamectl": runHostnamectl,
	}
}

func runID(c *call) int {
	o, ok := c.parse("ungGr", "user", "name", "group", "groups")
	if !ok {
		return 1
	}
	user := c.user
	if len(o.rest) > 0 {
		found, ok := lookup(c.g.files, o.rest[0])
		if !ok {
			c.errorf("'%s': no such user", o.rest[0])
			return 1
		}
		user = found
	}
	name, group := user.name, groupName(c.g.files, user.gid)
	named := o.has("n", "name")
	switch {
	case o.has("u", "user"):
		fmt.Fprintln(c.out, pick(named, name, strconv.Itoa(user.uid)))
	case o.has("g", "group", "G", "groups"):
		fmt.Fprintln(c.out, pick(named, group, strconv.Itoa(user.gid)))
	default:
		fmt.Fprintf(c.out, "uid=%d(%s) gid=%d(%s) groups=%d(%s)\n", user.uid, name, user.gid, group, user.gid, group)
	}
	return 0
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

func runWhoami(c *call) int { fmt.Fprintln(c.out, c.user.name); return 0 }
func runNproc(c *call) int  { fmt.Fprintln(c.out, 1); return 0 }

func runGroups(c *call) int {
	fmt.Fprintln(c.out, groupName(c.g.files, c.user.gid))
	return 0
}

func runHostname(c *call) int {
	o, ok := c.parse("sfidI", "short", "fqdn", "ip-address", "all-ip-addresses")
	if !ok {
		return 1
	}
	if len(o.rest) > 0 {
		if err := c.g.files.writeFile("/etc/hostname", []byte(o.rest[0]+"\n"), 0o644); err != nil {
			return c.fail("/etc/hostname", err)
		}
		return 0
	}
	if o.has("i", "I", "ip-address", "all-ip-addresses") {
		fmt.Fprintln(c.out, c.g.m.spec.Address)
		return 0
	}
	name := c.g.m.spec.Hostname
	if data, err := c.g.files.readFile("/etc/hostname"); err == nil {
		name = strings.TrimSpace(string(data))
	}
	if o.has("s", "short") {
		name, _, _ = strings.Cut(name, ".")
	}
	fmt.Fprintln(c.out, name)
	return 0
}

func runHostnamectl(c *call) int {
	if len(c.args) == 3 && strings.HasSuffix(c.args[1], "hostname") {
		return runHostname(c.with([]string{"hostname", c.args[2]}))
	}
	return runHostname(c.with([]string{"hostname"}))
}

func runUname(c *call) int {
	o, ok := c.parse("asnrvmpio", "all", "machine", "kernel-name", "kernel-release", "nodename", "operating-system")
	if !ok {
		return 1
	}
	machine := c.g.m.spec.Arch
	switch machine {
	case "arm64":
		machine = "aarch64"
	case "":
		machine = "x86_64"
	}
	var words []string
	for _, field := range []struct{ letter, long, value string }{
		{"s", "kernel-name", "Linux"}, {"n", "nodename", c.g.m.spec.Hostname}, {"r", "kernel-release", "6.1.0-goldline"},
		{"v", "kernel-version", "#1 SMP"}, {"m", "machine", machine}, {"o", "operating-system", "GNU/Linux"},
	} {
		if o.has("a", "all", field.letter, field.long) {
			words = append(words, field.value)
		}
	}
	if path.Base(c.args[0]) == "arch" || o.has("p", "i") {
		words = append(words, machine)
	}
	if words == nil {
		words = []string{"Linux"}
	}
	fmt.Fprintln(c.out, strings.Join(words, " "))
	return 0
}
