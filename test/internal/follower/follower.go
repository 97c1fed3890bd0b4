// Package follower watches a PostgreSQL database of Setpoint's from its first commit on, in the test's own process, and holds what it has seen, commit by commit, against what the database has in
// the end.
//
//	f := follower.Start(t, url, nil)
//	// nodes work, die, the database is stopped …
//	f.Agrees() // every commit once, in order, and whole; and what they make is what is there
package follower

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/postgres"
	"github.com/setpointhq/setpoint/store/storetest"
)

// Follower is a reader of its own. Make it with [Start], end it with [Follower.Agrees].
type Follower struct {
	t     testing.TB
	store *postgres.Store
	state *storetest.State
	see   func(store.Batch)
	ended chan error
	end   context.CancelFunc
}

// Start follows a database whose schema is there. see, unless it is nil, is called with every commit, in order, by one goroutine.
func Start(t testing.TB, url string, see func(store.Batch)) *Follower {
	t.Helper()
	st, err := postgres.Open(t.Context(), postgres.Options{URL: url, Name: "watcher"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &Follower{t: t, store: st, state: storetest.NewState(), see: see, ended: make(chan error, 1), end: cancel}
	go func() { f.ended <- f.follow(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// follow applies every commit. A stream that breaks is resumed from the last revision; Apply refuses what is not the next.
func (f *Follower) follow(ctx context.Context) error {
	for {
		err := f.drain(ctx, 0)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, store.ErrUnavailable):
		default:
			return err
		}
	}
}

// drain applies commits until one of a revision, or, when that is 0, for ever.
func (f *Follower) drain(ctx context.Context, last resource.Revision) (err error) {
	stream, err := f.store.Watch(ctx, f.state.Revision)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	for last == 0 || f.state.Revision < last {
		b, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		if b.Revision != f.state.Revision+1 {
			return fmt.Errorf("commit %d follows %d", b.Revision, f.state.Revision)
		}
		if err := f.state.Apply(b); err != nil {
			return fmt.Errorf("commit %d: %w", b.Revision, err)
		}
		if f.see != nil {
			f.see(b)
		}
	}
	return nil
}

// Agrees ends the follower, and compares what it has made of the commits with what the database holds, which must be at rest. It returns how many commits there were.
func (f *Follower) Agrees() resource.Revision {
	f.t.Helper()
	want, err := storetest.ScanState(f.t.Context(), f.store)
	if err != nil {
		f.t.Fatal(err)
	}
	f.end()
	if err := <-f.ended; err != nil {
		f.t.Fatalf("the watcher: %v", err)
	}
	if err := f.drain(f.t.Context(), want.Revision); err != nil {
		f.t.Fatalf("the watcher: %v", err)
	}
	if f.state.Revision != want.Revision || f.state.String() != want.String() {
		f.t.Errorf("the watcher has made of %d commits:\n%.4000s\nthe database holds, at %d:\n%.4000s", f.state.Revision, f.state, want.Revision, want)
	}
	return want.Revision
}
