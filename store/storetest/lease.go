package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/store"
)

var leaseScenarios = []scenario{
	{name: "Lease/Held", reason: "while one holds it, another cannot have it, and the refusal names the holder", run: leaseHeld},
	{name: "Lease/Renew", reason: "renewing keeps the epoch", run: leaseRenew},
	{name: "Lease/Release", reason: "after a release the next one has it at once, at a higher epoch", run: leaseRelease},
	{name: "Lease/Expiry", reason: "after its time anyone can have it, at a higher epoch, and a late release by the old holder changes nothing", run: leaseExpiry},
	{name: "Lease/OwnExpiry", reason: "who lets a lease expire, and finds that nobody took it, was the owner all the time: what is under way is not fenced off", run: leaseOwnExpiry},
	{name: "Lease/Between", reason: "who lets a lease expire, and takes it again after another, was not the owner meanwhile", run: leaseBetween},
	{name: "Lease/Given", reason: "who gave a lease up and takes it again begins anew", run: leaseGiven},
	{name: "Lease/Race", reason: "of many who want it, one gets it", run: leaseRace},
	{name: "Lease/Restart", reason: "a restart never lowers an epoch", run: leaseRestart, reopens: true},
}

// acquire takes a long lease, or ends the scenario.
func (s *suite) acquire(scope store.Scope, holder string) store.Lease {
	s.Helper()
	l, err := s.s.Acquire(s.ctx, scope, holder, time.Hour)
	if err != nil {
		s.Fatal(err)
	}
	return l
}

// seize takes a lease as soon as it has expired.
func (s *suite) seize(scope store.Scope, holder string) store.Lease {
	s.Helper()
	for {
		l, err := s.s.Acquire(s.ctx, scope, holder, time.Hour)
		if err == nil {
			return l
		}
		if !errors.Is(err, store.ErrHeld) {
			s.Fatal(err)
		}
	}
}

func leaseHeld(s *suite) {
	l := s.acquire("plane", "n1")
	if l.Scope != "plane" || l.Holder != "n1" || l.Epoch.Counter < 1 || l.Epoch.Incarnation != s.s.Info().Incarnation || !l.Expires.After(epoch.AddDate(-100, 0, 0)) {
		s.Errorf("lease %+v", l)
	}
	_, err := s.s.Acquire(s.ctx, "plane", "n2", time.Hour)
	if !errors.Is(err, store.ErrHeld) {
		s.Fatalf("error %v, want ErrHeld", err)
	}
	if want := `"n1"`; !contains(err, want) {
		s.Errorf("message %q does not name %s", err, want)
	}
	s.acquire("shard/1", "n2")
}

func leaseRenew(s *suite) {
	first, err := s.s.Acquire(s.ctx, "plane", "n1", time.Minute)
	if err != nil {
		s.Fatal(err)
	}
	second := s.acquire("plane", "n1")
	if second.Epoch != first.Epoch || !second.Expires.After(first.Expires) {
		s.Errorf("renewing made %+v of %+v", second, first)
	}
}

func leaseRelease(s *suite) {
	first := s.acquire("plane", "n1")
	if err := s.s.Release(s.ctx, first); err != nil {
		s.Fatal(err)
	}
	second := s.acquire("plane", "n2")
	if second.Epoch.Compare(first.Epoch) <= 0 {
		s.Errorf("epoch %s follows %s", second.Epoch, first.Epoch)
	}
	if err := s.s.Release(s.ctx, first); err != nil {
		s.Errorf("releasing what is lost: %v", err)
	}
	if _, err := s.s.Acquire(s.ctx, "plane", "n3", time.Hour); !errors.Is(err, store.ErrHeld) {
		s.Errorf("an old release freed a newer lease: error %v", err)
	}
}

func leaseExpiry(s *suite) {
	first, err := s.s.Acquire(s.ctx, "plane", "n1", time.Millisecond)
	if err != nil {
		s.Fatal(err)
	}
	second := s.seize("plane", "n2")
	if second.Epoch.Compare(first.Epoch) <= 0 {
		s.Errorf("epoch %s follows %s", second.Epoch, first.Epoch)
	}
	if err := s.s.Release(s.ctx, first); err != nil {
		s.Error(err)
	}
	if _, err := s.s.Acquire(s.ctx, "plane", "n1", time.Hour); !errors.Is(err, store.ErrHeld) {
		s.Errorf("the old holder got it back: error %v", err)
	}
}

// expired takes a short lease and returns when its time is over. It learns that from another lease, which was taken later for as long.
func (s *suite) expired(scope store.Scope, holder string) store.Lease {
	s.Helper()
	l, err := s.s.Acquire(s.ctx, scope, holder, time.Millisecond)
	if err != nil {
		s.Fatal(err)
	}
	if _, err := s.s.Acquire(s.ctx, "clock", holder, time.Millisecond); err != nil {
		s.Fatal(err)
	}
	s.seize("clock", "who watches the clock")
	return l
}

// under commits something on condition that a lease still has its epoch.
func (s *suite) under(l store.Lease, name string) error {
	tx := write(thing(name), 0)
	tx.Fences = []store.Fence{{Scope: l.Scope, Epoch: l.Epoch}}
	_, err := s.commit(tx)
	return err
}

func leaseOwnExpiry(s *suite) {
	first := s.expired("plane", "n1")
	if err := s.under(first, "meanwhile"); err != nil {
		s.Errorf("a commit under the epoch of a lease that has expired, and that nobody took: %v", err)
	}
	again := s.acquire("plane", "n1")
	if again.Epoch != first.Epoch || !again.Expires.After(first.Expires) {
		s.Errorf("taking it again made %+v of %+v; want the same epoch", again, first)
	}
	if err := s.under(first, "afterwards"); err != nil {
		s.Errorf("a commit under the epoch, after it was taken again: %v", err)
	}
	if _, err := s.s.Acquire(s.ctx, "plane", "n2", time.Hour); !errors.Is(err, store.ErrHeld) {
		s.Errorf("another gets what was taken again: error %v, want ErrHeld", err)
	}
}

func leaseBetween(s *suite) {
	last, err := s.s.Acquire(s.ctx, "plane", "n1", time.Millisecond)
	if err != nil {
		s.Fatal(err)
	}
	second := s.seize("plane", "n2")
	if err := s.under(last, "late"); !errors.Is(err, store.ErrFenced) {
		s.Errorf("a commit under the epoch of the former holder: error %v, want ErrFenced", err)
	}
	if err := s.s.Release(s.ctx, second); err != nil {
		s.Fatal(err)
	}
	if third := s.acquire("plane", "n1"); third.Epoch.Compare(second.Epoch) <= 0 || second.Epoch.Compare(last.Epoch) <= 0 {
		s.Errorf("epochs %s, %s, %s do not rise", last.Epoch, second.Epoch, third.Epoch)
	}
}

func leaseGiven(s *suite) {
	first := s.acquire("plane", "n1")
	if err := s.s.Release(s.ctx, first); err != nil {
		s.Fatal(err)
	}
	if second := s.acquire("plane", "n1"); second.Epoch.Compare(first.Epoch) <= 0 {
		s.Errorf("epoch %s follows %s", second.Epoch, first.Epoch)
	}
}

func leaseRace(s *suite) {
	for round := range 5 {
		scope := store.Scope(fmt.Sprint("shard/", round))
		var mu sync.Mutex
		winners := 0
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				_, err := s.s.Acquire(s.ctx, scope, fmt.Sprint("n", i), time.Hour)
				if err != nil && !errors.Is(err, store.ErrHeld) {
					s.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					winners++
				}
			})
		}
		wg.Wait()
		if winners != 1 {
			s.Fatalf("%d have %s", winners, scope)
		}
	}
}

func leaseRestart(s *suite) {
	last := s.acquire("plane", "n1").Epoch
	for range 3 {
		s.reopen()
		l := s.seize("plane", "n1")
		if l.Epoch.Compare(last) < 0 {
			s.Fatalf("epoch %s follows %s", l.Epoch, last)
		}
		last = l.Epoch
	}
}
