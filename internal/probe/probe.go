// Package probe looks at a running instance from outside: over HTTP, TCP, at
// its console, or by a local command. A probe looks once and changes nothing;
// how often and how long is the caller's.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/leash"
)

const (
	consoleTail = 10              // lines of a console or a body that a failed probe shows
	outputTail  = 20              // lines of a command that a failed probe shows
	oneTry      = 5 * time.Second // of a network probe
)

// Probe looks once. It says what it saw when that is not yet what it should
// be; an error means that looking again is of no use.
type Probe func(context.Context) (ok bool, saw string, err error)

// Dial opens a connection, as net.Dialer's DialContext.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// All passes when every probe does, which are asked in their order.
func All(probes ...Probe) Probe {
	return func(ctx context.Context) (bool, string, error) {
		for _, p := range probes {
			if ok, saw, err := p(ctx); !ok || err != nil {
				return false, saw, err
			}
		}
		return true, "", nil
	}
}

// Console looks for a line that matches on an instance's console. read gives the
// console as it is now.
func Console(read func(context.Context) (string, error), pattern *regexp.Regexp) Probe {
	text := strings.TrimPrefix(pattern.String(), "(?m)")
	return func(ctx context.Context) (bool, string, error) {
		output, err := read(ctx)
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
	}
}

// TCP connects to a port at one of some addresses.
func TCP(dial Dial, ips []string, port int) Probe {
	r := &road{ips: ips}
	return func(ctx context.Context) (bool, string, error) {
		return r.try(func(ip string) (answered, ok bool, saw string) {
			ctx, cancel := context.WithTimeout(ctx, oneTry)
			defer cancel()
			conn, err := dial(ctx, "tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
			if err != nil {
				return false, false, err.Error()
			}
			_ = conn.Close() // it has answered
			return true, true, ""
		})
	}
}

// Command runs a local command, which passes with exit code 0. printed gets the
// output of a run that passes.
func Command(c leash.Command, printed func(line string)) Probe {
	return func(ctx context.Context) (bool, string, error) {
		var output []string
		c.Line = func(text string) {
			output = append(output, text)
			if len(output) > outputTail {
				output = output[1:]
			}
		}
		err := c.Run(ctx)
		if err == nil {
			for _, text := range output {
				printed(text)
			}
			return true, "", nil
		}
		if errors.Is(err, exec.ErrNotFound) {
			return false, "", fail.Input(err)
		}
		if strings.TrimSpace(strings.Join(output, "")) == "" {
			return false, fmt.Sprintf("%v; it printed nothing", err), nil
		}
		return false, fmt.Sprintf("%v; %s", err, tail(strings.Join(output, "\n"), outputTail)), nil
	}
}

// road is the way to an instance: once one of its addresses has answered, the
// others are roads that lead nowhere from here.
type road struct{ ips []string }

func (r *road) try(one func(ip string) (answered, ok bool, saw string)) (bool, string, error) {
	saw := []string{}
	for _, ip := range r.ips {
		answered, ok, what := one(ip)
		if answered {
			r.ips = []string{ip}
			return ok, what, nil
		}
		saw = append(saw, what)
	}
	if len(saw) == 0 {
		return false, "it has no address", nil
	}
	return false, strings.Join(saw, "; "), nil
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
