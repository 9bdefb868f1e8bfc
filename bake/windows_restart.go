package bake

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/project"
)

// WindowsRestart is the options of the provisioner windows-restart, with
// Packer's meanings.
type WindowsRestart struct {
	RestartCommand      string           `yaml:"restart_command" doc:"What restarts the builder." default:"shutdown /r /f /t 0 /c \"packer restart\""`
	RestartCheckCommand string           `yaml:"restart_check_command" doc:"What tells that it is back: it must end well." default:"powershell -command \"& {Write-Output 'restarted.'}\""`
	RestartTimeout      project.Duration `yaml:"restart_timeout" doc:"How long the restart may take." default:"5m"`
	CheckRegistry       bool             `yaml:"check_registry" doc:"Wait until no key of registry_keys is there."`
	RegistryKeys        []string         `yaml:"registry_keys" doc:"Keys that are there while Windows is busy with updates; by default those of Component Based Servicing."`
}

// pendingKeys are there while Windows has still to finish what an update began.
var pendingKeys = []string{
	`HKLM:SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending`,
	`HKLM:SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\PackagesPending`,
	`HKLM:SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootInProgress`,
}

func (s *WindowsRestart) subject() string                            { return "" }
func (s *WindowsRestart) files() []localFile                         { return nil }
func (s *WindowsRestart) texts() []text                              { return nil }
func (s *WindowsRestart) check(_ *project.Provisioner, _ *diag.List) {}

// What shutdown says while the system is on its way down.
// https://learn.microsoft.com/windows/win32/debug/system-error-codes--1000-1299-
const (
	shutdownInProgress = 1115
	shutdownScheduled  = 1190
)

// The question whether a system still goes down is to ask for another restart,
// which is refused then, and called off where it is not.
const (
	askForRestart = `shutdown /r /f /t 60 /c "packer restart test"`
	callOff       = `shutdown /a`
)

func (s *WindowsRestart) provision(ctx context.Context, b *bake, _ *project.Provisioner) error {
	limit := s.RestartTimeout.Or(5 * time.Minute)
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var keep tail
	code, err := b.remote.run(within, orText(s.RestartCommand, `shutdown /r /f /t 0 /c "packer restart"`), b.output(&keep))
	// A connection that ends is what a restart looks like.
	if err == nil && code != 0 && code != shutdownInProgress && code != shutdownScheduled {
		return keep.under(fmt.Errorf("the restart command's exit status is %d", code))
	}
	b.say(event.Waiting, "builder %s to restart", b.builder.id)
	last := ""
	for _, phase := range []struct {
		what string
		done func(context.Context) (bool, string)
	}{
		{"went down and came back", func(ctx context.Context) (bool, string) { return restarted(ctx, b) }},
		{"answers its check", func(ctx context.Context) (bool, string) { return s.answers(ctx, b) }},
		{"has nothing pending", func(ctx context.Context) (bool, string) { return s.settled(ctx, b) }},
	} {
		for pause := b.cloud.Pace(); ; pause = min(2*pause, 5*time.Second) {
			var done bool
			if done, last = phase.done(within); done {
				break
			}
			if cloud.Sleep(within, pause) != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return fmt.Errorf("not restarted within its restart_timeout of %s: it is not known that the builder %s; last seen: %s", limit, phase.what, last)
			}
		}
	}
	b.say(event.Progress, "builder %s has restarted", b.builder.id)
	return nil
}

// ask runs a command whose failure is an answer, too.
func ask(ctx context.Context, b *bake, command string) (code int, out string, err error) {
	var lines []string
	code, err = b.remote.run(ctx, command, func(line string) { lines = append(lines, b.hide.text(line)) })
	return code, strings.Join(lines, "\n"), err
}

// restarted tells whether the builder takes orders for a restart again.
func restarted(ctx context.Context, b *bake) (bool, string) {
	code, out, err := ask(ctx, b, askForRestart)
	switch {
	case err != nil:
		return false, err.Error()
	case code != 0:
		return false, fmt.Sprintf("exit status %d %s", code, out)
	}
	code, out, err = ask(ctx, b, callOff)
	if err != nil {
		return false, err.Error()
	}
	return code == 0, fmt.Sprintf("a test restart could not be called off: exit status %d %s", code, out)
}

// answers tells whether the check ends well.
func (s *WindowsRestart) answers(ctx context.Context, b *bake) (bool, string) {
	code, out, err := ask(ctx, b, orText(s.RestartCheckCommand, `powershell -command "& {Write-Output 'restarted.'}"`))
	if err != nil {
		return false, err.Error()
	}
	return code == 0, fmt.Sprintf("exit status %d %s", code, out)
}

// settled tells whether no key of the registry says that something is pending.
func (s *WindowsRestart) settled(ctx context.Context, b *bake) (bool, string) {
	if !s.CheckRegistry {
		return true, ""
	}
	keys := s.RegistryKeys
	if len(keys) == 0 {
		keys = pendingKeys
	}
	for _, key := range keys {
		_, out, err := ask(ctx, b, `powershell -command "Test-Path -Path '`+strings.ReplaceAll(key, "'", "''")+`'"`)
		if err != nil {
			return false, err.Error()
		}
		if strings.EqualFold(strings.TrimSpace(out), "true") {
			return false, key + " is there"
		}
	}
	return true, ""
}
