package pipelines

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/rogpeppe/go-internal/txtar"
)

// load makes a project of testdata/project.txtar and more files, and loads it.
func load(t *testing.T, more ...txtar.File) *project.Project {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/project.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFiles(t, dir, append(archive.Files, more...)...)
	p, err := project.Load(dir, project.Vocabulary{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func writeFiles(t *testing.T, dir string, files ...txtar.File) {
	t.Helper()
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// loadPipeline is load with one pipeline.
func loadPipeline(t *testing.T, text string, more ...txtar.File) Options {
	t.Helper()
	p := load(t, append(more, txtar.File{Name: "pipelines/p.yaml", Data: []byte(text)})...)
	pipeline, err := p.Pipeline("p", nil)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Project: p, Pipeline: pipeline, Run: "20261121T101500Z-ab12cd"}
}

func TestCompile(t *testing.T) {
	cases, err := filepath.Glob("testdata/compile/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			o := loadPipeline(t, string(archive.Files[0].Data))
			for _, line := range strings.Split(string(archive.Comment), "\n") {
				if names, ok := strings.CutPrefix(line, "only: "); ok {
					o.Only = strings.Fields(names)
				}
				if names, ok := strings.CutPrefix(line, "from: "); ok {
					o.From = strings.Fields(names)
				}
			}
			golden(t, path, archive, describe(Compile(o)))
		})
	}
}

func describe(p *Plan, err error) string {
	if err == nil {
		return planText(p) + "changes " + strings.Join(p.Environments(), " ") + "\n"
	}
	var text strings.Builder
	var wrong *diag.Error
	if errors.As(err, &wrong) {
		for _, problem := range wrong.Problems {
			text.WriteString(problem.String() + "\n")
		}
	} else {
		text.WriteString(err.Error() + "\n")
	}
	for _, hint := range fail.Hints(err) {
		text.WriteString("hint: " + hint + "\n")
	}
	if fail.ExitCode(err) != fail.CodeInput {
		text.WriteString("not an error of input\n")
	}
	return text.String()
}

// golden compares with the archive's file "want"; GOLDEN=update writes it.
func golden(t *testing.T, path string, archive *txtar.Archive, got string) {
	t.Helper()
	i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
	if os.Getenv("GOLDEN") == "update" {
		if i < 0 {
			archive.Files, i = append(archive.Files, txtar.File{Name: "want"}), len(archive.Files)
		}
		archive.Files[i].Data = []byte(got)
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if i < 0 {
		t.Fatal("no golden output: run make golden")
	}
	if want := string(archive.Files[i].Data); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// planText is a plan as text, one line a node.
func planText(p *Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "pipeline %s\n", p.Pipeline)
	for _, n := range p.Nodes {
		s := p.stage(n.Stage)
		fmt.Fprintf(&b, "%s: %s", n.Name, s.Kind)
		if s.Environment != "" {
			fmt.Fprintf(&b, " %s", s.Environment)
		}
		if s.Kind == KindPromote {
			from := n.Build
			if from == "" {
				from = "the cloud"
			}
			fmt.Fprintf(&b, ", build from %s", from)
		}
		if n.Item == "" && len(s.Images) > 0 {
			fmt.Fprintf(&b, ", images %s", strings.Join(s.Images, " "))
		}
		if s.Timeout > 0 {
			fmt.Fprintf(&b, ", timeout %s", s.Timeout)
		}
		if s.Retry > 0 {
			fmt.Fprintf(&b, ", retry %d", s.Retry)
		}
		if len(n.Needs) > 0 {
			fmt.Fprintf(&b, "\n    needs %s", strings.Join(n.Needs, " "))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
