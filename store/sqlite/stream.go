package sqlite

import (
	"context"
	"fmt"
	"sync"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
)

// Watch streams the commits after a revision. A stream that keeps up is served from memory; one that fell behind reads the table until it has
// caught up. It holds no connection while it waits.
func (s *Store) Watch(ctx context.Context, from resource.Revision) (store.Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("watch from revision %d: %w", from, err)
	}
	if err := s.feed.check(from); err != nil {
		return nil, fmt.Errorf("watch from revision %d (last commit %d): %w", from, s.feed.revision(), err)
	}
	return &stream{store: s, at: from, done: make(chan struct{})}, nil
}

type stream struct {
	store *Store
	// at is the revision delivered last.
	at resource.Revision
	// read holds commits that came from the table in one go.
	read []store.Batch
	done chan struct{}
	once sync.Once
}

// Bounds of one look at the table.
const (
	readBatches = 256
	readBytes   = 4 << 20
)

// Next waits for the next commit.
func (s *stream) Next(ctx context.Context) (store.Batch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return store.Batch{}, err
		}
		if isDone(s.done) {
			return store.Batch{}, fmt.Errorf("watch: %w", store.ErrClosed)
		}
		if len(s.read) > 0 {
			b := s.read[0]
			s.read[0] = store.Batch{}
			s.read = s.read[1:]
			s.at = b.Revision
			return b, nil
		}
		b, place, moved := s.store.feed.after(s.at)
		switch place {
		case inMemory:
			s.at = b.Revision
			return b, nil
		case notYet:
			select {
			case <-moved:
			case <-s.done:
			case <-ctx.Done():
			}
		case inTable:
			if err := s.fill(ctx); err != nil {
				return store.Batch{}, err
			}
		case forgotten:
			return store.Batch{}, fmt.Errorf("watch after revision %d: %w", s.at, store.ErrCompacted)
		case feedClosed:
			return store.Batch{}, fmt.Errorf("watch: %w", store.ErrClosed)
		}
	}
}

// fill reads the commits after s.at from the table. What was compacted meanwhile shows as a hole, and ends the stream.
func (s *stream) fill(ctx context.Context) error {
	head := s.store.feed.revision()
	err := s.store.readers.use(ctx, func(c *conn) error {
		q, err := c.prepare("SELECT revision, at, first_signal, body FROM feed WHERE revision > ? AND revision <= ? ORDER BY revision LIMIT ?")
		if err != nil {
			return err
		}
		bytes, next := 0, s.at+1
		return q.bindInt(int64(s.at)).bindInt(int64(head)).bindInt(readBatches).each(func() error {
			h := codec.Head{Revision: resource.Revision(q.int(0)), At: codec.Time(q.int(1)), FirstSignal: store.SignalID(q.int(2))}
			if bytes > readBytes {
				return nil
			}
			if h.Revision != next {
				return fmt.Errorf("revision %d follows %d: %w", h.Revision, next-1, store.ErrCompacted)
			}
			body := q.bytes(3)
			b, err := codec.Batch(body, h)
			if err != nil {
				return fmt.Errorf("read commit %d of the feed: %w", h.Revision, err)
			}
			s.read = append(s.read, b)
			bytes += len(body)
			next++
			return nil
		})
	})
	if err == nil && len(s.read) == 0 {
		err = store.ErrCompacted
	}
	if err != nil {
		s.read = nil
		return fmt.Errorf("watch after revision %d: %w", s.at, err)
	}
	return nil
}

// Close ends the stream, also one that waits in Next.
func (s *stream) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
