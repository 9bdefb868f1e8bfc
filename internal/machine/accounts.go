package machine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// account is a line of the machine's /etc/passwd.
type account struct {
	name  string
	uid   int
	gid   int
	home  string
	shell string
}

var superuser = account{name: "root", home: "/root", shell: "/bin/bash"}

const firstUser = 1000 // the uid that images give their login user

// accounts reads the machine's users.
func accounts(t *tree) []account {
	data, err := t.readFile("/etc/passwd")
	if err != nil {
		return []account{superuser}
	}
	var all []account
	for line := range strings.Lines(string(data)) {
		field := strings.Split(strings.TrimSpace(line), ":")
		if len(field) != 7 {
			continue
		}
		uid, uidErr := strconv.Atoi(field[2])
		gid, gidErr := strconv.Atoi(field[3])
		if uidErr != nil || gidErr != nil {
			continue
		}
		all = append(all, account{name: field[0], uid: uid, gid: gid, home: field[5], shell: field[6]})
	}
	return all
}

// lookup finds a user by name or number.
func lookup(t *tree, name string) (account, bool) {
	for _, user := range accounts(t) {
		if user.name == name || strconv.Itoa(user.uid) == name {
			return user, true
		}
	}
	if name == "root" || name == "0" {
		return superuser, true
	}
	return account{}, false
}

// groups reads the machine's groups: name to number.
func groups(t *tree) map[string]int {
	data, _ := t.readFile("/etc/group") // none is as good as empty
	all := map[string]int{"root": 0}
	for line := range strings.Lines(string(data)) {
		field := strings.Split(strings.TrimSpace(line), ":")
		if len(field) < 3 {
			continue
		}
		if gid, err := strconv.Atoi(field[2]); err == nil {
			all[field[0]] = gid
		}
	}
	return all
}

// groupName is the name of a group number, the number itself where it has none.
func groupName(t *tree, gid int) string {
	for name, number := range groups(t) {
		if number == gid {
			return name
		}
	}
	return strconv.Itoa(gid)
}

func userName(t *tree, uid int) string {
	for _, user := range accounts(t) {
		if user.uid == uid {
			return user.name
		}
	}
	return strconv.Itoa(uid)
}

var errTaken = errors.New("already exists")

// newAccount is what useradd is told.
type newAccount struct {
	name   string
	uid    int // -1 for the next free one
	group  string
	home   string
	shell  string
	system bool
	mkhome bool
}

// addAccount appends to passwd, group and shadow as useradd does.
func addAccount(t *tree, want newAccount) (account, error) {
	if want.name == "" || strings.ContainsAny(want.name, ":/\n ") {
		return account{}, fmt.Errorf("user %q: invalid name", want.name)
	}
	used := map[int]bool{}
	for _, user := range accounts(t) {
		if user.name == want.name {
			return user, fmt.Errorf("user %s: %w", want.name, errTaken)
		}
		used[user.uid] = true
	}
	user := account{name: want.name, uid: want.uid, home: want.home, shell: want.shell}
	if user.uid < 0 {
		user.uid = freeNumber(used, want.system)
	}
	if user.home == "" {
		user.home = path.Join("/home", want.name)
	}
	if user.shell == "" {
		user.shell = "/bin/sh"
	}
	gid, err := accountGroup(t, want, user.uid)
	if err != nil {
		return account{}, err
	}
	user.gid = gid
	line := fmt.Sprintf("%s:x:%d:%d::%s:%s\n", user.name, user.uid, user.gid, user.home, user.shell)
	if err := appendLine(t, "/etc/passwd", line, 0o644); err != nil {
		return account{}, err
	}
	if err := appendLine(t, "/etc/shadow", user.name+":!:19700:0:99999:7:::\n", 0o640); err != nil {
		return account{}, err
	}
	if want.mkhome {
		return user, makeHome(t, user)
	}
	return user, nil
}

func accountGroup(t *tree, want newAccount, uid int) (int, error) {
	known := groups(t)
	if want.group != "" {
		if gid, ok := known[want.group]; ok {
			return gid, nil
		}
		if gid, err := strconv.Atoi(want.group); err == nil {
			return gid, nil
		}
		return 0, fmt.Errorf("group %q does not exist", want.group)
	}
	if gid, ok := known[want.name]; ok {
		return gid, nil
	}
	return addGroup(t, want.name, uid, want.system)
}

// addGroup appends a group; gid is only a wish.
func addGroup(t *tree, name string, gid int, system bool) (int, error) {
	used := map[int]bool{}
	for known, number := range groups(t) {
		if known == name {
			return number, fmt.Errorf("group %s: %w", name, errTaken)
		}
		used[number] = true
	}
	if gid < 0 || used[gid] {
		gid = freeNumber(used, system)
	}
	return gid, appendLine(t, "/etc/group", fmt.Sprintf("%s:x:%d:\n", name, gid), 0o644)
}

func freeNumber(used map[int]bool, system bool) int {
	if system {
		for n := 999; n > 100; n-- {
			if !used[n] {
				return n
			}
		}
	}
	for n := firstUser; ; n++ {
		if !used[n] {
			return n
		}
	}
}

// joinGroup makes a user a member of a group.
func joinGroup(t *tree, user, group string) error {
	data, err := t.readFile("/etc/group")
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(data), "\n")
	for i, line := range lines {
		field := strings.Split(strings.TrimSpace(line), ":")
		if len(field) != 4 || field[0] != group {
			continue
		}
		for member := range strings.SplitSeq(field[3], ",") {
			if member == user {
				return nil
			}
		}
		field[3] = strings.TrimPrefix(field[3]+","+user, ",")
		lines[i] = strings.Join(field, ":") + "\n"
		return t.writeFile("/etc/group", []byte(strings.Join(lines, "")), 0o644)
	}
	return fmt.Errorf("group %q does not exist", group)
}

func makeHome(t *tree, user account) error {
	if err := t.mkdirAll(path.Dir(user.home), 0o755); err != nil {
		return err
	}
	if err := t.mkdir(user.home, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return own(t, user.home, user)
}

// own gives a file to a user. Where this process may not give files away, as
// when it is not root itself, the file stays its own.
func own(t *tree, p string, user account) error {
	err := t.chown(p, user.uid, user.gid)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errInvalid) {
		return nil
	}
	return err
}

// appendLine adds a line, after a missing end of line if need be.
func appendLine(t *tree, p, line string, perm fs.FileMode) error {
	data, err := t.readFile(p)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if info, err := t.stat(p); err == nil {
		perm = info.Mode().Perm()
	}
	if len(data) > 0 && !bytes.HasSuffix(data, []byte("\n")) {
		data = append(data, '\n')
	}
	return t.writeFile(p, append(data, line...), perm)
}
