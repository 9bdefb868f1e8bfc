package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/goldline-dev/goldline/internal/diag"
)

// parseYAML gives the documents of a file. A panic of the parser is an error
// of the text that set it off.
func parseYAML(text []byte) (docs []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc yaml.Node
		switch err := dec.Decode(&doc); {
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			return docs, err
		}
		if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
			docs = append(docs, &doc)
		}
	}
}

var (
	yamlLine   = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	yamlAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
	// The parser counts the lines of these from 0, those of its others from 1.
	fromZero = regexp.MustCompile(`^did not find expected (key|'-' indicator|',' or|node content|<)`)
	// These name the line where the collection starts, not the one that is wrong.
	fromStart = regexp.MustCompile(`^did not find expected (key|'-' indicator)`)
)

// syntaxProblem reports what keeps a text from being YAML, at the place that
// is wrong as nearly as the parser lets one know.
func (s *source) syntaxProblem(text string, err error, problems *diag.List) {
	at, message, hint := s.whole(), err.Error(), ""
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		message = m[2]
		if line, err := strconv.Atoi(m[1]); err == nil {
			if fromZero.MatchString(message) {
				line++
			}
			at = s.lineStart(line)
		}
		if fromStart.MatchString(message) {
			at = s.lineStart(s.firstWrong(max(at.Line, 1), err.Error()))
		}
		if anchor := yamlAnchor.FindStringSubmatch(message); anchor != nil {
			at = s.locate(diag.Pos{File: s.file, Line: 1, Col: 1}, "*"+anchor[1], 0)
		}
	}
	var syntax *json.SyntaxError
	if filepath.Ext(s.file) == ".json" && errors.As(json.Unmarshal([]byte(text), new(any)), &syntax) {
		problems.Addf(s.offset(text, int(syntax.Offset)-1), "not valid JSON: %v", syntax)
		return
	}
	// The parser may notice a tab only on the line after it.
	for i := max(0, at.Line-2); i < at.Line; i++ {
		if line := s.lines[i]; strings.Contains(line[:indentation(line)], "\t") {
			at.Line, at.Col = i+1, strings.Index(line, "\t")+1
			hint = "YAML is indented with spaces, never with tabs"
			break
		}
	}
	problems.AddHint(at, hint, "not valid YAML: %s", message)
}

// lineStart is the position of the first character of a line. A line after the
// last that holds something is that one.
func (s *source) lineStart(line int) diag.Pos {
	line = max(1, min(line, len(s.lines)))
	for line > 1 && strings.TrimSpace(s.lines[line-1]) == "" {
		line--
	}
	return diag.Pos{File: s.file, Line: line, Col: indentation(s.lines[line-1]) + 1}
}

// firstWrong is the first line from which on the text does not parse, found by
// parsing what stands before it.
func (s *source) firstWrong(from int, message string) int {
	return from + sort.Search(len(s.lines)-from, func(n int) bool {
		_, err := parseYAML([]byte(strings.Join(s.lines[:from+n], "\n") + "\n"))
		return err != nil && err.Error() == message
	})
}

func (s *source) offset(text string, offset int) diag.Pos {
	offset = max(0, min(offset, len(text)))
	before := text[:offset]
	return diag.Pos{File: s.file, Line: strings.Count(before, "\n") + 1, Col: len([]rune(before[strings.LastIndex(before, "\n")+1:])) + 1}
}

func indentation(line string) int {
	return len(line) - len(strings.TrimLeft(line, " \t"))
}

var surrogates = regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)

// joinSurrogates writes JSON's escaped surrogate pairs, which YAML does not
// know, as the characters they stand for.
func joinSurrogates(text []byte) []byte {
	return surrogates.ReplaceAllFunc(text, func(pair []byte) []byte {
		s, err := strconv.Unquote(`"` + string(pair) + `"`)
		if err == nil && !strings.Contains(s, "\uFFFD") {
			return []byte(s)
		}
		hi, _ := strconv.ParseUint(string(pair[2:6]), 16, 32)
		lo, _ := strconv.ParseUint(string(pair[8:12]), 16, 32)
		return []byte(string(rune((hi-0xD800)<<10 + (lo - 0xDC00) + 0x10000)))
	})
}
