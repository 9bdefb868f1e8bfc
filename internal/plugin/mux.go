package plugin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/goldline-dev/goldline/internal/graph"
	"github.com/hashicorp/yamux"
)

// mux gives streams of a connection numbers: who opens one says which it is, and
// who awaits it answers with the same.
type mux struct {
	session *yamux.Session
	last    atomic.Uint32
	mu      sync.Mutex
	arrived map[uint32]chan net.Conn
	waits   []func() error
}

func newMux(conn net.Conn) (*mux, error) {
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	session, err := yamux.Client(conn, config)
	if err != nil {
		return nil, err
	}
	m := &mux{session: session, arrived: map[uint32]chan net.Conn{}}
	m.background(m.receive)
	return m, nil
}

// background runs something that ends when the session does.
func (m *mux) background(f func() error) {
	wait := graph.Background(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waits = append(m.waits, wait)
}

// close ends all streams, and waits for what runs in the background.
func (m *mux) close() error {
	err := m.session.Close()
	m.mu.Lock()
	waits := m.waits
	m.mu.Unlock()
	for _, wait := range waits {
		_ = wait() // each has told its own stream
	}
	return err
}

func (m *mux) next() uint32 { return m.last.Add(1) }

// receive sorts the streams that the other side opens.
func (m *mux) receive() error {
	for {
		stream, err := m.session.AcceptStream()
		if err != nil {
			return err
		}
		var id uint32
		if err := binary.Read(stream, binary.LittleEndian, &id); err != nil {
			stream.Close()
			continue
		}
		select {
		case m.queue(id) <- stream:
		default:
			stream.Close() // a second one of a number is nobody's
		}
	}
}

func (m *mux) queue(id uint32) chan net.Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	q, ok := m.arrived[id]
	if !ok {
		q = make(chan net.Conn, 1)
		m.arrived[id] = q
	}
	return q
}

// accept awaits the stream of a number.
func (m *mux) accept(ctx context.Context, id uint32) (net.Conn, error) {
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.arrived, id)
	}()
	select {
	case c := <-m.queue(id):
		if err := binary.Write(c, binary.LittleEndian, id); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		return c, nil
	case <-m.session.CloseChan():
		return nil, io.ErrUnexpectedEOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// dial opens the stream of a number.
func (m *mux) dial(id uint32) (net.Conn, error) {
	stream, err := m.session.OpenStream()
	if err != nil {
		return nil, err
	}
	var answer uint32
	err = binary.Write(stream, binary.LittleEndian, id)
	if err == nil {
		err = binary.Read(stream, binary.LittleEndian, &answer)
	}
	if err == nil && answer != id {
		err = fmt.Errorf("stream %d was answered as %d", id, answer)
	}
	if err != nil {
		return nil, errors.Join(err, stream.Close())
	}
	return stream, nil
}
