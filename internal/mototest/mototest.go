// Package mototest starts moto_server, an EC2 that is not ours, for tests that
// try Goldline against it. Nothing but tests uses it. It calls nothing outside
// this machine.
package mototest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/cloud"
)

// Account is the account of whoever calls moto without assuming a role.
const Account = "123456789012"

// startTime bounds how long moto may take until it answers: it is a large
// Python program, and the machine may be busy.
const startTime = time.Minute

// Serve starts moto_server on a free port of a loopback address, points the AWS
// environment variables of this process to it in a region until the test ends,
// and gives its URL. Where it is not installed the test is skipped.
func Serve(t testing.TB, region string) string {
	t.Helper()
	program, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not installed: nothing is tried against an EC2 that is not ours")
	}
	// moto takes no listener of ours, and what else runs here takes ports of
	// 127.0.0.1 until it has its own: it gets another address where the system has
	// more than that one.
	listener, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(62), rand.IntN(256), 1+rand.IntN(254)))
	if err != nil {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	host, port, _ := net.SplitHostPort(address)
	var log bytes.Buffer
	server := exec.Command(program, "-H", host, "-p", port)
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // it was killed
	})
	url := "http://" + address
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	for {
		if answer, err := http.Get(url + "/moto-api/data.json"); err == nil {
			_ = answer.Body.Close()
			break
		}
		if cloud.Sleep(ctx, 50*time.Millisecond) != nil {
			t.Fatal("moto_server does not answer")
		}
	}
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": region,
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	return url
}
