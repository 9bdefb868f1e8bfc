package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// runSudo runs the rest as another user. Only the login user and root may: the
// machine has no other rule.
func runSudo(c *call) int {
	o, ok := c.parseFirst("EHniSsku:g:bAPKvlC:p:D:", "preserve-env", "set-home", "non-interactive", "user:", "group:", "login", "stdin", "chdir:")
	if !ok {
		return 1
	}
	if c.user.uid != 0 && c.user.name != c.g.m.spec.User {
		c.errorf("a password is required")
		return 1
	}
	name := "root"
	if given := o.get("u", "user"); given != "" {
		name = strings.TrimPrefix(given, "#")
	}
	user, found := lookup(c.g.files, name)
	if !found {
		c.errorf("unknown user: %s", name)
		return 1
	}
	words := o.rest
	next := c.with(words)
	next.user = user
	if !o.has("E", "preserve-env") {
		next.env = c.g.m.environment(user)
		if term := c.getenv("TERM"); term != "" {
			next.env = append(next.env, "TERM="+term)
		}
	}
	if o.has("i", "login", "H", "set-home") || !o.has("E", "preserve-env") {
		next.env = append(next.env, "HOME="+user.home)
	}
	next.env = append(next.env, "SUDO_USER="+c.user.name, fmt.Sprintf("SUDO_UID=%d", c.user.uid), "PATH="+systemPath)
	for len(words) > 0 && strings.Contains(words[0], "=") && !strings.HasPrefix(words[0], "=") {
		next.env = append(next.env, words[0])
		words = words[1:]
	}
	if o.has("i", "login") {
		next.dir = user.home
	}
	if dir := o.get("D", "chdir"); dir != "" {
		next.dir = c.abs(dir)
	}
	if o.has("i", "login", "s") {
		shell := []string{"/bin/sh"}
		if len(words) > 0 {
			quoted := make([]string, len(words))
			for i, word := range words {
				quoted[i] = quote(word)
			}
			shell = append(shell, "-c", strings.Join(quoted, " "))
		}
		words = shell
	}
	if len(words) == 0 {
		if o.has("v", "k", "K", "l") {
			return 0
		}
		c.errorf("usage: sudo [-E] [-n] [-u user] command")
		return 1
	}
	next.args = words
	return c.g.exec(next)
}

func runSu(c *call) int {
	o, ok := c.parse("lc:s:mp", "login", "command:", "shell:", "preserve-environment")
	if !ok {
		return 1
	}
	if c.user.uid != 0 {
		c.errorf("Authentication failure")
		return 1
	}
	name, params := "root", o.rest
	login := o.has("l", "login")
	if len(params) > 0 && params[0] == "-" {
		login, params = true, params[1:]
	}
	if len(params) > 0 {
		name, params = params[0], params[1:]
	}
	user, found := lookup(c.g.files, name)
	if !found {
		c.errorf("user %s does not exist or the user entry does not contain all the required fields", name)
		return 1
	}
	next := c.with([]string{"/bin/sh"})
	next.user = user
	next.env = c.g.m.environment(user)
	if login {
		next.dir = user.home
	}
	if command := o.get("c", "command"); command != "" {
		next.args = append(append(next.args, "-c", command, "sh"), params...)
	}
	return c.g.exec(next)
}

func runEnv(c *call) int {
	o, ok := c.parseFirst("iu:0C:S:", "ignore-environment", "unset:", "chdir:", "split-string:")
	if !ok {
		return 125
	}
	next := c.with(o.rest)
	next.env = append([]string{}, c.env...)
	if o.has("i", "ignore-environment") {
		next.env = nil
	}
	for _, name := range append(o.set["u"], o.set["unset"]...) {
		kept := next.env[:0]
		for _, pair := range next.env {
			if !strings.HasPrefix(pair, name+"=") {
				kept = append(kept, pair)
			}
		}
		next.env = kept
	}
	if split := o.get("S", "split-string"); split != "" {
		next.args = append(strings.Fields(split), next.args...)
	}
	if dir := o.get("C", "chdir"); dir != "" {
		next.dir = c.abs(dir)
	}
	for len(next.args) > 0 && strings.Contains(next.args[0], "=") {
		next.env = append(next.env, next.args[0])
		next.args = next.args[1:]
	}
	if len(next.args) == 0 {
		last := map[string]string{}
		for _, pair := range next.env {
			name, value, _ := strings.Cut(pair, "=")
			last[name] = value
		}
		for _, name := range sortedKeys(last) {
			fmt.Fprintf(c.out, "%s=%s\n", name, last[name])
		}
		return 0
	}
	return c.g.exec(next)
}

// runRest is nohup, nice, setsid and the like: what they add has no meaning
// here, so the rest simply runs.
func runRest(c *call) int {
	rest := c.args[1:]
	for len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
		takes := rest[0] == "-n" || rest[0] == "-o" || rest[0] == "-e" || rest[0] == "-i" && c.args[0] == "stdbuf"
		rest = rest[1:]
		if takes && len(rest) > 0 {
			rest = rest[1:]
		}
	}
	if len(rest) == 0 {
		c.errorf("missing operand")
		return 125
	}
	return c.g.exec(c.with(rest))
}

func runTimeout(c *call) int {
	o, ok := c.parseFirst("k:s:v", "kill-after:", "signal:", "preserve-status", "foreground", "verbose")
	if !ok || len(o.rest) < 2 {
		return 125
	}
	limit, err := seconds(o.rest[0])
	if err != nil {
		c.errorf("invalid time interval '%s'", o.rest[0])
		return 125
	}
	next := c.with(o.rest[1:])
	ctx, cancel := context.WithTimeout(c.ctx, limit)
	defer cancel()
	next.ctx = ctx
	exit := c.g.exec(next)
	if ctx.Err() != nil && c.ctx.Err() == nil {
		return 124
	}
	return exit
}

// seconds reads sleep's numbers: 1, 0.5, 2m.
func seconds(text string) (time.Duration, error) {
	unit := time.Second
	switch {
	case strings.HasSuffix(text, "s"):
		text = strings.TrimSuffix(text, "s")
	case strings.HasSuffix(text, "m"):
		text, unit = strings.TrimSuffix(text, "m"), time.Minute
	case strings.HasSuffix(text, "h"):
		text, unit = strings.TrimSuffix(text, "h"), time.Hour
	case strings.HasSuffix(text, "d"):
		text, unit = strings.TrimSuffix(text, "d"), 24*time.Hour
	case text == "infinity":
		return 1 << 62, nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || number < 0 || number > 1e9 {
		return 0, errors.New("not a number of seconds")
	}
	return time.Duration(number * float64(unit)), nil
}

func runSleep(c *call) int {
	if len(c.args) < 2 {
		c.errorf("missing operand")
		return 1
	}
	var total time.Duration
	for _, arg := range c.args[1:] {
		length, err := seconds(arg)
		if err != nil {
			c.errorf("invalid time interval '%s'", arg)
			return 1
		}
		total += length
	}
	timer := time.NewTimer(total)
	defer timer.Stop()
	select {
	case <-timer.C:
		return 0
	case <-c.ctx.Done():
		return exitKilled
	}
}

func runXargs(c *call) int {
	o, ok := c.parseFirst("n:0I:rd:t", "null", "no-run-if-empty", "max-args:")
	if !ok {
		return 1
	}
	scanner := bufio.NewScanner(c.in)
	scanner.Buffer(nil, 16<<20)
	var words []string
	switch {
	case o.has("0", "null"):
		scanner.Split(splitAt(0))
	case o.has("I"):
	case o.get("d") != "":
		delimiter := strings.NewReplacer(`\n`, "\n", `\0`, "\x00", `\t`, "\t").Replace(o.get("d"))
		scanner.Split(splitAt(delimiter[0]))
	default:
		scanner.Split(bufio.ScanWords)
	}
	for scanner.Scan() {
		words = append(words, strings.Trim(scanner.Text(), `"'`))
	}
	command := o.rest
	if len(command) == 0 {
		command = []string{"/bin/echo"}
	}
	run := func(args []string) int {
		next := c.with(args)
		next.in = strings.NewReader("")
		switch exit := c.g.exec(next); exit {
		case 0, exitCannot, exitNotFound:
			return exit
		default:
			return 123
		}
	}
	exit := 0
	if mark := o.get("I"); mark != "" {
		for _, word := range words {
			args := make([]string, len(command))
			for i := range command {
				args[i] = strings.ReplaceAll(command[i], mark, word)
			}
			exit = max(exit, run(args))
		}
		return exit
	}
	size := max(len(words), 1)
	if number, err := strconv.Atoi(o.get("n", "max-args")); err == nil && number > 0 {
		size = number
	}
	if len(words) == 0 && !o.has("r", "no-run-if-empty") {
		return run(command)
	}
	for len(words) > 0 && c.ctx.Err() == nil {
		n := min(size, len(words))
		exit = max(exit, run(append(append([]string{}, command...), words[:n]...)))
		words = words[n:]
	}
	return exit
}

func splitAt(delimiter byte) bufio.SplitFunc {
	return func(data []byte, atEOF bool) (int, []byte, error) {
		if i := strings.IndexByte(string(data), delimiter); i >= 0 {
			return i + 1, data[:i], nil
		}
		if atEOF && len(data) > 0 {
			return len(data), data, nil
		}
		return 0, nil, nil
	}
}

// runSystemctl records what is enabled and started: no service runs here.
func runSystemctl(c *call) int {
	o, ok := c.parse("qafl", "now", "quiet", "no-pager", "system", "user", "force", "all", "no-block", "type:", "no-reload", "full", "property:", "value")
	if !ok || len(o.rest) == 0 {
		return 1
	}
	return systemctl(c.g.files, o, c)
}

const (
	enabledDir = "/etc/systemd/system/multi-user.target.wants"
	activeDir  = "/run/systemd/active"
)

func systemctl(t *tree, o options, c *call) int {
	verb, exit := o.rest[0], 0
	for _, unit := range o.rest[1:] {
		if !strings.Contains(unit, ".") {
			unit += ".service"
		}
		unit = path.Base(unit)
		enabled, active := path.Join(enabledDir, unit), path.Join(activeDir, unit)
		var err error
		switch verb {
		case "enable", "reenable":
			err = record(t, enabled, "/etc/systemd/system/"+unit)
			if err == nil && o.has("now") {
				err = record(t, active, enabled)
			}
		case "start", "restart", "reload", "reload-or-restart", "try-restart":
			err = record(t, active, enabled)
		case "disable", "mask":
			err = forget(t, enabled)
			if err == nil && o.has("now") {
				err = forget(t, active)
			}
		case "stop", "kill":
			err = forget(t, active)
		case "is-enabled":
			exit = max(exit, told(t, c, enabled, "enabled", "disabled", 1))
		case "is-active", "status":
			exit = max(exit, told(t, c, active, "active", "inactive", 3))
		}
		if err != nil {
			return c.fail(unit, err)
		}
	}
	if verb == "is-system-running" {
		fmt.Fprintln(c.out, "running")
	}
	return exit
}

func record(t *tree, p, target string) error {
	if err := t.mkdirAll(path.Dir(p), 0o755); err != nil {
		return err
	}
	err := t.symlink(target, p)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func forget(t *tree, p string) error {
	err := t.remove(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func told(t *tree, c *call, p, yes, no string, code int) int {
	if _, err := t.lstat(p); err != nil {
		fmt.Fprintln(c.out, no)
		return code
	}
	fmt.Fprintln(c.out, yes)
	return 0
}

// runService is service NAME VERB.
func runService(c *call) int {
	if len(c.args) < 3 {
		return 1
	}
	return runSystemctl(c.with([]string{"systemctl", c.args[2], c.args[1]}))
}
