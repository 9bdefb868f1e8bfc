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
)

func main() {
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
