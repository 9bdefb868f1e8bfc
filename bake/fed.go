package bake

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// fed is a script that goes to the builder, is run and is removed in one
// session. Each session of its own would cost round trips and a login shell.
type fed struct {
	path    string
	content []byte
	command string // what runs the script, once it lies at path
	keep    bool   // leave it there
	valid   []int  // exit codes of success, after which closing is done
	closing *closing
}

// fedOutcome is what became of a fed script.
type fedOutcome struct {
	code   int
	begun  bool // the command was started: what comes before is an upload that can be tried again
	left   bool // the script could not be removed
	closed bool // the closing was done
	closes int  // and its exit status
}

// errNotFed says that a builder cannot take a script this way: its user's shell
// is none of POSIX's, or the path cannot be written. The upload that follows says
// which.
var errNotFed = errors.New("the script could not be sent in the session that runs it")

// feed runs a script. Its standard input is empty, as if the script had been
// uploaded before. Each line that it prints goes to line.
func (r *remote) feed(ctx context.Context, f fed, line func(string)) (fedOutcome, error) {
	var o fedOutcome
	mark := newFedMarks()
	closing, blank := false, false
	say := func(text string) {
		if blank {
			line("")
		}
		if blank = text == ""; !blank { // one may be ours, before a mark
			line(text)
		}
	}
	code, err := r.runWith(ctx, f.script(mark), f.content, func(text string) {
		plain := strings.TrimSpace(text)
		switch {
		case !o.begun:
			o.begun = plain == mark.begin
		case plain == mark.left:
			o.left, blank = true, false
		case plain == mark.closing:
			closing, blank = true, false
		case strings.HasPrefix(plain, mark.closed):
			closing, o.closed = false, true
			o.closes, _ = strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(plain, mark.closed)))
		case closing:
			f.closing.hear(text)
		default:
			say(text)
		}
	})
	if blank {
		line("")
	}
	o.code = code
	if err == nil && !o.begun {
		err = errNotFed
	}
	return o, err
}

// fedMarks are lines that no script prints.
type fedMarks struct{ begin, left, closing, closed string }

func newFedMarks() fedMarks {
	id := token()
	return fedMarks{"goldline: begin " + id, "goldline: left " + id, "goldline: closing " + id, "goldline: closed " + id}
}

// script is what the builder's shell is told. The command stands between
// parentheses: it may end its shell.
func (f fed) script(mark fedMarks) string {
	path := quote(f.path)
	var s strings.Builder
	fmt.Fprintf(&s, "cat > %s && chmod 755 %s && echo '%s' || exit 1\n(\n%s\n)\ncode=$?\n", path, path, mark.begin, f.command)
	if !f.keep {
		fmt.Fprintf(&s, "rm -f %s || printf '\\n%s\\n'\n", path, mark.left)
	}
	if f.closing != nil {
		fmt.Fprintf(&s, "case $code in %s)\nprintf '\\n%s\\n'\n(\n%s\n)\necho \"%s $?\" ;;\nesac\n", f.validPattern(), mark.closing, f.closing.script, mark.closed)
	}
	s.WriteString("exit $code")
	return s.String()
}

func (f fed) validPattern() string {
	if len(f.valid) == 0 {
		return "0"
	}
	codes := make([]string, len(f.valid))
	for i, code := range f.valid {
		codes[i] = strconv.Itoa(code)
	}
	return strings.Join(codes, "|")
}
