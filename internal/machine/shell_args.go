package machine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// shellArgs are what sh was told on its command line.
type shellArgs struct {
	options []string // for set
	command *string  // -c
	name    string   // $0
	params  []string
	file    string
	login   bool
}

func parseShellArgs(args []string) (shellArgs, error) {
	parsed := shellArgs{name: args[0]}
	rest, wantCommand := args[1:], false
	for len(rest) > 0 && len(rest[0]) > 1 && (rest[0][0] == '-' || rest[0][0] == '+') {
		arg := rest[0]
		rest = rest[1:]
		if arg == "--" {
			break
		}
		if strings.HasPrefix(arg, "--") {
			parsed.login = parsed.login || arg == "--login"
			continue // --norc, --noprofile, --posix
		}
		for _, letter := range arg[1:] {
			switch letter {
			case 'c':
				wantCommand = true
			case 'l':
				parsed.login = true
			case 's', 'i', 'm', 'h', 'B', 'p', 'b', 'v':
			case 'o':
				if len(rest) == 0 {
					return parsed, errors.New("-o requires an argument")
				}
				parsed.options = append(parsed.options, arg[:1]+"o", rest[0])
				rest = rest[1:]
			case 'a', 'e', 'n', 'f', 'u', 'x':
				parsed.options = append(parsed.options, arg[:1]+string(letter))
			default:
				return parsed, fmt.Errorf("illegal option -%c", letter)
			}
		}
	}
	if wantCommand {
		if len(rest) == 0 {
			return parsed, errors.New("-c requires an argument")
		}
		parsed.command, rest = &rest[0], rest[1:]
		if len(rest) > 0 {
			parsed.name, rest = rest[0], rest[1:]
		}
	} else if len(rest) > 0 && !hasFlag(args[1:], 's') {
		parsed.file, parsed.name, rest = rest[0], rest[0], rest[1:]
	}
	parsed.params = rest
	return parsed, nil
}

func hasFlag(args []string, flag byte) bool {
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") || arg == "--" {
			return false
		}
		if !strings.HasPrefix(arg, "--") && strings.IndexByte(arg, flag) > 0 {
			return true
		}
	}
	return false
}

// rewrite sends the interpreter's own built-ins that would look at the host, or
// that it lacks, to commands of ours.
func rewrite(_ context.Context, args []string) ([]string, error) {
	// A function that calls itself for ever grows this goroutine's stack, and
	// Go ends the whole process when that is full.
	if runtime.Callers(maxFrames, make([]uintptr, 1)) > 0 {
		return nil, errors.New("too many nested function calls")
	}
	switch args[0] {
	case "command":
		if len(args) > 1 && (args[1] == "-v" || args[1] == "-V") {
			return append([]string{wordWhich}, args[2:]...), nil
		}
	case "type", "hash":
		return append([]string{wordType}, args[1:]...), nil
	case "pwd":
		if len(args) > 1 {
			return []string{wordPwd}, nil
		}
	case "umask":
		return append([]string{wordUmask}, args[1:]...), nil
	case "kill", "ulimit", "times", "newgrp", "fc", "bind", "enable", "disown", "jobs":
		return append([]string{wordNothing}, args[1:]...), nil
	case "trap":
		return rewriteTrap(args), nil
	}
	return args, nil
}

// rewriteTrap leaves out the signals: nothing sends any to an interpreted shell.
func rewriteTrap(args []string) []string {
	if len(args) < 3 || strings.HasPrefix(args[1], "-") && args[1] != "-" && args[1] != "--" {
		return args
	}
	kept := []string{}
	for _, condition := range args[2:] {
		switch condition {
		case "0", "EXIT":
			kept = append(kept, "EXIT")
		case "ERR", "DEBUG":
			kept = append(kept, condition)
		}
	}
	if len(kept) == 0 {
		return []string{wordNothing}
	}
	return append([]string{"trap", args[1]}, kept...)
}
