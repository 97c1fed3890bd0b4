package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var seenScenarios = []scenario{
	{name: "Seen/Nothing", reason: "a signal is raised when none was raised on its object after what the raiser has seen, whatever happened to others", run: seenNothing},
	{name: "Seen/Newer", reason: "one that was raised since is a conflict, which names the newest one's revision", run: seenNewer},
	{name: "Seen/Consumed", reason: "one that was raised and consumed since does not stand", run: seenConsumed},
	{name: "Seen/Own", reason: "a transaction raises several signals on one object with one condition, which its own do not break, and what it consumes itself does", run: seenOwn},
	{name: "Seen/Namesake", reason: "the condition is about the object with the UID, which is that of the key when none is named", run: seenNamesake},
	{name: "Seen/Group", reason: "of many at once that have seen the same, one is first, and the others learn its revision", run: seenGroup},
	{name: "Seen/Dedupe", reason: "raisers who look, judge and raise, and look again after a conflict, say a thing once, while others say other things", run: seenDedupe},
	{name: "Seen/NoCondition", reason: "signals without a condition are all raised, however many at once", run: seenNoCondition},
}

// raise is a transaction of signals on an object.
func raise(o *resource.Object, seen resource.Revision, names ...string) store.Transaction {
	var tx store.Transaction
	for _, n := range names {
		tx.Raise = append(tx.Raise, store.Signal{Object: o.Key, UID: o.UID, Name: "Poke", Dedupe: n, At: epoch, Seen: seen})
	}
	return tx
}

func seenNothing(s *suite) {
	a, b := thing("a"), thing("b")
	s.create(a)
	before := s.must(raise(a, 0, "one")).Revision
	rev := s.create(b)
	s.must(raise(b, 0, "other"))
	s.must(write(changed(a, `{"n":1}`), 1))
	s.must(raise(a, before, "exactly what was seen"))
	s.must(raise(a, rev+100, "a revision of the future"))
	if n := len(s.state().Signals); n != 4 {
		s.Errorf("%d signals stand, want 4", n)
	}
}

func seenNewer(s *suite) {
	o := thing("a")
	rev := s.create(o)
	s.must(raise(o, rev, "one"))
	newest := s.must(raise(o, 0, "two", "three")).Revision
	s.create(thing("b"))
	for _, seen := range []resource.Revision{rev, newest - 1} {
		e := s.refused(raise(o, seen, "four"), store.ErrConflict)
		if e.Key != o.Key || e.Actual != newest || e.Expected != seen || !strings.Contains(e.Detail, "judge it again") {
			s.Errorf("seen %d: conflict %+v, want one with revision %d", seen, e, newest)
		}
	}
	both := raise(o, newest, "good")
	both.Raise = append(both.Raise, raise(o, rev, "bad").Raise...)
	s.refused(both, store.ErrConflict)
	s.must(raise(o, newest, "four"))
}

func seenConsumed(s *suite) {
	o := thing("a")
	rev := s.create(o)
	first := s.must(raise(o, 0, "one"))
	second := s.must(raise(o, 0, "two"))
	s.must(store.Transaction{Consume: second.Signals})
	if e := s.refused(raise(o, rev, "three"), store.ErrConflict); e.Actual != first.Revision {
		s.Errorf("conflict with revision %d; want %d, the newest one that stands", e.Actual, first.Revision)
	}
	s.must(store.Transaction{Consume: first.Signals})
	s.must(raise(o, rev, "three"))
}

func seenOwn(s *suite) {
	o := thing("a")
	rev := s.create(o)
	r := s.must(raise(o, rev, "one", "two"))
	if len(r.Signals) != 2 {
		s.Fatalf("receipt %+v", r)
	}
	swap := raise(o, rev, "three")
	swap.Consume = r.Signals
	s.refused(swap, store.ErrConflict)
	swap = raise(o, r.Revision, "three")
	swap.Consume = r.Signals
	s.must(swap)
	fresh := thing("b")
	tx := raise(fresh, rev, "born with it")
	tx.Objects = []store.ObjectWrite{{Object: fresh}}
	s.must(tx)
}

func seenNamesake(s *suite) {
	o := thing("a")
	rev := s.create(o)
	old := s.must(raise(o, 0, "one")).Revision
	byKey := raise(o, rev, "two")
	byKey.Raise[0].UID = ""
	if e := s.refused(byKey, store.ErrConflict); e.Actual != old {
		s.Errorf("conflict with revision %d, want %d", e.Actual, old)
	}
	s.must(remove(o.Key, rev))
	second := thing("a")
	second.UID = "uid-second"
	s.create(second)
	s.must(byKey)
	s.refused(raise(o, s.state().Revision, "for the former one"), store.ErrConflict)
}

func seenGroup(s *suite) {
	const raisers = 40
	o := thing("a")
	rev := s.create(o)
	var mu sync.Mutex
	var won []resource.Revision
	lost := map[resource.Revision]int{}
	var all sync.WaitGroup
	for i := range raisers {
		all.Go(func() {
			r, err := s.commit(raise(o, rev, fmt.Sprint("raiser ", i)))
			mu.Lock()
			defer mu.Unlock()
			var e *store.CommitError
			switch {
			case err == nil:
				won = append(won, r.Revision)
			case errors.As(err, &e) && errors.Is(err, store.ErrConflict):
				lost[e.Actual]++
			default:
				s.Errorf("raise: %v", err)
			}
		})
	}
	all.Wait()
	if len(won) != 1 || lost[won[0]] != raisers-1 {
		s.Errorf("raised at %v, conflicts by revision %v; want one, and %d with its revision", won, lost, raisers-1)
	}
}

func seenDedupe(s *suite) {
	const raisers = 32
	o := thing("a")
	s.create(o)
	var all sync.WaitGroup
	raised := make([]int, raisers)
	for i := range raisers {
		all.Go(func() {
			if _, err := s.commit(raise(o, 0, fmt.Sprint("noise ", i))); err != nil {
				s.Errorf("raise noise: %v", err)
			}
			raised[i] = s.say(o, "the disk is full")
		})
	}
	all.Wait()
	sum := 0
	for _, n := range raised {
		sum += n
	}
	stands := map[string]int{}
	for _, g := range s.state().Signals {
		stands[g.Dedupe]++
	}
	if sum != 1 || stands["the disk is full"] != 1 || len(stands) != raisers+1 {
		s.Errorf("raised %d times; what stands: %v", sum, stands)
	}
}

// say raises a signal unless one stands that says the same. It returns how often it raised it.
func (s *suite) say(o *resource.Object, what string) int {
	for {
		now, err := ScanState(s.ctx, s.s)
		if err != nil {
			s.Errorf("scan: %v", err)
			return 0
		}
		for _, g := range now.Signals {
			if g.UID == o.UID && g.Dedupe == what {
				return 0
			}
		}
		_, err = s.commit(raise(o, now.Revision, what))
		if err == nil {
			return 1
		}
		if !errors.Is(err, store.ErrConflict) {
			s.Errorf("raise: %v", err)
			return 0
		}
	}
}

func seenNoCondition(s *suite) {
	const raisers = 64
	o := thing("a")
	s.create(o)
	var all sync.WaitGroup
	for i := range raisers {
		all.Go(func() {
			if _, err := s.commit(raise(o, 0, fmt.Sprint(i))); err != nil {
				s.Errorf("raise: %v", err)
			}
		})
	}
	all.Wait()
	if n := len(s.state().Signals); n != raisers {
		s.Errorf("%d signals stand, want %d", n, raisers)
	}
}
