//go:build unix

package lease

import (
	"bufio"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/goldline-dev/goldline/internal/cloud"
)

// A process that holds the lease is stopped until another has taken it over, and
// goes on right before its next change: it makes none any more.
func TestAStoppedProcessChangesNothing(t *testing.T) {
	local, c := open(t)
	server := httptest.NewServer(local.Handler())
	defer server.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestAProcessToStop$", "-test.v")
	cmd.Env, cmd.Stderr = append(os.Environ(), endpoint+"="+server.URL), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	said := bufio.NewScanner(out)
	for said.Scan() && said.Text() != "holds" {
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var state syscall.WaitStatus
	for !state.Stopped() { // the signal takes a moment
		if _, err := syscall.Wait4(cmd.Process.Pid, &state, syscall.WUNTRACED, nil); err != nil && err != syscall.EINTR {
			t.Fatal(err)
		}
	}
	if _, err := fmt.Fprintln(in, "go on"); err != nil {
		t.Fatal(err)
	}
	k := keeper(t, "next", func(k *Keeper) { k.lasts = stoppedLasts })
	if _, _, err := k.Hold(t.Context(), c, "dev", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for said.Scan() && !strings.HasPrefix(said.Text(), "then: ") {
	}
	if !strings.Contains(said.Text(), "the lease of environment dev") {
		t.Errorf("the process says %q", said.Text())
	}
	if r, err := Show(t.Context(), c, "shop", "dev"); err != nil || r.Run != "next" {
		t.Errorf("the lease: %+v, %v", r, err)
	}
	if _, err := c.SSM.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/x")}); !cloud.NotFound(err) {
		t.Errorf("it has changed something: %v", err)
	}
}

// stoppedLasts is how long the lease of that process lasts: what comes after that
// is no matter of how fast the machine is.
const stoppedLasts = time.Second

// TestAProcessToStop is that process.
func TestAProcessToStop(t *testing.T) {
	url := os.Getenv(endpoint)
	if url == "" {
		t.Skip("it is run by TestAStoppedProcessChangesNothing")
	}
	provider := cloud.NewProvider(cloud.Config{Transport: toServer(url), PollMin: 100 * time.Microsecond, PollMax: time.Millisecond})
	c, err := provider.For(t.Context(), cloud.Target{Account: cloud.LocalAccount, Region: "eu-central-1"})
	if err != nil {
		t.Fatal(err)
	}
	held, _, err := keeper(t, "stopped", func(k *Keeper) { k.lasts = stoppedLasts }).Hold(t.Context(), c, "dev", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("holds")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	_, err = c.SSM.PutParameter(held, &ssm.PutParameterInput{Name: aws.String("/x"), Value: aws.String("x"), Type: "String"})
	fmt.Printf("then: %v: %v\n", Lost(held), err)
}
