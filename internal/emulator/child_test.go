package emulator

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// childVariable makes this test binary another process that uses the local
// cloud in the folder that it names.
const childVariable = "GOLDLINE_TEST_EMULATOR_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		if err := runChild(dir, os.Stdin, os.Stdout); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// runChild obeys one command a line and answers each with a line.
func runChild(dir string, in io.Reader, out io.Writer) error {
	ctx := context.Background()
	s, err := Join(ctx, Options{Dir: dir, Machine: NoMachines, Transition: time.Millisecond})
	if err != nil {
		return err
	}
	client := ssmOver(s.Transport())
	fmt.Fprintln(out, "joined", s.Owner())
	for lines := bufio.NewScanner(in); lines.Scan(); {
		command, name, _ := strings.Cut(lines.Text(), " ")
		var err error
		switch command {
		case "put":
			err = putNew(ctx, client, name)
		case "flood": // until it is killed
			for i := 0; err == nil; i++ {
				if err = putNew(ctx, client, fmt.Sprintf("%s-%d", name, i)); err == nil {
					fmt.Fprintln(out, "kept", i)
				}
			}
		case "owner":
		case "close":
			fmt.Fprintln(out, "closing")
			err = s.Close(ctx)
		}
		if err != nil {
			fmt.Fprintln(out, "error", err)
			continue
		}
		fmt.Fprintln(out, "ok", s.Owner())
	}
	return s.Close(ctx)
}

func ssmOver(via http.RoundTripper) *ssm.Client {
	return ssm.NewFromConfig(configOf(via, "AKIDLOCAL", "", testRegion))
}

// putNew writes a parameter that must not be there.
func putNew(ctx context.Context, c *ssm.Client, name string) error {
	_, err := c.PutParameter(ctx, &ssm.PutParameterInput{Name: &name, Value: aws.String(strings.Repeat("v", 100)), Type: types.ParameterTypeString})
	return err
}

// child is another process that uses the cloud.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVariable+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: cmd, in: in, out: bufio.NewScanner(out)}
	t.Cleanup(c.kill)
	return c
}

func (c *child) send(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *child) line() string {
	if !c.out.Scan() {
		return "ended"
	}
	return c.out.Text()
}

func (c *child) want(line string) {
	c.t.Helper()
	if got := c.line(); got != line {
		c.t.Fatalf("the other process says %q, not %q", got, line)
	}
}

// kill is kill -9.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	_ = c.cmd.Wait()
}
