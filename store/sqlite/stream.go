package sqlite

import (
	"context"
	"fmt"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
)

// Watch streams the commits after a revision. It holds no connection while it waits.
func (s *Store) Watch(ctx context.Context, from resource.Revision) (store.Stream, error) {
	return s.feed.Watch(ctx, from)
}

// Bounds of one look at the table.
const (
	readBatches = 256
	readBytes   = 4 << 20
)

// readFeed reads the commits after a revision from the table. What was compacted meanwhile shows as a hole.
func (s *Store) readFeed(ctx context.Context, after, to resource.Revision) ([]store.Batch, error) {
	var read []store.Batch
	err := s.readers.use(ctx, func(c *conn) error {
		q, err := c.prepare("SELECT revision, at, first_signal, body FROM feed WHERE revision > ? AND revision <= ? ORDER BY revision LIMIT ?")
		if err != nil {
			return err
		}
		bytes, next := 0, after+1
		return q.bindInt(int64(after)).bindInt(int64(to)).bindInt(readBatches).each(func() error {
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
			read = append(read, b)
			bytes += len(body)
			next++
			return nil
		})
	})
	return read, err
}
