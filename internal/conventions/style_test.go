package conventions

import (
	"go/ast"
	"go/token"
	"sort"
	"strconv"
	"strings"
	"testing"
)

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	_, all := tree(t)
	documented := map[string]bool{}
	for _, s := range all {
		if s.test {
			continue
		}
		doc := s.file.Doc.Text()
		has := strings.HasPrefix(doc, "Package "+s.file.Name.Name+" ") || s.file.Name.Name == "main" && doc != ""
		documented[s.dir] = documented[s.dir] || has
	}
	for _, dir := range sorted(documented) {
		if !documented[dir] {
			t.Errorf("%s has no doc comment that begins with its name", dir)
		}
	}
}

// TestNoBareGoroutines: they belong to internal/graph, or to the servers of
// the local cloud.
func TestNoBareGoroutines(t *testing.T) {
	files, all := tree(t)
	for _, s := range all {
		if s.test || below(s.dir, "internal/graph") || below(s.dir, "internal/emulator") || below(s.dir, "internal/machine") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s: a bare go statement: use internal/graph", files.Position(g.Pos()))
			}
			return true
		})
	}
}

// TestNoInitNoExit: nothing happens before main, and nothing ends the process
// but main.
func TestNoInitNoExit(t *testing.T) {
	files, all := tree(t)
	for _, s := range all {
		if s.test || s.file.Name.Name == "main" && strings.HasSuffix(s.path, "/main.go") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" {
					t.Errorf("%s: an init function", files.Position(n.Pos()))
				}
			case *ast.CallExpr:
				if name := calledName(n); name == "os.Exit" || strings.HasPrefix(name, "log.Fatal") {
					t.Errorf("%s: %s below main", files.Position(n.Pos()), name)
				}
			}
			return true
		})
	}
}

// TestOnlyCmdPrints: the rooms emit events.
func TestOnlyCmdPrints(t *testing.T) {
	files, all := tree(t)
	for _, s := range all {
		if s.test || below(s.dir, "cmd") || below(s.dir, "bench") || s.file.Name.Name == "main" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				switch name := calledName(call); name {
				case "fmt.Print", "fmt.Println", "fmt.Printf", "log.Print", "log.Println", "log.Printf", "print", "println":
					t.Errorf("%s: %s outside cmd", files.Position(n.Pos()), name)
				}
			}
			return true
		})
	}
}

// TestTagKeysAreSpelledOnce: a key that is spelled in two places is misspelled
// in one of them some day.
func TestTagKeysAreSpelledOnce(t *testing.T) {
	files, all := tree(t)
	for _, s := range all {
		if s.test || s.dir == "internal/tags" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(literal.Value); err == nil && strings.HasPrefix(text, "goldline:") && len(text) > len("goldline:") && !strings.Contains(text, " ") {
				t.Errorf("%s: the tag key %q is spelled outside internal/tags", files.Position(n.Pos()), text)
			}
			return true
		})
	}
}

// TestArchitectureNamesEveryRoom keeps ARCHITECTURE.md's map whole.
func TestArchitectureNamesEveryRoom(t *testing.T) {
	text := readRoot(t, "ARCHITECTURE.md")
	for room := range arrows {
		if !strings.Contains(text, "`"+room+"/`") && !strings.Contains(text, "`"+room+"`") {
			t.Errorf("ARCHITECTURE.md does not name `%s/`", room)
		}
	}
}

func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	}
	return ""
}

func sorted(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
