package machine

import (
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// basicRegexp turns a POSIX basic regular expression into Go's syntax; extended
// ones are nearly Go's already.
func basicRegexp(pattern string) string {
	var out strings.Builder
	inClass := false
	for i := 0; i < len(pattern); i++ {
		ch := pattern[i]
		switch {
		case inClass:
			if ch == '[' && i+1 < len(pattern) && pattern[i+1] == ':' {
				end := strings.Index(pattern[i:], ":]")
				if end > 0 {
					out.WriteString(pattern[i : i+end+2])
					i += end + 1
					continue
				}
			}
			if ch == '\\' || ch == '[' {
				out.WriteByte('\\')
			}
			out.WriteByte(ch)
			if ch == ']' && !classOpens(pattern, i) {
				inClass = false
			}
		case ch == '[':
			inClass = true
			out.WriteByte(ch)
		case ch == '\\' && i+1 < len(pattern):
			i++
			switch next := pattern[i]; next {
			case '(', ')', '{', '}', '|', '+', '?':
				out.WriteByte(next)
			case '<', '>':
				out.WriteString(`\b`)
			default:
				out.WriteByte('\\')
				out.WriteByte(next)
			}
		case strings.IndexByte("(){}|+?", ch) >= 0:
			out.WriteByte('\\')
			out.WriteByte(ch)
		case ch == '*' && (i == 0 || pattern[i-1] == '^' && i == 1):
			out.WriteString(`\*`)
		default:
			out.WriteByte(ch)
		}
	}
	return out.String()
}

// classOpens says that the bracket at i is the first of its class, and so no
// end of it.
func classOpens(pattern string, i int) bool {
	return i > 0 && (pattern[i-1] == '[' || pattern[i-1] == '^' && i > 1 && pattern[i-2] == '[')
}

func compile(pattern string, extended, fold bool) (*regexp.Regexp, error) {
	if !extended {
		pattern = basicRegexp(pattern)
	} else {
		pattern = strings.NewReplacer(`\<`, `\b`, `\>`, `\b`).Replace(pattern)
	}
	if fold {
		pattern = "(?i)" + pattern
	}
	return regexp.Compile(pattern)
}

func runGrep(c *call) int {
	o, ok := c.parse("EFGPivncqlLowxrRshHe:f:m:A:B:C:a", "extended-regexp", "fixed-strings", "ignore-case", "invert-match", "quiet", "silent", "count", "line-number", "regexp:", "color:", "recursive", "only-matching", "no-messages", "word-regexp", "line-regexp", "files-with-matches")
	if !ok {
		return 2
	}
	patterns, files := append(o.set["e"], o.set["regexp"]...), o.rest
	if len(patterns) == 0 {
		if len(files) == 0 {
			c.errorf("usage: grep [OPTION]... PATTERNS [FILE]...")
			return 2
		}
		patterns, files = []string{files[0]}, files[1:]
	}
	match, err := grepPattern(strings.Split(strings.Join(patterns, "\n"), "\n"), o, path.Base(c.args[0]))
	if err != nil {
		c.errorf("%v", err)
		return 2
	}
	if o.has("r", "R", "recursive") {
		files = c.recursive(files)
	}
	return c.grep(o, match, files)
}

func grepPattern(patterns []string, o options, name string) (*regexp.Regexp, error) {
	fixed := o.has("F", "fixed-strings") || name == "fgrep"
	extended := o.has("E", "P", "extended-regexp") || name == "egrep"
	alternatives := make([]string, len(patterns))
	for i, pattern := range patterns {
		switch {
		case fixed:
			pattern = regexp.QuoteMeta(pattern)
		case !extended:
			pattern = basicRegexp(pattern)
		}
		alternatives[i] = "(?:" + pattern + ")"
	}
	whole := strings.Join(alternatives, "|")
	if o.has("x", "line-regexp") {
		whole = "^(?:" + whole + ")$"
	}
	if o.has("w", "word-regexp") {
		whole = `\b(?:` + whole + `)\b`
	}
	return compile(whole, true, o.has("i", "ignore-case"))
}

func (c *call) recursive(roots []string) []string {
	if len(roots) == 0 {
		roots = []string{"."}
	}
	var files []string
	for _, root := range roots {
		base := c.abs(root)
		_ = c.walk(base, func(p string, info os.FileInfo) error { // what cannot be read is missing in the result
			if info.Mode().IsRegular() {
				files = append(files, root+strings.TrimPrefix(p, base))
			}
			return nil
		})
	}
	return files
}

func (c *call) grep(o options, match *regexp.Regexp, files []string) int {
	invert, quiet := o.has("v", "invert-match"), o.has("q", "quiet", "silent")
	named := (len(files) > 1 || o.has("r", "R", "recursive", "H")) && !o.has("h")
	limit, found, bad := 1<<60, false, 0
	if number, err := strconv.Atoi(o.get("m")); err == nil {
		limit = number
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	quietCall := c
	if o.has("s", "no-messages") {
		quietCall = c.with(c.args)
		quietCall.err = io.Discard
	}
	for _, file := range files {
		count, number, prefix := 0, 0, ""
		if named {
			prefix = file + ":"
		}
		exit := quietCall.lines([]string{file}, func(_, line string) error {
			number++
			if match.MatchString(line) == invert {
				return nil
			}
			found = true
			if count++; quiet || count > limit || o.has("l", "files-with-matches") {
				return errStop
			}
			if o.has("c", "count") {
				return nil
			}
			if o.has("n", "line-number") {
				line = fmt.Sprintf("%d:%s", number, line)
			}
			if o.has("o", "only-matching") {
				for _, part := range match.FindAllString(line, -1) {
					fmt.Fprintln(c.out, prefix+part)
				}
				return nil
			}
			fmt.Fprintln(c.out, prefix+line)
			return nil
		})
		if count == 0 {
			bad = max(bad, exit)
		}
		if o.has("c", "count") && !quiet {
			fmt.Fprintf(c.out, "%s%d\n", prefix, count)
		}
		if o.has("l", "files-with-matches") && count > 0 {
			fmt.Fprintln(c.out, file)
		}
	}
	switch {
	case found && (quiet || bad == 0):
		return 0
	case bad != 0:
		return 2
	}
	return 1
}
