package bake

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/hashicorp/packer-plugin-sdk/guestexec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// PowerShell is the options of the provisioner of that name, with Packer's
// meanings.
type PowerShell struct {
	Inline                 []string          `yaml:"inline" doc:"Commands, run as one script."`
	Script                 string            `yaml:"script" doc:"Path of a script."`
	Scripts                []string          `yaml:"scripts" doc:"Paths of scripts, run in this order."`
	EnvironmentVars        []string          `yaml:"environment_vars" doc:"Environment of the scripts: NAME=value."`
	Env                    map[string]string `yaml:"env" doc:"Environment of the scripts; wins over environment_vars."`
	EnvVarFormat           string            `yaml:"env_var_format" doc:"How one variable is written, a format with two %s."`
	ExecuteCommand         string            `yaml:"execute_command" doc:"How a script is run; {{.Path}} and {{.Vars}} stand for the script and what sets its variables."`
	RemotePath             string            `yaml:"remote_path" doc:"Path of the script on the builder."`
	RemoteEnvVarPath       string            `yaml:"remote_env_var_path" doc:"Path of the file that sets its variables."`
	ElevatedUser           string            `yaml:"elevated_user" doc:"Run the scripts as this user, in a scheduled task with all privileges."`
	ElevatedPassword       string            `yaml:"elevated_password" sensitive:"true" doc:"That user's password."`
	ElevatedExecuteCommand string            `yaml:"elevated_execute_command" doc:"How a script is run then."`
	ExecutionPolicy        string            `yaml:"execution_policy" enum:"bypass,allsigned,default,remotesigned,restricted,undefined,unrestricted,none" doc:"Execution policy of the scripts." default:"bypass"`
	UsePwsh                bool              `yaml:"use_pwsh" doc:"Run pwsh in place of powershell."`
	DebugMode              int               `yaml:"debug_mode" min:"0" max:"2" doc:"Level of Set-PSDebug."`
	ValidExitCodes         []int             `yaml:"valid_exit_codes" doc:"Exit codes that mean success."`
	StartRetryTimeout      project.Duration  `yaml:"start_retry_timeout" doc:"How long a start is tried, after a reboot." default:"5m"`
	PauseAfter             project.Duration  `yaml:"pause_after" doc:"Time to wait after the scripts."`
	SkipClean              bool              `yaml:"skip_clean" doc:"Leave the scripts on the builder."`
	Binary                 bool              `yaml:"binary" doc:"Leave line ends as they are."`
}

func (s *PowerShell) subject() string    { return subjectOf(s.Inline, s.Script, s.Scripts) }
func (s *PowerShell) files() []localFile { return scriptFiles(s.Script, s.Scripts) }
func (s *PowerShell) texts() []text {
	return append(textsOf("inline", s.Inline), append(textsOf("environment_vars", s.EnvironmentVars), append(textsOfMap("env", s.Env),
		text{"elevated_user", s.ElevatedUser}, text{"elevated_password", s.ElevatedPassword}, text{"remote_path", s.RemotePath})...)...)
}

func (s *PowerShell) check(p *project.Provisioner, l *diag.List) {
	checkOneOf(p, l, []string{"inline", "script", "scripts"}, len(s.Inline) > 0, s.Script != "", len(s.Scripts) > 0)
	checkVars(p, l, s.EnvironmentVars)
	if s.ElevatedPassword != "" && s.ElevatedUser == "" {
		l.Addf(p.At("elevated_password"), "elevated_password needs elevated_user")
	}
	checkVarFormat(p, l, s.EnvVarFormat)
}

// inPowerShell is text between double quotes.
var inPowerShell = strings.NewReplacer("$", "`$", `"`, "`\"", "`", "``", "'", "`'")

func (s *PowerShell) provision(ctx context.Context, b *bake, p *project.Provisioner) error {
	scripts, err := b.scripts(p, "", s.Inline, s.Script, s.Scripts)
	if err != nil {
		return err
	}
	setting, err := b.windowsVars(p, s.EnvironmentVars, s.Env, orText(s.EnvVarFormat, `$env:%s="%s"; `), inPowerShell.Replace)
	if err != nil {
		return err
	}
	w := &windowsRun{b: b, p: p, valid: s.ValidExitCodes, limit: s.StartRetryTimeout.Or(5 * time.Minute), binary: s.Binary}
	for _, one := range scripts {
		path, err := b.renderOption(p, "remote_path", orText(s.RemotePath, "c:/Windows/Temp/script-"+token()+".ps1"))
		if err != nil {
			return err
		}
		vars := orText(s.RemoteEnvVarPath, "c:/Windows/Temp/packer-ps-env-vars-"+token()+".ps1")
		if err := w.upload(ctx, vars, []byte(setting)); err != nil {
			return err
		}
		command, err := s.command(path, vars, b, p)
		if err != nil {
			return err
		}
		if err := w.run(ctx, one, path, func() (string, error) { return s.elevated(ctx, b, p, command) }); err != nil {
			if len(scripts) > 1 {
				err = fmt.Errorf("%s: %w", one.title, err)
			}
			return err
		}
	}
	if !s.SkipClean {
		w.clean(ctx)
	}
	return cloud.Sleep(ctx, s.PauseAfter.Or(0))
}

// windowsVars are the lines that set a script's variables: format takes the name
// and the value, which quote, if there is one, makes fit for it.
func (b *bake) windowsVars(p *project.Provisioner, given []string, env map[string]string, format string, quote func(string) string) (string, error) {
	vars, err := b.environment(p, given, env)
	if err != nil {
		return "", err
	}
	var setting strings.Builder
	for _, v := range vars {
		value := v.value
		if quote != nil {
			value = quote(value)
		}
		fmt.Fprintf(&setting, format, v.name, value)
	}
	return setting.String(), nil
}

func checkVarFormat(p *project.Provisioner, l *diag.List, format string) {
	if format != "" && strings.Count(strings.ReplaceAll(format, "%%", ""), "%s") != 2 {
		l.Addf(p.At("env_var_format"), "env_var_format needs two %%s, for the name and for the value")
	}
}

// command is the line that runs a script.
func (s *PowerShell) command(path, vars string, b *bake, p *project.Provisioner) (string, error) {
	key, given := "execute_command", s.ExecuteCommand
	if s.ElevatedUser != "" {
		key, given = "elevated_execute_command", s.ElevatedExecuteCommand
	}
	shell := "powershell"
	if s.UsePwsh {
		shell = "pwsh"
	}
	if policy := orText(s.ExecutionPolicy, "bypass"); policy != "none" {
		shell += " -executionpolicy " + policy
	}
	debug := ""
	if s.DebugMode > 0 {
		debug = fmt.Sprintf("Set-PsDebug -Trace %d;", s.DebugMode)
	}
	template := orText(given, shell+` "& { if (Test-Path variable:global:ProgressPreference){set-variable -name variable:global:ProgressPreference -value 'SilentlyContinue'};`+
		debug+` . {{.Vars}}; &'{{.Path}}'; exit $LastExitCode }"`)
	command, err := b.templater().render(template, map[string]string{"Path": path, "Vars": vars, "WinRMPassword": b.password})
	if err != nil {
		return "", fail.Input(fmt.Errorf("%s: %s: %w", p.At(key), key, err))
	}
	return command, nil
}

// elevated is the line that runs a command in a scheduled task, which Packer's
// own wrapper makes; the command itself where no user is given for one.
func (s *PowerShell) elevated(ctx context.Context, b *bake, p *project.Provisioner, command string) (string, error) {
	if s.ElevatedUser == "" {
		return command, nil
	}
	user, err := b.renderOption(p, "elevated_user", s.ElevatedUser)
	if err != nil {
		return "", err
	}
	password, err := b.renderOption(p, "elevated_password", s.ElevatedPassword)
	if err != nil {
		return "", err
	}
	b.hide.learn(password, inPowerShell.Replace(password))
	wrapped := ""
	err = b.remote.during(ctx, func() (err error) {
		wrapped, err = guestexec.GenerateElevatedRunner(command, elevation{b.remote.comm, user, password})
		return err
	})
	return wrapped, err
}

// elevation is what Packer's wrapper asks for.
type elevation struct {
	comm           packersdk.Communicator
	user, password string
}

func (e elevation) Communicator() packersdk.Communicator { return e.comm }
func (e elevation) ElevatedUser() string                 { return e.user }
func (e elevation) ElevatedPassword() string             { return e.password }

// windowsRun runs scripts of one provisioner on a Windows builder.
type windowsRun struct {
	b      *bake
	p      *project.Provisioner
	valid  []int
	limit  time.Duration
	binary bool
	used   []string // files that lie on the builder
}

// upload tries for a while: the builder may be restarting.
func (w *windowsRun) upload(ctx context.Context, path string, content []byte) error {
	within, cancel := context.WithTimeout(ctx, w.limit)
	defer cancel()
	w.used = append(w.used, path)
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := w.b.remote.upload(within, path, content, 0o755)
		if err == nil {
			return nil
		}
		if cloud.Sleep(within, pause) != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("upload to %s: not within %s: %w", path, w.limit, err)
		}
	}
}

// run uploads a script and runs the command that is made for it.
func (w *windowsRun) run(ctx context.Context, one script, path string, command func() (string, error)) error {
	content := one.content
	if !w.binary {
		content = []byte(strings.ReplaceAll(string(content), "\r\n", "\n"))
	}
	if err := w.upload(ctx, path, content); err != nil {
		return err
	}
	line, err := command()
	if err != nil {
		return err
	}
	var keep tail
	code, err := w.b.remote.run(ctx, line, w.b.output(&keep))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return keep.under(fail.WithHint(fmt.Errorf("while the script ran: %w", err), "a restart is for the provisioner windows-restart"))
	case !accepted(code, w.valid):
		return keep.under(fmt.Errorf("exit status %d", code))
	}
	return nil
}

// clean removes what was uploaded, of which the variables may be secret.
func (w *windowsRun) clean(ctx context.Context) {
	quoted := make([]string, len(w.used))
	for i, path := range w.used {
		quoted[i] = "'" + strings.ReplaceAll(path, "'", "''") + "'"
	}
	command := `powershell -executionpolicy bypass -command "Remove-Item -Force -ErrorAction SilentlyContinue -Path ` + strings.Join(quoted, ",") + `"`
	if code, err := w.b.remote.run(ctx, command, func(string) {}); err != nil || code != 0 {
		w.b.say(event.Warning, "scripts are left on the builder: %s", strings.Join(w.used, ", "))
	}
}
