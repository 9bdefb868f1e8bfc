package machine

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// asRoot refuses what only root may do.
func (c *call) asRoot() bool {
	if c.user.uid != 0 {
		c.errorf("Permission denied.")
	}
	return c.user.uid == 0
}

func runUseradd(c *call) int {
	o, ok := c.parse("rmMUNd:s:u:g:G:c:op:D", "system", "create-home", "no-create-home", "home-dir:", "home:", "shell:", "uid:", "gid:", "groups:", "comment:", "gecos:",
		"disabled-password", "disabled-login", "group", "ingroup:", "quiet", "user-group", "no-user-group", "password:", "allow-bad-names")
	if !ok || len(o.rest) == 0 {
		return 2
	}
	if !c.asRoot() {
		return 1
	}
	friendly := path.Base(c.args[0]) == "adduser"
	if friendly && len(o.rest) == 2 {
		return c.exitOf(joinGroup(c.g.files, o.rest[0], o.rest[1]), 1)
	}
	want := newAccount{name: o.rest[0], uid: -1, group: o.get("g", "gid", "ingroup"), home: o.get("d", "home-dir", "home"), shell: o.get("s", "shell"),
		system: o.has("r", "system"), mkhome: !o.has("M", "no-create-home") && (o.has("m", "create-home") || friendly && !o.has("system"))}
	if text := o.get("u", "uid"); text != "" {
		uid, err := strconv.Atoi(text)
		if err != nil {
			c.errorf("invalid user ID '%s'", text)
			return 3
		}
		want.uid = uid
	}
	_, err := addAccount(c.g.files, want)
	if errors.Is(err, errTaken) {
		c.errorf("user '%s' already exists", want.name)
		return 9
	}
	if err != nil {
		c.errorf("%v", err)
		return 6
	}
	return c.join(want.name, o.get("G", "groups"))
}

func (c *call) join(user, list string) int {
	if list == "" {
		return 0
	}
	for group := range strings.SplitSeq(list, ",") {
		if err := joinGroup(c.g.files, user, group); err != nil {
			return c.exitOf(err, 6)
		}
	}
	return 0
}

func (c *call) exitOf(err error, exit int) int {
	if err == nil {
		return 0
	}
	c.errorf("%v", err)
	return exit
}

func runGroupadd(c *call) int {
	o, ok := c.parse("rfg:o", "system", "force", "gid:", "quiet")
	if !ok || len(o.rest) == 0 {
		return 2
	}
	if !c.asRoot() {
		return 1
	}
	gid := -1
	if text := o.get("g", "gid"); text != "" {
		var err error
		if gid, err = strconv.Atoi(text); err != nil {
			c.errorf("invalid group ID '%s'", text)
			return 3
		}
	}
	_, err := addGroup(c.g.files, o.rest[0], gid, o.has("r", "system"))
	if errors.Is(err, errTaken) {
		if o.has("f", "force") {
			return 0
		}
		c.errorf("group '%s' already exists", o.rest[0])
		return 9
	}
	return c.exitOf(err, 1)
}

// account is the user that a command of root's is about, or what the command exits
// with.
func (c *call) account(o options, ok bool) (user account, exit int) {
	if !ok || len(o.rest) == 0 {
		return user, 2
	}
	if !c.asRoot() {
		return user, 1
	}
	user, found := lookup(c.g.files, o.rest[0])
	if !found {
		c.errorf("user '%s' does not exist", o.rest[0])
		return user, 6
	}
	return user, 0
}

func runUsermod(c *call) int {
	o, ok := c.parse("aG:s:d:mLUg:c:l:", "append", "groups:", "shell:", "home:", "lock", "unlock", "gid:")
	user, exit := c.account(o, ok)
	if exit != 0 {
		return exit
	}
	shell, home := o.get("s", "shell"), o.get("d", "home")
	err := editLines(c.g.files, "/etc/passwd", func(field []string) []string {
		if field[0] == user.name && len(field) == 7 {
			field[6] = pick(shell != "", shell, field[6])
			field[5] = pick(home != "", home, field[5])
		}
		return field
	})
	if err != nil {
		return c.exitOf(err, 1)
	}
	return c.join(user.name, o.get("G", "groups"))
}

func runUserdel(c *call) int {
	o, ok := c.parse("rf", "remove", "force", "remove-home", "quiet")
	user, exit := c.account(o, ok)
	if exit != 0 {
		return exit
	}
	for _, file := range []string{"/etc/passwd", "/etc/shadow", "/etc/group"} {
		err := editLines(c.g.files, file, func(field []string) []string {
			if field[0] == user.name {
				return nil
			}
			return field
		})
		if err != nil {
			return c.exitOf(err, 1)
		}
	}
	if o.has("r", "remove", "remove-home") {
		return c.exitOf(c.g.files.removeAll(user.home), 12)
	}
	return 0
}

// editLines rewrites a file of colon-separated lines.
func editLines(t *tree, p string, edit func(field []string) []string) error {
	data, err := t.readFile(p)
	if err != nil {
		return err
	}
	info, err := t.stat(p)
	if err != nil {
		return err
	}
	var out strings.Builder
	for line := range strings.Lines(string(data)) {
		if field := edit(strings.Split(strings.TrimSuffix(line, "\n"), ":")); field != nil {
			out.WriteString(strings.Join(field, ":") + "\n")
		}
	}
	return t.writeFile(p, []byte(out.String()), info.Mode())
}

func runGetent(c *call) int {
	if len(c.args) < 2 {
		return 1
	}
	file := map[string]string{"passwd": "/etc/passwd", "group": "/etc/group", "hosts": "/etc/hosts"}[c.args[1]]
	if file == "" {
		return 1
	}
	found := 2
	_ = c.lines([]string{file}, func(_, line string) error {
		field := strings.Split(line, ":")
		if len(c.args) == 2 || slices.Contains(c.args[2:], field[0]) || len(field) > 2 && slices.Contains(c.args[2:], field[2]) ||
			c.args[1] == "hosts" && slices.Contains(strings.Fields(line), c.args[len(c.args)-1]) {
			found = 0
			fmt.Fprintln(c.out, line)
		}
		return nil
	})
	return found
}
