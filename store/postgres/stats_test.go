package postgres

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// TestStats: how the database stands, asked as the application.
func TestStats(t *testing.T) {
	url := newDatabase(t)
	s := open(t, func(o *Options) { o.URL, o.PartitionRevisions = url, 50 })
	commit := func() {
		t.Helper()
		o := &resource.Object{Meta: resource.Meta{Key: resource.Key{Kind: "Thing.test", Namespace: "a", Name: "x"}, UID: "u1", Generation: 1, Created: time.Now()}}
		have, err := s.Object(t.Context(), o.Key)
		if err == nil {
			o = have
			o.Generation++
		}
		if _, err := s.Commit(t.Context(), store.Transaction{Writer: store.Writer{Name: "t"}, Objects: []store.ObjectWrite{{Expect: o.Revision, Object: o}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Register(t.Context(), []store.Rules{{Kind: "Thing.test"}}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		commit()
	}
	query := func(sql string) {
		t.Helper()
		if _, err := pg.Query(t.Context(), url, sql); err != nil {
			t.Fatal(err)
		}
	}
	query("SELECT setpoint.propose('Thing.test/a/x', 1, '{}')")
	forgotten, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := forgotten.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if _, err := forgotten.Exec(t.Context(), "BEGIN; SELECT 1"); err != nil {
		t.Fatal(err)
	}
	var st Stats
	testkit.Wait(t, "the statistics have the updates", func() bool { // a session tells what it has done once a second, and only when it does more
		commit()
		if st, err = s.Stats(t.Context()); err != nil {
			t.Fatal(err)
		}
		return table(t, st, "object").Live > 0 && table(t, st, "counter").Dead > 0
	})
	if feed := table(t, st, "feed"); feed.Partitions < 4 || feed.Live < 10 || feed.Bytes == 0 {
		t.Errorf("the feed: %+v, want ten rows or more in at least four partitions", feed)
	}
	if o := table(t, st, "object"); o.Partitions != 0 || o.Live != 1 || o.Bytes < 8192 {
		t.Errorf("objects: %+v, want one row", o)
	}
	if st.OldestTransaction <= 0 {
		t.Errorf("somebody's transaction is open, and the oldest is of %s", st.OldestTransaction)
	}
	if st.Proposals != 1 || st.Waiting != 0 {
		t.Errorf("%d proposals wait and %d sessions, want 1 and 0", st.Proposals, st.Waiting)
	}
	if ahead := st.FeedAhead; ahead < 0 || ahead > 150 { // of partitions of 50 there are three from the newest on, or soon will be
		t.Errorf("the feed has room for %d commits, want some, and 150 at most", ahead)
	}
	if st.HistoryAhead <= 24*time.Hour {
		t.Errorf("the history has room for %s, want more than a day", st.HistoryAhead)
	}
}

func table(t *testing.T, st Stats, name string) TableStats {
	t.Helper()
	i := slices.IndexFunc(st.Tables, func(x TableStats) bool { return x.Name == name })
	if i < 0 {
		t.Fatalf("no table %s in %+v", name, st.Tables)
	}
	return st.Tables[i]
}

// TestStatsWaitForNobody: a table that is locked makes the question fail, and nothing hang.
func TestStatsWaitForNobody(t *testing.T) {
	url := newDatabase(t)
	s := open(t, func(o *Options) { o.URL = url })
	locker, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := locker.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if _, err := locker.Exec(t.Context(), "BEGIN; LOCK TABLE setpoint.timer IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stats(t.Context()); serverError(err) == nil || serverError(err).Code != codeLock {
		t.Errorf("with a table locked: %v, want lock_timeout", err)
	}
	if _, err := locker.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stats(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestCounts: sessions that are ended count as made anew, each once.
func TestCounts(t *testing.T) {
	url := newDatabase(t)
	s := open(t, func(o *Options) { o.URL = url })
	if c := s.Counts(); c != (Counts{}) {
		t.Errorf("at the beginning: %+v", c)
	}
	ended := "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'setpoint feed %' AND state = 'idle' AND query = 'LISTEN setpoint_proposal'"
	var rows [][]string
	testkit.Wait(t, "the session for notifications is there, and is ended", func() bool {
		var err error
		if rows, err = pg.Query(t.Context(), url, ended); err != nil {
			t.Fatal(err)
		}
		return len(rows) > 0
	})
	testkit.Wait(t, "it was made anew", func() bool { return s.Counts().Reconnects >= 1 })
}
