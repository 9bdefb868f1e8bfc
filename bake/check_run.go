package bake

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/project"
)

// TestResult is what became of one check.
type TestResult struct {
	Name    string  `json:"name"`
	Passed  bool    `json:"passed"`
	Seconds float64 `json:"seconds"` // until it held, or was given up
	Error   string  `json:"error,omitempty"`
}

// checkTime is how long a check is tried: services take a moment to come up.
const checkTime = 30 * time.Second

// checks carries out the checks in their order, all of them. The error names
// those that failed.
func (b *bake) checks(ctx context.Context) ([]TestResult, error) {
	t := b.image.Tests
	var results []TestResult
	var failed []string
	for n, c := range t.Checks {
		began := time.Now()
		err := b.check(ctx, c, c.Timeout.Or(t.Timeout.Or(checkTime)))
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
		r := TestResult{Name: checkTitle(n, c), Passed: err == nil, Seconds: time.Since(began).Seconds()}
		if err != nil {
			r.Error = b.hide.text(err.Error())
			b.say(event.Failed, "failed: %s: %s", r.Name, r.Error)
			failed = append(failed, r.Name+": "+r.Error)
		} else {
			b.say(event.Succeeded, "passed: %s", r.Name)
		}
		results = append(results, r)
	}
	if len(failed) == 0 {
		return results, nil
	}
	return results, fmt.Errorf("%d of %d tests failed:\n%s", len(failed), len(t.Checks), strings.Join(failed, "\n"))
}

func checkTitle(n int, c project.Check) string {
	subject := c.Name
	if subject == "" {
		switch {
		case c.Command != "":
			subject = "command " + c.Command
		case c.Script != "":
			subject = "script " + c.Script
		case c.Port != 0:
			subject = "port " + strconv.Itoa(c.Port)
		case c.File != "":
			subject = "file " + c.File
		default:
			subject = "console " + c.Console
		}
	}
	return fmt.Sprintf("test %d (%s)", n+1, subject)
}

// attemptTime is what each attempt of a check gets at least, however short the
// check's own time is: the last one may begin at the end of that.
const attemptTime = 10 * time.Second

// check tries a check until it holds, or until its time is over.
func (b *bake) check(ctx context.Context, c project.Check, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 3*time.Second) {
		within, cancel := context.WithTimeout(ctx, max(time.Until(deadline), attemptTime))
		err := b.checkOnce(within, c)
		cancel()
		if err == nil || time.Now().Add(pause).After(deadline) || cloud.Sleep(ctx, pause) != nil {
			return err
		}
	}
}

func (b *bake) checkOnce(ctx context.Context, c project.Check) error {
	switch {
	case c.Command != "":
		return b.checkCommand(ctx, c, c.Command)
	case c.Script != "":
		return b.checkScript(ctx, c)
	case c.Port != 0:
		return b.checkPort(ctx, c.Port)
	case c.File != "":
		return b.checkFileThere(ctx, c)
	}
	if text := strings.Join(b.printed(ctx), "\n"); !holds(text, c.Console) {
		return errors.New("the console does not show it")
	}
	return nil
}

func (b *bake) checkCommand(ctx context.Context, c project.Check, command string) error {
	var out strings.Builder
	var keep tail
	code, err := b.remote.run(ctx, command, func(line string) {
		keep.add(b.hide.text(line))
		if out.Len() < maxOutput {
			out.WriteString(line + "\n")
		}
	})
	if err != nil {
		return err
	}
	if want := aws.ToInt(c.Code); code != want {
		return keep.under(fmt.Errorf("exit status %d, want %d", code, want))
	}
	if !holds(out.String(), c.Output) {
		return keep.under(fmt.Errorf("the output is not %q", c.Output))
	}
	return nil
}

// maxOutput is how much of an output is looked through.
const maxOutput = 1 << 20

func (b *bake) checkScript(ctx context.Context, c project.Check) error {
	text, err := os.ReadFile(resolve(b.image, c.Script))
	if err != nil {
		return err
	}
	path := "/tmp/test_" + token() + ".sh"
	if err := b.remote.upload(ctx, path, text, 0o755); err != nil {
		return fmt.Errorf("upload to %s: %w", path, err)
	}
	return b.checkCommand(ctx, c, path+"; code=$?; rm -f "+path+"; exit $code")
}

// checkPort connects from here, by the way that SSH takes.
func (b *bake) checkPort(ctx context.Context, port int) error {
	host, err := b.address()
	if err != nil {
		return err
	}
	open, err := b.dialer()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := open(ctx, net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return conn.Close()
}

// Lines that mark the parts of what fileScript prints.
const (
	fileAbsent  = "goldline: absent"
	fileMode    = "goldline: mode "
	fileContent = "goldline: content"
)

const fileScript = `if [ ! -e %[1]s ]; then echo "` + fileAbsent + `"; exit 0; fi
echo "` + fileMode + `$(stat -L -c %%a %[1]s)"
echo "` + fileContent + `"
if [ -f %[1]s ]; then cat %[1]s; fi
`

// checkFileThere looks at a file as root, where that is possible without a
// password.
func (b *bake) checkFileThere(ctx context.Context, c project.Check) error {
	var content strings.Builder
	mode, there, inside := "", true, false
	_, err := b.remote.run(ctx, asRoot(fmt.Sprintf(fileScript, quote(c.File))), func(line string) {
		switch {
		case inside:
			if content.Len() < maxOutput {
				content.WriteString(line + "\n")
			}
		case line == fileAbsent:
			there = false
		case line == fileContent:
			inside = true
		case strings.HasPrefix(line, fileMode):
			mode = strings.TrimPrefix(line, fileMode)
		}
	})
	switch want := c.Exists == nil || *c.Exists; {
	case err != nil:
		return err
	case there != want && want:
		return errors.New("it is not there")
	case there != want:
		return errors.New("it is there")
	case there && c.Mode != "" && !sameMode(mode, c.Mode):
		return fmt.Errorf("its mode is %s, want %s", mode, c.Mode)
	case there && !holds(content.String(), c.Content):
		return fmt.Errorf("its content is not %q", c.Content)
	}
	return nil
}

func sameMode(is, want string) bool {
	a, err := strconv.ParseUint(is, 8, 12)
	b, wantErr := strconv.ParseUint(want, 8, 12)
	return err == nil && wantErr == nil && a == b
}

// holds tells whether a text is what a check expects; nothing expected is
// always so.
func holds(text, expected string) bool {
	p, err := pattern(expected)
	return err == nil && (expected == "" || p.MatchString(text))
}

// printed is all that EC2 has of the instance's console. Latest is for instances
// on Nitro; others have what EC2 gathered at the boot.
func (b *bake) printed(ctx context.Context) []string {
	in := &ec2.GetConsoleOutputInput{InstanceId: aws.String(b.builder.id), Latest: aws.Bool(true)}
	out, err := b.cloud.EC2.GetConsoleOutput(ctx, in)
	if err != nil {
		in.Latest = nil
		out, err = b.cloud.EC2.GetConsoleOutput(ctx, in)
	}
	if err != nil {
		return nil
	}
	text, err := base64.StdEncoding.DecodeString(aws.ToString(out.Output))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\r", "")), "\n")
}

// containsLine tells whether a line of a console, which may carry a time stamp
// or the name of its writer before it, ends with a text.
func containsLine(line, text string) bool { return strings.HasSuffix(strings.TrimSpace(line), text) }

// keyText is the part of a console's line that may be a public key.
func keyText(line string) string {
	for _, kind := range []string{"ssh-ed25519 ", "ecdsa-sha2-", "ssh-rsa "} {
		if at := strings.Index(line, kind); at >= 0 {
			return line[at:]
		}
	}
	return ""
}
