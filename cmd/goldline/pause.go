package main

import (
	"bufio"
	"context"
	"fmt"
)

// pause waits for a line from the terminal, for breakpoints. It is nil without
// one.
func (p *program) pause() func(context.Context) error {
	if !terminal(p.stdin) || !terminal(p.stderr) {
		return nil
	}
	return func(ctx context.Context) error {
		fmt.Fprint(p.stderr, "Enter goes on: ")
		answer := make(chan struct{})
		p.background(func() {
			_, _ = bufio.NewReader(p.stdin).ReadString('\n') // at the end of input it goes on too
			close(answer)
		})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-answer:
			return nil
		}
	}
}
