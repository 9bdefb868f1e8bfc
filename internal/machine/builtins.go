package machine

import (
	"fmt"
	"path"
	"sort"
	"strconv"
	"strings"
)

// builtin is a command of an in-process machine; it gives its exit code.
type builtin func(*call) int

// builtins are all commands by name. They are what a provisioning script of
// plain sh uses, with the options that such scripts use.
func builtins() map[string]builtin {
	all := map[string]builtin{
		"sh": runSh, "bash": runSh, "dash": runSh, "sudo": runSudo, "su": runSu,
		"env": runEnv, "nohup": runRest, "nice": runRest, "setsid": runRest, "stdbuf": runRest, "timeout": runTimeout, "time": runRest, "xargs": runXargs,
		"true": runTrue, "false": runFalse, "sleep": runSleep, "sync": runTrue, "logger": runTrue, "kill": runTrue, "pkill": runTrue,
		"systemctl": runSystemctl, "service": runService, "scp": runSCP, "cloud-init": runCloudInit, "which": runWhich,
		"nologin": runFalse, "apt-get": runNoPackages, "apt": runNoPackages, "yum": runNoPackages, "dnf": runNoPackages,
	}
	for _, group := range []map[string]builtin{fileBuiltins(), textBuiltins(), sumBuiltins(), identityBuiltins(), netBuiltins()} {
		for name, run := range group {
			all[name] = run
		}
	}
	for _, name := range []string{"echo", "printf", "test", "[", "pwd"} {
		all[name] = runOwn
	}
	for _, name := range deviceCommands {
		all[name] = runDevice
	}
	return all
}

// Commands that only rewrite gives: their names cannot be typed.
const (
	wordWhich   = "\x00which"
	wordType    = "\x00type"
	wordPwd     = "\x00pwd"
	wordUmask   = "\x00umask"
	wordNothing = "\x00nothing"
)

func shellWord(name string) (builtin, bool) {
	switch name {
	case wordWhich:
		return runWhich, true
	case wordType:
		return runType, true
	case wordPwd:
		return func(c *call) int {
			at, err := c.g.files.resolve(c.dir, true)
			if err != nil {
				return 1
			}
			fmt.Fprintln(c.out, at.abs)
			return 0
		}, true
	case wordUmask:
		return runUmask, true
	case wordNothing:
		return runTrue, true
	}
	return nil, false
}

// options is a parsed command line: letters and long names to their values.
type options struct {
	set  map[string][]string
	rest []string
}

func (o options) has(names ...string) bool {
	for _, name := range names {
		if _, ok := o.set[name]; ok {
			return true
		}
	}
	return false
}

// get is the last value given by any of the names.
func (o options) get(names ...string) string {
	for _, name := range names {
		if values := o.set[name]; len(values) > 0 {
			return values[len(values)-1]
		}
	}
	return ""
}

// parse takes options apart as getopt_long does. spec lists the letters, one
// with a value followed by a colon; long the long names, likewise.
func (c *call) parse(spec string, long ...string) (options, bool) {
	return c.parseArgs(c.args[1:], spec, true, long...)
}

// parseFirst stops at the first argument that is no option.
func (c *call) parseFirst(spec string, long ...string) (options, bool) {
	return c.parseArgs(c.args[1:], spec, false, long...)
}

func (c *call) parseArgs(args []string, spec string, permute bool, long ...string) (options, bool) {
	o := options{set: map[string][]string{}}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			o.rest = append(o.rest, args[i+1:]...)
			return o, true
		case strings.HasPrefix(arg, "--"):
			name, value, given := strings.Cut(arg[2:], "=")
			takes, known := longOption(long, name)
			if !known {
				c.errorf("unrecognized option '%s'", arg)
				return o, false
			}
			if takes && !given {
				if i++; i == len(args) {
					c.errorf("option '%s' requires an argument", arg)
					return o, false
				}
				value = args[i]
			}
			o.set[name] = append(o.set[name], value)
		case len(arg) > 1 && arg[0] == '-':
			for j := 1; j < len(arg); j++ {
				letter := arg[j : j+1]
				at := strings.Index(spec, letter)
				if at < 0 || letter == ":" {
					c.errorf("invalid option -- '%s'", letter)
					return o, false
				}
				if at+1 >= len(spec) || spec[at+1] != ':' {
					o.set[letter] = append(o.set[letter], "")
					continue
				}
				value := arg[j+1:]
				if value == "" {
					if i++; i == len(args) {
						c.errorf("option requires an argument -- '%s'", letter)
						return o, false
					}
					value = args[i]
				}
				o.set[letter] = append(o.set[letter], value)
				break
			}
		default:
			if !permute {
				o.rest = append(o.rest, args[i:]...)
				return o, true
			}
			o.rest = append(o.rest, arg)
		}
	}
	return o, true
}

func longOption(long []string, name string) (takes, known bool) {
	for _, option := range long {
		bare := strings.TrimSuffix(option, ":")
		if bare == name {
			return bare != option, true
		}
	}
	return false, false
}

// runOwn is a command that the shell has itself, called as a program.
func runOwn(c *call) int {
	name := path.Base(c.args[0])
	return c.runShell(strings.NewReader(name+` "$@"`), name, c.args[1:], nil)
}

func runTrue(*call) int  { return 0 }
func runFalse(*call) int { return 1 }

func runNoPackages(c *call) int {
	c.errorf("not available on an in-process machine: it runs no program of the host")
	return 100
}

func runDevice(c *call) int {
	return c.g.m.deviceCommand(c.ctx, process{argv: c.args, dir: c.dir, out: c.out, err: c.err, user: c.user})
}

func runCloudInit(c *call) int {
	return c.runShell(strings.NewReader(cloudInitCommand), "cloud-init", c.args[1:], nil)
}

func runSCP(c *call) int {
	request, ok := scpArguments(c.args)
	if !ok {
		c.errorf("only the server side is available on an in-process machine")
		return 1
	}
	home := c.user
	home.home = c.dir
	return c.g.m.scp(c.ctx, home, request, c.in, c.out, c.err)
}

func runWhich(c *call) int {
	exit := 0
	for _, name := range c.args[1:] {
		if strings.HasPrefix(name, "-") {
			continue
		}
		if isShellBuiltin(name) && c.args[0] == wordWhich {
			fmt.Fprintln(c.out, name)
			continue
		}
		file, err := c.g.find(c, name)
		if err != nil {
			exit = 1
			continue
		}
		fmt.Fprintln(c.out, file)
	}
	return exit
}

func runType(c *call) int {
	exit := 0
	for _, name := range c.args[1:] {
		if strings.HasPrefix(name, "-") {
			continue
		}
		if isShellBuiltin(name) {
			fmt.Fprintf(c.out, "%s is a shell builtin\n", name)
			continue
		}
		file, err := c.g.find(c, name)
		if err != nil {
			fmt.Fprintf(c.err, "%s: not found\n", name)
			exit = 1
			continue
		}
		fmt.Fprintf(c.out, "%s is %s\n", name, file)
	}
	return exit
}

func isShellBuiltin(name string) bool {
	switch name {
	case "cd", "echo", "printf", "test", "[", "read", "exit", "export", "set", "unset", "shift", "eval", "exec",
		"return", "break", "continue", "trap", "wait", "command", "type", "umask", "ulimit", "local", "true", "false", ":", ".", "source", "getopts", "alias", "unalias", "pwd", "readonly":
		return true
	}
	return false
}

func runUmask(c *call) int {
	if len(c.args) == 1 {
		fmt.Fprintf(c.out, "%04o\n", uint32(c.g.mask()))
		return 0
	}
	mask, err := strconv.ParseUint(c.args[len(c.args)-1], 8, 12)
	if err != nil {
		fmt.Fprintf(c.err, "umask: %s: invalid octal number\n", c.args[len(c.args)-1])
		return 1
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	c.g.umask = fileMode(uint32(mask)).Perm()
	return 0
}

// sortedKeys are a map's keys in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
