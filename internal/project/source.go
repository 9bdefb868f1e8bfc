package project

import (
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
)

// source is one file as it was read and parsed.
type source struct {
	dir    string // the project's folder
	file   string // relative to the project's folder, with forward slashes
	lines  []string
	docs   []*yaml.Node // the documents' root nodes, empty ones left out
	hcl    bool         // its nodes are of an HCL2 template, each with its file's name as HeadComment
	broken bool         // it could not be read or parsed: what it would define is not known
}

// base is the file's name without folder and extension, which names what a
// file of one definition defines.
func (s *source) base() string {
	name := filepath.Base(s.file)
	return strings.TrimSuffix(name, filepath.Ext(name))
}

func (s *source) whole() diag.Pos { return diag.Pos{File: s.file} }

func (s *source) at(n *yaml.Node) diag.Pos {
	if n == nil || n.Line == 0 {
		return s.whole()
	}
	if s.hcl && n.HeadComment != "" {
		return diag.Pos{File: n.HeadComment, Line: n.Line, Col: n.Column}
	}
	return diag.Pos{File: s.file, Line: n.Line, Col: n.Column}
}

// locate is the position of the nth occurrence (from 0) of a text at or after
// a position. Where it is not there as such, because of escapes, it is the
// position itself.
func (s *source) locate(from diag.Pos, text string, nth int) diag.Pos {
	for i := from.Line - 1; i >= 0 && i < len(s.lines); i++ {
		line, before := s.lines[i], 0
		if i == from.Line-1 {
			runes := []rune(line)
			before = max(0, min(from.Col-1, len(runes)))
			line = string(runes[before:])
		}
		for {
			at := strings.Index(line, text)
			if at < 0 {
				break
			}
			before += len([]rune(line[:at]))
			if nth == 0 {
				return diag.Pos{File: s.file, Line: i + 1, Col: before + 1}
			}
			nth--
			before += len([]rune(text))
			line = line[at+len(text):]
		}
	}
	return from
}

// isDefinition tells whether a file is one that definitions are read from.
func isDefinition(name string) bool {
	if strings.HasPrefix(filepath.Base(name), ".") {
		return false
	}
	switch filepath.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// readFolder reads the definitions directly in a folder of the project, in the
// order of their names. A folder that does not exist holds none.
func (p *Project) readFolder(folder string) []*source {
	entries, err := os.ReadDir(filepath.Join(p.Dir, folder))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		p.problems.Addf(diag.Pos{File: folder}, "cannot be read: %v", err)
		return nil
	}
	var files []*source
	for _, e := range entries {
		if !e.IsDir() && isDefinition(e.Name()) {
			files = append(files, p.readSource(folder+"/"+e.Name()))
		}
	}
	return files
}

// readTree reads the definitions in a folder of the project and below it.
func (p *Project) readTree(folder string) []*source {
	root := filepath.Join(p.Dir, folder)
	var names []string
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != root && strings.HasPrefix(e.Name(), "."):
			return filepath.SkipDir
		case !e.IsDir() && isDefinition(path):
			rel, err := filepath.Rel(p.Dir, path)
			if err != nil {
				return err
			}
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.problems.Addf(diag.Pos{File: folder}, "cannot be read: %v", err)
	}
	sort.Strings(names)
	files := make([]*source, len(names))
	for i, name := range names {
		files[i] = p.readSource(name)
	}
	return files
}

// readSource reads and parses one file and reports what keeps it from being
// parsed.
func (p *Project) readSource(file string) *source {
	s := &source{dir: p.Dir, file: file}
	p.sources = append(p.sources, s)
	text, err := os.ReadFile(filepath.Join(p.Dir, filepath.FromSlash(file)))
	if err != nil {
		s.broken = true
		p.problems.Addf(s.whole(), "cannot be read: %v", pathless(err))
		return s
	}
	s.parse(text, &p.problems)
	return s
}

// pathless takes the absolute path out of an error of the file system: the
// position names the file already.
func pathless(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func (s *source) parse(text []byte, problems *diag.List) {
	if filepath.Ext(s.file) == ".json" {
		text = joinSurrogates(text)
	}
	s.lines = strings.Split(string(text), "\n")
	docs, err := parseYAML(text)
	if err != nil {
		s.broken = true
		s.syntaxProblem(string(text), err, problems)
	}
	for _, doc := range docs {
		root := doc.Content[0]
		if !s.expandable(root, problems) {
			s.broken = true
			continue
		}
		if !isNull(root) {
			s.docs = append(s.docs, root)
		}
	}
	if len(s.docs) == 0 && !s.broken {
		s.broken = true
		problems.Addf(s.whole(), "the file is empty: it holds no definition")
	}
}

// maxValues bounds what a document may expand to through its aliases, so that
// a few nested ones cannot fill the memory.
const maxValues = 200_000

// expandable reports aliases that contain themselves or expand without measure.
func (s *source) expandable(root *yaml.Node, problems *diag.List) bool {
	sizes, open, ok := map[*yaml.Node]int{}, map[*yaml.Node]bool{}, true
	var size func(n *yaml.Node) int
	size = func(n *yaml.Node) int {
		if known, done := sizes[n]; done {
			return known
		}
		if open[n] {
			if ok {
				problems.Addf(s.at(n), "the anchor %q contains itself", n.Anchor)
			}
			ok = false
			return 1
		}
		open[n] = true
		total := 1
		if n.Kind == yaml.AliasNode && n.Alias != nil {
			total += size(n.Alias)
		}
		for _, c := range n.Content {
			total = min(total+size(c), maxValues+1)
		}
		open[n] = false
		sizes[n] = total
		return total
	}
	if size(root) > maxValues && ok {
		problems.Addf(s.at(root), "the document expands to more than %d values", maxValues)
		ok = false
	}
	return ok
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// follow gives the node that an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}
