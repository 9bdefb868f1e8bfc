//go:build unix

package leash

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const child = "GOLDLINE_LEASH_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) == "" {
		os.Exit(m.Run())
	}
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", brood)
	cmd.Stdout = os.Stdout
	_ = Run(cmd)
}

// brood starts a process of its own and names both.
const brood = `sleep 600 & echo "$$ $!"; wait`

func TestNothingOutlivesAKilledProcess(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	owner := exec.Command(self)
	owner.Env = append(os.Environ(), child+"=1")
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	// The first line may come before the warden knows of the command.
	time.Sleep(100 * time.Millisecond)
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	gone(t, line)
}

func TestTheContextEndsAll(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", brood)
	first := &firstLine{seen: cancel}
	cmd.Stdout = first
	if err := Run(cmd); err == nil {
		t.Error("it ended well")
	}
	gone(t, first.text.String())
}

func TestErrors(t *testing.T) {
	t.Parallel()
	var exit *exec.ExitError
	if err := Run(exec.CommandContext(t.Context(), "/bin/sh", "-c", "exit 7")); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("exit 7: %v", err)
	}
	if err := Run(exec.CommandContext(t.Context(), "/no/such")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such program: %v", err)
	}
}

// gone waits until the processes of a line are no more, or zombies that nobody
// has collected yet.
func gone(t *testing.T, line string) {
	t.Helper()
	numbers := strings.Fields(line)
	if len(numbers) != 2 {
		t.Fatalf("the processes are %q", line)
	}
	for _, text := range numbers {
		number, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); syscall.Kill(number, 0) == nil && !zombie(number); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d still lives", number)
			}
		}
	}
}

func zombie(number int) bool {
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(number) + "/stat")
	return strings.Contains(string(status), ") Z ")
}

type firstLine struct {
	text strings.Builder
	seen func()
}

func (f *firstLine) Write(p []byte) (int, error) {
	f.text.Write(p)
	if strings.Contains(f.text.String(), "\n") {
		f.seen()
	}
	return len(p), nil
}
