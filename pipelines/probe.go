package pipelines

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/launch"
)

const (
	consoleTail = 10              // lines of a console that a failed check shows
	bodyLimit   = 1 << 20         // bytes of an answer that are read
	oneTry      = 5 * time.Second // of an HTTP probe
	outputTail  = 20              // lines of a command that a failed check shows
)

func (c *checking) environment() *project.Environment {
	return c.run.plan.definitions[c.stage.Name].topology.Environment
}

// console looks for a line on an instance's console.
func (c *checking) console(i launch.Instance) (probe, error) {
	text := fill(c.spec.Console, values(c.environment(), i), regexp.QuoteMeta)
	pattern, err := regexp.Compile("(?m)" + text)
	if err != nil {
		return nil, fail.Inputf("%s: console: %w", c.stage.stage.Pos, err)
	}
	return func(ctx context.Context) (bool, string, error) {
		output, err := c.output(ctx, i.ID)
		if err != nil {
			if cloud.NotFound(err) {
				return false, "its console is not there", nil
			}
			return false, "", fmt.Errorf("console: %w", err)
		}
		if pattern.MatchString(output) {
			return true, "", nil
		}
		return false, fmt.Sprintf("no line of its console matches %q; %s", text, tail(output, consoleTail)), nil
	}, nil
}

// output reads a console as it is now. Only instances on Nitro can be asked
// for that; of the others AWS has what it last kept.
func (c *checking) output(ctx context.Context, id string) (string, error) {
	in := &ec2.GetConsoleOutputInput{InstanceId: aws.String(id)}
	if !c.plain.Load() {
		in.Latest = aws.Bool(true)
	}
	out, err := c.cloud.EC2.GetConsoleOutput(ctx, in)
	if err != nil && in.Latest != nil && strings.Contains(cloud.Code(err), "Unsupported") {
		c.plain.Store(true)
		in.Latest = nil
		out, err = c.cloud.EC2.GetConsoleOutput(ctx, in)
	}
	if err != nil {
		return "", err
	}
	text, err := base64.StdEncoding.DecodeString(aws.ToString(out.Output))
	if err != nil {
		return "", fmt.Errorf("console of %s: %w", id, err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n"), nil
}

// tail describes the last lines of a text.
func tail(text string, n int) string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return "it is empty"
	}
	list := strings.Split(text, "\n")
	if len(list) > n {
		list = list[len(list)-n:]
	}
	return "its last lines:\n  " + strings.Join(list, "\n  ")
}

// http asks an instance, at its private address and then at its public one.
func (c *checking) http(i launch.Instance) probe {
	spec, of := c.spec.HTTP, values(c.environment(), i)
	port, status, path := spec.Port, spec.Status, fill(spec.Path, of, url.PathEscape)
	if port == 0 {
		port = 80
	}
	if status == 0 {
		status = http.StatusOK
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	contains := fill(spec.Contains, of, asIs)
	client := &http.Client{
		Transport: &http.Transport{DialContext: c.cloud.Dial, DisableKeepAlives: true},
		Timeout:   oneTry,
		// The answer itself is checked, not where it points to.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var addresses []string
	for _, ip := range []string{i.PrivateIP, i.PublicIP} {
		if ip != "" {
			addresses = append(addresses, "http://"+net.JoinHostPort(ip, strconv.Itoa(port))+path)
		}
	}
	return func(ctx context.Context) (bool, string, error) {
		saw := []string{}
		for _, address := range addresses {
			answered, ok, what := ask(ctx, client, address, status, contains)
			if answered {
				addresses = []string{address} // the others are roads that lead nowhere from here
				return ok, what, nil
			}
			saw = append(saw, what)
		}
		if len(saw) == 0 {
			return false, "it has no address", nil
		}
		return false, strings.Join(saw, "; "), nil
	}
}

// ask makes one request and says what came back, if anything did.
func ask(ctx context.Context, client *http.Client, address string, status int, contains string) (answered, ok bool, saw string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false, false, err.Error()
	}
	answer, err := client.Do(request)
	if err != nil {
		return false, false, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, bodyLimit))
	switch {
	case err != nil:
		return true, false, fmt.Sprintf("%s: %v", address, err)
	case answer.StatusCode != status:
		return true, false, fmt.Sprintf("%s answers %s, not %d; %s", address, answer.Status, status, tail(string(body), consoleTail))
	case !strings.Contains(string(body), contains):
		return true, false, fmt.Sprintf("%s answers without %q; %s", address, contains, tail(string(body), consoleTail))
	}
	return true, true, ""
}

// command runs a local command until it exits 0.
func (c *checking) command(ctx context.Context, instances []launch.Instance, sink event.Sink) error {
	env, err := c.run.environ(c.stage)
	if err != nil {
		return err
	}
	file, err := writeJSON(c.run.options.Project.Dir, c.run.options.Run, "instances-"+c.stage.Name+".json", instances)
	if err != nil {
		return fmt.Errorf("instances for the command: %w", err)
	}
	env = append(env, "GOLDLINE_INSTANCES="+file)
	look := func(ctx context.Context) (bool, string, error) {
		var output []string
		local := command{argv: c.spec.Command, dir: c.run.options.Project.Dir, env: env, line: func(text string) {
			output = append(output, text)
			if len(output) > outputTail {
				output = output[1:]
			}
		}}
		err := local.run(ctx)
		if err == nil {
			for _, text := range output {
				sink.Emit(event.Event{Kind: event.Output, Message: text})
			}
			return true, "", nil
		}
		if errors.Is(err, exec.ErrNotFound) {
			return false, "", fail.Input(err)
		}
		return false, fmt.Sprintf("%v; %s", err, tail(strings.Join(output, "\n"), outputTail)), nil
	}
	return c.until(ctx, look, sink)
}
