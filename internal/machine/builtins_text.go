package machine

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
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
