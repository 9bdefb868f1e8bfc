package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestLocalServe: the cloud answers to others until it is told to stop, which
// is no failure.
func TestLocalServe(t *testing.T) {
	dir := t.TempDir()
	if err := addProject(dir); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	reader, stdout := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		env := []string{"NO_COLOR=1", "GOLDLINE_LOCAL_MACHINE=in-process"}
		ended <- run(ctx, []string{"local", "serve", "--listen", "127.0.0.1:0", "--project", dir}, env, strings.NewReader(""), stdout, &stderr)
		stdout.Close()
	}()
	lines := bufio.NewScanner(reader)
	if !lines.Scan() {
		t.Fatalf("nothing was said, code %d\n%s", <-ended, stderr.String())
	}
	endpoint := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(lines.Text())
	answer, err := http.Get(endpoint)
	if err != nil {
		t.Fatalf("%q: %v", lines.Text(), err)
	}
	answer.Body.Close()
	stop()
	rest, err := io.ReadAll(reader)
	if code := <-ended; code != 0 || err != nil {
		t.Errorf("code %d, %v\n%s\n%s", code, err, rest, stderr.String())
	}
}
