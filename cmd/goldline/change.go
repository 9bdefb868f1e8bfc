package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/ledger"
	"github.com/goldline-dev/goldline/internal/project"
)

// changing carries out what changes things: alone in this project on this
// machine, and on record.
func (p *program) changing(ctx context.Context, f func(ctx context.Context, run string, sink event.Sink) (report, error)) (r report, err error) {
	dir, err := p.dir()
	if err != nil {
		return nil, err
	}
	run := ledger.NewRun(p.started)
	command := p.commandLine()
	release, err := ledger.Lock(dir, run, command)
	if err != nil {
		return nil, err
	}
	defer release()
	record, err := ledger.Open(dir, run, ledger.Header{Command: command, Start: p.started.UTC(), Secrets: p.secrets})
	if err != nil {
		return nil, fail.Input(err)
	}
	sink := event.Tee(p.progress, p.left, record)
	p.lease, p.record = p.keeper(run, command, sink), record
	r, err = f(ctx, run, sink)
	p.lease.Close(ctx)
	if body, problem := json.Marshal(r); problem == nil && r != nil {
		record.SetResult(json.RawMessage(body))
	}
	if problem := record.Close(fail.Outcome(err), err); problem != nil {
		p.progress.Emit(event.Event{Kind: event.Warning, Message: problem.Error()})
	}
	return r, err
}

// secretsOf are the values that recipes call sensitive. They reach no event; the
// record masks them once more.
func secretsOf(images []*project.Image) []string {
	var secrets []string
	for _, image := range images {
		secrets = append(secrets, image.SecretValues()...)
	}
	return secrets
}

// commandLine is the command as it was typed, without the values of variables:
// they may be secret.
func (p *program) commandLine() string {
	words := []string{"goldline"}
	for i := 0; i < len(p.args); i++ {
		word := p.args[i]
		switch {
		case word == "--var" && i+1 < len(p.args):
			name, _, _ := strings.Cut(p.args[i+1], "=")
			words = append(words, word, name+"=...")
			i++
			continue
		case strings.HasPrefix(word, "--var="):
			name, _, _ := strings.Cut(strings.TrimPrefix(word, "--var="), "=")
			word = "--var=" + name + "=..."
		}
		words = append(words, quote(word))
	}
	return strings.Join(words, " ")
}

// quote writes a word as a shell reads it.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_=./:,@%+", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// here completes a goldline command with the flags that lead to this project
// and this cloud, so that it can be pasted.
func (p *program) here(command string) string {
	rest, ours := strings.CutPrefix(command, "goldline ")
	if !ours {
		return command
	}
	words := strings.Fields(rest)
	if slices.Contains(words, "--help") {
		return command
	}
	if p.flags.project != "" && !slices.Contains(words, "--project") {
		command += " --project " + quote(p.flags.project)
	}
	if p.flags.local && !slices.Contains(words, "--local") {
		command += " --local"
	}
	return command
}

// commandNamed is where a text names a command, and afterCommand what ends it
// there: hints are sentences.
var (
	commandNamed = regexp.MustCompile(`goldline (approve|audit|bake|destroy|images|import|launch|lock|plan|promote|rollback|run|sweep|validate)\b`)
	afterCommand = regexp.MustCompile("[;`\n]|, | (shows|makes|carries|tells|goes)\\b|$")
)

// pasteable completes the commands that a text names.
func (p *program) pasteable(s string) string {
	if !p.flags.local && p.flags.project == "" {
		return s
	}
	var b strings.Builder
	for {
		at := commandNamed.FindStringIndex(s)
		if at == nil {
			return b.String() + s
		}
		end := at[1] + afterCommand.FindStringIndex(s[at[1]:])[0]
		b.WriteString(s[:at[0]] + p.here(s[at[0]:end]))
		s = s[end:]
	}
}

// agree asks before something is done that is hard to take back. The local cloud
// never asks; without a terminal only --yes can answer.
func (p *program) agree(ctx context.Context, what string) error {
	if p.flags.local || p.flags.yes {
		return nil
	}
	if !terminal(p.stdin) || !terminal(p.stderr) {
		return fail.WithHint(fail.Inputf("%s: this asks first, and there is no terminal to ask on", what), "add --yes to answer yes")
	}
	fmt.Fprintf(p.stderr, "%s? Only \"yes\" goes on: ", what)
	answer := make(chan string, 1)
	p.background(func() {
		line, _ := bufio.NewReader(p.stdin).ReadString('\n') // at the end of input the answer is no
		answer <- strings.TrimSpace(line)
	})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case said := <-answer:
		if said != "yes" {
			return fail.Inputf("%s: not agreed, nothing was done", what)
		}
	}
	return nil
}

// agreeTo asks before a protected environment is changed, or any is destroyed.
func (p *program) agreeTo(ctx context.Context, verb string, env *project.Environment, always bool) error {
	if !env.Protected && !always {
		return nil
	}
	what := fmt.Sprintf("%s %s (account %s, %s)", verb, env.Name, env.Account, env.Region)
	if env.Protected {
		what = fmt.Sprintf("%s protected environment %s (account %s, %s)", verb, env.Name, env.Account, env.Region)
	}
	return p.agree(ctx, what)
}

// seconds since the program started, in milliseconds' resolution.
func (p *program) seconds() float64 {
	return float64(time.Since(p.started).Round(time.Millisecond)) / float64(time.Second)
}
