package postgres

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/internal/feed"
)

// follower keeps the feed in memory up to date. Commits of this process are handed to it; of others it hears by notifications, which are hints only: what it
// publishes it has read.
type follower struct {
	store *Store
	// ownPID is the session of this process's committer, whose hints are no news.
	ownPID atomic.Uint32

	mu sync.Mutex
	// at is the time of the newest commit published, by which another past is told from this one.
	at time.Time
	// wanted is the newest revision heard of, wants how often one was.
	wanted resource.Revision
	wants  uint64
	// denials counts how often the database did not have what was wanted, denied is the newest revision that it had the last time.
	denials uint64
	denied  resource.Revision
	// suspect says that the database may not have the past that was published, suspicions how often that was thought.
	suspect    bool
	suspicions uint64
	// arrived is closed and replaced when something was published.
	arrived chan struct{}

	wake chan struct{}
	// heard is the newest revision that a notification named, asked the newest one that the database was asked for.
	heard, asked resource.Revision
	// listening says that notifications arrive.
	listening bool
	// lost counts the hints that a heartbeat had to make up for, beats the heartbeats, spared those that the renewal of a lease stood for.
	lost, beats, spared atomic.Uint64
	// relisten ends the session that listens, because it seems to be deaf.
	relisten chan struct{}
}

func newFollower(s *Store) *follower {
	return &follower{store: s, arrived: make(chan struct{}), wake: make(chan struct{}, 1), relisten: make(chan struct{}, 1)}
}

// own publishes what this process has just committed, when nothing of others lies between; else it is read with what does.
func (f *follower) own(items []feed.Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	head, first := f.store.feed.Revision(), items[0].Batch.Revision
	if first == head+1 && !f.suspect {
		f.publish(items)
		return
	}
	if first <= head {
		f.doubt() // the same revision twice
	}
	f.want(items[len(items)-1].Batch.Revision)
}

func (f *follower) publish(items []feed.Item) {
	f.store.feed.Publish(items)
	f.at = items[len(items)-1].Batch.At
	f.announce()
}

func (f *follower) want(rev resource.Revision) {
	f.wanted = max(f.wanted, rev)
	f.wants++
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// hint says that there is a commit with a revision.
func (f *follower) hint(rev resource.Revision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if rev > f.store.feed.Revision() || f.suspect {
		f.want(rev)
	}
}

// await waits until a revision is published. One that the database turns out not to have, or to have lost, is store.ErrFuture.
func (f *follower) await(ctx context.Context, rev resource.Revision) error {
	f.mu.Lock()
	denials := f.denials
	f.mu.Unlock()
	f.hint(rev)
	for {
		f.mu.Lock()
		arrived, lost, has := f.arrived, f.denials != denials && f.denied < rev, f.denied
		f.mu.Unlock()
		if f.store.feed.Revision() >= rev {
			return nil
		}
		if lost {
			return fmt.Errorf("revision %d: the database is at revision %d: %w", rev, has, store.ErrFuture)
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// run reads what was heard of, until the store is closed.
func (f *follower) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		for attempt := 0; ; attempt++ {
			if attempt > 0 && !backoff(ctx, attempt) {
				return
			}
			err := f.catchUp(ctx)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return
			}
			f.store.options.Logger.Warn("the feed cannot be read; trying again", "error", err)
		}
	}
}

// catchUp reads and publishes until what was heard of is there.
func (f *follower) catchUp(ctx context.Context) error {
	for ctx.Err() == nil {
		f.mu.Lock()
		wanted, suspect := f.wanted, f.suspect
		f.mu.Unlock()
		if suspect {
			if err := f.verify(ctx); err != nil {
				return err
			}
			continue
		}
		head := f.store.feed.Revision()
		if head >= wanted {
			return nil
		}
		bounded, cancel := f.bounded(ctx)
		items, err := f.store.readItems(bounded, head, wanted)
		cancel()
		if err != nil {
			return err
		}
		if len(items) == 0 || items[0].Batch.Revision != head+1 {
			f.doubtPast()
			continue
		}
		f.take(items)
	}
	return ctx.Err()
}

// bounded limits how long one question may go without an answer, for a server that is frozen and never ends its connections.
func (f *follower) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, f.store.options.StatementTimeout+connectTimeout)
}

// doubtPast is called whenever a session is opened, which may lead to another server: nothing more is published before verify has looked.
func (f *follower) doubtPast() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.doubt()
}

// doubt is doubtPast with the mutex held. It has verify look, also when nothing is committed.
func (f *follower) doubt() {
	f.suspect = true
	f.suspicions++
	f.want(f.wanted)
}

// take publishes what was read and not published meanwhile, unless it may come from another past.
func (f *follower) take(items []feed.Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.suspect {
		return
	}
	head := f.store.feed.Revision()
	for len(items) > 0 && items[0].Batch.Revision <= head {
		items = items[1:]
	}
	if len(items) > 0 && items[0].Batch.Revision == head+1 {
		f.publish(items)
	}
}

// verify asks whether the newest commit published is the one that the database has. When it is not, a replica was promoted that lacked it, or the feed was
// compacted beyond it: readers have to scan again.
func (f *follower) verify(ctx context.Context) error {
	ctx, cancel := f.bounded(ctx)
	defer cancel()
	f.mu.Lock()
	head, suspicions, wants := f.store.feed.Revision(), f.suspicions, f.wants
	f.mu.Unlock()
	var revision, compacted int64
	var now time.Time
	var at *time.Time
	err := f.store.pool.QueryRow(ctx, "SELECT c.revision, c.compacted, c.at, (SELECT f.at FROM setpoint.feed f WHERE f.revision = $1) FROM setpoint.counter c", int64(head)).
		Scan(&revision, &compacted, &now, &at)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.store.feed.Revision() != head || f.suspicions != suspicions {
		return nil // it moved, or was doubted again, meanwhile: look again
	}
	f.suspect = false
	if f.wants == wants && f.wanted > resource.Revision(revision) {
		f.deny(resource.Revision(revision))
	}
	same := resource.Revision(revision) >= head && (at != nil && at.Equal(f.at) || head == 0 || at == nil && resource.Revision(compacted) >= head && resource.Revision(revision) == head)
	if same {
		f.want(resource.Revision(revision))
		return nil
	}
	f.store.options.Logger.Error("the database does not have the commits that were read from it; everything is read anew",
		"known", head, "known at", f.at, "database", revision, "database at", now)
	f.at = now.UTC()
	f.store.feed.Restart(resource.Revision(revision), resource.Revision(compacted))
	f.announce()
	return nil
}

// deny notes that the database is at a revision below what was heard of: that was lost by a fail-over, or the hint was wrong. It must not be asked for again and again.
func (f *follower) deny(has resource.Revision) {
	f.wanted, f.heard = has, min(f.heard, has)
	f.denials++
	f.denied = has
	f.announce()
}

// announce wakes those who await a revision.
func (f *follower) announce() {
	close(f.arrived)
	f.arrived = make(chan struct{})
}

// since is a revision that the database has had: the feed's, or, while that is in doubt, the one given.
func (f *follower) since(known resource.Revision) resource.Revision {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.suspect {
		return known
	}
	return f.store.feed.Revision()
}

// Bounds of one look at the table.
const (
	readBatches = 512
	readBytes   = 4 << 20
)

// readItems reads commits of the feed, oldest first.
func (s *Store) readItems(ctx context.Context, after, to resource.Revision) ([]feed.Item, error) {
	rows, err := s.pool.Query(ctx, "SELECT revision, at, first_signal, body, gone::text FROM setpoint.feed WHERE revision > $1 AND revision <= $2 ORDER BY revision LIMIT $3",
		int64(after), int64(to), readBatches)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var items []feed.Item
	for bytes := 0; bytes < readBytes && rows.Next(); {
		var rev, signal int64
		var at time.Time
		var body []byte
		var gone *string
		if err := rows.Scan(&rev, &at, &signal, &body, &gone); err != nil {
			return nil, err
		}
		b, err := codec.Batch(body, codec.Head{Revision: resource.Revision(rev), At: at.UTC(), FirstSignal: store.SignalID(signal)})
		if err == nil {
			err = addGone(&b, gone)
		}
		if err != nil {
			return nil, fmt.Errorf("read commit %d of the feed: %w", rev, err)
		}
		items = append(items, feed.Item{Batch: b, Bytes: len(body) + batchOverhead})
		bytes += len(body)
	}
	rows.Close()
	return items, rows.Err()
}

// readFeed is the source of streams that fell behind.
func (s *Store) readFeed(ctx context.Context, after, to resource.Revision) ([]store.Batch, error) {
	var batches []store.Batch
	err := s.querying(ctx, func(ctx context.Context) error {
		items, err := s.readItems(ctx, after, to)
		for i, it := range items {
			if it.Batch.Revision != after+1+resource.Revision(i) {
				return fmt.Errorf("revision %d follows %d: %w", it.Batch.Revision, after+resource.Revision(i), store.ErrCompacted)
			}
			batches = append(batches, it.Batch)
		}
		return err
	})
	return batches, err
}

// Watch streams the commits after a revision. One that this process has not read yet is waited for, if the database has it.
func (s *Store) Watch(ctx context.Context, from resource.Revision) (store.Stream, error) {
	if from > s.feed.Revision() {
		err := s.reading(ctx, func(ctx context.Context) error {
			var last int64
			if err := s.pool.QueryRow(ctx, "SELECT revision FROM setpoint.counter").Scan(&last); err != nil || from > resource.Revision(last) {
				return err
			}
			return s.follower.await(ctx, from)
		})
		if err != nil {
			return nil, fmt.Errorf("watch from revision %d: %w", from, err)
		}
	}
	return s.feed.Watch(ctx, from)
}
