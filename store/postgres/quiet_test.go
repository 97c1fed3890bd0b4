package postgres

import (
	"testing"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/resource"
)

// TestRestCostsHeartbeatsOnly counts the statements of a store at rest: one per beat, which the database counts too.
func TestRestCostsHeartbeatsOnly(t *testing.T) {
	const beats = 10
	s := open(t, func(o *Options) { o.Heartbeat = 50 * time.Millisecond })
	rev := putCrate(t, s, crowdObject("a"), 0)
	stream, err := s.Watch(t.Context(), rev)
	if err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	at, told := s.Statements(), s.follower.beats.Load()
	testkit.Wait(t, "so many beats", func() bool { return s.follower.beats.Load() >= told+beats })
	// A beat is counted when it is over: one more statement may be under way, and one may have been at the beginning.
	statements, n := s.Statements()-at, s.follower.beats.Load()-told
	if statements+1 < n || statements > n+1 {
		t.Errorf("%d statements in %d beats", statements, n)
	}
	t.Logf("%d statements in %d beats of rest", statements, n)
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
}

// TestRenewalsAreBeats: a store that renews a lease often enough asks for nothing else.
func TestRenewalsAreBeats(t *testing.T) {
	s := open(t, func(o *Options) { o.Heartbeat = 50 * time.Millisecond })
	renew := func() {
		if _, err := s.Acquire(t.Context(), "plane", "n1", time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	renew()
	settle(t, s)
	at, beats, spared, renewals := s.Statements(), s.follower.beats.Load(), s.follower.spared.Load(), uint64(0)
	for s.follower.spared.Load() < spared+10 {
		renew()
		renewals++
	}
	// Where the machine stood still for longer than a beat, there was one.
	statements := s.Statements() - at
	beats = s.follower.beats.Load() - beats
	if extra := statements - renewals; extra+1 < beats || extra > beats+1 {
		t.Errorf("%d statements for %d renewals and %d beats", statements, renewals, beats)
	}
	t.Logf("%d statements for %d renewals; 10 beats were spared, %d were not", statements, renewals, beats)
}

// TestWatchersCostNothing counts statements with and without watchers that keep up.
func TestWatchersCostNothing(t *testing.T) {
	perCommit := func(watchers int) uint64 {
		s := open(t, func(o *Options) { o.Heartbeat = time.Hour })
		o := crowdObject("a")
		rev := putCrate(t, s, o, 0)
		next := make([]func() resource.Revision, watchers)
		for i := range next {
			stream, err := s.Watch(t.Context(), rev)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := stream.Close(); err != nil {
					t.Error(err)
				}
			})
			next[i] = func() resource.Revision {
				b, err := stream.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return b.Revision
			}
		}
		settle(t, s)
		at := s.Statements()
		for range 50 {
			rev = putCrate(t, s, o, rev)
			for _, n := range next {
				if got := n(); got != rev {
					t.Fatalf("batch %d, want %d", got, rev)
				}
			}
		}
		return s.Statements() - at
	}
	alone, watched := perCommit(0), perCommit(5)
	if alone != watched || alone != 50 {
		t.Errorf("50 commits take %d statements, with five watchers %d", alone, watched)
	}
}

// settle waits until a store has done what it does after it was opened and first committed: it listens, has looked where the database stands, and the upkeep rests.
func settle(t *testing.T, s *Store) {
	t.Helper()
	testkit.Wait(t, "the store is at rest", func() bool {
		s.follower.mu.Lock()
		defer s.follower.mu.Unlock()
		return s.follower.listening && !s.follower.suspect && s.feed.Revision() >= s.follower.wanted && s.upkeep.resting()
	})
}
