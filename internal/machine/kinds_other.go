//go:build !linux

package machine

import (
	"context"
	"errors"
	"fmt"
)

var errNoNamespaces = errors.New("only Linux has namespaces")

func newGuest(_ context.Context, kind Kind, m *running) (guest, error) {
	if kind == InProcess {
		return newInProcess(m)
	}
	return nil, fmt.Errorf("kind %s: %w", kind, errNoNamespaces)
}

func probe(context.Context, Kind, string) error { return errNoNamespaces }

// Conditions is empty: where only one kind works, there is nothing to remember.
func Conditions(string) string { return "" }
