package sqlite

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/setpointhq/setpoint/store"
)

// readers is a bounded pool of reading connections, opened when first needed.
type readers struct {
	path  string
	count *atomic.Uint64
	// slots holds one entry per connection that may be in use: nil for one that is not open yet.
	slots  chan *conn
	closed chan struct{}
	size   int
}

func newReaders(path string, size int, count *atomic.Uint64) *readers {
	r := &readers{path: path, count: count, slots: make(chan *conn, size), closed: make(chan struct{}), size: size}
	for range size {
		r.slots <- nil
	}
	return r
}

// use runs f on a connection of its own, inside one read transaction.
func (r *readers) use(ctx context.Context, f func(*conn) error) error {
	select {
	case <-r.closed:
		return store.ErrClosed
	default:
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.closed:
		return store.ErrClosed
	case c := <-r.slots:
		defer func() { r.slots <- c }()
		if c == nil {
			var err error
			if c, err = openConn(r.path, true, r.count); err != nil {
				return err
			}
		}
		return readTransaction(c, f)
	}
}

func readTransaction(c *conn, f func(*conn) error) (err error) {
	if err := c.exec("BEGIN"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.exec("ROLLBACK")) }()
	return f(c)
}

// close waits for readers under way, which hold their slot, and closes every connection.
func (r *readers) close() error {
	close(r.closed)
	var err error
	for range r.size {
		if c := <-r.slots; c != nil {
			err = errors.Join(err, c.close())
		}
	}
	return err
}
