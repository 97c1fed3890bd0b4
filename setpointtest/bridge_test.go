package setpointtest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
	"github.com/setpointhq/setpoint/store/storetest"
)

func TestMain(m *testing.M) { pg.Main(m) }

// file is an engine outside, whose store may be dressed.
func file(dress func(store.Store) store.Store) Engine {
	return Engine{Name: "file", Create: func(t testing.TB) Opener {
		path := filepath.Join(t.TempDir(), "outside.db")
		return func(ctx context.Context) (store.Store, error) {
			st, err := sqlite.Open(ctx, sqlite.Options{Path: path})
			if err != nil || dress == nil {
				return st, err
			}
			return dress(st), nil
		}
	}}
}

// crossing calls f inside a bubble, with what opens a database outside of it.
func crossing(t *testing.T, e Engine, f func(t *testing.T, open func() store.Store)) {
	t.Helper()
	g := e.ground(t)
	defer g.leave(t)
	synctest.Test(t, func(t *testing.T) {
		w := g.world(t, Setup{})
		f(t, func() store.Store {
			st, err := w.open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return st
		})
	})
}

func object(name string) *resource.Object {
	return &resource.Object{
		Meta: resource.Meta{
			Key: resource.Key{Kind: "Plain.test.example", Namespace: "ns", Name: resource.Name(name)}, UID: resource.UID("uid-" + name), Generation: 1, Created: time.Now(),
		},
		Spec: []byte(`{}`),
	}
}

func creation(name string) store.Transaction {
	return store.Transaction{Writer: store.Writer{Name: "controller/test"}, Objects: []store.ObjectWrite{{Object: object(name)}}}
}

func mustCommit(t *testing.T, st store.Store, tx store.Transaction) resource.Revision {
	t.Helper()
	r, err := st.Commit(t.Context(), tx)
	if err != nil {
		t.Fatal(err)
	}
	return r.Revision
}

func mustClose(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestTheBridgeKeepsTheContract: a bridge is a store like any other, in a bubble or without one.
func TestTheBridgeKeepsTheContract(t *testing.T) {
	worlds := map[store.Store]*World{}
	begin := func(t *testing.T, w *World) store.Store {
		st, err := w.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		worlds[st] = w
		return st
	}
	storetest.Run(t, func(t *testing.T) store.Store {
		g := file(nil).ground(t)
		t.Cleanup(func() { g.leave(t) })
		return begin(t, g.world(t, Setup{}))
	}, storetest.Reopening(func(t *testing.T, st store.Store) store.Store {
		mustClose(t, st)
		return begin(t, worlds[st])
	}))
}

// next waits for a commit in a goroutine of its own.
func next(ctx context.Context, stream store.Stream) (got func() (store.Batch, error), waits func() bool) {
	type answer struct {
		batch store.Batch
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		b, err := stream.Next(ctx)
		answers <- answer{b, err}
	}()
	return func() (store.Batch, error) { a := <-answers; return a.batch, a.err }, func() bool { synctest.Wait(); return len(answers) == 0 }
}

func TestAStreamWithNothingToDeliverIsAtRest(t *testing.T) {
	crossing(t, file(nil), func(t *testing.T, open func() store.Store) {
		st := open()
		stream, err := st.Watch(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, end := range []struct {
			reason string
			do     func(cancel func())
			want   error
		}{
			{"a commit", func(func()) { mustCommit(t, st, creation("a")) }, nil},
			{"the end of its context", func(cancel func()) { cancel() }, context.Canceled},
			{"the end of the stream", func(func()) { mustClose(t, stream) }, store.ErrClosed},
			{"the end of the store", func(func()) { mustClose(t, st) }, store.ErrClosed},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			got, waits := next(ctx, stream)
			begun := time.Now()
			if time.Sleep(time.Hour); !waits() && end.want != store.ErrClosed {
				t.Errorf("Next did not wait for %s", end.reason)
			}
			if passed := time.Since(begun); passed != time.Hour {
				t.Errorf("%s of virtual time passed in an hour", passed)
			}
			end.do(cancel)
			if b, err := got(); !errors.Is(err, end.want) || err == nil && b.Revision != 1 {
				t.Errorf("after %s: batch %+v, error %v, want %v", end.reason, b, err, end.want)
			}
			cancel()
		}
	})
}

func TestWhatIsOutsideIsDatedByVirtualTime(t *testing.T) {
	crossing(t, file(nil), func(t *testing.T, open func() store.Store) {
		st := open()
		tx := creation("a")
		tx.Raise = []store.Signal{{Object: object("a").Key, Name: "Poke"}}
		var made []time.Time
		for i := range 3 {
			made = append(made, time.Now())
			mustCommit(t, st, tx)
			tx = store.Transaction{Writer: tx.Writer, Events: []store.Event{{Object: object("a").Key, UID: "uid-a", Kind: "Normal", Reason: "Again", Message: fmt.Sprint(i)}}}
			time.Sleep(24 * time.Hour)
		}
		mustClose(t, st)
		st = open() // what is known outlives a restart
		stream, err := st.Watch(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for rev, want := range made {
			b, err := stream.Next(t.Context())
			if err != nil || !b.At.Equal(want) {
				t.Errorf("revision %d is of %s, error %v; it was made at %s", rev+1, b.At, err, want)
			}
			for _, s := range b.Raised {
				if !s.At.Equal(want) {
					t.Errorf("a signal is of %s; it was raised at %s", s.At, want)
				}
			}
		}
		history := func() (out []time.Time) {
			entries, err := st.History(t.Context(), store.HistoryQuery{Key: object("a").Key})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				out = append(out, e.At)
			}
			return out
		}
		if got := history(); len(got) != 4 || !got[0].Equal(made[0]) || !got[2].Equal(made[1]) || !got[3].Equal(made[2]) {
			t.Errorf("the history is of %v; it happened at %v", got, made)
		}
		for _, c := range []struct {
			reason string
			before time.Time
			left   int
		}{
			{"nothing is older than the first", made[0], 4},
			{"the first commit, with a creation and a signal, is older than the second", made[1], 2},
			{"everything but the last is older than a second ago", made[2].Add(-time.Second), 1},
			{"everything is older than now", time.Now(), 0},
		} {
			if err := st.Compact(t.Context(), 0, c.before); err != nil {
				t.Fatal(err)
			}
			if got := history(); len(got) != c.left {
				t.Errorf("%s: %d entries are left, want %d", c.reason, len(got), c.left)
			}
		}
		mustClose(t, st)
	})
}

// server is a database that goes on when a plane closes its store, as a server does, and counts the requests for leases.
type server struct {
	store.Store
	acquires atomic.Int64
}

// Acquire counts.
func (s *server) Acquire(ctx context.Context, scope store.Scope, holder string, ttl time.Duration) (store.Lease, error) {
	s.acquires.Add(1)
	return s.Store.Acquire(ctx, scope, holder, ttl)
}

// Close leaves everything as it is, the leases too.
func (s *server) Close() error { return nil }

// engine is an engine whose database is always this one.
func (s *server) engine() Engine {
	return Engine{Name: "server", Create: func(t testing.TB) Opener {
		st, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "server.db")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { mustClose(t, st) })
		s.Store = st
		return func(context.Context) (store.Store, error) { return s, nil }
	}}
}

func TestLeasesLiveByVirtualTime(t *testing.T) {
	database := &server{}
	crossing(t, database.engine(), func(t *testing.T, open func() store.Store) {
		st := open()
		acquire := func(holder string, want error) store.Lease {
			t.Helper()
			l, err := st.Acquire(t.Context(), "plane", holder, 10*time.Second)
			if !errors.Is(err, want) {
				t.Fatalf("acquire for %s: %v, want %v", holder, err, want)
			}
			if end := time.Now().Add(10 * time.Second); err == nil && !l.Expires.Equal(end) {
				t.Fatalf("the lease of %s ends at %s, want %s", holder, l.Expires, end)
			}
			return l
		}
		first := acquire("a", nil)
		for range 100 {
			time.Sleep(9 * time.Second)
			if again := acquire("a", nil); again.Epoch != first.Epoch {
				t.Fatalf("a renewal made epoch %s of %s", again.Epoch, first.Epoch)
			}
			acquire("b", store.ErrHeld)
		}
		if got := database.acquires.Load(); got != 101 {
			t.Errorf("the database was asked %d times for 100 renewals and 100 refusals, want once and for each refusal", got)
		}
		time.Sleep(10 * time.Second)
		second := acquire("b", nil)
		if second.Epoch.Compare(first.Epoch) <= 0 {
			t.Errorf("epoch %s follows %s", second.Epoch, first.Epoch)
		}
		acquire("a", store.ErrHeld)
		if err := st.Release(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		acquire("a", store.ErrHeld)
		mustClose(t, st) // nobody has released the lease: the plane was killed
		st = open()
		if third := acquire("c", nil); third.Epoch.Compare(second.Epoch) <= 0 {
			t.Errorf("epoch %s follows %s", third.Epoch, second.Epoch)
		}
		mustClose(t, st)
	})
}

func TestACommitWithoutAnAnswerWakesTheStreams(t *testing.T) {
	lose := func(st store.Store) store.Store {
		return &storetest.Faulty{Store: st, After: func(uint64, store.Transaction, store.Receipt, error) (store.Receipt, error) {
			return store.Receipt{}, storetest.Lost()
		}}
	}
	crossing(t, file(lose), func(t *testing.T, open func() store.Store) {
		st := open()
		stream, err := st.Watch(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		got, waits := next(t.Context(), stream)
		if !waits() {
			t.Error("Next did not wait")
		}
		if _, err := st.Commit(t.Context(), creation("a")); !errors.Is(err, store.ErrUnknown) {
			t.Errorf("commit: %v", err)
		}
		if b, err := got(); err != nil || b.Revision != 1 || !b.At.Equal(time.Now()) {
			t.Errorf("batch %+v, error %v", b, err)
		}
		mustClose(t, st)
	})
}

func TestADatabaseThatCannotBeOpenedSaysWhy(t *testing.T) {
	away := errors.New("no route to host")
	for _, c := range []struct {
		reason string
		open   func(t testing.TB) Opener
		want   error
	}{
		{"the opener says why", func(testing.TB) Opener { return func(context.Context) (store.Store, error) { return nil, away } }, away},
		{"the opener ends its goroutine, as a failed assertion would", func(testing.TB) Opener {
			return func(context.Context) (store.Store, error) { runtime.Goexit(); return nil, nil }
		}, errExited},
	} {
		g := Engine{Name: "away", Create: c.open}.ground(t)
		synctest.Test(t, func(t *testing.T) {
			if _, err := g.world(t, Setup{}).open(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("%s: error %v, want %v", c.reason, err, c.want)
			}
		})
		g.leave(t)
	}
}
