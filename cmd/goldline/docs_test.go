package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/bake"
	"github.com/goldline-dev/goldline/launch"
	"github.com/goldline-dev/goldline/pipelines"
)

func readDoc(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestOutputIsDocumented: every key of every JSON result stands in docs/output.md.
func TestOutputIsDocumented(t *testing.T) {
	doc := readDoc(t, "docs/output.md")
	seen := map[reflect.Type]bool{}
	var check func(of reflect.Type, where string)
	check = func(of reflect.Type, where string) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || seen[of] || of.PkgPath() == "time" {
			return
		}
		seen[of] = true
		for i := range of.NumField() {
			f := of.Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous && key == "" {
				check(f.Type, where)
				continue
			}
			if !f.IsExported() || key == "-" {
				continue
			}
			if !strings.Contains(doc, "`"+key+"`") && !strings.Contains(doc, "."+key+"`") {
				t.Errorf("docs/output.md does not name `%s` of %s", key, where)
			}
			check(f.Type, where+"."+key)
		}
	}
	for _, r := range []any{
		envelope{}, runReport{}, bakeReport{}, explainReport{}, sweepReport{}, moveReport{}, rollbackReport{}, planReport{}, launchReport{},
		listReport{}, showReport{}, historyReport{}, deployedReport{}, documentReport{}, checkedReport{}, valueReport{},
		importReport{}, validateReport{}, servedReport{}, versionReport{},
		pipelines.Result{}, bake.Build{}, bake.Explanation{}, launch.Plan{},
	} {
		check(reflect.TypeOf(r), fmt.Sprintf("%T", r))
	}
}

// TestGettingStarted does what docs/guide/getting-started.md says.
func TestGettingStarted(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readDoc(t, "docs/guide/getting-started.md"), -1)
	files := []string{"goldline.yaml", "environments/dev.yaml", "images/web.yaml", "topology/instances/web.yaml", "pipelines/release.yaml"}
	if len(blocks) != len(files) {
		t.Fatalf("%d blocks of YAML for %d files", len(blocks), len(files))
	}
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range files {
		write(name, blocks[i][1])
	}
	write("environments/prod.yaml", blocks[1][1])
	for _, line := range []string{
		"validate", "run release --local", "images deployed dev --local", "plan dev --local --exit-code", "destroy dev --local",
	} {
		args := append(strings.Fields(line), "--project", dir)
		if code, stdout, stderr := goldline(t, []string{"GOLDLINE_LOCAL_MACHINE=in-process"}, "", args...); code != 0 {
			t.Fatalf("goldline %s: code %d\n%s\n%s", line, code, stdout, stderr)
		}
	}
}

// TestDocumentedCommandsParse: the command lines of the documents are ones that
// goldline understands.
func TestDocumentedCommandsParse(t *testing.T) {
	documents, err := filepath.Glob(filepath.Join("..", "..", "docs", "guide", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, path := range append(documents, filepath.Join("..", "..", "README.md")) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			command, ok := strings.CutPrefix(line, "    goldline ")
			if !ok {
				continue
			}
			command, _, _ = strings.Cut(command, "   ") // what follows explains it
			command, _, _ = strings.Cut(command, " >")
			if err := parses(strings.Fields(strings.Trim(command, " &"))); err != nil {
				t.Errorf("%s: goldline %s: %v", filepath.Base(path), command, err)
			}
			checked++
		}
	}
	if checked < 15 {
		t.Errorf("only %d command lines were found: this test looks in the wrong place", checked)
	}
}
