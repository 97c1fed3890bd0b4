package sqlite

import (
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/store"
)

// beats makes a node a member for a time.
func beats(t testing.TB, s *Store, node store.NodeID, ttl time.Duration) store.Standing {
	t.Helper()
	st, err := s.Beat(t.Context(), store.Beat{Node: node, Name: "name of " + string(node), TTL: ttl})
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

// TestNodesInVirtualTime: nodes that beat for weeks cost no statement; one that falls silent lapses at its time, not before, and is forgotten after a week.
func TestNodesInVirtualTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		beats(t, s, "n1", time.Hour)
		beats(t, s, "n2", time.Hour)
		had := takes(t, s, "n1", 1, 2)
		synctest.Wait()
		at := s.Statements()
		for range 1000 {
			time.Sleep(30 * time.Minute) // virtual
			beats(t, s, "n1", time.Hour)
			if st := beats(t, s, "n2", time.Hour); st.Lapse != time.Hour || st.Lapsed {
				t.Fatalf("n1 has beaten just now, and has %s left, lapsed %t", st.Lapse, st.Lapsed)
			}
		}
		if n := s.Statements() - at; n != 0 {
			t.Errorf("%d statements for 2000 beats", n)
		}
		time.Sleep(time.Hour - 1)
		if st := beats(t, s, "n2", time.Hour); st.Lapse != 1 || st.Lapsed {
			t.Errorf("n1 has %s left, lapsed %t; want a nanosecond", st.Lapse, st.Lapsed)
		}
		if taken := takes(t, s, "n2", 1); len(taken) != 0 {
			t.Errorf("taken before the time: %+v", taken)
		}
		time.Sleep(time.Nanosecond)
		if st := beats(t, s, "n2", time.Hour); st.Lapse != 0 || !st.Lapsed {
			t.Errorf("n1 is silent for its time to live: lapse %s, lapsed %t", st.Lapse, st.Lapsed)
		}
		if taken := takes(t, s, "n2", 1); len(taken) != 1 || taken[0].Epoch.Compare(had[0].Epoch) <= 0 {
			t.Errorf("taken %+v after %+v", taken, had)
		}
		for _, c := range []struct {
			reason string
			pause  time.Duration
			known  int
		}{
			{"a week has not passed", forgotten - time.Hour, 3},
			{"a week has passed: n1 is forgotten, and who joined two hours ago is not", 2 * time.Hour, 3},
		} {
			time.Sleep(c.pause)
			beats(t, s, "n2", time.Hour)
			beats(t, s, store.NodeID("joins when "+c.reason), time.Hour)
			nodes, _, err := s.Members(t.Context())
			if err != nil || len(nodes) != c.known {
				t.Errorf("%s: nodes %+v, error %v; want %d", c.reason, nodes, err, c.known)
			}
		}
		if st := beats(t, s, "n2", time.Hour); !st.Lapsed || len(st.Shards) != 2 {
			t.Errorf("standing %+v; want a shard of one who is forgotten, and that told", st)
		}
	})
}

// TestCordonByHand: a person with a shell asks a node to drain; the engine hears of it as of anything that others write.
func TestCordonByHand(t *testing.T) {
	s := open(t, nil)
	before := beats(t, s, "n1", time.Hour)
	moved := s.Moves()
	if err := sql(shell(t, s), "INSERT INTO cordon (name, since) VALUES ('name of n1', 1)"); err != nil {
		t.Fatal(err)
	}
	if err := s.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-moved:
	default:
		t.Error("a cordon that the engine has read is not announced")
	}
	if st := beats(t, s, "n1", time.Hour); !st.Nodes[0].Draining || st.Version <= before.Version {
		t.Errorf("standing %+v after version %d; want n1 draining, at a newer one", st, before.Version)
	}
}

// TestPauseByHand: as a cordon; and one whose time has passed is none.
func TestPauseByHand(t *testing.T) {
	s := open(t, nil)
	for _, c := range []struct {
		reason, sql string
		on          bool
	}{
		{"one for an hour", "INSERT INTO pause (id, by_whom, since, until) VALUES (1, 'x', 1, (unixepoch() + 3600) * 1000000000)", true},
		{"one that is over", "UPDATE pause SET until = 2", false},
		{"one that is made longer", "UPDATE pause SET until = (unixepoch() + 3600) * 1000000000", true},
		{"none", "DELETE FROM pause", false},
	} {
		before := beats(t, s, "n1", time.Hour)
		moved := s.Moves()
		if err := sql(shell(t, s), c.sql); err != nil {
			t.Fatal(err)
		}
		if err := s.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case <-moved:
		default:
			t.Errorf("%s: it is not announced", c.reason)
		}
		if st := beats(t, s, "n1", time.Hour); st.Pause.On() != c.on || st.Version <= before.Version {
			t.Errorf("%s: pause %+v at version %d, %d before; want a newer version, and it on: %t", c.reason, st.Pause, st.Version, before.Version, c.on)
		}
	}
}

// TestShardsAreNobodysAfterRestore: a database that was made from a backup has no assignment, and gives no epoch that there has been.
func TestShardsAreNobodysAfterRestore(t *testing.T) {
	s := open(t, nil)
	beats(t, s, "n1", time.Hour)
	had := takes(t, s, "n1", 3)
	folder := t.TempDir()
	backup, target := filepath.Join(folder, "backup.db"), filepath.Join(folder, "new.db")
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), backup, target); err != nil {
		t.Fatal(err)
	}
	restored := open(t, func(o *Options) { o.Path = target })
	st := beats(t, restored, "n2", time.Hour)
	if len(st.Shards) != 0 || st.Lapsed || len(st.Nodes) != 1 {
		t.Errorf("standing %+v; want n2 alone, and nothing assigned", st)
	}
	next := takes(t, restored, "n2", 3)
	if len(next) != 1 || next[0].Epoch.Compare(had[0].Epoch) <= 0 || next[0].Epoch.Incarnation != restored.Info().Incarnation {
		t.Errorf("taken %+v after %+v", next, had)
	}
}

// TestShardsAreNotLeases: whoever asks for the lease of a shard, as if it were one like others, does not get it from a node.
func TestShardsAreNotLeases(t *testing.T) {
	s := open(t, nil)
	beats(t, s, "n1", time.Hour)
	takes(t, s, "n1", 3)
	if l, err := s.Acquire(t.Context(), store.ShardScope(3), "other", time.Hour); !errors.Is(err, store.ErrHeld) {
		t.Errorf("lease %+v, error %v; want ErrHeld", l, err)
	}
}
