package bake

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

// Shell is the options of the provisioner of that name, with Packer's meanings.
type Shell struct {
	Inline            []string          `yaml:"inline" doc:"Commands, run as one script."`
	InlineShebang     string            `yaml:"inline_shebang" doc:"Interpreter of the inline script." default:"/bin/sh -e"`
	Script            string            `yaml:"script" doc:"Path of a script."`
	Scripts           []string          `yaml:"scripts" doc:"Paths of scripts, run in this order."`
	EnvironmentVars   []string          `yaml:"environment_vars" doc:"Environment of the scripts: NAME=value."`
	Env               map[string]string `yaml:"env" doc:"Environment of the scripts; wins over environment_vars."`
	EnvVarFormat      string            `yaml:"env_var_format" doc:"How one variable is written, a format with two %s." default:"%s='%s' "`
	UseEnvVarFile     bool              `yaml:"use_env_var_file" doc:"Give the environment in a file, {{.EnvVarFile}}."`
	ExecuteCommand    string            `yaml:"execute_command" doc:"How a script is run; {{.Path}}, {{.Vars}} and {{.EnvVarFile}} stand for the script, its variables and the file that holds them." default:"chmod +x {{.Path}}; {{.Vars}} {{.Path}}"`
	RemoteFolder      string            `yaml:"remote_folder" doc:"Folder for the script on the builder." default:"/tmp"`
	RemoteFile        string            `yaml:"remote_file" doc:"Name of the script on the builder."`
	RemotePath        string            `yaml:"remote_path" doc:"Path of the script on the builder."`
	SkipClean         bool              `yaml:"skip_clean" doc:"Leave the scripts on the builder."`
	Binary            bool              `yaml:"binary" doc:"Leave line ends as they are."`
	ValidExitCodes    []int             `yaml:"valid_exit_codes" doc:"Exit codes that mean success." default:"0"`
	ExpectDisconnect  bool              `yaml:"expect_disconnect" doc:"The script may end the connection, by a reboot."`
	StartRetryTimeout project.Duration  `yaml:"start_retry_timeout" doc:"How long a start is tried, after a reboot." default:"5m"`
	PauseAfter        project.Duration  `yaml:"pause_after" doc:"Time to wait after the scripts."`
}

func (s *Shell) subject() string    { return subjectOf(s.Inline, s.Script, s.Scripts) }
func (s *Shell) files() []localFile { return scriptFiles(s.Script, s.Scripts) }

func (s *Shell) texts() []text {
	all := append(textsOf("inline", s.Inline), textsOf("environment_vars", s.EnvironmentVars)...)
	all = append(all, textsOfMap("env", s.Env)...)
	return append(all, text{"remote_path", s.RemotePath}, text{"remote_folder", s.RemoteFolder}, text{"remote_file", s.RemoteFile})
}

func (s *Shell) check(p *project.Provisioner, l *diag.List) {
	checkOneOf(p, l, []string{"inline", "script", "scripts"}, len(s.Inline) > 0, s.Script != "", len(s.Scripts) > 0)
	checkVars(p, l, s.EnvironmentVars)
	if s.ExecuteCommand != "" {
		if _, err := (templater{}).render(s.ExecuteCommand, map[string]string{"Path": "p", "Vars": "v", "EnvVarFile": "f"}); err != nil {
			l.Addf(p.At("execute_command"), "execute_command: %v", err)
		}
	}
	if f := s.EnvVarFormat; f != "" && strings.Count(strings.ReplaceAll(f, "%%", ""), "%s") != 2 {
		l.Addf(p.At("env_var_format"), "env_var_format needs two %%s, for the name and for the value")
	}
}

func (s *Shell) provision(ctx context.Context, b *bake, p *project.Provisioner) error {
	scripts, err := b.scripts(p, orText(s.InlineShebang, "/bin/sh -e"), s.Inline, s.Script, s.Scripts)
	if err != nil {
		return err
	}
	vars, err := b.environment(p, s.EnvironmentVars, s.Env)
	if err != nil {
		return err
	}
	var used []string // files that lie on the builder
	for n, one := range scripts {
		remote, err := s.remotePath(b, p)
		if err != nil {
			return err
		}
		command, envFile, err := s.command(ctx, b, p, remote, vars)
		if err != nil {
			return err
		}
		if envFile != "" {
			used = append(used, envFile)
		}
		f := fed{path: remote, content: one.content, command: command, keep: s.SkipClean, valid: s.ValidExitCodes}
		if n == len(scripts)-1 && s.closes(b, p) && envFile == "" {
			f.closing = b.newClosing()
		}
		left, err := s.runOne(ctx, b, f)
		if left {
			used = append(used, remote)
		}
		if err != nil {
			if len(scripts) > 1 {
				err = fmt.Errorf("%s: %w", one.title, err)
			}
			return err
		}
	}
	if !s.SkipClean && len(used) > 0 {
		s.clean(ctx, b, used)
	}
	return cloud.Sleep(ctx, s.PauseAfter.Or(0))
}

// closes tells whether the last script of this provisioner is the last thing that
// happens on the builder, so that what closes the provisioning can be done in the
// same session. It may have no time of its own then.
func (s *Shell) closes(b *bake, p *project.Provisioner) bool {
	return p == b.last && !s.SkipClean && !s.ExpectDisconnect && s.PauseAfter == 0 && p.Timeout == 0
}

// runOne uploads one script and runs it; left tells whether it lies on the
// builder then. The upload is tried for a while, since the script before may have
// rebooted the builder.
func (s *Shell) runOne(ctx context.Context, b *bake, f fed) (left bool, err error) {
	if !s.Binary {
		f.content = bytes.ReplaceAll(f.content, []byte("\r\n"), []byte("\n"))
	}
	var keep tail
	code, left, err := s.carryOut(ctx, b, f, b.output(&keep))
	if errors.Is(err, errDisconnected) {
		if s.ExpectDisconnect {
			b.say(event.Progress, "the script ended the connection, as expected")
			return left, nil
		}
		err = fail.WithHint(fmt.Errorf("%w while the script ran", err), "a script that reboots the builder needs expect_disconnect: true")
	}
	if err != nil {
		return left, keep.under(err)
	}
	if !accepted(code, s.ValidExitCodes) {
		return left, keep.under(fmt.Errorf("exit status %d", code))
	}
	return left, nil
}

// carryOut gets a script to the builder and its exit code from there: in one
// session where the builder can do that, and there is no terminal between.
func (s *Shell) carryOut(ctx context.Context, b *bake, f fed, line func(string)) (code int, left bool, err error) {
	limit := s.StartRetryTimeout.Or(5 * time.Minute)
	if !b.image.SSHPty {
		var o fedOutcome
		err := patiently(ctx, limit, func() (err error) {
			o, err = b.remote.feed(ctx, f, line)
			if o.begun && err != nil {
				err = &started{err}
			}
			return err
		})
		var once *started
		if errors.As(err, &once) {
			return 0, !f.keep, once.error
		}
		if o.closed {
			b.close(f.closing, o.closes, nil)
		}
		if !errors.Is(err, errNotFed) {
			return o.code, o.left, err
		}
	}
	err = patiently(ctx, limit, func() error { return b.remote.upload(ctx, f.path, f.content, 0o755) })
	if err != nil {
		return 0, true, fmt.Errorf("upload to %s: %w", f.path, err)
	}
	code, err = b.remote.run(ctx, f.command, line)
	return code, true, err
}

// started is the error of a script that was started, and must not be so twice.
type started struct{ error }

// patiently repeats a call while the connection is at fault.
func patiently(ctx context.Context, limit time.Duration, call func() error) error {
	deadline := time.Now().Add(limit)
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := call()
		if err == nil || !connectionLost(err) || ctx.Err() != nil || time.Now().Add(pause).After(deadline) {
			return err
		}
		if cloud.Sleep(ctx, pause) != nil {
			return ctx.Err()
		}
	}
}

// command is the line that runs a script, with the name of the file that holds
// its environment if one was written.
func (s *Shell) command(ctx context.Context, b *bake, p *project.Provisioner, remote string, vars []variable) (command, envFile string, err error) {
	format := orText(s.EnvVarFormat, "%s='%s' ")
	template := orText(s.ExecuteCommand, "chmod +x {{.Path}}; {{.Vars}} {{.Path}}")
	var flat strings.Builder
	for _, v := range vars {
		fmt.Fprintf(&flat, format, v.name, strings.ReplaceAll(v.value, "'", `'"'"'`))
	}
	if s.UseEnvVarFile {
		template = orText(s.ExecuteCommand, "chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}")
		envFile = remote + ".env"
		var file strings.Builder
		for _, v := range vars {
			fmt.Fprintf(&file, "export %s=%s\n", v.name, v.quoted())
		}
		err := patiently(ctx, s.StartRetryTimeout.Or(5*time.Minute), func() error { return b.remote.upload(ctx, envFile, []byte(file.String()), 0o600) })
		if err != nil {
			return "", "", fmt.Errorf("upload to %s: %w", envFile, err)
		}
	}
	command, err = b.templater().render(template, map[string]string{"Path": remote, "Vars": strings.TrimSuffix(flat.String(), " "), "EnvVarFile": envFile})
	if err != nil {
		return "", "", fail.Input(fmt.Errorf("%s: execute_command: %w", p.At("execute_command"), err))
	}
	return command, envFile, nil
}

func (s *Shell) remotePath(b *bake, p *project.Provisioner) (string, error) {
	if s.RemotePath != "" {
		return b.renderOption(p, "remote_path", s.RemotePath)
	}
	folder, err := b.renderOption(p, "remote_folder", orText(s.RemoteFolder, "/tmp"))
	if err != nil {
		return "", err
	}
	name, err := b.renderOption(p, "remote_file", orText(s.RemoteFile, "script_"+token()+".sh"))
	return path.Join(folder, name), err
}

// clean removes the scripts. It is no failure if that does not work: the user
// may have become another, and the builder's own clean-up tries again.
func (s *Shell) clean(ctx context.Context, b *bake, used []string) {
	quoted := make([]string, len(used))
	for i, u := range used {
		quoted[i] = quote(u)
	}
	if code, err := b.remote.run(ctx, "rm -f "+strings.Join(quoted, " "), func(string) {}); err != nil || code != 0 {
		b.uncleaned(used)
	}
}

// token is a name for something temporary.
func token() string {
	var raw [4]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand's promise since Go 1.24
	return hex.EncodeToString(raw[:])
}
