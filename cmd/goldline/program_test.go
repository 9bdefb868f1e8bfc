package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/ledger"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/promote"
	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"
	"mvdan.cc/sh/v3/shell"
)

// every visits a command and all below it.
func every(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		every(sub, visit)
	}
}

func tree() *cobra.Command {
	return newProgram(nil, nil, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}).root()
}

// TestExamples: each command has an example, and each example is a command line
// that parses.
func TestExamples(t *testing.T) {
	every(tree(), func(c *cobra.Command) {
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s has no short help or no example", c.CommandPath())
		}
		for line := range strings.SplitSeq(c.Example, "\n") {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
			for command := range strings.SplitSeq(line, "|") {
				command, _, _ = strings.Cut(command, ">")
				words, err := shell.Fields(strings.TrimSuffix(strings.TrimSpace(command), "&"), func(string) string { return "X" })
				if err != nil {
					t.Errorf("%s: example %q: %v", c.CommandPath(), command, err)
				}
				if len(words) == 0 || words[0] != "goldline" {
					continue
				}
				if err := parses(words[1:]); err != nil {
					t.Errorf("%s: example %q: %v", c.CommandPath(), command, err)
				}
			}
		}
	})
}

// parses tells what is wrong with a command line, without carrying it out.
func parses(words []string) error {
	c, args, err := tree().Find(words)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(args); err != nil {
		return err
	}
	if c.HasSubCommands() {
		return errors.New("it only holds other commands")
	}
	return c.Args(c, c.Flags().Args())
}

// TestHelpIsCheap holds the start-up: a help text opens nothing.
func TestHelpIsCheap(t *testing.T) {
	p := newProgram(nil, nil, nil, &bytes.Buffer{}, &bytes.Buffer{})
	if err := p.execute(context.Background(), []string{"--help"}); err != nil {
		t.Fatal(err)
	}
	if p.began || p.opened != nil || p.provider != nil || p.local != nil {
		t.Error("--help opened something")
	}
}

// TestSchemas keeps docs/schema as the decoder is.
func TestSchemas(t *testing.T) { generated(t, "schema", ".json", project.Schemas(vocabulary())) }

// TestReference keeps docs/reference as the decoder is.
func TestReference(t *testing.T) { generated(t, "reference", ".md", project.Reference(vocabulary())) }

// generated holds a folder below docs to what it is made from.
func generated(t *testing.T, folder, ending string, files map[string][]byte) {
	t.Helper()
	dir := filepath.Join("..", "..", "docs", folder)
	for name, want := range files {
		path := filepath.Join(dir, name)
		if os.Getenv("GOLDEN") == "update" {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("docs/%s/%s is not what the decoder takes; write it anew with make golden, or GOLDEN=update go test ./cmd/goldline -run 'Schema|Reference': %v", folder, name, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, known := files[e.Name()]; !known && strings.HasSuffix(e.Name(), ending) {
			t.Errorf("docs/%s/%s describes nothing", folder, e.Name())
		}
	}
}

// TestReferenceExamples loads the examples of all kinds as one topology.
func TestReferenceExamples(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("goldline.yaml", "project: example\nladder: [dev]\n")
	write("environments/dev.yaml", "account: \"000000000000\"\nregion: eu-central-1\n")
	write("images/web.yaml", "source_ami: ami-00000000000000001\nssh_username: admin\n")
	for _, k := range vocabulary().Resources {
		if k.Example == "" {
			t.Errorf("%s has no example: write launch/examples/%s.yaml, with a name, and with references to what the other examples define", k.Name, k.Name)
			continue
		}
		write("topology/"+k.Name+"/example.yaml", k.Example)
	}
	p, err := project.Load(dir, vocabulary())
	if err == nil {
		_, err = p.Topology("dev", nil)
	}
	if err != nil {
		t.Fatalf("the examples in launch/examples do not load: %v", err)
	}
}

// TestUserdataGet runs the command as on an instance.
func TestUserdataGet(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "userdata", "testdata", "full.json"))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "t") })
	mux.HandleFunc("GET /latest/user-data", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-aws-ec2-metadata-token") != "t" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write(data)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	env := []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + server.URL}
	for _, c := range []struct {
		path string
		code int
		want string
	}{
		{"extra.feature", 0, "off\n"},
		{"extra.numbers.big", 0, "12345678901234567890\n"},
		{"extra.list[2]", 0, "true\n"},
		{"extra.none", 0, "[]\n"},
		{"", 0, string(data)},
		{"extra.nothing", 2, ""},
	} {
		args := []string{"userdata", "get"}
		if c.path != "" {
			args = append(args, c.path)
		}
		code, stdout, stderr := goldline(t, env, "", args...)
		if code != c.code || stdout != c.want {
			t.Errorf("%s: code %d, %q, want %d, %q\n%s", c.path, code, stdout, c.code, c.want, stderr)
		}
	}
}

// TestTwoAtOnce: the second of two commands that change a project is refused.
func TestTwoAtOnce(t *testing.T) {
	dir := t.TempDir()
	if err := addProject(dir); err != nil {
		t.Fatal(err)
	}
	release, err := ledger.Lock(dir, "20260101T000000Z-abcdef", "goldline run release")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	code, _, stderr := goldline(t, nil, "", "bake", "--local", "--project", dir)
	if code != fail.CodeInput || !strings.Contains(stderr, "another goldline command is changing this project") || !strings.Contains(stderr, "20260101T000000Z-abcdef") {
		t.Errorf("code %d\n%s", code, stderr)
	}
}

// TestProtectedAsks: without a terminal and without --yes nothing is called.
func TestProtectedAsks(t *testing.T) {
	dir := t.TempDir()
	if err := addProject(dir); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"launch", "prod"}, {"promote", "web", "--to", "prod"}, {"rollback", "web", "--env", "prod"},
		{"destroy", "dev"}, {"destroy", "prod"}, {"run", "release"},
	} {
		code, _, stderr := goldline(t, nil, "yes\n", append(args, "--project", dir)...)
		if code != fail.CodeInput || !strings.Contains(stderr, "there is no terminal to ask on") || !strings.Contains(stderr, "--yes") {
			t.Errorf("%v: code %d\n%s", args, code, stderr)
		}
	}
}

func TestErrors(t *testing.T) {
	wrong := diag.List{{Pos: diag.Pos{File: "images/web.yaml", Line: 2, Col: 1}, Message: `unknown key "instance_typ"`, Hint: `did you mean "instance_type"?`}}
	for name, c := range map[string]struct {
		err      error
		code     int
		want     string
		problems bool
	}{
		"input": {err: fail.WithHint(fail.Inputf("no"), "do this"), code: 2, want: "error: no\n  hint: do this\n"},
		"left": {
			err: fail.Dirty(errors.New("launch dev: no"), fail.Left{What: "volume vol-1", Command: "goldline destroy dev"}), code: 1,
			want: "error: launch dev: no\nThis is left, and the command that finishes or removes it:\n  volume vol-1\n    goldline destroy dev --project 'my shop' --local\n",
		},
		"several": {err: &multierror.Error{Errors: []error{fail.Clean(errors.New("one\nand more")), fail.Clean(errors.New("two"))}}, code: 3, want: "error: one\n  and more\nerror: two\n"},
		"definitions": {
			err: fmt.Errorf("run: %w", wrong.Err()), code: 2, problems: true,
			want: "images/web.yaml:2:1: unknown key \"instance_typ\"\n",
		},
		"differences": {err: fail.ErrDifferences, code: 4},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			p := newProgram(nil, []string{"NO_COLOR=1"}, nil, &out, &errs)
			p.began, p.flags.output, p.flags.project, p.flags.local = true, outputJSON, "my shop", true
			code, halted := p.finish(c.err)
			if code != c.code || halted || !strings.HasPrefix(errs.String(), c.want) || c.want == "" && errs.Len() > 0 {
				t.Errorf("code %d, want %d:\n%s\nwant:\n%s", code, c.code, errs.String(), c.want)
			}
			var document struct {
				Outcome string
				Error   *problem
			}
			if err := json.Unmarshal(out.Bytes(), &document); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if document.Outcome != fail.Outcome(c.err) || (document.Error != nil) != (c.code != 4) || document.Error != nil && (len(document.Error.Problems) > 0) != c.problems {
				t.Errorf("got %s", out.String())
			}
		})
	}
}

// A command that only reads leaves nothing, whatever goes wrong in it.
func TestReads(t *testing.T) {
	for want, given := range map[int]error{fail.CodeClean: errors.New("describe every vpc: denied"), fail.CodeInput: fail.Inputf("no"), fail.CodeDifferences: fail.ErrDifferences, fail.CodeDone: nil} {
		p := newProgram(nil, nil, nil, io.Discard, io.Discard)
		err := p.reads(func(context.Context, []string) (report, error) { return nil, given })(&cobra.Command{}, nil)
		if code := fail.ExitCode(err); code != want {
			t.Errorf("%v: code %d, want %d", given, code, want)
		}
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, func() bool { return false }, func(s string) string { return s })
	for _, e := range []event.Event{
		{Stage: "bake", Item: "web", Kind: event.Started},
		{Stage: "bake", Item: "web", Kind: event.Output, Message: "50%\r100%\x1b[2J\nnext\n"},
		{Stage: "bake", Item: "web", Kind: event.Waiting, Message: "the builder is pending"},
		{Stage: "bake", Item: "web", Kind: event.Waiting, Message: "the builder is pending"},
		{Stage: "bake", Item: "web", Kind: event.Waiting, Message: "the builder is running"},
		{Stage: "launch-dev", Kind: event.Warning, Message: "slow"},
		{Kind: event.Failed, Message: "no"},
	} {
		p.Emit(e)
	}
	want := `[bake web] started
[bake web] | 100%[2J
[bake web] | next
[bake web] the builder is pending
[bake web] the builder is running
[launch-dev] warning: slow
no
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	words := &text{out: &out, paint: painter(true)}
	words.table("none", []string{"A", "STATE"}, [][]string{{"Käse", "succeeded"}, {"b", "-"}})
	words.table("none", []string{"A"}, nil)
	want := "\x1b[1mA\x1b[0m     \x1b[1mSTATE\x1b[0m\nKäse  \x1b[32msucceeded\x1b[0m\nb     -\nnone\n"
	if out.String() != want {
		t.Errorf("got:\n%q\nwant:\n%q", out.String(), want)
	}
}

// TestGaps: one blank line stands between the parts of what a launch says,
// whichever of them there are.
func TestGaps(t *testing.T) {
	change := []launch.Change{{Address: "vpc.main", Action: launch.Create}}
	machines := []launch.Instance{{Address: "instance.web", ID: "i-1"}}
	rolled := []launch.RolloutResult{{Definition: "instance.web", Strategy: "rolling", Batches: 1, Instances: []launch.Rolled{{Address: "instance.web"}}}}
	moves := []promote.Move{{Environment: "dev", Image: "web"}}
	for i := range 32 {
		var r launchReport
		r.none, r.next = "no changes", []string{"look"}
		if i&1 > 0 {
			r.Changes = change
		}
		if i&2 > 0 {
			r.Instances = machines
		}
		if i&4 > 0 {
			r.Rollouts = rolled
		}
		if i&8 > 0 {
			r.RolledBack = moves
		}
		if i&16 > 0 {
			r.next = nil
		}
		var out bytes.Buffer
		r.text(&text{out: &out, paint: painter(false)})
		said := out.String()
		if strings.Contains(said, "\n\n\n") || r.next != nil && !strings.Contains(said, "\n\nNext:\n") || r.Instances != nil && !strings.Contains(said, "\n\nADDRESS") {
			t.Errorf("%q", said)
		}
	}
}

// TestLeftovers: after a second interrupt what was made and not removed is told.
func TestLeftovers(t *testing.T) {
	p := newProgram([]string{"bake", "web", "--var", "password=secret"}, nil, nil, nil, &bytes.Buffer{})
	for _, e := range []event.Event{
		{Stage: "bake", Item: "web", Kind: event.Created, Fields: map[string]string{"id": "sg-1"}},
		{Stage: "bake", Item: "web", Kind: event.Created, Fields: map[string]string{"id": "i-1"}},
		{Stage: "bake", Item: "web", Kind: event.Removed, Fields: map[string]string{"id": "sg-1"}, Time: time.Now()},
	} {
		p.left.Emit(e)
	}
	left := p.left.list(p)
	if len(left) != 1 || left[0].What != "[bake web] i-1" || left[0].Command != "goldline bake web --var password=..." {
		t.Errorf("got %+v", left)
	}
}
