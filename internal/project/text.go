package project

import (
	"regexp"
	"strings"
)

// reference finds `$${`, which stands for `${` itself, and the innermost
// `${...}`: in `${volume.data[${index}].id}` that is `${index}`.
var reference = regexp.MustCompile(`\$\$\{|\$\{([^{}$]*)\}`)

// expression is what may stand between the braces. Anything else, such as a
// shell's `${HOME:-/root}`, is text.
var expression = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*(\[[^\[\]]+\])?(\.[A-Za-z0-9_-]+(\[[^\[\]]+\])?)*$|^ssm\.[A-Za-z0-9_./-]+$`)

// rewrite replaces each `${expr}` for which value returns true. With unescape,
// `$${` becomes `${`; without, it stays for a later rewrite.
func rewrite(text string, unescape bool, value func(expr string) (string, bool)) string {
	if !strings.Contains(text, "${") {
		return text
	}
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$${" {
			if unescape {
				return "${"
			}
			return found
		}
		expr := found[2 : len(found)-1]
		if !expression.MatchString(expr) {
			return found
		}
		if v, ok := value(expr); ok {
			return v
		}
		return found
	})
}

// wholeExpression returns the expression that a text wholly is.
func wholeExpression(text string) (string, bool) {
	m := reference.FindStringSubmatchIndex(text)
	if m == nil || m[0] != 0 || m[1] != len(text) || m[2] < 0 {
		return "", false
	}
	expr := text[m[2]:m[3]]
	return expr, expression.MatchString(expr)
}

// root is the first word of an expression: var in var.size.
func root(expr string) (first, rest string) {
	if i := strings.IndexAny(expr, ".["); i >= 0 {
		return expr[:i], strings.TrimPrefix(expr[i:], ".")
	}
	return expr, ""
}
