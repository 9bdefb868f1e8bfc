package launch

import "sync"

// memo is what several kinds read of one place: each thing once.
type memo struct {
	mu     sync.Mutex
	things map[string]*remembered
}

type remembered struct {
	done  chan struct{} // closed when it has been read
	value any
	err   error
}

// recall reads a thing, or gives what another kind has read.
func recall[T any](m *memo, name string, read func() (T, error)) (T, error) {
	m.mu.Lock()
	if m.things == nil {
		m.things = map[string]*remembered{}
	}
	r, known := m.things[name]
	if !known {
		r = &remembered{done: make(chan struct{})}
		m.things[name] = r
	}
	m.mu.Unlock()
	if known {
		<-r.done // whoever reads it gives up when the plan is given up
	} else {
		func() {
			defer close(r.done)
			r.value, r.err = read()
		}()
	}
	value, _ := r.value.(T)
	return value, r.err
}

// remembers gives what was read, or nothing where it was not.
func remembers[T any](m *memo, name string) (value T, ok bool) {
	if m == nil {
		return value, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.things[name]; r != nil {
		value, ok = r.value.(T)
	}
	return value, ok
}
