package bake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/leash"
	"github.com/goldline-dev/goldline/internal/project"
)

// ShellLocal is the options of shell-local, with Packer's meanings. Commands
// run in the folder of the recipe.
type ShellLocal struct {
	Inline            []string          `yaml:"inline" doc:"Commands, run as one script."`
	InlineShebang     string            `yaml:"inline_shebang" doc:"Interpreter of the inline script." default:"/bin/sh -e"`
	Command           string            `yaml:"command" doc:"One command."`
	Script            string            `yaml:"script" doc:"Path of a script."`
	Scripts           []string          `yaml:"scripts" doc:"Paths of scripts, run in this order."`
	EnvironmentVars   []string          `yaml:"environment_vars" doc:"Environment of the scripts: NAME=value."`
	Env               map[string]string `yaml:"env" doc:"Environment of the scripts; wins over environment_vars."`
	ExecuteCommand    []string          `yaml:"execute_command" doc:"How a script is run; {{.Script}} and {{.Vars}} stand for the script and its variables."`
	OnlyOn            []string          `yaml:"only_on" doc:"Systems to run on: linux, darwin, windows."`
	TempfileExtension string            `yaml:"tempfile_extension" doc:"End of the inline script's name."`
	ValidExitCodes    []int             `yaml:"valid_exit_codes" doc:"Exit codes that mean success." default:"0"`
}

func (s *ShellLocal) subject() string {
	if s.Command != "" {
		return "command"
	}
	return subjectOf(s.Inline, s.Script, s.Scripts)
}

func (s *ShellLocal) files() []localFile { return scriptFiles(s.Script, s.Scripts) }

func (s *ShellLocal) texts() []text {
	all := append(textsOf("inline", s.Inline), textsOf("environment_vars", s.EnvironmentVars)...)
	return append(append(all, textsOfMap("env", s.Env)...), text{"command", s.Command})
}

func (s *ShellLocal) check(p *project.Provisioner, l *diag.List) {
	checkOneOf(p, l, []string{"inline", "command", "script", "scripts"}, len(s.Inline) > 0, s.Command != "", s.Script != "", len(s.Scripts) > 0)
	checkVars(p, l, s.EnvironmentVars)
	for i, part := range s.ExecuteCommand {
		if _, err := (templater{}).render(part, map[string]string{"Script": "s", "Vars": "v", "Path": "s"}); err != nil {
			l.Addf(p.At(fmt.Sprintf("execute_command[%d]", i)), "execute_command: %v", err)
		}
	}
}

func (s *ShellLocal) provision(ctx context.Context, b *bake, p *project.Provisioner) error {
	if len(s.OnlyOn) > 0 && !slices.Contains(s.OnlyOn, runtime.GOOS) {
		return nil
	}
	inline := s.Inline
	if s.Command != "" {
		inline = []string{s.Command}
	}
	own, err := b.scripts(p, orText(s.InlineShebang, "/bin/sh -e"), inline, "", nil)
	if err != nil {
		return err
	}
	vars, err := b.environment(p, s.EnvironmentVars, s.Env)
	if err != nil {
		return err
	}
	for _, one := range own {
		path, err := s.write(one)
		if err != nil {
			return err
		}
		err = s.runOne(ctx, b, path, vars)
		os.Remove(path)
		if err != nil {
			return err
		}
	}
	for _, f := range s.files() {
		path, err := b.renderOption(p, f.key, f.path)
		if err != nil {
			return err
		}
		if err := s.runOne(ctx, b, resolve(b.image, path), vars); err != nil {
			return err
		}
	}
	return nil
}

// write puts an inline script where it can be run.
func (s *ShellLocal) write(one script) (string, error) {
	ending := s.TempfileExtension
	if ending != "" && !strings.HasPrefix(ending, ".") {
		ending = "." + ending
	}
	// A command that another bake starts meanwhile would have the file open for a
	// moment, and what is open for writing cannot be run.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f, err := os.CreateTemp("", "goldline-shell-local-*"+ending)
	if err != nil {
		return "", fmt.Errorf("temporary script: %w", err)
	}
	_, err = f.Write(one.content)
	err = errors.Join(err, f.Chmod(0o700), f.Close())
	if err != nil {
		os.Remove(f.Name())
		return "", fmt.Errorf("temporary script: %w", err)
	}
	return f.Name(), nil
}

func (s *ShellLocal) runOne(ctx context.Context, b *bake, path string, vars []variable) error {
	args, err := s.arguments(b, path, vars)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = b.image.Dir
	cmd.Env = os.Environ()
	for _, v := range vars {
		cmd.Env = append(cmd.Env, v.name+"="+v.value)
	}
	var keep tail
	out := &lines{emit: b.output(&keep)}
	cmd.Stdout, cmd.Stderr = out, out
	err = leash.Run(cmd)
	out.flush()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit) && accepted(exit.ExitCode(), s.ValidExitCodes):
		return nil
	case errors.As(err, &exit):
		return keep.under(fmt.Errorf("exit status %d", exit.ExitCode()))
	case err != nil:
		return fmt.Errorf("run %s: %w", filepath.Base(path), err)
	case !accepted(0, s.ValidExitCodes):
		return keep.under(errors.New("exit status 0"))
	}
	return nil
}

func (s *ShellLocal) arguments(b *bake, path string, vars []variable) ([]string, error) {
	template := s.ExecuteCommand
	if len(template) == 0 {
		template = []string{"/bin/sh", "-c", `{{.Vars}} {{.Script}}`}
	}
	var flat strings.Builder
	for _, v := range vars {
		flat.WriteString(v.name + "=" + v.quoted() + " ")
	}
	data := map[string]string{"Script": quote(path), "Path": quote(path), "Vars": strings.TrimSpace(flat.String())}
	args := make([]string, len(template))
	for i, part := range template {
		text, err := b.templater().render(part, data)
		if err != nil {
			return nil, fail.Input(fmt.Errorf("execute_command: %w", err))
		}
		args[i] = text
	}
	return args, nil
}
