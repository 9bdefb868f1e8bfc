package machine

import (
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
)

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
