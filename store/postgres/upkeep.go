package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// upkeep makes partitions ahead of need, and drops old ones. It works when commits have made it necessary, so that a database at rest is left alone.
type upkeep struct {
	store *Store
	mu    sync.Mutex
	// at and time are where the last round left off, now is the newest time of a commit: all by the database's clock.
	at        resource.Revision
	time, now time.Time
	// failures counts how often it was postponed in a row, until when that holds.
	failures int
	until    time.Time
	// busy says that something is to be done, or under way.
	busy  bool
	alarm chan struct{}
}

func newUpkeep(s *Store) *upkeep { return &upkeep{store: s, alarm: make(chan struct{}, 1)} }

func (u *upkeep) wake() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.busy = true
	select {
	case u.alarm <- struct{}{}:
	default:
	}
}

// rest notes that nothing is left to be done, unless it was woken again.
func (u *upkeep) rest() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.busy = len(u.alarm) > 0
}

// resting reports whether nothing is to be done.
func (u *upkeep) resting() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.busy
}

// committed is told of every group.
func (u *upkeep) committed(at time.Time) {
	o := &u.store.options
	u.mu.Lock()
	u.now = at
	due := at.After(u.until) && (u.store.feed.Revision() >= u.at+resource.Revision(o.PartitionRevisions/4) || at.Sub(u.time) > o.PartitionHistory/4)
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
			if attempt == upkeepAttempts {
				u.store.options.Logger.Warn("partitions cannot be changed: somebody reads them for long; it is tried again later", "error", err)
				u.postpone()
				break
			}
		}
		u.rest()
	}
}

// An attempt that has to wait for a reader holds up commits for a moment. So there are few in a row, and then a pause, which doubles.
const (
	upkeepAttempts = 4
	upkeepPause    = time.Second
	upkeepMost     = time.Minute
)

// postpone notes that all attempts failed.
func (u *upkeep) postpone() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.until = u.now.Add(command.Window(upkeepPause, upkeepMost, u.failures+1))
	u.failures++
}

// round forgets what is older than the retention, and sees to the partitions.
func (u *upkeep) round(ctx context.Context) error {
	o := &u.store.options
	u.mu.Lock()
	head, now := u.store.feed.Revision(), u.now
	u.mu.Unlock()
	var forget resource.Revision
	if o.RetainRevisions >= 0 && head > resource.Revision(o.RetainRevisions) {
		forget = head - resource.Revision(o.RetainRevisions)
	}
	var history time.Time
	if o.RetainHistory > 0 && !now.IsZero() { // the clock of this machine may be wrong
		history = now.Add(-o.RetainHistory)
	}
	if err := u.store.compact(ctx, forget, history); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.at, u.time, u.failures = head, now, 0
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
	if _, err := s.pool.Exec(ctx, "SELECT setpoint.partitions_v1($1, $2)", s.options.PartitionRevisions, s.options.PartitionHistory); err != nil {
		return err
	}
	_, err := s.pool.Exec(ctx, "SELECT setpoint.prune_v1()")
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
			// Of the codes, the last one says that a commit came into the rest before its partition did.
			if e == nil || e.Code != codeLock && e.Code != codeDeadlock && e.Code != codeCheck {
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
