package machine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// call is one run of a command on an in-process machine.
type call struct {
	g     *inprocess
	ctx   context.Context
	args  []string
	dir   string
	env   []string
	in    io.Reader
	out   io.Writer
	err   io.Writer
	user  account
	tty   bool
	depth int // commands that led here
}

const maxFrames = 20_000 // of Go, about ten for each call of a shell function

const maxDepth = 200 // a script that runs itself must not end this process

// Exit codes of a shell that does not get to run a command.
const (
	exitCannot   = 126
	exitNotFound = 127
	exitKilled   = 143 // 128 + SIGTERM
)

func (c *call) abs(p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Join(c.dir, p)
}

func (c *call) getenv(name string) string {
	for i := len(c.env) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(c.env[i], name+"="); ok {
			return value
		}
	}
	return ""
}

// errorf prints an error as the command's own.
func (c *call) errorf(format string, args ...any) {
	fmt.Fprintf(c.err, "%s: %s\n", path.Base(c.args[0]), fmt.Sprintf(format, args...))
}

// fail prints an error about a file, in the words of libc.
func (c *call) fail(p string, err error) int {
	text := cause(err).Error()
	if text != "" {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	c.errorf("%s: %s", p, text)
	return 1
}

// with is the same call for another command.
func (c *call) with(args []string) *call {
	next := *c
	next.args = args
	next.depth++
	return &next
}

// exec finds and runs a command.
func (g *inprocess) exec(c *call) int {
	if !g.enter() {
		return exitKilled
	}
	defer g.leave()
	if c.ctx.Err() != nil {
		return exitKilled
	}
	if c.depth > maxDepth {
		c.errorf("too many nested commands")
		return exitCannot
	}
	name := c.args[0]
	if run, ok := shellWord(name); ok {
		return run(c)
	}
	file, err := g.find(c, name)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			fmt.Fprintf(c.err, "sh: 1: %s: Permission denied\n", name)
			return exitCannot
		}
		fmt.Fprintf(c.err, "sh: 1: %s: not found\n", name)
		return exitNotFound
	}
	return g.execFile(c, file)
}

// find looks a command up in PATH, or by its path.
func (g *inprocess) find(c *call, name string) (string, error) {
	if strings.Contains(name, "/") {
		return c.abs(name), g.executable(c.abs(name))
	}
	search := c.getenv("PATH")
	if search == "" {
		search = systemPath
	}
	for dir := range strings.SplitSeq(search, ":") {
		file := path.Join(c.abs(dir), name)
		if g.executable(file) == nil {
			return file, nil
		}
	}
	return "", fs.ErrNotExist
}

func (g *inprocess) executable(file string) error {
	info, err := g.files.stat(file)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return fs.ErrPermission
	}
	return nil
}

func (g *inprocess) execFile(c *call, file string) int {
	data, err := g.files.readFile(file)
	if err != nil {
		fmt.Fprintf(c.err, "sh: 1: %s: %v\n", c.args[0], cause(err))
		return exitCannot
	}
	if string(data) == stub {
		if run, ok := g.commands[g.builtinName(file)]; ok {
			return run(c)
		}
	}
	first, _, _ := bytes.Cut(data, []byte("\n"))
	if interpreter, ok := bytes.CutPrefix(first, []byte("#!")); ok {
		words := strings.SplitN(strings.TrimSpace(string(interpreter)), " ", 2)
		if words[0] == "" {
			return exitCannot
		}
		for i := range words {
			words[i] = strings.TrimSpace(words[i])
		}
		script := file
		return g.exec(c.with(append(append(words, script), c.args[1:]...)))
	}
	if bytes.IndexByte(first, 0) >= 0 {
		fmt.Fprintf(c.err, "sh: 1: %s: cannot execute binary file on an in-process machine\n", c.args[0])
		return exitCannot
	}
	return c.runShell(bytes.NewReader(data), file, c.args[1:], nil)
}

// builtinName follows links, so that a link to a built-in command is called by
// the name of what it leads to.
func (g *inprocess) builtinName(file string) string {
	if at, err := g.files.resolve(file, true); err == nil {
		return path.Base(at.abs)
	}
	return path.Base(file)
}

// runSh is sh, bash and dash.
func runSh(c *call) int {
	parsed, err := parseShellArgs(c.args)
	if err != nil {
		c.errorf("%v", err)
		return 2
	}
	switch {
	case parsed.command != nil:
		return c.runShell(strings.NewReader(*parsed.command), parsed.name, parsed.params, parsed.options)
	case parsed.file != "":
		data, err := c.g.files.readFile(c.abs(parsed.file))
		if err != nil {
			fmt.Fprintf(c.err, "%s: 0: cannot open %s: No such file\n", path.Base(c.args[0]), parsed.file)
			return exitNotFound
		}
		return c.runShell(bytes.NewReader(data), parsed.name, parsed.params, parsed.options)
	}
	return c.interact(parsed)
}

// runShell interprets a whole script.
func (c *call) runShell(text io.Reader, name string, params, options []string) int {
	file, err := syntax.NewParser().Parse(text, name)
	if err != nil {
		fmt.Fprintln(c.err, err)
		return 2
	}
	runner, err := c.runner(params, options)
	if err != nil {
		c.errorf("%v", err)
		return 2
	}
	return c.exitCode(runner.Run(c.ctx, file))
}

// interact reads commands line by line, with a prompt on a terminal.
func (c *call) interact(parsed shellArgs) int {
	runner, err := c.runner(parsed.params, parsed.options)
	if err != nil {
		c.errorf("%v", err)
		return 2
	}
	prompt := func() {
		if c.tty {
			sign := "$"
			if c.user.uid == 0 {
				sign = "#"
			}
			fmt.Fprintf(c.out, "%s@%s:%s%s ", c.user.name, c.g.m.spec.Hostname, runner.Dir, sign)
		}
	}
	exit := 0
	prompt()
	var input io.Reader = c.in
	if !c.tty {
		input = bufio.NewReader(c.in)
	}
	for stmts, err := range syntax.NewParser().InteractiveSeq(input) {
		if err != nil {
			if c.ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				fmt.Fprintln(c.err, err)
				return 2
			}
			return exit
		}
		for _, stmt := range stmts {
			exit = c.exitCode(runner.Run(c.ctx, stmt))
			if runner.Exited() || c.ctx.Err() != nil {
				return exit
			}
		}
		if len(stmts) > 0 || c.tty {
			prompt()
		}
	}
	return exit
}

func (c *call) exitCode(err error) int {
	var status interp.ExitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case c.ctx.Err() != nil:
		return exitKilled
	}
	fmt.Fprintf(c.err, "sh: %v\n", err)
	return 1
}

// runner makes an interpreter that sees the machine's files only.
func (c *call) runner(params, options []string) (*interp.Runner, error) {
	env := make([]string, 0, len(c.env)+1)
	for _, pair := range c.env {
		if !strings.HasPrefix(pair, "TMPDIR=") {
			env = append(env, pair)
		}
	}
	// The interpreter makes the pipes of <(...) in TMPDIR of the host, as it
	// stands when the runner is reset. The machine's own value comes after.
	env = append(env, "TMPDIR="+c.g.fifos)
	env = append(env, fmt.Sprintf("UID=%d", c.user.uid), fmt.Sprintf("EUID=%d", c.user.uid), fmt.Sprintf("GID=%d", c.user.gid))
	set := append(append([]string{}, options...), "--")
	runner, err := interp.New(
		interp.Env(expand.ListEnviron(env...)),
		func(r *interp.Runner) error { r.Dir = c.dir; return nil }, // interp.Dir would look on the host
		interp.StdIO(c.in, c.out, c.err),
		interp.Params(append(set, params...)...),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return c.execHandler }),
		interp.CallHandler(rewrite),
		interp.OpenHandler(c.openHandler),
		interp.ReadDirHandler2(c.readDirHandler),
		interp.StatHandler(c.statHandler),
		interp.AccessHandler(c.accessHandler),
	)
	if err != nil {
		return nil, err
	}
	runner.Reset()
	prelude := "unset TMPDIR"
	if own := c.getenv("TMPDIR"); own != "" {
		prelude = "TMPDIR=" + quote(own)
	}
	file, err := syntax.NewParser().Parse(strings.NewReader(prelude), "")
	if err != nil {
		return nil, err
	}
	if err := runner.Run(c.ctx, file.Stmts[0]); err != nil && c.ctx.Err() == nil {
		return nil, err
	}
	return runner, nil
}

// at is this call as the interpreter stands now.
func (c *call) at(ctx context.Context, args []string) *call {
	hc := interp.HandlerCtx(ctx)
	next := c.with(args)
	next.ctx, next.dir, next.in, next.out, next.err = ctx, hc.Dir, hc.Stdin, hc.Stdout, hc.Stderr
	if file, ok := hc.Stdin.(*os.File); hc.Stdin == nil || ok && file == nil {
		next.in = strings.NewReader("")
	}
	next.env = nil
	hc.Env.Each(func(name string, value expand.Variable) bool {
		if value.Exported && value.Kind == expand.String && name != "UID" && name != "EUID" && name != "GID" {
			next.env = append(next.env, name+"="+value.Str)
		}
		return true
	})
	return next
}

func (c *call) execHandler(ctx context.Context, args []string) error {
	exit := c.g.exec(c.at(ctx, args))
	if err := ctx.Err(); err != nil {
		return err
	}
	if exit == 0 {
		return nil
	}
	return interp.ExitStatus(uint8(exit))
}

func (c *call) openHandler(ctx context.Context, p string, flag int, perm fs.FileMode) (io.ReadWriteCloser, error) {
	file, err := c.at(ctx, c.args).open(p, flag, perm)
	if err == nil {
		return file, nil
	}
	return nil, &fs.PathError{Op: "open", Path: p, Err: cause(err)}
}

func (c *call) readDirHandler(_ context.Context, p string) ([]fs.DirEntry, error) {
	infos, err := c.g.files.readDir(c.abs(p))
	if err != nil {
		return nil, err
	}
	entries := make([]fs.DirEntry, len(infos))
	for i, info := range infos {
		entries[i] = fs.FileInfoToDirEntry(info)
	}
	return entries, nil
}

func (c *call) statHandler(ctx context.Context, p string, follow bool) (fs.FileInfo, error) {
	if !path.IsAbs(p) {
		p = path.Join(interp.HandlerCtx(ctx).Dir, p)
	}
	if follow {
		return c.g.files.stat(p)
	}
	return c.g.files.lstat(p)
}

func (c *call) accessHandler(_ context.Context, p string, mode interp.AccessMode) error {
	info, err := c.g.files.stat(p)
	if err != nil {
		return err
	}
	if mode&interp.AccessExec != 0 && !info.IsDir() && info.Mode().Perm()&0o111 == 0 {
		return fs.ErrPermission
	}
	return nil
}
