package sqlite

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/storetest"
)

const bump = "UPDATE meta SET revision = revision + 1; "

// furnished is a store with one of everything.
func furnished(t *testing.T) (*Store, *resource.Object) {
	t.Helper()
	s := open(t, nil)
	registerBox(t, s)
	o := box("a")
	mustPut(t, s, o, 0)
	if _, err := s.Acquire(t.Context(), "plane", "n1", 1e12); err != nil {
		t.Fatal(err)
	}
	beats(t, s, "n1", 1e12)
	takes(t, s, "n1", 1)
	if err := s.Cordon(t.Context(), "name of n1", true); err != nil {
		t.Fatal(err)
	}
	slot := command.Slot{Owner: o.UID, Adapter: "dns", Key: "x"}
	_, err := s.Commit(t.Context(), store.Transaction{
		Commands: []store.CommandWrite{{Command: command.Command{Slot: slot, Object: o.Key, Intent: 1, Phase: command.Pending, Token: command.TokenOf(1, slot, 1)}}},
		Raise:    []store.Signal{{Object: o.Key, Name: "Poke"}},
		Timers:   []store.Timer{{Controller: "c", Object: o.Key, Due: born}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, o
}

func TestVandalismIsRefused(t *testing.T) {
	s, o := furnished(t)
	before, err := storetest.ScanState(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	c := shell(t, s)
	for _, v := range []struct{ reason, sql, says string }{
		{"an illegal transition", bump + "UPDATE object SET state = 'Closed', revision = (SELECT revision FROM meta)", "transition is not allowed"},
		{"a state that does not exist", bump + "UPDATE object SET state = 'Nowhere', revision = (SELECT revision FROM meta)", "transition is not allowed"},
		{"no new version", "UPDATE object SET spec = '{}'", "every write moves the version"},
		{"a version without a commit", "UPDATE object SET spec = '{}', revision = revision + 1000", "every write moves the version"},
		{"a version of the past", bump + "UPDATE object SET spec = '{}', revision = revision + 1", "every write moves the version"},
		{"a version set back", "UPDATE object SET revision = 0", "every write moves the version"},
		{"one good row does not excuse another", bump + "UPDATE object SET revision = (SELECT revision FROM meta), state = 'Open'; UPDATE object SET spec = '{}', revision = (SELECT revision FROM meta)", "every write moves the version"},
		{"a commit that skips numbers", "UPDATE meta SET revision = revision + 2", "exactly one per commit"},
		{"a revision set back", "UPDATE meta SET revision = revision - 1", "exactly one per commit"},
		{"another incarnation below", "UPDATE meta SET incarnation = 0", "counters only rise"},
		{"another identity", "UPDATE meta SET database = 'other'", "identity"},
		{"signal identities again", "UPDATE meta SET signals = 0", "counters only rise"},
		{"a forgotten future", "UPDATE meta SET compacted = revision + 1", "counters only rise"},
		{"no identity", "DELETE FROM meta", "cannot be deleted"},
		{"another UID", bump + "UPDATE object SET uid = 'x', revision = (SELECT revision FROM meta)", "never change"},
		{"another name", bump + "UPDATE object SET name = 'x', revision = (SELECT revision FROM meta)", "never change"},
		{"another kind", bump + "UPDATE object SET kind = 'x', revision = (SELECT revision FROM meta)", "never change"},
		{"another namespace", bump + "UPDATE object SET namespace = 'x', revision = (SELECT revision FROM meta)", "never change"},
		{"another creation", bump + "UPDATE object SET created = 1, revision = (SELECT revision FROM meta)", "never change"},
		{"a generation set back", bump + "UPDATE object SET generation = 0, revision = (SELECT revision FROM meta)", "generation only rises"},
		{"a negative generation", bump + "UPDATE object SET generation = -1, revision = (SELECT revision FROM meta)", "generation only rises"},
		{"a spec that is not JSON", bump + "UPDATE object SET spec = '{', revision = (SELECT revision FROM meta)", "must be JSON"},
		{"a status that is not JSON", bump + "UPDATE object SET status = 'x', revision = (SELECT revision FROM meta)", "must be JSON"},
		{"attributes that are not JSON", bump + "UPDATE object SET attributes = '', revision = (SELECT revision FROM meta)", "must be JSON"},
		{"a number for a text", bump + "UPDATE object SET spec = x'00', revision = (SELECT revision FROM meta)", "cannot store BLOB"},
		{"a removal", "DELETE FROM object", "setpoint delete"},
		{"a removal with a commit", bump + "DELETE FROM object", "setpoint delete"},
		{"deleted and held by nobody", bump + "UPDATE object SET deleted = 5, attributes = '{}', revision = (SELECT revision FROM meta)", "setpoint delete"},
		{"a new object without a commit", "INSERT INTO object (kind, namespace, name, uid, shard, generation, revision, created) VALUES ('K', '', 'n', 'u', 0, 1, 1, 1)", "carries the revision"},
		{"a new object in no state", bump + "INSERT INTO object (kind, namespace, name, uid, shard, generation, revision, created, state) SELECT 'Box.sqlite.example', '', 'n', 'u', 0, 1, revision, 1, 'No' FROM meta", "not in the table"},
		{"a UID twice", bump + "INSERT INTO object (kind, namespace, name, uid, shard, generation, revision, created) SELECT 'K', '', 'n', 'uid-a', 0, 1, revision, 1 FROM meta", "UNIQUE"},
		{"a command done by hand", bump + "UPDATE command SET phase = 'Done', revision = (SELECT revision FROM meta)", "engine only"},
		{"a command removed by hand", "DELETE FROM command", "engine only"},
		{"a command made by hand", bump + "INSERT INTO command SELECT 99, owner, adapter, 'y', kind, namespace, name, (SELECT revision FROM meta), phase, intent, token, body FROM command", "engine only"},
		{"a signal changed", "UPDATE signal SET uid = 'x'", "never change"},
		{"a signal removed", "DELETE FROM signal", "engine only"},
		{"a timer moved", "UPDATE timer SET due = 1", "engine only"},
		{"a timer removed", "DELETE FROM timer", "engine only"},
		{"the feed changed", "UPDATE feed SET body = x'00'", "does not change"},
		{"the feed cut", "DELETE FROM feed", "setpoint compact"},
		{"the history changed", "UPDATE history SET writer = 'nobody'", "does not change"},
		{"an epoch set back", "UPDATE lease SET counter = 0", "epochs never fall"},
		{"an incarnation of an epoch set back", "UPDATE lease SET incarnation = 0", "epochs never fall"},
		{"an epoch of no incarnation", "UPDATE lease SET incarnation = 99", "epochs never fall"},
		{"another holder at the same epoch", "UPDATE lease SET holder = 'me'", "epochs never fall"},
		{"a shard given to another at the same epoch", "UPDATE lease SET holder = 'me' WHERE scope = 'shard/1'", "epochs never fall"},
		{"a version of assignments again", "UPDATE division SET version = version - 1", "counts their changes"},
		{"a version of assignments that skips", "UPDATE division SET version = version + 2", "counts their changes"},
		{"no version of assignments", "DELETE FROM division", "must not start again"},
		{"a second version of assignments", "INSERT INTO division (id, version) VALUES (2, 1)", "CHECK"},
		{"a node that becomes another one", "UPDATE node SET id = 'other'", "another run is another row"},
		{"a node that joined at another time", "UPDATE node SET joined = 1", "another run is another row"},
		{"a cordon that changes its name", "UPDATE cordon SET name = 'other'", "INSERT it or DELETE it"},
		{"a cordon of no name", "INSERT INTO cordon (name, since) VALUES ('', 1)", "CHECK"},
		{"a pause that nobody asks for", "INSERT INTO pause (id, by_whom, since, until) VALUES (1, '', 1, 2)", "CHECK"},
		{"a pause that ends before it begins", "INSERT INTO pause (id, by_whom, since, until) VALUES (1, 'x', 2, 1)", "CHECK"},
		{"a second pause", "INSERT INTO pause (id, by_whom, since, until) VALUES (2, 'x', 1, 2)", "CHECK"},
		{"no lease row", "DELETE FROM lease", "must not start again"},
	} {
		err := sql(c, v.sql)
		if err == nil {
			t.Errorf("%s: accepted: %s", v.reason, v.sql)
		} else if !strings.Contains(err.Error(), v.says) {
			t.Errorf("%s: message %q does not say %q", v.reason, err, v.says)
		}
	}
	mustPut(t, s, box("b"), 0)
	after, err := storetest.ScanState(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	delete(after.Objects, box("b").Key)
	if after.Revision != before.Revision+1 || after.String() != before.String() {
		t.Errorf("before (%d)\n%s\nafter (%d)\n%s", before.Revision, before, after.Revision, after)
	}
	if o.Revision != 0 {
		t.Errorf("the caller's object moved to %d", o.Revision)
	}
}

func TestForeignCommitIsDelivered(t *testing.T) {
	s := open(t, nil)
	registerBox(t, s)
	rev := mustPut(t, s, box("a"), 0)
	stream, err := s.Watch(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	c := shell(t, s)
	for _, script := range []string{
		bump + "UPDATE object SET state = 'Open', state_since = 7, spec = '{\"by\":\"hand\"}', generation = 2, revision = (SELECT revision FROM meta) WHERE name = 'a'",
		bump + "INSERT INTO object (kind, namespace, name, uid, shard, generation, revision, created, state, spec) SELECT 'Box.sqlite.example', 'ns', 'hand', 'uid-hand', 0, 1, revision, 9, 'New', '{}' FROM meta",
		bump,
		bump + "UPDATE object SET spec = '{\"by\":\"hand again\"}', generation = 3, revision = (SELECT revision FROM meta) WHERE name = 'a'",
	} {
		if err := sql(c, script); err != nil {
			t.Fatalf("%s: %v", script, err)
		}
	}
	_, err = s.Commit(t.Context(), put(box("a"), rev))
	var e *store.CommitError
	if !errors.As(err, &e) || !errors.Is(err, store.ErrConflict) || e.Actual != 5 {
		t.Fatalf("error %v, want a conflict with revision 5", err)
	}
	mustPut(t, s, box("b"), 0)
	state := storetest.NewState()
	for want := resource.Revision(1); want <= 6; want++ {
		b, err := stream.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := state.Apply(b); err != nil {
			t.Fatal(err)
		}
		if by := b.Writer.Name; (want > 1 && want < 6) != (by == ForeignWriter) {
			t.Errorf("revision %d was written by %q", want, by)
		}
		if want == 2 && string(b.Objects[0].Object.Spec) != `{"by":"hand"}` {
			t.Errorf("revision 2 delivers %s", b.Objects[0].Object.Spec)
		}
	}
	now, err := storetest.ScanState(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if now.String() != state.String() || now.Revision != 6 {
		t.Errorf("the watcher has\n%s\nthe database (%d)\n%s", state, now.Revision, now)
	}
	history, err := s.History(t.Context(), store.HistoryQuery{Key: box("a").Key})
	if err != nil {
		t.Fatal(err)
	}
	if last := history[len(history)-1]; last.Type != store.EntryTransition || last.To != lifecycle.State("Open") || last.Writer.Name != ForeignWriter || last.Revision != 2 {
		t.Errorf("history ends with %+v", last)
	}
}

func TestForeignCommitBeforeScanAndRestart(t *testing.T) {
	s := open(t, nil)
	mustPut(t, s, box("a"), 0)
	c := shell(t, s)
	script := bump + "UPDATE object SET spec = '{}', generation = generation + 1, revision = (SELECT revision FROM meta)"
	if err := sql(c, script); err != nil {
		t.Fatal(err)
	}
	rev, err := s.Scan(t.Context(), func(store.Batch) error { return nil })
	if err != nil || rev != 2 {
		t.Fatalf("scan at %d, error %v", rev, err)
	}
	if _, err := s.Watch(t.Context(), rev); err != nil {
		t.Fatalf("a scan gave a revision that cannot be watched: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sql(c, script); err != nil {
		t.Fatal(err)
	}
	s = open(t, func(o *Options) { *o = s.options })
	stream, err := s.Watch(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for want := resource.Revision(2); want <= 3; want++ {
		b, err := stream.Next(context.Background())
		if err != nil || b.Revision != want || len(b.Objects) != 1 || b.Writer.Name != ForeignWriter {
			t.Fatalf("batch %+v, error %v", b, err)
		}
	}
}

func TestForeignEpochIsHonoured(t *testing.T) {
	s := open(t, nil)
	l, err := s.Acquire(t.Context(), "plane", "n1", 1e12)
	if err != nil {
		t.Fatal(err)
	}
	if err := sql(shell(t, s), "UPDATE lease SET holder = '', counter = counter + 1 WHERE scope = 'plane'"); err != nil {
		t.Fatal(err)
	}
	tx := put(box("a"), 0)
	tx.Fences = []store.Fence{{Scope: "plane", Epoch: l.Epoch}}
	if _, err := s.Commit(t.Context(), tx); !errors.Is(err, store.ErrFenced) {
		t.Fatalf("error %v, want ErrFenced", err)
	}
}

func TestStrayFeedRowsDoNoHarm(t *testing.T) {
	s := open(t, nil)
	mustPut(t, s, box("a"), 0)
	c := shell(t, s)
	if err := sql(c, "INSERT INTO feed (revision, at, first_signal, body) VALUES (2, 0, 0, x'00'), (7, 0, 0, x'00')"); err != nil {
		t.Fatal(err)
	}
	if rev := mustPut(t, s, box("b"), 0); rev != 2 {
		t.Fatalf("revision %d, want 2", rev)
	}
	if err := sql(c, "DELETE FROM object"); err == nil {
		t.Fatal("a stray row in the feed opened the triggers")
	}
}
