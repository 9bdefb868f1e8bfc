package machine

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

func textBuiltins() map[string]builtin {
	return map[string]builtin{
		"grep": runGrep, "egrep": runGrep, "fgrep": runGrep, "sed": runSed, "head": runHead, "tail": runTail, "wc": runWc, "sort": runSort,
		"uniq": runUniq, "cut": runCut, "tr": runTr, "tee": runTee, "seq": runSeq, "basename": runBasename, "dirname": runDirname, "rev": runRev, "tac": runTac, "yes": runYes, "expr": runExpr, "nl": runCat,
	}
}

// lines reads the named files' lines one after another.
func (c *call) lines(names []string, do func(name, line string) error) int {
	if len(names) == 0 {
		names = []string{"-"}
	}
	exit := 0
	for _, name := range names {
		exit = max(exit, c.each([]string{name}, func(r io.Reader) error {
			reader := bufio.NewReader(r)
			for c.ctx.Err() == nil {
				line, err := reader.ReadString('\n')
				if line != "" {
					if err := do(name, strings.TrimSuffix(line, "\n")); err != nil {
						return err
					}
				}
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
			}
			return c.ctx.Err()
		}))
	}
	return exit
}

var errStop = errors.New("enough was read")

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

func runHead(c *call) int {
	lines, bytesLimit, files, ok := c.headArgs()
	if !ok {
		return 1
	}
	exit := 0
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, file := range files {
		if len(files) > 1 {
			fmt.Fprintf(c.out, "==> %s <==\n", file)
		}
		if bytesLimit != "" {
			number, _ := strconv.ParseInt(bytesLimit, 10, 64)
			exit = max(exit, c.each([]string{file}, func(r io.Reader) error {
				_, err := io.CopyN(c.out, r, number)
				if errors.Is(err, io.EOF) {
					return nil
				}
				return err
			}))
			continue
		}
		left, _ := strconv.Atoi(lines)
		exit = max(exit, c.each([]string{file}, func(r io.Reader) error {
			reader := bufio.NewReader(r)
			for ; left > 0; left-- {
				line, err := reader.ReadString('\n')
				_, _ = io.WriteString(c.out, line)
				if err != nil {
					return nil
				}
			}
			return nil
		}))
	}
	return exit
}

// headArgs reads -n N, -N and -c N.
func (c *call) headArgs() (lines, bytesLimit string, files []string, ok bool) {
	args := append([]string{}, c.args...)
	for i, arg := range args {
		if len(arg) > 1 && arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9' {
			args[i] = "-n" + arg[1:]
		}
	}
	o, ok := c.with(args).parse("n:c:qvfF", "lines:", "bytes:", "quiet", "follow")
	lines = o.get("n", "lines")
	if lines == "" {
		lines = "10"
	}
	return lines, o.get("c", "bytes"), o.rest, ok
}

func runTail(c *call) int {
	lines, bytesLimit, files, ok := c.headArgs()
	if !ok {
		return 1
	}
	return c.each(files, func(r io.Reader) error {
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if bytesLimit != "" {
			number, _ := strconv.Atoi(strings.TrimPrefix(bytesLimit, "-"))
			_, err := c.out.Write(data[max(0, len(data)-number):])
			return err
		}
		all := bytes.SplitAfter(data, []byte("\n"))
		if len(all[len(all)-1]) == 0 {
			all = all[:len(all)-1]
		}
		start := 0
		if from, ok := strings.CutPrefix(lines, "+"); ok {
			number, _ := strconv.Atoi(from)
			start = min(max(number-1, 0), len(all))
		} else {
			number, _ := strconv.Atoi(strings.TrimPrefix(lines, "-"))
			start = max(0, len(all)-number)
		}
		_, err = c.out.Write(bytes.Join(all[start:], nil))
		return err
	})
}

func runWc(c *call) int {
	o, ok := c.parse("lwcm", "lines", "words", "bytes", "chars")
	if !ok {
		return 1
	}
	show := func(counts [3]int, name string) {
		var cells []string
		for i, names := range [][]string{{"l", "lines"}, {"w", "words"}, {"c", "m", "bytes", "chars"}} {
			if len(o.set) == 0 || o.has(names...) {
				cells = append(cells, strconv.Itoa(counts[i]))
			}
		}
		if name != "" {
			cells = append(cells, name)
		}
		fmt.Fprintln(c.out, strings.Join(cells, " "))
	}
	var total [3]int
	files := o.rest
	if len(files) == 0 {
		files = []string{""}
	}
	exit := 0
	for _, file := range files {
		from := file
		if from == "" {
			from = "-"
		}
		exit = max(exit, c.each([]string{from}, func(r io.Reader) error {
			data, err := io.ReadAll(r)
			counts := [3]int{bytes.Count(data, []byte("\n")), len(bytes.Fields(data)), len(data)}
			for i := range total {
				total[i] += counts[i]
			}
			show(counts, file)
			return err
		}))
	}
	if len(files) > 1 {
		show(total, "total")
	}
	return exit
}

func runSort(c *call) int {
	o, ok := c.parse("rnuk:t:o:fbhVsz", "reverse", "numeric-sort", "unique", "key:", "field-separator:", "output:", "version-sort", "stable")
	if !ok {
		return 2
	}
	var all []string
	exit := c.lines(o.rest, func(_, line string) error { all = append(all, line); return nil })
	key := func(line string) string { return line }
	if spec := o.get("k", "key"); spec != "" {
		first, _, _ := strings.Cut(spec, ",")
		number, _ := strconv.Atoi(strings.TrimRight(first, "nrfbhV"))
		separator := o.get("t", "field-separator")
		key = func(line string) string {
			fields := strings.Fields(line)
			if separator != "" {
				fields = strings.Split(line, separator)
			}
			if number < 1 || number > len(fields) {
				return ""
			}
			return strings.Join(fields[number-1:], " ")
		}
	}
	numeric := o.has("n", "numeric-sort", "h", "V", "version-sort") || strings.ContainsAny(o.get("k", "key"), "n")
	less := func(a, b string) bool {
		if numeric {
			x, y := leading(a), leading(b)
			if x != y {
				return x < y
			}
		}
		if o.has("f") {
			return strings.ToLower(a) < strings.ToLower(b)
		}
		return a < b
	}
	reverse := o.has("r", "reverse")
	sort.SliceStable(all, func(i, j int) bool {
		if reverse {
			return less(key(all[j]), key(all[i]))
		}
		return less(key(all[i]), key(all[j]))
	})
	var text strings.Builder
	for i, line := range all {
		if i > 0 && o.has("u", "unique") && line == all[i-1] {
			continue
		}
		text.WriteString(line + "\n")
	}
	if file := o.get("o", "output"); file != "" {
		if err := c.g.files.writeFile(c.abs(file), []byte(text.String()), 0o666&^c.g.mask()); err != nil {
			return c.fail(file, err)
		}
		return exit
	}
	_, _ = io.WriteString(c.out, text.String())
	return exit
}

// leading is the number that a text starts with.
func leading(text string) float64 {
	text = strings.TrimSpace(text)
	end := 0
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end] == '.' || end == 0 && text[end] == '-') {
		end++
	}
	number, _ := strconv.ParseFloat(text[:end], 64)
	return number
}

func runUniq(c *call) int {
	o, ok := c.parse("cduif:", "count", "repeated", "unique")
	if !ok {
		return 1
	}
	last, count := "", 0
	flush := func() {
		switch {
		case count == 0, o.has("d", "repeated") && count < 2, o.has("u", "unique") && count > 1:
		case o.has("c", "count"):
			fmt.Fprintf(c.out, "%7d %s\n", count, last)
		default:
			fmt.Fprintln(c.out, last)
		}
	}
	exit := c.lines(o.rest, func(_, line string) error {
		if count > 0 && line == last {
			count++
			return nil
		}
		flush()
		last, count = line, 1
		return nil
	})
	flush()
	return exit
}

func runCut(c *call) int {
	o, ok := c.parse("d:f:c:b:s", "delimiter:", "fields:", "characters:", "only-delimited", "complement", "output-delimiter:")
	if !ok {
		return 1
	}
	spec, delimiter := o.get("f", "fields"), o.get("d", "delimiter")
	chars := o.get("c", "characters", "b")
	if delimiter == "" {
		delimiter = "\t"
	}
	if spec == "" {
		spec = chars
	}
	ranges, err := parseRanges(spec)
	if err != nil {
		c.errorf("%v", err)
		return 1
	}
	return c.lines(o.rest, func(_, line string) error {
		parts, join := strings.Split(line, delimiter), delimiter
		if chars != "" {
			parts, join = strings.Split(line, ""), ""
		} else if len(parts) == 1 {
			if !o.has("s", "only-delimited") {
				fmt.Fprintln(c.out, line)
			}
			return nil
		}
		var kept []string
		for i, part := range parts {
			if ranges.hold(i + 1) {
				kept = append(kept, part)
			}
		}
		fmt.Fprintln(c.out, strings.Join(kept, join))
		return nil
	})
}

type ranges [][2]int

func (r ranges) hold(n int) bool {
	for _, one := range r {
		if n >= one[0] && n <= one[1] {
			return true
		}
	}
	return false
}

func parseRanges(spec string) (ranges, error) {
	var all ranges
	for part := range strings.SplitSeq(spec, ",") {
		from, to, isRange := strings.Cut(part, "-")
		one := [2]int{1, 1 << 30}
		var err error
		if from != "" {
			if one[0], err = strconv.Atoi(from); err != nil {
				return nil, fmt.Errorf("invalid field value '%s'", part)
			}
		}
		if !isRange {
			one[1] = one[0]
		} else if to != "" {
			if one[1], err = strconv.Atoi(to); err != nil {
				return nil, fmt.Errorf("invalid field range '%s'", part)
			}
		}
		all = append(all, one)
	}
	return all, nil
}

func runTr(c *call) int {
	o, ok := c.parse("dscC", "delete", "squeeze-repeats", "complement")
	if !ok || len(o.rest) == 0 {
		c.errorf("missing operand")
		return 1
	}
	from, to := trSet(o.rest[0]), ""
	if len(o.rest) > 1 {
		to = trSet(o.rest[1])
	}
	complement := o.has("c", "C", "complement")
	data, err := io.ReadAll(c.in)
	if err != nil && c.ctx.Err() != nil {
		return exitKilled
	}
	out := make([]byte, 0, len(data))
	for _, b := range data {
		at := strings.IndexByte(from, b)
		if complement {
			at = map[bool]int{true: 1 << 20, false: -1}[at < 0]
		}
		squeeze := from
		if at >= 0 {
			if o.has("d", "delete") {
				continue
			}
			if to != "" {
				b, squeeze = to[min(at, len(to)-1)], to
			}
		}
		if o.has("s", "squeeze-repeats") && len(out) > 0 && out[len(out)-1] == b && strings.IndexByte(squeeze, b) >= 0 {
			continue
		}
		out = append(out, b)
	}
	_, _ = c.out.Write(out)
	return 0
}

// trSet spells out tr's sets: ranges, classes, escapes.
func trSet(spec string) string {
	classes := map[string]string{
		"[:upper:]": "A-Z", "[:lower:]": "a-z", "[:digit:]": "0-9", "[:alpha:]": "A-Za-z", "[:alnum:]": "A-Za-z0-9",
		"[:space:]": " \t\n\r\v\f", "[:blank:]": " \t", "[:punct:]": "!\"#$%&'()*+,./:;<=>?@[]^_`{|}~-",
	}
	for name, members := range classes {
		spec = strings.ReplaceAll(spec, name, members)
	}
	spec = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\0`, "\x00", `\\`, "\\", `\-`, "-").Replace(spec)
	var out []byte
	for i := 0; i < len(spec); i++ {
		if i+2 < len(spec) && spec[i+1] == '-' && spec[i] <= spec[i+2] {
			for b := int(spec[i]); b <= int(spec[i+2]); b++ {
				out = append(out, byte(b))
			}
			i += 2
			continue
		}
		out = append(out, spec[i])
	}
	return string(out)
}

func runTee(c *call) int {
	o, ok := c.parse("aip", "append", "ignore-interrupts")
	if !ok {
		return 1
	}
	outputs, exit := []io.Writer{c.out}, 0
	mode := os.O_TRUNC
	if o.has("a", "append") {
		mode = os.O_APPEND
	}
	for _, name := range o.rest {
		file, err := c.open(name, os.O_WRONLY|os.O_CREATE|mode, 0o666)
		if err != nil {
			exit = c.fail(name, err)
			continue
		}
		defer file.Close()
		outputs = append(outputs, file)
	}
	if _, err := io.Copy(io.MultiWriter(outputs...), c.in); err != nil {
		return 1
	}
	return exit
}

func runSeq(c *call) int {
	o, ok := c.parseFirst("ws:f:", "separator:", "equal-width")
	if !ok {
		return 1
	}
	first, step, last := 1, 1, 0
	numbers := make([]int, len(o.rest))
	for i, arg := range o.rest {
		number, err := strconv.Atoi(arg)
		if err != nil {
			c.errorf("invalid integer argument: '%s'", arg)
			return 1
		}
		numbers[i] = number
	}
	switch len(numbers) {
	case 1:
		last = numbers[0]
	case 2:
		first, last = numbers[0], numbers[1]
	case 3:
		first, step, last = numbers[0], numbers[1], numbers[2]
	}
	if len(numbers) == 0 || len(numbers) > 3 || step == 0 {
		c.errorf("missing operand")
		return 1
	}
	separator := "\n"
	if o.has("s", "separator") {
		separator = o.get("s", "separator")
	}
	width := 0
	if o.has("w", "equal-width") {
		width = max(len(strconv.Itoa(first)), len(strconv.Itoa(last)))
	}
	writer := bufio.NewWriter(c.out)
	defer writer.Flush()
	for n, started := first, false; (step > 0 && n <= last || step < 0 && n >= last) && c.ctx.Err() == nil; n += step {
		if started {
			_, _ = writer.WriteString(separator)
		}
		started = true
		fmt.Fprintf(writer, "%0*d", width, n)
		if n+step == n || step > 0 && n+step > last || step < 0 && n+step < last {
			_, _ = writer.WriteString("\n")
		}
	}
	return 0
}

func runBasename(c *call) int {
	o, ok := c.parse("as:z", "multiple", "suffix:")
	if !ok || len(o.rest) == 0 {
		c.errorf("missing operand")
		return 1
	}
	suffix, names := o.get("s", "suffix"), o.rest
	if !o.has("a", "s", "multiple", "suffix") {
		if len(names) > 1 {
			suffix = names[1]
		}
		names = names[:1]
	}
	for _, name := range names {
		base := path.Base(name)
		if base != suffix {
			base = strings.TrimSuffix(base, suffix)
		}
		fmt.Fprintln(c.out, base)
	}
	return 0
}

func runDirname(c *call) int {
	if len(c.args) < 2 {
		c.errorf("missing operand")
		return 1
	}
	for _, name := range c.args[1:] {
		fmt.Fprintln(c.out, path.Dir(strings.TrimSuffix(name, "/")))
	}
	return 0
}

func runRev(c *call) int {
	return c.lines(c.args[1:], func(_, line string) error {
		runes := []rune(line)
		for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
			runes[i], runes[j] = runes[j], runes[i]
		}
		fmt.Fprintln(c.out, string(runes))
		return nil
	})
}

func runTac(c *call) int {
	var all []string
	exit := c.lines(c.args[1:], func(_, line string) error { all = append(all, line); return nil })
	for i := len(all) - 1; i >= 0; i-- {
		fmt.Fprintln(c.out, all[i])
	}
	return exit
}

func runYes(c *call) int {
	text := "y"
	if len(c.args) > 1 {
		text = strings.Join(c.args[1:], " ")
	}
	for c.ctx.Err() == nil {
		if _, err := io.WriteString(c.out, text+"\n"); err != nil {
			return 1
		}
	}
	return exitKilled
}

// runExpr knows one operator: enough for scripts that count.
func runExpr(c *call) int {
	args := c.args[1:]
	result := ""
	switch {
	case len(args) == 1:
		result = args[0]
	case len(args) == 3:
		a, aErr := strconv.Atoi(args[0])
		b, bErr := strconv.Atoi(args[2])
		numbers := aErr == nil && bErr == nil
		truth := map[bool]string{true: "1", false: "0"}
		switch op := args[1]; {
		case op == "=":
			result = truth[args[0] == args[2]]
		case op == "!=":
			result = truth[args[0] != args[2]]
		case numbers && op == "+":
			result = strconv.Itoa(a + b)
		case numbers && op == "-":
			result = strconv.Itoa(a - b)
		case numbers && op == "*":
			result = strconv.Itoa(a * b)
		case numbers && (op == "/" || op == "%") && b == 0:
			c.errorf("division by zero")
			return 2
		case numbers && op == "/":
			result = strconv.Itoa(a / b)
		case numbers && op == "%":
			result = strconv.Itoa(a % b)
		case numbers && strings.ContainsAny(op, "<>"):
			result = truth[op == "<" && a < b || op == "<=" && a <= b || op == ">" && a > b || op == ">=" && a >= b]
		default:
			c.errorf("syntax error")
			return 2
		}
	default:
		c.errorf("syntax error")
		return 2
	}
	fmt.Fprintln(c.out, result)
	if result == "" || result == "0" {
		return 1
	}
	return 0
}
