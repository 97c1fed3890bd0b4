package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/store"
)

// TestHintOfWhatIsNotThere: a notification names a revision that the database does not have, as after a fail-over that lost it, or from anybody who can connect. It is looked
// up once, and then the store is at rest; what comes next is heard.
func TestHintOfWhatIsNotThere(t *testing.T) {
	const far = 1_000_000
	s := open(t, func(o *Options) { o.Heartbeat = time.Hour })
	rev := putCrate(t, s, crate("a"), 0)
	settle(t, s)
	mustPSQL(t, s.options.URL, "NOTIFY setpoint, '1000000'")
	s.follower.hint(far)
	settle(t, s)
	at := s.Statements()
	putCrate(t, s, crate("b"), 0)
	if n := s.Statements() - at; n > 10 {
		t.Errorf("a commit after it took %d statements: the feed is being asked without a pause", n)
	}
	other := open(t, func(o *Options) { o.URL = s.options.URL })
	putCrate(t, other, crate("c"), 0)
	if err := s.follower.await(t.Context(), rev+2); err != nil || s.Revision() != rev+2 {
		t.Errorf("the feed is at revision %d, want %d: %v", s.Revision(), rev+2, err)
	}
}

// TestAwaitingWhatWasLost: whoever waits for a revision that was seen, and that a fail-over lost, is told so, and does not wait for ever.
func TestAwaitingWhatWasLost(t *testing.T) {
	s := open(t, nil)
	rev := putCrate(t, s, crate("a"), 0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.follower.await(ctx, rev+5); !errors.Is(err, store.ErrFuture) {
		t.Errorf("waiting for revision %d of %d: %v", rev+5, rev, err)
	}
	if err := s.follower.await(ctx, rev); err != nil {
		t.Errorf("waiting for what is there: %v", err)
	}
}

// TestHistoryIsForgottenByTheDatabasesClock: the clock of this machine may be wrong by hours.
func TestHistoryIsForgottenByTheDatabasesClock(t *testing.T) {
	s := open(t, func(o *Options) { o.RetainHistory = time.Hour })
	putCrate(t, s, crate("a"), 0)
	settle(t, s)
	was := time.Now().Add(-48 * time.Hour).Truncate(time.Microsecond) // as the database says, two days ago by the clock here
	s.upkeep.mu.Lock()
	s.upkeep.now = was
	s.upkeep.mu.Unlock()
	mustPSQL(t, s.options.URL, "SET setpoint.unlock = 'on'; ALTER TABLE setpoint.retention DISABLE TRIGGER guard_update; UPDATE setpoint.retention SET history = '-infinity'; ALTER TABLE setpoint.retention ENABLE ALWAYS TRIGGER guard_update")
	testkit.Wait(t, "a round of upkeep that gets its locks", func() bool { return s.upkeep.round(t.Context()) == nil })
	var at time.Time
	if err := s.pool.QueryRow(t.Context(), "SELECT history FROM setpoint.retention").Scan(&at); err != nil || !at.Equal(was.Add(-time.Hour)) {
		t.Errorf("history is forgotten up to %s, want %s: %v", at, was.Add(-time.Hour), err)
	}
}
