package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var lifeScenarios = []scenario{
	{name: "Life/Info", reason: "a store says which database it is", run: info},
	{name: "Life/Cancelled", reason: "a commit whose context has ended before it began writes nothing", run: cancelled},
	{name: "Life/Closed", reason: "after Close everything fails with ErrClosed, and closing again is no error", run: closed},
	{name: "Life/CloseEndsWatches", reason: "Close ends a Next that waits", run: closeEndsWatches},
	{name: "Life/CloseUnderLoad", reason: "a commit that returned is there, one that failed with ErrClosed is not", run: closeUnderLoad, reopens: true},
	{name: "Life/Restart", reason: "everything is there after a restart, and the count of revisions goes on", run: restart, reopens: true},
}

func info(s *suite) {
	i := s.s.Info()
	if i.Engine == "" || i.Incarnation < 1 || i.Location == "" {
		s.Fatalf("info %+v", i)
	}
}

func cancelled(s *suite) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := s.s.Commit(ctx, write(thing("a"), 0))
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		s.Fatalf("error %v; want ErrUnavailable and the context's", err)
	}
	commitError(s.T, err)
	s.absent(thing("a").Key)
}

func closed(s *suite) {
	o := thing("a")
	s.create(o)
	for range 2 {
		if err := s.s.Close(); err != nil {
			s.Fatal(err)
		}
	}
	_, commit := s.s.Commit(s.ctx, write(thing("b"), 0))
	_, scan := s.s.Scan(s.ctx, func(store.Batch) error { return nil })
	_, watch := s.s.Watch(s.ctx, 0)
	_, object := s.s.Object(s.ctx, o.Key)
	_, history := s.s.History(s.ctx, store.HistoryQuery{Key: o.Key})
	_, acquire := s.s.Acquire(s.ctx, "plane", "n1", time.Hour)
	for name, err := range map[string]error{
		"Commit": commit, "Scan": scan, "Watch": watch, "Object": object, "History": history, "Acquire": acquire,
		"Register": s.s.Register(s.ctx, []store.Rules{{Kind: plain}}), "Compact": s.s.Compact(s.ctx, 1, time.Time{}),
	} {
		if !errors.Is(err, store.ErrClosed) {
			s.Errorf("%s: error %v, want ErrClosed", name, err)
		}
	}
}

func closeEndsWatches(s *suite) {
	stream := s.watch(0)
	got := make(chan error, 1)
	go func() {
		_, err := stream.Next(s.ctx)
		got <- err
	}()
	if err := s.s.Close(); err != nil {
		s.Fatal(err)
	}
	if err := <-got; !errors.Is(err, store.ErrClosed) {
		s.Fatalf("error %v", err)
	}
}

func closeUnderLoad(s *suite) {
	const committers = 16
	var mu sync.Mutex
	acknowledged := map[resource.Key]bool{}
	var wg sync.WaitGroup
	started := make(chan struct{}, committers)
	for i := range committers {
		wg.Go(func() {
			for j := 0; ; j++ {
				o := thing(fmt.Sprintf("o%d-%d", i, j))
				_, err := s.commit(write(o, 0))
				mu.Lock()
				acknowledged[o.Key] = err == nil
				mu.Unlock()
				if err != nil {
					if !errors.Is(err, store.ErrClosed) {
						s.Error(err)
					}
					return
				}
				if j == 0 {
					started <- struct{}{}
				}
			}
		})
	}
	for range committers {
		<-started
	}
	if err := s.s.Close(); err != nil {
		s.Fatal(err)
	}
	wg.Wait()
	s.reopen()
	state := s.state()
	for key, want := range acknowledged {
		if _, there := state.Objects[key]; there != want {
			s.Errorf("%s: acknowledged %t, there %t", key, want, there)
		}
	}
	if want := resource.Revision(len(state.Objects)); state.Revision != want {
		s.Errorf("revision %d after %d commits", state.Revision, want)
	}
}

func restart(s *suite) {
	s.story(30)
	o := thing("hist")
	s.create(o)
	before, entries := s.state(), len(s.history(o.Key))
	s.reopen()
	after := s.state()
	if after.String() != before.String() || after.Revision != before.Revision {
		s.Fatalf("before (%d)\n%s\nafter (%d)\n%s", before.Revision, before, after.Revision, after)
	}
	if n := len(s.history(o.Key)); n != entries {
		s.Errorf("%d entries in the history, %d before", n, entries)
	}
	if rev := s.create(thing("next")); rev != before.Revision+1 {
		s.Errorf("revision %d follows %d", rev, before.Revision)
	}
}
