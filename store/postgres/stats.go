package postgres

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Counts are what this process has met since Open. They cost no statement.
type Counts struct {
	// Blocked is how often a commit was found to wait for another session.
	Blocked uint64
	// HintsLost is how often a revision became known by asking that no notification had told of.
	HintsLost uint64
	// Resolved is how many transactions, sent and not answered, were looked up.
	Resolved uint64
	// Reconnects is how often a session of the engine (for commits, leases or notifications) had to be made anew.
	Reconnects uint64
}

// met counts for Counts what nobody else does.
type met struct {
	resolved, reconnects atomic.Uint64
	mu                   sync.Mutex
	// uses are those for which there has been a session.
	uses map[string]bool
}

// connected is told of every session of the engine, and what it is for.
func (m *met) connected(use string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.uses[use] {
		m.reconnects.Add(1)
		return
	}
	if m.uses == nil {
		m.uses = map[string]bool{}
	}
	m.uses[use] = true
}

// Counts returns what this process has met.
func (s *Store) Counts() Counts {
	return Counts{Blocked: s.Blocked(), HintsLost: s.follower.lost.Load(), Resolved: s.met.resolved.Load(), Reconnects: s.met.reconnects.Load()}
}

// Stats is how the database stands.
type Stats struct {
	// Tables are those of the schema; the partitions of one are added up.
	Tables []TableStats
	// OldestTransaction is the age of the transaction that has run longest, in any database of the server: vacuuming keeps what it may see. Zero when none runs, or when the
	// owner of the schema may not see those of others (see docs/reference/postgresql.md).
	OldestTransaction time.Duration
	// Waiting is how many sessions on this database wait for a lock.
	Waiting int
	// Proposals is how many proposals have no verdict yet.
	Proposals int
	// FeedAhead is how many commits, and HistoryAhead how much time, the partitions made so far have room for. Beyond, commits still go on, into a partition that is
	// dropped by nobody.
	FeedAhead    int64
	HistoryAhead time.Duration
}

// TableStats is how one table stands.
type TableStats struct {
	Name string
	// Partitions is how many it has, 0 for a table without.
	Partitions int
	// Live and Dead are rows, as the server estimates them.
	Live, Dead int64
	// Bytes is what it takes on disk, with indexes.
	Bytes int64
}

// Stats asks the database how it stands, by one statement, which fails rather than wait for a lock. It is for a look now and then: it visits every
// partition.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	var st Stats
	var names []string
	var partitions, live, dead, bytes []int64
	err := s.querying(ctx, func(ctx context.Context) error { // not in the place that the feed has
		return s.pool.QueryRow(ctx, "SELECT names, partitions, live, dead, bytes, coalesce(oldest, '0'), waiting, proposals, feed_ahead, coalesce(history_ahead, '0') FROM setpoint.stats_v1()").
			Scan(&names, &partitions, &live, &dead, &bytes, &st.OldestTransaction, &st.Waiting, &st.Proposals, &st.FeedAhead, &st.HistoryAhead)
	})
	if err != nil {
		return Stats{}, fmt.Errorf("ask how the database stands: %w", err)
	}
	for i, name := range names {
		st.Tables = append(st.Tables, TableStats{Name: name, Partitions: int(partitions[i]), Live: live[i], Dead: dead[i], Bytes: bytes[i]})
	}
	return st, nil
}
