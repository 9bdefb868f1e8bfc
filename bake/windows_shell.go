package bake

import (
	"context"
	"fmt"
	"time"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// WindowsShell is the options of the provisioner windows-shell, with Packer's
// meanings.
type WindowsShell struct {
	Inline            []string          `yaml:"inline" doc:"Commands, run as one script."`
	Script            string            `yaml:"script" doc:"Path of a script."`
	Scripts           []string          `yaml:"scripts" doc:"Paths of scripts, run in this order."`
	EnvironmentVars   []string          `yaml:"environment_vars" doc:"Environment of the scripts: NAME=value."`
	Env               map[string]string `yaml:"env" doc:"Environment of the scripts; wins over environment_vars."`
	EnvVarFormat      string            `yaml:"env_var_format" doc:"How one variable is written, a format with two %s."`
	ExecuteCommand    string            `yaml:"execute_command" doc:"How a script is run; {{.Path}} and {{.Vars}} stand for the script and its variables."`
	RemotePath        string            `yaml:"remote_path" doc:"Path of the script on the builder."`
	ValidExitCodes    []int             `yaml:"valid_exit_codes" doc:"Exit codes that mean success."`
	StartRetryTimeout project.Duration  `yaml:"start_retry_timeout" doc:"How long a start is tried, after a reboot." default:"5m"`
	Binary            bool              `yaml:"binary" doc:"Leave line ends as they are."`
}

func (s *WindowsShell) subject() string    { return subjectOf(s.Inline, s.Script, s.Scripts) }
func (s *WindowsShell) files() []localFile { return scriptFiles(s.Script, s.Scripts) }
func (s *WindowsShell) texts() []text {
	return append(textsOf("inline", s.Inline), append(textsOf("environment_vars", s.EnvironmentVars), textsOfMap("env", s.Env)...)...)
}

func (s *WindowsShell) check(p *project.Provisioner, l *diag.List) {
	checkOneOf(p, l, []string{"inline", "script", "scripts"}, len(s.Inline) > 0, s.Script != "", len(s.Scripts) > 0)
	checkVars(p, l, s.EnvironmentVars)
	checkVarFormat(p, l, s.EnvVarFormat)
}

func (s *WindowsShell) provision(ctx context.Context, b *bake, p *project.Provisioner) error {
	scripts, err := b.scripts(p, "", s.Inline, s.Script, s.Scripts)
	if err != nil {
		return err
	}
	setting, err := b.windowsVars(p, s.EnvironmentVars, s.Env, orText(s.EnvVarFormat, `set "%s=%s" && `), nil)
	if err != nil {
		return err
	}
	w := &windowsRun{b: b, p: p, valid: s.ValidExitCodes, limit: s.StartRetryTimeout.Or(5 * time.Minute), binary: s.Binary}
	for _, one := range scripts {
		path, err := b.renderOption(p, "remote_path", orText(s.RemotePath, "c:/Windows/Temp/script-"+token()+".bat"))
		if err != nil {
			return err
		}
		command, err := b.templater().render(orText(s.ExecuteCommand, `{{.Vars}}"{{.Path}}"`), map[string]string{"Path": path, "Vars": setting})
		if err != nil {
			return fail.Input(fmt.Errorf("%s: execute_command: %w", p.At("execute_command"), err))
		}
		if err := w.run(ctx, one, path, func() (string, error) { return command, nil }); err != nil {
			if len(scripts) > 1 {
				err = fmt.Errorf("%s: %w", one.title, err)
			}
			return err
		}
	}
	w.clean(ctx)
	return nil
}
