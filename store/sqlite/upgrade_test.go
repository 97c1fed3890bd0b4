package sqlite

import (
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/codec"
	"github.com/setpointhq/setpoint/store/storetest"
)

// firstBody is a commit of one signal, in version 1 of its form.
const firstBody = "010361646100000000066c61756e6368000001014b026e730161057569642d6104506f6b65037b7d03616461020000"

// database1 makes a database with version 1 of the schema: an object, a signal that stands on it, and its history.
func database1(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "old.db")
	var count atomic.Uint64
	c, err := openConn(path, false, &count)
	if err != nil {
		t.Fatal(err)
	}
	list, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	if err := list[0].apply(c); err != nil {
		t.Fatal(err)
	}
	script := `INSERT INTO meta (id, database, incarnation, revision, signals, shards, created) VALUES (1, 'old', 1, 0, 1, 256, 1);
		INSERT INTO feed (revision, at, first_signal, body) VALUES (1, 5, 1, x'` + firstBody + `');
		INSERT INTO object (kind, namespace, name, uid, shard, generation, revision, created) VALUES ('K', 'ns', 'a', 'uid-a', 0, 1, 1, 1);
		INSERT INTO signal (id, kind, namespace, name, uid, signal, payload, by_whom, at, revision) VALUES (1, 'K', 'ns', 'a', 'uid-a', 'Poke', '{}', 'ada', 1, 1);
		INSERT INTO history (hash, kind, namespace, name, uid, revision, at, type, from_state, to_state, severity, reason, message, writer, writer_object, cause_revision, cause)
		VALUES (0, 'K', 'ns', 'a', 'uid-a', 1, 5, 'Signal', '', '', '', 'Poke', 'raised by ada', 'ada', '', 0, 'launch');
		UPDATE meta SET revision = 1`
	for _, s := range strings.Split(script, ";") {
		if err := c.run(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestUpgrade opens the database of an older program: what it stored is read, and signals that say more are stored beside it.
func TestUpgrade(t *testing.T) {
	path := database1(t)
	key := resource.Key{Kind: "K", Namespace: "ns", Name: "a"}
	old := store.Signal{ID: 1, Object: key, UID: "uid-a", Name: "Poke", Payload: []byte("{}"), By: "ada", At: codec.Time(1), Revision: 1}
	s := open(t, func(o *Options) { o.Path = path })
	check := func(want ...store.Signal) {
		t.Helper()
		now, err := storetest.ScanState(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := s.Watch(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range want {
			if !reflect.DeepEqual(now.Signals[g.ID], g) {
				t.Errorf("scan: got %+v, want %+v", now.Signals[g.ID], g)
			}
			if b, err := stream.Next(t.Context()); err != nil || len(b.Raised) != 1 || !reflect.DeepEqual(b.Raised[0], g) {
				t.Errorf("feed: got %+v, error %v; want %+v", b.Raised, err, g)
			}
		}
	}
	check(old)
	entries, err := s.History(t.Context(), store.HistoryQuery{Kind: "K"})
	if err != nil || len(entries) != 1 || entries[0].Key != key || entries[0].Message != "raised by ada" {
		t.Errorf("history %+v, error %v", entries, err)
	}
	more := store.Signal{Object: key, UID: "uid-a", Name: "Promote", Why: "it is slow", At: codec.Time(7), Dedupe: "disk", Expires: codec.Time(9)}
	r, err := s.Commit(t.Context(), store.Transaction{Raise: []store.Signal{more}})
	if err != nil {
		t.Fatal(err)
	}
	more.ID, more.Revision = r.Signals[0], r.Revision
	check(old, more)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, func(o *Options) { o.Path = path })
	check(old, more)
}

// TestHistoryIsReadByItsIndexes asks the planner: the history of an object must not be looked for among that of its kind, and a page of a kind is not sorted.
func TestHistoryIsReadByItsIndexes(t *testing.T) {
	s := open(t, nil)
	c := shell(t, s)
	for query, want := range map[string]string{historyOfObject: "history_by_object (hash=?)", historyOfKind: "history_by_kind (kind=? AND revision>?)"} {
		q, err := c.prepare("EXPLAIN QUERY PLAN " + query)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		if err := q.each(func() error { plan = append(plan, q.text(3)); return nil }); err != nil {
			t.Fatal(err)
		}
		if p := strings.Join(plan, "; "); !strings.Contains(p, want) || strings.Contains(p, "TEMP B-TREE") {
			t.Errorf("%s\nis answered by: %s; want %s, and no sorting", query, p, want)
		}
	}
}
