package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// compactChunk is how many rows are forgotten in one transaction, so that committers do not wait long.
const compactChunk = 500

// Compact forgets the feed up to and including a revision, and the history older than a time.
func (s *Store) Compact(ctx context.Context, before resource.Revision, history time.Time) error {
	err := s.writer.do(ctx, "compact", func(w *writer) error {
		return draft.Unavailable(w.compactTo(min(before, w.revision)))
	})
	if err != nil {
		return err
	}
	forget := []string{fmt.Sprintf("DELETE FROM feed WHERE revision IN (SELECT revision FROM feed WHERE revision <= (SELECT compacted FROM meta) ORDER BY revision LIMIT %d)", compactChunk)}
	if !history.IsZero() {
		forget = append(forget, fmt.Sprintf("DELETE FROM history WHERE at < %d AND id IN (SELECT id FROM history ORDER BY id LIMIT %d)", codec.Nanos(history), compactChunk))
	}
	for _, query := range forget {
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("compact: %w", err)
			}
			err := s.writer.do(ctx, "compact", func(w *writer) error {
				err := transaction(w.c, func() error { return w.c.run(query) })
				more = err == nil && w.c.raw.Changes() > 0
				return draft.Unavailable(err)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// compactTo declares revisions forgotten; their rows go afterwards.
func (w *writer) compactTo(rev resource.Revision) error {
	if rev <= w.compacted {
		return nil
	}
	if err := transaction(w.c, func() error { return w.c.run(fmt.Sprintf("UPDATE meta SET compacted = %d", rev)) }); err != nil {
		return err
	}
	w.compacted = rev
	w.store.feed.Forgot(rev)
	return nil
}

// trim forgets the oldest commits when there are more than are to be retained, and returns the newest that is forgotten. It is part of a
// group, so that a database at rest does nothing.
func (w *writer) trim(last resource.Revision) (resource.Revision, error) {
	keep := w.store.options.RetainRevisions
	if keep < 0 || uint64(last) < uint64(w.compacted)+uint64(keep)+trimStep {
		return w.compacted, nil
	}
	to := min(last-resource.Revision(keep), w.compacted+2*trimStep, w.revision)
	return to, w.c.run(fmt.Sprintf("UPDATE meta SET compacted = %d; DELETE FROM feed WHERE revision <= %d", to, to))
}

// trimStep is how many commits are forgotten at a time, at least.
const trimStep = 256
