// Command goldline bakes golden machine images, promotes them from environment
// to environment, and launches the tagged platform that runs them.
//
// This package turns a command line into one call of a domain room and what
// comes of it into text, JSON and an exit code. It is the only place that prints,
// exits, or chooses between AWS and the local cloud. It decides nothing else.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"runtime/debug"
)

// gcPercent is how much the heap may grow between two collections. A command
// mostly waits for AWS, so half of Go's usual growth costs next to no time, and
// keeps a launch of hundreds of instances small on the runners of CI.
const gcPercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program: it returns the exit code.
func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	// Packer's SDK writes to the standard logger, whole command lines with the
	// secrets in them.
	log.SetOutput(io.Discard)
	p := newProgram(args, env, stdin, stdout, stderr)
	code, halted := p.finish(p.execute(ctx, args))
	if !halted {
		p.close()
	}
	return code
}
