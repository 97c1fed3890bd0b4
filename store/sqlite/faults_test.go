//go:build linux

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/draft"
	"github.com/setpointhq/setpoint/store/storetest"
)

func TestLostAcknowledgement(t *testing.T) {
	lose := false
	s := open(t, func(o *Options) {
		o.Hooks.AfterCommit = func(GroupStats) error {
			if lose {
				return errors.New("the line is dead")
			}
			return nil
		}
	})
	mustPut(t, s, box("a"), 0)
	stream, err := s.Watch(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	lose = true
	if _, err := s.Commit(t.Context(), put(box("b"), 0)); !errors.Is(err, store.ErrUnknown) {
		t.Fatalf("error %v, want ErrUnknown", err)
	}
	lose = false
	if b, err := stream.Next(t.Context()); err != nil || b.Revision != 2 {
		t.Fatalf("batch %d, error %v: it was committed", b.Revision, err)
	}
	if _, err := s.Commit(t.Context(), put(box("b"), 0)); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("error %v: the repeat should find it there", err)
	}
}

func TestFailureBeforeCommit(t *testing.T) {
	fail := true
	s := open(t, func(o *Options) {
		o.Hooks.BeforeCommit = func(GroupStats) error {
			if fail {
				return errors.New("pulled the plug")
			}
			return nil
		}
	})
	o := box("a")
	tx := put(o, 0)
	tx.Raise = []store.Signal{{Object: o.Key, Name: "Poke"}}
	if _, err := s.Commit(t.Context(), tx); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("error %v, want ErrUnavailable", err)
	}
	fail = false
	r, err := s.Commit(t.Context(), tx)
	if err != nil || r.Revision != 1 || r.Signals[0] != 1 {
		t.Fatalf("receipt %+v, error %v: what failed should have taken neither revision nor identity", r, err)
	}
}

// TestBackstop makes judging believe in rules that the database does not have, so that a trigger has to stop a member.
func TestBackstop(t *testing.T) {
	var stats []GroupStats
	held, free := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s := open(t, func(o *Options) {
		o.Hooks.BeforeCommit = func(GroupStats) error {
			once.Do(func() { close(held); <-free })
			return nil
		}
		o.Observe = func(g GroupStats) { stats = append(stats, g) }
	})
	var wg sync.WaitGroup
	wg.Go(func() { mustPut(t, s, box("first"), 0) })
	<-held
	registered := make(chan struct{})
	wg.Go(func() {
		registerBox(t, s)
		err := s.writer.do(t.Context(), "forget", func(w *writer) error {
			w.rules[boxKind] = draft.Allowed{"New": nil, "Impossible": nil}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		close(registered)
	})
	close(free)
	<-registered
	const n = 8
	errs := make([]error, n)
	gate, open := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		if err := s.writer.do(t.Context(), "wait", func(*writer) error { close(gate); <-open; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-gate
	for i := range n {
		o := box(fmt.Sprint("b", i))
		if i == 3 {
			o.State = "Impossible"
		}
		wg.Go(func() { _, errs[i] = s.Commit(t.Context(), put(o, 0)) })
	}
	for len(s.writer.queue.Normal) < n {
		yield()
	}
	close(open)
	wg.Wait()
	for i, err := range errs {
		if i == 3 {
			if !errors.Is(err, store.ErrRule) || !strings.Contains(err.Error(), "not in the table") {
				t.Errorf("member %d: error %v, want ErrRule with the trigger's words", i, err)
			}
		} else if err != nil {
			t.Errorf("member %d: %v", i, err)
		}
	}
	state, err := storetest.ScanState(t.Context(), s)
	if err != nil || len(state.Objects) != n || state.Revision != n {
		t.Errorf("%d objects at revision %d, error %v; want %d", len(state.Objects), state.Revision, err, n)
	}
	checkFeed(t, s, state)
	singly := 0
	for _, g := range stats {
		if g.Singly {
			singly++
		}
	}
	if singly != n {
		t.Errorf("%d members were run singly, want %d", singly, n)
	}
}

// TestDiskRefuses lets writes of the log fail, as a full or a broken disk makes them, then gives room again.
func TestDiskRefuses(t *testing.T) {
	s := open(t, nil)
	o := box("a")
	rev := mustPut(t, s, o, 0)
	log, err := os.Stat(s.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	set := func(size uint64) {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
	}
	set(uint64(log.Size()))
	_, first := s.Commit(t.Context(), put(o, rev))
	_, second := s.Commit(t.Context(), put(o, rev))
	set(limit.Cur)
	if !errors.Is(first, store.ErrUnknown) {
		t.Errorf("the commit that failed: error %v, want ErrUnknown, because the disk would not say", first)
	}
	if !errors.Is(second, store.ErrUnavailable) {
		t.Errorf("the commit after it: error %v, want ErrUnavailable, because it was not begun", second)
	}
	if got := mustPut(t, s, o, rev); got != rev+1 {
		t.Errorf("revision %d follows %d", got, rev)
	}
	state, err := storetest.ScanState(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	checkFeed(t, s, state)
}

// TestDiskRefusesOnce lets the commit fail, and the question after it succeed.
func TestDiskRefusesOnce(t *testing.T) {
	s := open(t, nil)
	o := box("a")
	rev := mustPut(t, s, o, 0)
	big := o.Clone()
	big.Spec = []byte(`"` + strings.Repeat("x", 200<<10) + `"`)
	log, err := os.Stat(s.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	// Room for a small commit behind the log as it is, not for the big one.
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(log.Size()) + 100<<10, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	_, refused := s.Commit(t.Context(), put(big, rev))
	got, small := s.Commit(t.Context(), put(o, rev))
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(refused, store.ErrUnavailable) || !strings.Contains(refused.Error(), "does not have it") {
		t.Errorf("error %v; want ErrUnavailable, with the answer of the database", refused)
	}
	if small != nil || got.Revision != rev+1 {
		t.Errorf("the next commit: %+v, error %v", got, small)
	}
}

// TestDoubtIsSettledByLooking makes a commit on the writer's own connection that the writer does not know of, as a COMMIT would be that
// took effect and reported a failure.
func TestDoubtIsSettledByLooking(t *testing.T) {
	s := open(t, nil)
	mustPut(t, s, box("a"), 0)
	err := s.writer.do(t.Context(), "commit unknowingly", func(w *writer) error {
		w.suspect = true
		return transaction(w.c, func() error { return w.c.run("UPDATE meta SET revision = revision + 1") })
	})
	if err != nil {
		t.Fatal(err)
	}
	if rev := mustPut(t, s, box("b"), 0); rev != 3 {
		t.Errorf("revision %d, want 3: the second is taken", rev)
	}
	state, err := storetest.ScanState(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	checkFeed(t, s, state)
}

func TestRulesOfUnregisteredKinds(t *testing.T) {
	s := open(t, nil)
	o := box("a")
	o.State = lifecycle.State("Anything")
	mustPut(t, s, o, 0)
}
