package postgres

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// beats makes a node a member for an hour.
func beats(t testing.TB, s *Store, node store.NodeID) store.Standing {
	t.Helper()
	st, err := s.Beat(t.Context(), store.Beat{Node: node, Name: "name of " + string(node), TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// takes gives shards to a node.
func takes(t testing.TB, s *Store, node store.NodeID, shards ...int) []store.Assignment {
	t.Helper()
	taken, _, err := s.Take(t.Context(), node, shards)
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

// fenced commits something under an epoch.
func fenced(t testing.TB, s *Store, name string, scope store.Scope, epoch resource.Epoch) error {
	t.Helper()
	_, err := s.Commit(t.Context(), store.Transaction{Fences: []store.Fence{{Scope: scope, Epoch: epoch}}, Objects: []store.ObjectWrite{{Object: crowdObject(name)}}})
	return err
}

// TestBeatIsOneStatement counts the statements of beats: of the first, of one that brings all assignments, and of one that brings none.
func TestBeatIsOneStatement(t *testing.T) {
	s := open(t, func(o *Options) { o.Heartbeat = time.Hour })
	beats(t, s, "n1") // the session for leases is opened with it
	takes(t, s, "n1", 1, 2, 3)
	settle(t, s)
	for _, c := range []struct {
		reason string
		beat   store.Beat
	}{
		{"a node that is new", store.Beat{Node: "n2", Name: "n2", TTL: time.Hour}},
		{"one that knows nothing", store.Beat{Node: "n1", Name: "n1", TTL: time.Hour}},
		{"one that knows all", store.Beat{Node: "n1", Name: "n1", TTL: time.Hour, Known: beats(t, s, "n1").Version}},
	} {
		at := s.Statements()
		if _, err := s.Beat(t.Context(), c.beat); err != nil {
			t.Fatal(err)
		}
		if n := s.Statements() - at; n != 1 {
			t.Errorf("%s: %d statements, want 1", c.reason, n)
		}
	}
}

// TestKnownAssignmentsAreNotSent: what a node knows already does not even travel.
func TestKnownAssignmentsAreNotSent(t *testing.T) {
	s := open(t, nil)
	beats(t, s, "n1")
	takes(t, s, "n1", 1, 2, 3)
	const ask = "SELECT cardinality(a_shard) FROM setpoint.beat_v1('n1', 'n1', '', '', '', '1 hour', NULL, %)"
	const version = "(SELECT counter FROM setpoint.lease WHERE scope = 'shards')"
	if n := mustPSQL(t, s.options.URL, strings.Replace(ask, "%", version, 1)); n != "" {
		t.Errorf("%s assignments are sent to who knows their version", n)
	}
	if n := mustPSQL(t, s.options.URL, strings.Replace(ask, "%", version+" - 1", 1)); n != "3" {
		t.Errorf("%q assignments are sent to who knows an older version, want 3", n)
	}
}

// TestBeatsAreHeartbeats: a store whose node beats often enough asks for nothing else, and learns of commits by it.
func TestBeatsAreHeartbeats(t *testing.T) {
	s := open(t, func(o *Options) { o.Heartbeat = 50 * time.Millisecond })
	beats(t, s, "n1")
	settle(t, s)
	at, own, spared, sent := s.Statements(), s.follower.beats.Load(), s.follower.spared.Load(), uint64(0)
	for s.follower.spared.Load() < spared+10 {
		beats(t, s, "n1")
		sent++
	}
	// Where the machine stood still for longer than a heartbeat, there was one.
	statements, own := s.Statements()-at, s.follower.beats.Load()-own
	if extra := statements - sent; extra+1 < own || extra > own+1 {
		t.Errorf("%d statements for %d beats and %d heartbeats", statements, sent, own)
	}
	other := open(t, func(o *Options) { o.URL = s.options.URL })
	rev := putCrate(t, other, crowdObject("a"), 0)
	if st := beats(t, s, "n1"); st.Revision != rev {
		t.Errorf("a beat tells revision %d, want %d", st.Revision, rev)
	}
}

// TestProgramsBeforeShards: a process that knows the lease of the whole plane only, and one that divides the work, never work at once.
func TestProgramsBeforeShards(t *testing.T) {
	for _, c := range []struct {
		reason string
		// end is what happens to the lease of the old process before the new one may take.
		end func(*testing.T, *Store, store.Lease)
	}{
		{"the old process gives its lease up", func(t *testing.T, s *Store, l store.Lease) {
			if err := s.Release(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}},
		{"the old process falls silent, and its lease runs out", func(t *testing.T, s *Store, l store.Lease) {
			if _, err := s.Acquire(t.Context(), "plane", l.Holder, time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			s := open(t, nil)
			old, err := s.Acquire(t.Context(), "plane", "old", time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			version := beats(t, s, "n1").Version
			taken, _, err := s.Take(t.Context(), "n1", []int{1})
			if !errors.Is(err, store.ErrHeld) || !strings.Contains(err.Error(), `"old"`) || len(taken) != 0 {
				t.Fatalf("beside a process that has all: taken %+v, error %v; want ErrHeld, naming it", taken, err)
			}
			if st := beats(t, s, "n1"); st.Version != version || len(st.Shards) != 0 {
				t.Errorf("a refused take made version %d of %d, with %+v", st.Version, version, st.Shards)
			}
			if err := fenced(t, s, "a", "plane", old.Epoch); err != nil {
				t.Errorf("the old process cannot commit, and nobody has taken anything: %v", err)
			}
			c.end(t, s, old)
			testkit.Wait(t, "the shard can be taken", func() bool {
				if taken, _, err = s.Take(t.Context(), "n1", []int{1}); err != nil && !errors.Is(err, store.ErrHeld) {
					t.Fatal(err)
				}
				return len(taken) == 1
			})
			if err := fenced(t, s, "b", "plane", old.Epoch); !errors.Is(err, store.ErrFenced) {
				t.Errorf("the old process commits beside the new one: %v, want ErrFenced", err)
			}
			for _, holder := range []string{"old", "standby"} {
				if _, err := s.Acquire(t.Context(), "plane", holder, time.Hour); !errors.Is(err, store.ErrHeld) || !strings.Contains(err.Error(), `"shards"`) {
					t.Errorf("%s takes all beside the new one: %v, want ErrHeld", holder, err)
				}
			}
			if more := takes(t, s, "n1", 2); len(more) != 1 {
				t.Errorf("taken %+v", more)
			}
		})
	}
}

// TestSilentNodesAreForgotten: a week after it was heard of, when another one joins. Its shards are found to be of nobody who is known.
func TestSilentNodesAreForgotten(t *testing.T) {
	s := open(t, nil)
	for _, id := range []store.NodeID{"old", "older", "alive"} {
		beats(t, s, id)
	}
	had := takes(t, s, "older", 9)
	mustPSQL(t, s.options.URL, "UPDATE setpoint.node SET seen = now() - interval '6 days', expires = seen WHERE id = 'old'; UPDATE setpoint.node SET seen = now() - interval '8 days', expires = now() - interval '8 days' WHERE id = 'older'")
	beats(t, s, "alive")
	if nodes, _, err := s.Members(t.Context()); err != nil || len(nodes) != 3 {
		t.Errorf("nodes %+v, error %v; want all three: nobody has joined", nodes, err)
	}
	st := beats(t, s, "new")
	nodes, _, err := s.Members(t.Context())
	if err != nil || len(nodes) != 3 || nodes[0].ID != "alive" || nodes[1].ID != "new" || nodes[2].ID != "old" || nodes[2].Member {
		t.Errorf("nodes %+v, error %v; want alive, new, and old, which is no member", nodes, err)
	}
	if !st.Lapsed || len(st.Shards) != 1 || st.Shards[0] != had[0] {
		t.Errorf("standing %+v; want the forgotten one's shard still assigned, and that told", st)
	}
	if taken := takes(t, s, "new", 9); len(taken) != 1 || taken[0].Epoch.Compare(had[0].Epoch) <= 0 {
		t.Errorf("taken %+v after %+v", taken, had)
	}
}

// TestTakeWhoseAnswerGotLost: the database has given the shards, and the connection ends before it says so. The node hears of them all the same.
func TestTakeWhoseAnswerGotLost(t *testing.T) {
	url := newDatabase(t)
	proxy := pg.NewProxy(t, pg.Shared(t).Address())
	s := open(t, func(o *Options) { o.URL = proxy.URL(url) })
	beats(t, s, "n1")
	var mu sync.Mutex
	asking, cuts := map[int]bool{}, 0
	proxy.OnClient(func(connection int, m pg.Message) pg.Action {
		mu.Lock()
		defer mu.Unlock()
		asking[connection] = asking[connection] || bytes.Contains(m, []byte("take_v1"))
		return pg.Pass()
	})
	proxy.OnServer(func(connection int, m pg.Message) pg.Action {
		mu.Lock()
		defer mu.Unlock()
		if cuts > 0 || !asking[connection] || m.Type() != 'D' {
			return pg.Pass()
		}
		cuts++
		return pg.Cut()
	})
	taken := takes(t, s, "n1", 10, 2)
	proxy.OnClient(nil)
	proxy.OnServer(nil)
	if cuts != 1 || len(taken) != 2 || taken[0].Shard != 2 || taken[0].Epoch.Counter != 1 || taken[1].Shard != 10 {
		t.Errorf("%d answers were lost, and it has taken %+v; want one, and shards 2 and 10 under their first epochs", cuts, taken)
	}
}

// TestMovesAfterDeafness: what moved while nobody listened is made up for: a new session for notifications says that there may be news.
func TestMovesAfterDeafness(t *testing.T) {
	s := open(t, nil)
	settle(t, s)
	moved := s.Moves()
	for len(moved) > 0 {
		<-moved
	}
	mustPSQL(t, s.options.URL, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'setpoint feed %' AND datname = current_database()")
	select {
	case <-moved:
	case <-t.Context().Done():
		t.Error("a session for notifications was lost, and who listens for moves was not told")
	}
}

// TestAssignmentsOfAnotherIncarnation: after a restore an assignment is one of the past. It is nobody's, also for the node that had it, and its epoch is below the next.
func TestAssignmentsOfAnotherIncarnation(t *testing.T) {
	s := open(t, nil)
	beats(t, s, "n1")
	had := takes(t, s, "n1", 4)
	mustPSQL(t, s.options.URL, "UPDATE setpoint.meta SET incarnation = incarnation + 1")
	if _, assigned, err := s.Members(t.Context()); err != nil || len(assigned) != 0 {
		t.Errorf("assignments %+v, error %v; want none", assigned, err)
	}
	next := takes(t, s, "n1", 4)
	if len(next) != 1 || next[0].Epoch.Incarnation != 2 || next[0].Epoch.Compare(had[0].Epoch) <= 0 {
		t.Fatalf("taken %+v after %+v", next, had)
	}
	if err := fenced(t, s, "a", store.ShardScope(4), had[0].Epoch); !errors.Is(err, store.ErrFenced) {
		t.Errorf("a commit under the epoch of the past: %v, want ErrFenced", err)
	}
}

// before is the migrations of an older program, which knew so many.
func before(t testing.TB, version int) fs.FS {
	t.Helper()
	names, err := fs.Glob(migrations(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	old := fstest.MapFS{}
	for _, name := range names[:version] {
		text, err := fs.ReadFile(migrations(), name)
		if err != nil {
			t.Fatal(err)
		}
		old[name] = &fstest.MapFile{Data: text}
	}
	return old
}

// TestOwnerAddsShards: where a superuser has set the guard, a member of the owner can make this step.
func TestOwnerAddsShards(t *testing.T) {
	url := emptyDatabase(t)
	if st, err := migrateTo(t.Context(), url, before(t, 6)); err != nil || st.Version != 6 || !st.Guarded {
		t.Fatalf("migrated to %+v, error %v", st, err)
	}
	people(t, url)
	if st, err := Migrate(t.Context(), as(url, roleOwner)); err != nil || st.Version != newest(t) || !st.Guarded {
		t.Fatalf("migrated to %+v, error %v", st, err)
	}
	s := open(t, func(o *Options) { o.URL = as(url, roleApp) })
	beats(t, s, "n1")
	if taken := takes(t, s, "n1", 1, 2); len(taken) != 2 {
		t.Errorf("taken %+v", taken)
	}
}

// TestHeldShards: whoever stops in the middle of a change is thrown out, and others go on.
func TestHeldShards(t *testing.T) {
	s := open(t, nil)
	people(t, s.options.URL)
	beats(t, s, "n1")
	conn, err := s.connect(t.Context(), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.drop(conn)
	if _, err := conn.Exec(t.Context(), "BEGIN; SELECT setpoint.leave_v1('nobody')"); err != nil {
		t.Fatal(err)
	}
	var taken []store.Assignment
	testkit.Wait(t, "the shards are free to be taken", func() bool {
		taken, _, err = s.Take(t.Context(), "n1", []int{1})
		return err == nil
	})
	if len(taken) != 1 {
		t.Errorf("taken %+v", taken)
	}
}
