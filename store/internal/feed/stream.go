package feed

import (
	"context"
	"fmt"
	"sync"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Watch streams the commits after a revision. A stream that keeps up is served from memory; one that fell behind reads the database until it has
// caught up.
func (f *Feed) Watch(ctx context.Context, from resource.Revision) (store.Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("watch from revision %d: %w", from, err)
	}
	life, err := f.check(from)
	if err != nil {
		return nil, fmt.Errorf("watch from revision %d (last commit %d): %w", from, f.Revision(), err)
	}
	return &stream{feed: f, at: from, life: life, done: make(chan struct{})}, nil
}

type stream struct {
	feed *Feed
	life int
	// at is the revision delivered last.
	at resource.Revision
	// read holds commits that came from the database in one go.
	read []store.Batch
	done chan struct{}
	once sync.Once
}

// Next waits for the next commit.
func (s *stream) Next(ctx context.Context) (store.Batch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return store.Batch{}, err
		}
		select {
		case <-s.done:
			return store.Batch{}, fmt.Errorf("watch: %w", store.ErrClosed)
		default:
		}
		if len(s.read) > 0 {
			b := s.read[0]
			s.read[0] = store.Batch{}
			s.read = s.read[1:]
			s.at = b.Revision
			return b, nil
		}
		b, place, moved := s.feed.after(s.at, s.life)
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
		case anotherPast:
			return store.Batch{}, fmt.Errorf("watch after revision %d: the database has lost commits: %w", s.at, store.ErrFuture)
		case feedClosed:
			return store.Batch{}, fmt.Errorf("watch: %w", store.ErrClosed)
		}
	}
}

// fill reads the commits after s.at from the database.
func (s *stream) fill(ctx context.Context) error {
	read, err := s.feed.source(ctx, s.at, s.feed.Revision())
	if err == nil && len(read) == 0 {
		err = store.ErrCompacted
	}
	if err != nil {
		return fmt.Errorf("watch after revision %d: %w", s.at, err)
	}
	s.read = read
	return nil
}

// Close ends the stream, also one that waits in Next.
func (s *stream) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}
