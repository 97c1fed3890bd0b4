package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var feedScenarios = []scenario{
	{name: "Feed/EveryRevision", reason: "a watch resumes from every retained revision, and gets each later commit once, in order", run: resumeEverywhere},
	{name: "Feed/EveryRevisionAfterRestart", reason: "the feed is as durable as the state", run: resumeAfterRestart, reopens: true},
	{name: "Feed/Scan", reason: "a scan carries everything, in batches, at one revision", run: scanEverything},
	{name: "Feed/VisitorFails", reason: "a scan stops with the visitor's error", run: visitorFails},
	{name: "Feed/Compacted", reason: "what was compacted cannot be resumed, what was not can", run: compacted},
	{name: "Feed/Future", reason: "a revision beyond the last commit is refused, the last one itself is not", run: future},
	{name: "Feed/Slow", reason: "a watcher that falls far behind gets everything all the same", run: slowWatcher},
	{name: "Feed/SlowAndCompacted", reason: "a watcher that falls behind what is retained is told so", run: slowAndCompacted},
	{name: "Feed/Patience", reason: "Next waits for a commit, and returns when its context ends", run: nextWaits},
	{name: "Feed/CloseStream", reason: "closing a stream ends a Next that waits", run: closeStream},
}

// follower is a reader that applies what it watches.
type follower struct {
	s      *suite
	stream store.Stream
	state  *State
}

// watchState starts a reader from an empty state at a revision.
func (s *suite) watchState(from resource.Revision) *follower {
	s.Helper()
	state := NewState()
	state.Revision = from
	return &follower{s, s.watch(from), state}
}

// upTo applies commits up to a revision.
func (f *follower) upTo(rev resource.Revision) *State {
	f.s.Helper()
	for f.state.Revision < rev {
		if err := f.state.Apply(f.s.next(f.stream)); err != nil {
			f.s.Fatal(err)
		}
	}
	return f.state
}

// story makes commits of all sorts, and returns the state after each, by revision.
func (s *suite) story(commits int) []string {
	s.Helper()
	states := []string{s.state().String()}
	for i := range commits {
		o := thing(fmt.Sprint("o", i%7))
		have, err := s.s.Object(s.ctx, o.Key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			o.UID = resource.UID(fmt.Sprint("uid-", i))
			tx := write(o, 0)
			tx.Raise = []store.Signal{{Object: o.Key, Name: "Poke"}, {Object: o.Key, Name: "Poke", Why: fmt.Sprint("commit ", i), Dedupe: "story", Expires: epoch.AddDate(1, 0, i)}}
			tx.Commands = []store.CommandWrite{{Command: order(o, "x")}}
			s.must(tx)
		case err != nil:
			s.Fatal(err)
		case i%4 == 0:
			s.must(remove(o.Key, have.Revision))
		default:
			tx := write(changed(have, fmt.Sprintf(`{"n":%d}`, i)), have.Revision)
			tx.Timers = []store.Timer{{Controller: "c", Object: o.Key, Due: epoch.AddDate(0, 0, i)}}
			s.must(tx)
		}
		states = append(states, s.state().String())
	}
	return states
}

func (s *suite) checkStory(states []string) {
	s.Helper()
	last := resource.Revision(len(states) - 1)
	full := s.watchState(0)
	for rev := resource.Revision(0); rev <= last; rev++ {
		if got := full.upTo(rev).String(); got != states[rev] {
			s.Fatalf("at revision %d the watcher has\n%s\nthe database had\n%s", rev, got, states[rev])
		}
		stream := s.watch(rev)
		for want := rev + 1; want <= last; want++ {
			if b := s.next(stream); b.Revision != want {
				s.Fatalf("a watch from %d delivers %d, want %d", rev, b.Revision, want)
			}
		}
	}
}

func resumeEverywhere(s *suite) { s.checkStory(s.story(60)) }

func resumeAfterRestart(s *suite) {
	states := s.story(40)
	s.reopen()
	s.checkStory(states)
	s.must(write(thing("new"), 0))
	s.checkStory(append(states, s.state().String()))
}

func scanEverything(s *suite) {
	const n = 1234
	for i := 0; i < n; i += 100 {
		var tx store.Transaction
		for j := i; j < min(i+100, n); j++ {
			o := thing(fmt.Sprint("o", j))
			tx.Objects = append(tx.Objects, store.ObjectWrite{Object: o})
			tx.Timers = append(tx.Timers, store.Timer{Controller: "c", Object: o.Key, Due: epoch})
		}
		s.must(tx)
	}
	want := s.state().Revision
	batches, seen := 0, map[resource.Key]bool{}
	rev, err := s.s.Scan(s.ctx, func(b store.Batch) error {
		batches++
		if b.Revision != want {
			s.Errorf("a batch of revision %d in a scan at %d", b.Revision, want)
		}
		for _, c := range b.Objects {
			if seen[c.Object.Key] {
				s.Errorf("%s twice", c.Object.Key)
			}
			seen[c.Object.Key] = true
		}
		return nil
	})
	if err != nil || rev != want || len(seen) != n || batches < 2 {
		s.Fatalf("scan at %d: %d objects in %d batches, error %v", rev, len(seen), batches, err)
	}
}

func visitorFails(s *suite) {
	s.create(thing("a"))
	enough := errors.New("enough")
	if _, err := s.s.Scan(s.ctx, func(store.Batch) error { return enough }); !errors.Is(err, enough) {
		s.Fatalf("error %v", err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	if _, err := s.s.Scan(ctx, func(store.Batch) error { return nil }); !errors.Is(err, context.Canceled) {
		s.Fatalf("error %v", err)
	}
	s.state()
}

func compacted(s *suite) {
	states := s.story(20)
	if err := s.s.Compact(s.ctx, 10, time.Time{}); err != nil {
		s.Fatal(err)
	}
	for rev := resource.Revision(0); rev <= 20; rev++ {
		stream, err := s.s.Watch(s.ctx, rev)
		if rev < 10 {
			if !errors.Is(err, store.ErrCompacted) {
				s.Errorf("watch from %d: error %v, want ErrCompacted", rev, err)
			}
			continue
		}
		if err != nil {
			s.Errorf("watch from %d: %v", rev, err)
			continue
		}
		if rev < 20 {
			if b := s.next(stream); b.Revision != rev+1 {
				s.Errorf("a watch from %d delivers %d", rev, b.Revision)
			}
		}
		if err := stream.Close(); err != nil {
			s.Error(err)
		}
	}
	if got := s.state().String(); got != states[20] {
		s.Errorf("compaction changed the state to\n%s", got)
	}
	if err := s.s.Compact(s.ctx, 1000, time.Time{}); err != nil {
		s.Errorf("compact beyond the last commit: %v", err)
	}
	stream := s.watch(20)
	s.must(write(thing("new"), 0))
	if b := s.next(stream); b.Revision != 21 {
		s.Errorf("a watch from 20 delivers %d", b.Revision)
	}
}

func future(s *suite) {
	rev := s.create(thing("a"))
	if _, err := s.s.Watch(s.ctx, rev+1); !errors.Is(err, store.ErrFuture) {
		s.Fatalf("error %v", err)
	}
	s.watch(rev)
}

// slowWatcher lets a watcher start, and wait for hundreds of commits before it looks.
func slowWatcher(s *suite) {
	f := s.watchState(0)
	o := thing("a")
	rev := s.create(o)
	f.upTo(1)
	for i := range 800 {
		rev = s.must(write(changed(o, fmt.Sprintf(`{"n":%d,"pad":"%0400d"}`, i, i)), rev)).Revision
		o.Generation++
	}
	final := s.state()
	if got := f.upTo(final.Revision).String(); got != final.String() {
		s.Fatalf("the watcher has\n%s\nthe database\n%s", got, final)
	}
}

func slowAndCompacted(s *suite) {
	stream := s.watch(0)
	s.story(30)
	if err := s.s.Compact(s.ctx, 20, time.Time{}); err != nil {
		s.Fatal(err)
	}
	var last resource.Revision
	for {
		b, err := stream.Next(s.ctx)
		if err != nil {
			if !errors.Is(err, store.ErrCompacted) {
				s.Fatalf("error %v, want ErrCompacted", err)
			}
			return
		}
		if b.Revision != last+1 {
			s.Fatalf("revision %d follows %d", b.Revision, last)
		}
		if last = b.Revision; last >= 20 {
			return // the engine had these in memory: a reader may get more than is retained
		}
	}
}

func nextWaits(s *suite) {
	stream := s.watch(0)
	ctx, cancel := context.WithCancel(s.ctx)
	got := make(chan error, 1)
	go func() {
		_, err := stream.Next(ctx)
		got <- err
	}()
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		s.Fatalf("error %v", err)
	}
	batches := make(chan store.Batch, 1)
	go func() {
		b, err := stream.Next(s.ctx)
		if err != nil {
			s.Error(err)
		}
		batches <- b
	}()
	s.create(thing("a"))
	if b := <-batches; b.Revision != 1 {
		s.Fatalf("batch %+v", b)
	}
}

func closeStream(s *suite) {
	stream, err := s.s.Watch(s.ctx, 0)
	if err != nil {
		s.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		_, err := stream.Next(s.ctx)
		got <- err
	}()
	if err := stream.Close(); err != nil {
		s.Fatal(err)
	}
	if err := <-got; !errors.Is(err, store.ErrClosed) {
		s.Fatalf("error %v", err)
	}
	if err := stream.Close(); err != nil {
		s.Fatalf("second close: %v", err)
	}
}
