package ledger

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/fail"
)

// The test binary plays a goldline that is killed: it takes the lock, begins a
// run, says so, and waits.
const playDir = "GOLDLINE_LEDGER_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(playDir); dir != "" {
		play(dir)
	}
	m.Run()
}

func play(dir string) {
	if _, err := Lock(dir, "theirs", "goldline run release"); err != nil {
		panic(err)
	}
	l, err := Open(dir, "theirs", Header{Command: "goldline run release"})
	if err != nil {
		panic(err)
	}
	l.Intend("bake", "web", "run a builder instance")
	os.Stdout.WriteString("ready\n")
	os.Stdin.Read(make([]byte, 1))
}

func TestKilledRun(t *testing.T) {
	dir := t.TempDir()
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), playDir+"="+dir)
	stdin, _ := other.StdinPipe()
	defer stdin.Close()
	stdout, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if said, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || said != "ready\n" {
		t.Fatalf("the other process said %q, %v", said, err)
	}

	if Dead(dir, "theirs") {
		t.Error("a run that goes on is called dead")
	}
	_, err = Lock(dir, "mine", "goldline bake")
	if fail.ExitCode(err) != fail.CodeInput {
		t.Errorf("lock while another holds it: %v, exit code %d", err, fail.ExitCode(err))
	}
	if hint := strings.Join(fail.Hints(err), " "); !strings.Contains(hint, "theirs") || !strings.Contains(hint, "goldline run release") {
		t.Errorf("hint %q does not name the holder", hint)
	}

	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	other.Wait()
	if !Dead(dir, "theirs") {
		t.Error("a killed run is not called dead")
	}
	release, err := Lock(dir, "mine", "goldline bake")
	if err != nil {
		t.Fatalf("lock after the holder was killed: %v", err)
	}
	release()
	release()
	runs, err := Runs(dir)
	if err != nil || len(runs) != 1 || runs[0].Alive || runs[0].Outcome != "" || runs[0].Command != "goldline run release" {
		t.Errorf("runs %+v, %v", runs, err)
	}
}

func TestRecord(t *testing.T) {
	dir := t.TempDir()
	secret := "hunter2 & co"
	l, err := Open(dir, "r1", Header{Command: "goldline bake --var p='" + secret + "'", Secrets: []string{secret}})
	if err != nil {
		t.Fatal(err)
	}
	l.Emit(event.Event{Stage: "bake", Item: "web", Kind: event.Output, Message: "login with " + secret, Fields: map[string]string{"line": secret}})
	l.SetResult(map[string]any{"images": []string{"web " + secret}})
	runErr := fail.Dirty(errors.New("bake web: "+secret), fail.Left{What: "instance i-1", Command: "goldline destroy dev"})
	if err := l.Close(fail.FailedDirty, runErr); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(fail.Succeeded, nil); err != nil {
		t.Errorf("second close: %v", err)
	}

	for _, name := range []string{recordFile, ResultFile} {
		text, err := os.ReadFile(filepath.Join(Dir(dir, "r1"), name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "hunter2") {
			t.Errorf("%s holds the secret:\n%s", name, text)
		}
	}
	var result struct {
		Run, Outcome string
		Images       []string
		Error        struct {
			Message string
			Left    []fail.Left
		}
	}
	text, _ := os.ReadFile(filepath.Join(Dir(dir, "r1"), ResultFile))
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	if result.Run != "r1" || result.Outcome != fail.FailedDirty || result.Images[0] != "web ***" || result.Error.Left[0].What != "instance i-1" {
		t.Errorf("result %s", text)
	}
	runs, _ := Runs(dir)
	if len(runs) != 1 || runs[0].Outcome != fail.FailedDirty || len(runs[0].Left) != 1 {
		t.Errorf("runs %+v", runs)
	}
	if !Dead(dir, "r1") {
		t.Error("a run that ended is not called dead")
	}
}

func TestReadPassesOverATornLine(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir, "r1", Header{Command: "goldline bake"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(fail.Succeeded, nil)
	l.record.WriteString(`{"end":{"outc`)
	runs, err := Runs(dir)
	if err != nil || len(runs) != 1 || !runs[0].Alive || runs[0].Command != "goldline bake" {
		t.Errorf("runs %+v, %v", runs, err)
	}
}

func TestDeadOfWhatIsNotKnown(t *testing.T) {
	for _, run := range []string{"", "elsewhere", "..", "a/b"} {
		if Dead(t.TempDir(), run) {
			t.Errorf("Dead(%q)", run)
		}
	}
}

func TestNewRunSortsByTime(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 15, 0, 0, time.UTC)
	ids := []string{NewRun(at), NewRun(at.Add(time.Second)), NewRun(at.Add(time.Hour)), NewRun(at.AddDate(1, 0, 0))}
	if !sort.StringsAreSorted(ids) || !strings.HasPrefix(ids[0], "20261121T101500Z-") || NewRun(at) == ids[0] {
		t.Errorf("IDs %v", ids)
	}
}

func TestMask(t *testing.T) {
	key := "-----BEGIN KEY-----\nabcdefgh\nijklmnop\n-----END KEY-----\n"
	encode := base64.StdEncoding.EncodeToString
	for _, test := range []struct{ name, secret, text, want string }{
		{"plain", "hunter2", "password hunter2!", "password ***!"},
		{"too short", "abc", "abc", "abc"},
		{"JSON", `say "hi" <b>`, `{"p":"say \"hi\" \u003cb\u003e"}`, `{"p":"***"}`},
		{"URL", "p@ss w/rd", "https://u:p%40ss+w%2Frd@h", "https://u:***@h"},
		{"shell", "it's me", `echo 'it'\''s me'`, "echo '***'"},
		{"one line of several", key, "read ijklmnop from file", "read *** from file"},
		{"all lines", key, key, "***"},
		{"longest first", "hunter", "hunter", "***"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := NewMask(test.secret).Text(test.text); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	secret := "correct horse battery"
	for _, around := range []string{"%s", "u:%s", "us:%s", "%s@host", "user:%s\n"} {
		text := encode([]byte(strings.ReplaceAll(around, "%s", secret)))
		if got := NewMask(secret).Text(text); !strings.Contains(got, masked) {
			t.Errorf("base64 of %q is not masked: %s", around, got)
		}
	}
}
