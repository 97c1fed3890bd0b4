package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// upkeep makes partitions ahead of need, and drops old ones. It works when commits have made it necessary, so that a database at rest is left alone.
type upkeep struct {
	store *Store
	mu    sync.Mutex
	// at and time are where the last round left off.
	at    resource.Revision
	time  time.Time
	alarm chan struct{}
}

func newUpkeep(s *Store) *upkeep { return &upkeep{store: s, alarm: make(chan struct{}, 1)} }

func (u *upkeep) wake() {
	select {
	case u.alarm <- struct{}{}:
	default:
	}
}

// committed is told of every group.
func (u *upkeep) committed(at time.Time) {
	o := &u.store.options
	u.mu.Lock()
	due := u.store.feed.Revision() >= u.at+resource.Revision(o.PartitionRevisions/4) || at.Sub(u.time) > o.PartitionHistory/4
	u.mu.Unlock()
	if due {
		u.wake()
	}
}

func (u *upkeep) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-u.alarm:
		}
		for attempt := 0; ctx.Err() == nil; attempt++ {
			if attempt > 0 && !backoff(ctx, attempt) {
				return
			}
			err := u.round(ctx)
			if err == nil {
				break
			}
			if attempt == 20 {
				u.store.options.Logger.Warn("the upkeep of partitions fails; it is tried again when commits call for it", "error", err)
				break
			}
		}
	}
}

// round forgets what is older than the retention, and sees to the partitions.
func (u *upkeep) round(ctx context.Context) error {
	o := &u.store.options
	head := u.store.feed.Revision()
	var forget resource.Revision
	if o.RetainRevisions >= 0 && head > resource.Revision(o.RetainRevisions) {
		forget = head - resource.Revision(o.RetainRevisions)
	}
	var history time.Time
	if o.RetainHistory > 0 {
		history = time.Now().Add(-o.RetainHistory)
	}
	if err := u.store.compact(ctx, forget, history); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.at, u.time = head, time.Now()
	return nil
}

// compact declares the past forgotten, and then drops what can be dropped.
func (s *Store) compact(ctx context.Context, before resource.Revision, history time.Time) error {
	if before > 0 || !history.IsZero() {
		var compacted int64
		err := s.pool.QueryRow(ctx, "SELECT setpoint.compact_v1($1, coalesce($2, '-infinity'::timestamptz))", int64(before), orNull(history)).Scan(&compacted)
		if err != nil {
			return err
		}
		s.feed.Forgot(resource.Revision(compacted))
	}
	_, err := s.pool.Exec(ctx, "SELECT setpoint.partitions_v1($1, $2)", s.options.PartitionRevisions, s.options.PartitionHistory)
	return err
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Compact forgets the feed up to and including a revision, and the history older than a time.
func (s *Store) Compact(ctx context.Context, before resource.Revision, history time.Time) error {
	err := s.reading(ctx, func(ctx context.Context) error {
		for attempt := 0; ; attempt++ {
			err := s.compact(ctx, before, history)
			e := serverError(err)
			if e == nil || e.Code != codeLock && e.Code != codeDeadlock {
				return err
			}
			if !backoff(ctx, attempt) {
				return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
			}
		}
	})
	if err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	return nil
}
