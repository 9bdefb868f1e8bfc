package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"goldline": main}) }

// TestScripts runs the scripts below testdata/script: whole commands as users
// type them, on a small project ($WORK/project, from testdata/project) and the
// local cloud with machines that work anywhere.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: false,
		UpdateScripts:       os.Getenv("GOLDEN") == "update",
		Deadline:            time.Now().Add(5 * time.Minute),
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("NO_COLOR", "1")
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			env.Setenv("GOLDLINE_LOCAL_MACHINE", "in-process")
			env.Cd = filepath.Join(env.WorkDir, "project")
			return addProject(env.Cd)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":      scriptCode,
			"json":      scriptJSON,
			"inventory": scriptInventory,
			"waitfor":   scriptWaitFor,
			"replace":   scriptReplace,
		},
	})
}

// addProject lays the small project below what the script brings of its own.
func addProject(dir string) error {
	from := filepath.Join("testdata", "project")
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, relative)
		if entry.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		if _, err := os.Stat(to); err == nil {
			return nil // the script's own
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o644)
	})
}

// scriptCode runs a command that must end with a certain exit code:
//
//	code 2 goldline plan nowhere
func scriptCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		exit, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// scriptJSON looks into the one JSON document that the last command printed:
//
//	json outcome succeeded        the value, as a regular expression of the whole
//	json len(images) 2            the length of a list
//	! json error.left[0].what .*  there is no such value
func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json PATH REGEXP")
	}
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	decoder.UseNumber()
	var document any
	ts.Check(decoder.Decode(&document))
	if decoder.More() {
		ts.Fatalf("more than one JSON document was printed")
	}
	got, ok := at(document, args[0])
	matched := ok && regexp.MustCompile("^(?s:"+args[1]+")$").MatchString(got)
	switch {
	case neg && matched:
		ts.Fatalf("%s is %s", args[0], got)
	case !neg && !ok:
		ts.Fatalf("there is no %s", args[0])
	case !neg && !matched:
		ts.Fatalf("%s is %s, want %s", args[0], got, args[1])
	}
}

// at finds a value by a path such as stages[0].name, or the length of a list:
// len(stages).
func at(v any, path string) (string, bool) {
	path, length := strings.CutPrefix(path, "len(")
	for _, key := range strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[])", r) }) {
		switch in := v.(type) {
		case map[string]any:
			next, ok := in[key]
			if !ok {
				return "", false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(in) {
				return "", false
			}
			v = in[i]
		default:
			return "", false
		}
	}
	if length {
		list, ok := v.([]any)
		return strconv.Itoa(len(list)), ok
	}
	if text, ok := v.(string); ok {
		return text, true
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) // it was decoded from JSON
	return strings.TrimSpace(b.String()), true
}

// scriptInventory writes everything that exists in the project's local cloud to
// a file, to be compared with another.
func scriptInventory(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: inventory FILE")
	}
	lines, err := inventory(ts.MkAbs(filepath.Join(".goldline", "local")))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(lines, "\n")+"\n"), 0o644))
}

// scriptWaitFor waits until a background command has made a file.
func scriptWaitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfor FILE")
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s never came", args[0])
}

// scriptReplace replaces text in a file: replace OLD NEW FILE.
func scriptReplace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace OLD NEW FILE")
	}
	path := ts.MkAbs(args[2])
	data, err := os.ReadFile(path)
	ts.Check(err)
	if !bytes.Contains(data, []byte(args[0])) {
		ts.Fatalf("%s does not contain %q", args[2], args[0])
	}
	ts.Check(os.WriteFile(path, bytes.ReplaceAll(data, []byte(args[0]), []byte(args[1])), 0o644))
}

// goldline runs the program in this process.
func goldline(t *testing.T, env []string, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, append([]string{"NO_COLOR=1"}, env...), strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}
