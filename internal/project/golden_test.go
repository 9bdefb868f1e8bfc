package project

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden compares with a file, or writes it where GOLDEN=update is set.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv("GOLDEN") == "update" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (GOLDEN=update writes it)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs (GOLDEN=update writes it anew)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// TestBrokenProjects: everything that is wrong with a project, as the user
// sees it. Each archive in testdata/broken is a project.
func TestBrokenProjects(t *testing.T) {
	archives, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives in testdata/broken", err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text := string(archive)
			if !strings.Contains(text, "-- goldline.yaml --") {
				text = base + text
			}
			p, _ := Load(write(t, text), testVocabulary())
			err = p.Validate(nil)
			if err == nil {
				t.Fatal("the project was found to be right")
			}
			golden(t, strings.TrimSuffix(path, ".txtar")+".golden", render(p, err))
		})
	}
}
