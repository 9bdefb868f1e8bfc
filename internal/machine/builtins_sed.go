package machine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// sedAddress is a line number, the last line, or a pattern.
type sedAddress struct {
	line    int
	last    bool
	pattern *regexp.Regexp
}

func (a sedAddress) matches(number int, last bool, line string) bool {
	switch {
	case a.last:
		return last
	case a.pattern != nil:
		return a.pattern.MatchString(line)
	}
	return a.line == number
}

// sedCommand is one of s, p, d, q, a, i, c, =, y.
type sedCommand struct {
	from, to *sedAddress
	negate   bool
	verb     byte
	pattern  *regexp.Regexp
	with     string
	global   bool
	print    bool
	nth      int
	text     string
	inRange  bool
}

func (s *sedCommand) selects(number int, last bool, line string) bool {
	selected := false
	switch {
	case s.from == nil:
		selected = true
	case s.to == nil:
		selected = s.from.matches(number, last, line)
	case s.inRange:
		selected = true
		s.inRange = !s.to.matches(number, last, line) && !(s.to.pattern == nil && !s.to.last && number >= s.to.line)
	case s.from.matches(number, last, line):
		selected = true
		s.inRange = s.to.pattern != nil || s.to.last && !last || s.to.line > number
	}
	return selected != s.negate
}

func runSed(c *call) int {
	args := c.args[1:]
	for i, arg := range args { // -i takes a suffix only in the same word
		if strings.HasPrefix(arg, "-i") && len(arg) > 2 && !strings.HasPrefix(arg, "--") {
			args[i] = "--in-place=" + arg[2:]
		}
	}
	o, ok := c.with(append([]string{"sed"}, args...)).parse("nirEe:f:sz", "in-place", "quiet", "silent", "regexp-extended", "expression:", "file:")
	if !ok {
		return 1
	}
	var program []string
	program = append(append(program, o.set["e"]...), o.set["expression"]...)
	for _, file := range append(o.set["f"], o.set["file"]...) {
		data, err := c.g.files.readFile(c.abs(file))
		if err != nil {
			return c.fail("couldn't open file "+file, err)
		}
		program = append(program, string(data))
	}
	files := o.rest
	if len(program) == 0 {
		if len(files) == 0 {
			c.errorf("no script given")
			return 1
		}
		program, files = files[:1], files[1:]
	}
	commands, err := parseSed(strings.Join(program, "\n"), o.has("E", "r", "regexp-extended"))
	if err != nil {
		c.errorf("%v", err)
		return 1
	}
	silent := o.has("n", "quiet", "silent")
	if !o.has("i", "in-place") {
		var input []byte
		exit := c.each(files, func(r io.Reader) error {
			data, err := io.ReadAll(r)
			input = append(input, data...)
			return err
		})
		_, _ = io.WriteString(c.out, sed(commands, string(input), silent))
		return exit
	}
	exit := 0
	for _, file := range files {
		exit = max(exit, c.sedInPlace(commands, file, o.get("in-place"), silent))
	}
	return exit
}

// sedInPlace replaces the file by a new one, as sed does, so that a reader sees
// the old or the new contents, whole.
func (c *call) sedInPlace(commands []*sedCommand, file, suffix string, silent bool) int {
	t, p := c.g.files, c.abs(file)
	info, err := t.stat(p)
	if err != nil {
		return c.fail("can't read "+file, err)
	}
	if !info.Mode().IsRegular() {
		c.errorf("couldn't edit %s: not a regular file", file)
		return 4
	}
	data, err := t.readFile(p)
	if err != nil {
		return c.fail("can't read "+file, err)
	}
	if suffix != "" {
		if err := t.writeFile(p+suffix, data, info.Mode()); err != nil {
			return c.fail(file+suffix, err)
		}
	}
	for _, command := range commands {
		command.inRange = false
	}
	draft := p + ".sed-new"
	err = t.writeFile(draft, []byte(sed(commands, string(data), silent)), info.Mode())
	if err == nil {
		uid, gid := owner(info)
		if err = t.chown(draft, uid, gid); errors.Is(err, fs.ErrPermission) || errors.Is(err, os.ErrInvalid) {
			err = nil
		}
	}
	if err == nil {
		err = t.rename(draft, p)
	}
	if err != nil {
		return c.fail(file, err)
	}
	return 0
}

func sed(commands []*sedCommand, input string, silent bool) string {
	var out strings.Builder
	lines := strings.SplitAfter(input, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	for i, whole := range lines {
		line, ended := strings.CutSuffix(whole, "\n")
		end := map[bool]string{true: "\n", false: ""}[ended]
		deleted, quit, after := false, false, ""
		for _, command := range commands {
			if !command.selects(i+1, i == len(lines)-1, line) {
				continue
			}
			switch command.verb {
			case 'd':
				deleted = true
			case 'p':
				out.WriteString(line + "\n")
			case 'q':
				quit = true
			case '=':
				fmt.Fprintf(&out, "%d\n", i+1)
			case 'i':
				out.WriteString(command.text + "\n")
			case 'a':
				after += command.text + "\n"
			case 'c':
				out.WriteString(command.text + "\n")
				deleted = true
			case 'y':
				line = strings.Map(func(r rune) rune {
					if at := strings.IndexRune(command.with[:command.nth], r); at >= 0 {
						return rune(command.with[command.nth+at])
					}
					return r
				}, line)
			case 's':
				replaced, ok := command.substitute(line)
				if line = replaced; ok && command.print {
					out.WriteString(line + "\n")
				}
			}
			if deleted || quit {
				break
			}
		}
		if !deleted && !silent {
			if after != "" {
				end = "\n"
			}
			out.WriteString(line + end)
		}
		out.WriteString(after)
		if quit {
			break
		}
	}
	return out.String()
}

func (s *sedCommand) substitute(line string) (string, bool) {
	var out strings.Builder
	at, count, changed := 0, 0, false
	for _, match := range s.pattern.FindAllStringSubmatchIndex(line, -1) {
		count++
		if count < s.nth {
			continue
		}
		out.WriteString(line[at:match[0]])
		out.WriteString(expandSed(s.with, line, match))
		at, changed = match[1], true
		if !s.global {
			break
		}
	}
	out.WriteString(line[at:])
	return out.String(), changed
}

// expandSed fills & and \1 into a replacement.
func expandSed(with, line string, match []int) string {
	var out strings.Builder
	for i := 0; i < len(with); i++ {
		switch {
		case with[i] == '&':
			out.WriteString(line[match[0]:match[1]])
		case with[i] == '\\' && i+1 < len(with):
			i++
			switch next := with[i]; {
			case next >= '0' && next <= '9':
				if group := int(next-'0') * 2; group+1 < len(match) && match[group] >= 0 {
					out.WriteString(line[match[group]:match[group+1]])
				}
			case next == 'n':
				out.WriteByte('\n')
			case next == 't':
				out.WriteByte('\t')
			default:
				out.WriteByte(next)
			}
		default:
			out.WriteByte(with[i])
		}
	}
	return out.String()
}

// sedParser reads a sed program.
type sedParser struct {
	text     string
	extended bool
}

func parseSed(program string, extended bool) ([]*sedCommand, error) {
	p := &sedParser{program, extended}
	var commands []*sedCommand
	for {
		p.text = strings.TrimLeft(p.text, " \t\n;")
		if p.text == "" {
			return commands, nil
		}
		if p.text[0] == '#' {
			_, p.text, _ = strings.Cut(p.text, "\n")
			continue
		}
		command, err := p.command()
		if err != nil {
			return nil, err
		}
		commands = append(commands, command)
	}
}

func (p *sedParser) command() (*sedCommand, error) {
	command := &sedCommand{nth: 1}
	var err error
	if command.from, err = p.address(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(p.text, ",") {
		p.text = strings.TrimLeft(p.text[1:], " ")
		if command.to, err = p.address(); err != nil || command.to == nil {
			return nil, errors.Join(errors.New("unexpected ','"), err)
		}
	}
	p.text = strings.TrimLeft(p.text, " ")
	if strings.HasPrefix(p.text, "!") {
		command.negate = true
		p.text = strings.TrimLeft(p.text[1:], " ")
	}
	if p.text == "" {
		return nil, errors.New("missing command")
	}
	command.verb, p.text = p.text[0], p.text[1:]
	switch command.verb {
	case 'd', 'p', 'q', '=':
		return command, nil
	case 'a', 'i', 'c':
		text := strings.TrimLeft(p.text, " ")
		text = strings.TrimPrefix(strings.TrimPrefix(text, "\\"), "\n")
		command.text, p.text, _ = strings.Cut(text, "\n")
		return command, nil
	case 's', 'y':
		return command, p.substitution(command)
	}
	return nil, fmt.Errorf("unknown command: '%c'", command.verb)
}

func (p *sedParser) address() (*sedAddress, error) {
	if p.text == "" {
		return nil, nil
	}
	switch first := p.text[0]; {
	case first >= '0' && first <= '9':
		end := 0
		for end < len(p.text) && p.text[end] >= '0' && p.text[end] <= '9' {
			end++
		}
		number, err := strconv.Atoi(p.text[:end])
		p.text = p.text[end:]
		return &sedAddress{line: number}, err
	case first == '$':
		p.text = p.text[1:]
		return &sedAddress{last: true}, nil
	case first == '/' || first == '\\' && len(p.text) > 1:
		if first == '\\' {
			p.text = p.text[1:]
		}
		parts, err := p.delimited(1)
		if err != nil {
			return nil, err
		}
		fold := strings.HasPrefix(p.text, "I")
		p.text = strings.TrimPrefix(p.text, "I")
		pattern, err := compile(parts[0], p.extended, fold)
		return &sedAddress{pattern: pattern}, err
	}
	return nil, nil
}

// delimited reads n texts that end with the first character.
func (p *sedParser) delimited(n int) ([]string, error) {
	if p.text == "" {
		return nil, errors.New("unterminated command")
	}
	delimiter := p.text[0]
	p.text = p.text[1:]
	parts := make([]string, 0, n)
	var part strings.Builder
	inClass := false
	for i := 0; i < len(p.text); i++ {
		switch ch := p.text[i]; {
		case ch == '\\' && i+1 < len(p.text):
			i++
			if p.text[i] != delimiter || strings.IndexByte("|+?(){}", delimiter) >= 0 {
				part.WriteByte('\\')
			}
			part.WriteByte(p.text[i])
		case ch == '[' && len(parts) == 0 && !inClass:
			inClass = strings.IndexByte(p.text[i+1:], ']') >= 0
			part.WriteByte(ch)
		case ch == ']' && inClass:
			inClass = strings.HasSuffix(part.String(), "[") || strings.HasSuffix(part.String(), "[^")
			part.WriteByte(ch)
		case ch == delimiter && !inClass:
			parts = append(parts, part.String())
			part.Reset()
			if len(parts) == n {
				p.text = p.text[i+1:]
				return parts, nil
			}
		default:
			part.WriteByte(ch)
		}
	}
	return nil, errors.New("unterminated command")
}

func (p *sedParser) substitution(command *sedCommand) error {
	parts, err := p.delimited(2)
	if err != nil {
		return err
	}
	if command.verb == 'y' {
		if len(parts[0]) != len(parts[1]) {
			return errors.New("strings for 'y' command are different lengths")
		}
		command.with, command.nth = parts[0]+parts[1], len(parts[0])
		return nil
	}
	command.with = parts[1]
	fold := false
	for p.text != "" && strings.IndexByte(" ;\n}", p.text[0]) < 0 {
		switch flag := p.text[0]; {
		case flag == 'g':
			command.global = true
		case flag == 'p':
			command.print = true
		case flag == 'i' || flag == 'I':
			fold = true
		case flag >= '1' && flag <= '9':
			command.nth = int(flag - '0')
		default:
			return errors.New("unknown option to 's'")
		}
		p.text = p.text[1:]
	}
	command.pattern, err = compile(parts[0], p.extended, fold)
	return err
}
