package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// TestVirtualTime runs the engine in a bubble: a lease expires after virtual hours, and a store at rest executes nothing.
func TestVirtualTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		stream, err := s.Watch(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		var seen []resource.Revision
		var reader sync.WaitGroup
		reader.Go(func() {
			for {
				b, err := stream.Next(t.Context())
				if err != nil {
					if !errors.Is(err, store.ErrClosed) {
						t.Error(err)
					}
					return
				}
				seen = append(seen, b.Revision)
			}
		})
		mustPut(t, s, box("a"), 0)
		lease, err := s.Acquire(t.Context(), "plane", "n1", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		at := s.Statements()
		for range 100 {
			time.Sleep(30 * time.Minute) // virtual
			if _, err := s.Acquire(t.Context(), "plane", "n1", time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(59 * time.Minute)
		if _, err := s.Acquire(t.Context(), "plane", "n2", time.Hour); !errors.Is(err, store.ErrHeld) {
			t.Errorf("error %v, want ErrHeld", err)
		}
		synctest.Wait()
		if n := s.Statements() - at; n != 0 {
			t.Errorf("%d statements in two days of rest", n)
		}
		time.Sleep(time.Minute)
		next, err := s.Acquire(t.Context(), "plane", "n2", time.Hour)
		if err != nil || next.Epoch.Compare(lease.Epoch) <= 0 {
			t.Errorf("lease %+v after %+v, error %v", next, lease, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		reader.Wait()
		if len(seen) != 1 {
			t.Errorf("the watcher saw %v", seen)
		}
	})
}

// TestWatchersCostNothing counts statements with and without watchers that keep up.
func TestWatchersCostNothing(t *testing.T) {
	perCommit := func(watchers int) uint64 {
		s := open(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o := box("a")
		rev := mustPut(t, s, o, 0)
		var streams []store.Stream
		for range watchers {
			stream, err := s.Watch(ctx, rev)
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, stream)
		}
		at := s.Statements()
		for range 50 {
			rev = mustPut(t, s, o, rev)
			for _, stream := range streams {
				if b, err := stream.Next(ctx); err != nil || b.Revision != rev {
					t.Fatalf("batch %d, error %v; want %d", b.Revision, err, rev)
				}
			}
		}
		return s.Statements() - at
	}
	alone, watched := perCommit(0), perCommit(5)
	if alone != watched {
		t.Errorf("50 commits take %d statements, with five watchers %d", alone, watched)
	}
	t.Logf("%d statements for 50 lone commits", alone)
}

// TestAdministratorsFirst fills the queue while the writer is held, and looks at the order of revisions.
func TestAdministratorsFirst(t *testing.T) {
	held, free := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s := open(t, func(o *Options) {
		o.Hooks.BeforeCommit = func(GroupStats) error {
			once.Do(func() { close(held); <-free })
			return nil
		}
	})
	revs := make(map[string]resource.Revision)
	var mu sync.Mutex
	var wg sync.WaitGroup
	commit := func(name, writer string) {
		wg.Go(func() {
			tx := put(box(name), 0)
			tx.Writer.Name = writer
			r, err := s.Commit(t.Context(), tx)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			revs[name] = r.Revision
		})
	}
	commit("first", "controller/x")
	<-held
	for _, name := range []string{"a", "b", "c", "d"} {
		commit(name, "controller/x")
	}
	for len(s.writer.queue.Normal) < 4 {
		yield()
	}
	for _, name := range []string{"admin-1", "admin-2", "admin-3"} {
		commit(name, "api:ada")
	}
	for len(s.writer.queue.Urgent) < 3 {
		yield()
	}
	close(free)
	wg.Wait()
	for name, rev := range revs {
		if administrator := rev >= 2 && rev <= 4; administrator != strings.HasPrefix(name, "admin") {
			t.Errorf("%s has revision %d; administrators come right after the first: %v", name, rev, revs)
		}
	}
}
