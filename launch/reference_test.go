package launch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// TestReferenceSaysWhatReplaces: what a kind's compare takes for a reason to
// replace a resource carries the tag change, so that the reference says so.
func TestReferenceSaysWhatReplaces(t *testing.T) {
	reasons := fixedPaths(t)
	for _, k := range kinds() {
		handler := reflect.ValueOf(k).Field(0).Elem().Type().Name()
		spec := reflect.TypeOf(k.definition().New()).Elem()
		for i := range spec.NumField() {
			f := spec.Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if reasons[handler][key] && !strings.Contains(f.Tag.Get("change"), "replaces") {
				t.Errorf("%s: another %s replaces the resource: tag its field change:\"replaces\"", k.definition().Name, key)
			}
		}
	}
}

// TestExamplesAreOfKinds: no example is left over.
func TestExamplesAreOfKinds(t *testing.T) {
	files, err := fs.Glob(examples, "examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	byName := kindsByName()
	for _, file := range files {
		if name := strings.TrimSuffix(strings.TrimPrefix(file, "examples/"), ".yaml"); byName[name] == nil {
			t.Errorf("%s shows no kind", file)
		}
	}
}

// TestExamplesLaunch: the platform of all examples is made, and then there is
// nothing left to do.
func TestExamplesLaunch(t *testing.T) {
	files := map[string]string{"images/web.yaml": "source_ami: ami-00000000000000001\nssh_username: admin\n"}
	for _, k := range Kinds() {
		files["topology/"+k.Name+"/example.yaml"] = k.Example
	}
	s := newSite(t, files)
	s.promote("web", "1.0.0")
	s.launch()
	s.settled()
}

// fixedPaths are the fields that the compare methods hand to fixed, by the type
// of the handler.
func fixedPaths(t *testing.T) map[string]map[string]bool {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Name.Name != "compare" || f.Recv == nil {
				continue
			}
			receiver, ok := f.Recv.List[0].Type.(*ast.Ident)
			if !ok {
				continue
			}
			paths := map[string]bool{}
			all[receiver.Name] = paths
			ast.Inspect(f, func(n ast.Node) bool {
				if path, ok := fixedPath(n); ok {
					paths[path] = true
				}
				return true
			})
		}
	}
	return all
}

func fixedPath(n ast.Node) (string, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return "", false
	}
	name := ""
	switch f := call.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	text, ok := call.Args[0].(*ast.BasicLit)
	if name != "fixed" || !ok {
		return "", false
	}
	path, err := strconv.Unquote(text.Value)
	return path, err == nil
}
