package hcl2

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	strftime "github.com/jehiah/go-strftime"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// maxFile bounds a file that a template reads, so that a wrong path is noticed
// before it fills the memory.
const maxFile = 16 << 20

// path is where a path in the template leads.
func (e *evaluation) path(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if filepath.IsAbs(name) {
		return name
	}
	// path.root leads from the working folder to the template's.
	if rest, ok := strings.CutPrefix(name, e.in.Root+"/"); ok && e.in.Root != "." {
		name = rest
	}
	return filepath.Join(e.in.Dir, name)
}

func (e *evaluation) read(name string) (string, error) {
	path := e.path(name)
	if info, err := os.Stat(path); err == nil && info.Size() > maxFile {
		return "", fmt.Errorf("%s is larger than 16 MiB", name)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s cannot be read", name)
	}
	return string(text), nil
}

func (e *evaluation) fileFunctions() map[string]function.Function {
	return map[string]function.Function{
		"file":       text1(e.read),
		"basename":   sure(filepath.Base),
		"dirname":    sure(filepath.Dir),
		"abspath":    text1(func(s string) (string, error) { return filepath.Abs(s) }),
		"pathexpand": sure(func(s string) string { return expandHome(s) }),
		"fileexists": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "path", Type: cty.String}},
			Type:   function.StaticReturnType(cty.Bool),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				info, err := os.Stat(e.path(args[0].AsString()))
				return cty.BoolVal(err == nil && info.Mode().IsRegular()), nil
			},
		}),
		"fileset": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "path", Type: cty.String}, {Name: "pattern", Type: cty.String}},
			Type:   function.StaticReturnType(cty.Set(cty.String)),
			Impl:   e.fileset,
		}),
		"templatefile": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "path", Type: cty.String}, {Name: "vars", Type: cty.DynamicPseudoType}},
			Type:   function.StaticReturnType(cty.String),
			Impl:   e.templatefile,
		}),
	}
}

func expandHome(s string) string {
	home, err := os.UserHomeDir()
	if err != nil || s != "~" && !strings.HasPrefix(s, "~/") {
		return s
	}
	return home + s[1:]
}

func (e *evaluation) fileset(args []cty.Value, _ cty.Type) (cty.Value, error) {
	root := e.path(args[0].AsString())
	names, err := filepath.Glob(filepath.Join(root, args[1].AsString()))
	if err != nil {
		return cty.NilVal, err
	}
	var found []cty.Value
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			if relative, err := filepath.Rel(root, name); err == nil {
				found = append(found, cty.StringVal(filepath.ToSlash(relative)))
			}
		}
	}
	if len(found) == 0 {
		return cty.SetValEmpty(cty.String), nil
	}
	return cty.SetVal(found), nil
}

func (e *evaluation) templatefile(args []cty.Value, _ cty.Type) (cty.Value, error) {
	name := args[0].AsString()
	text, err := e.read(name)
	if err != nil {
		return cty.NilVal, err
	}
	if kind := args[1].Type(); !kind.IsObjectType() && !kind.IsMapType() {
		return cty.NilVal, fmt.Errorf("the variables of a template are a map, found %s", kind.FriendlyName())
	}
	expr, found := hclsyntax.ParseTemplate([]byte(text), name, hcl.InitialPos)
	if found.HasErrors() {
		return cty.NilVal, found
	}
	v, found := expr.Value(&hcl.EvalContext{Variables: args[1].AsValueMap(), Functions: e.functions(false)})
	if found.HasErrors() {
		return cty.NilVal, found
	}
	if v.Type() != cty.String {
		return cty.NilVal, fmt.Errorf("%s does not give text", name)
	}
	return v, nil
}

// momentFunctions give what differs from one bake to the next.
func (e *evaluation) momentFunctions() map[string]function.Function {
	now := e.in.Now.UTC()
	isotime := function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "format", Type: cty.String},
		Type:     function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			format := time.RFC3339
			if len(args) > 0 {
				format = args[0].AsString()
			}
			return cty.StringVal(now.Format(format)), nil
		},
	})
	format := sure(func(f string) string { return strftime.Format(f, now) })
	return map[string]function.Function{
		"timestamp":       textN(0, func([]string) (string, error) { return now.Format(time.RFC3339), nil }),
		"isotime":         isotime,
		"legacy_isotime":  isotime,
		"strftime":        format,
		"legacy_strftime": format,
		"uuidv4":          textN(0, func([]string) (string, error) { return e.in.UUID(), nil }),
	}
}

func jsonOf(value any) (string, error) {
	text, err := json.Marshal(value)
	return string(text), err
}
