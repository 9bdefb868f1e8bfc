package machine

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

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
