package machine

import (
	"context"
	"fmt"
)

func newGuest(ctx context.Context, kind Kind, m *running) (guest, error) {
	if kind == InProcess {
		return newInProcess(m)
	}
	return nil, fmt.Errorf("kind %s: not available on this system", kind)
}

func probe(context.Context, Kind, string) error { return fmt.Errorf("only Linux has namespaces") }
