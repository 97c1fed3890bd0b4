package postgres

import (
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/group"
)

// committerOf is the id that a store's committer has now.
func committerOf(t testing.TB, url string) int64 {
	t.Helper()
	id, err := strconv.ParseInt(mustPSQL(t, url, "SELECT id FROM setpoint.committer ORDER BY since DESC LIMIT 1"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestCommittersAreNotCounted: what a database forgets by losing its last commits must not make it give an id again, so ids do not follow from what it knows.
func TestCommittersAreNotCounted(t *testing.T) {
	seen := map[int64]bool{}
	for i := range 3 {
		s := open(t, nil)
		putCrate(t, s, crate("a"), 0)
		id := committerOf(t, s.options.URL)
		if seen[id] || id <= 0 {
			t.Errorf("the first committer of new database %d has id %d; ids so far: %v", i, id, seen)
		}
		seen[id] = true
	}
}

// TestOldCommittersAreForgotten ages the row of a committer that lives, and the row of one that is gone: upkeep removes both, and the one that lives opens another.
func TestOldCommittersAreForgotten(t *testing.T) {
	s := open(t, nil)
	url := s.options.URL
	rev := putCrate(t, s, crate("a"), 0)
	was := committerOf(t, url)
	mustPSQL(t, url, "UPDATE setpoint.committer SET since = since - interval '31 days'; INSERT INTO setpoint.committer (id, name, since) VALUES (7, 'gone', now() - interval '1 year'), (8, 'young', now() - interval '29 days')")
	if err := s.Compact(t.Context(), 0, crateEpoch); err != nil {
		t.Fatal(err)
	}
	if left := mustPSQL(t, url, "SELECT string_agg(name, ',') FROM setpoint.committer"); left != "young" {
		t.Errorf("committers left: %s", left)
	}
	if next := putCrate(t, s, crate("b"), 0); next != rev+1 {
		t.Errorf("the commit after it has revision %d, want %d", next, rev+1)
	}
	if now := committerOf(t, url); now == was || now == 8 {
		t.Errorf("the committer has id %d, as it was: %d", now, was)
	}
	if feed := mustPSQL(t, url, "SELECT count(DISTINCT committer) FROM setpoint.feed"); feed != "2" {
		t.Errorf("%s committers in the feed", feed)
	}
}

// TestForgottenInDoubt loses the answer of a group whose committer is forgotten before its outcome is looked up: it is found all the same, and is not sent again.
func TestForgottenInDoubt(t *testing.T) {
	s := open(t, nil)
	putCrate(t, s, crate("a"), 0)
	c, members := s.committer, int64(1)
	if err := s.Close(); err != nil { // the rest is done in the place of its committer, which has ended
		t.Fatal(err)
	}
	again := open(t, func(o *Options) { o.URL = s.options.URL })
	c.store, c.conn, c.doubt = again, nil, &doubt{first: c.next - members, last: c.next - 1, told: true}
	mustPSQL(t, s.options.URL, "DELETE FROM setpoint.committer")
	if _, err := c.ask(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	defer c.disconnect()
	if c.id != 0 || c.doubt != nil || c.conn != nil {
		t.Errorf("after the look-up: id %d, doubt %v, connected %t; want another id to be opened", c.id, c.doubt, c.conn != nil)
	}
	if err := c.dial(t.Context()); err != nil || c.id == 0 {
		t.Errorf("opening another: id %d, %v", c.id, err)
	}
	if _, err := again.Commit(t.Context(), store.Transaction{Objects: []store.ObjectWrite{{Object: crate("b")}}}); err != nil {
		t.Error(err)
	}
}

// TestFullQueueOfNotifications: the server refuses every commit then, with the code of what is too large; no transaction is at fault, and all are sent again.
func TestFullQueueOfNotifications(t *testing.T) {
	members := []*group.Member{{}, {}}
	left, err := (&committer{}).refused(members, &pgconn.PgError{SeverityUnlocalized: "ERROR", Code: codeTooLarge, Message: "too many notifications in the NOTIFY queue", Routine: "PreCommit_Notify"})
	if len(left) != 2 || err == nil {
		t.Errorf("%d of 2 members are to be sent again, because of: %v", len(left), err)
	}
}
