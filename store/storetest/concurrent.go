package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var concurrentScenarios = []scenario{
	{name: "Concurrent/Counters", reason: "compare-and-swap counters lose no step, and revisions have neither gap nor tie", run: counters},
	{name: "Concurrent/CreateRace", reason: "of many who create one object, one succeeds", run: createRace},
	{name: "Concurrent/ConsumeOnce", reason: "of many who consume one signal, one succeeds", run: consumeOnce},
	{name: "Concurrent/ScanAndWatch", reason: "scan at R and watch from R+1 give exactly what is there at the end, from any R", run: scanAndWatch},
}

type count struct {
	N int `json:"n"`
}

// increment adds one to a counter, as often as it takes. It returns the revision and how many conflicts there were.
func (s *suite) increment(key resource.Key) (resource.Revision, int, error) {
	for conflicts := 0; ; conflicts++ {
		o, err := s.s.Object(s.ctx, key)
		if err != nil {
			return 0, conflicts, err
		}
		var c count
		if err := json.Unmarshal(o.Spec, &c); err != nil {
			return 0, conflicts, err
		}
		r, err := s.commit(write(changed(o, fmt.Sprintf(`{"n":%d}`, c.N+1)), o.Revision))
		if !errors.Is(err, store.ErrConflict) {
			return r.Revision, conflicts, err
		}
	}
}

func counters(s *suite) {
	const committers, each, keys = 32, 20, 4
	var last resource.Revision
	for k := range keys {
		last = s.create(thing(fmt.Sprint("k", k)))
	}
	var mu sync.Mutex
	var revs []resource.Revision
	conflicts := 0
	var wg sync.WaitGroup
	for i := range committers {
		wg.Go(func() {
			for j := range each {
				rev, missed, err := s.increment(thing(fmt.Sprint("k", (i+j)%keys)).Key)
				mu.Lock()
				revs, conflicts = append(revs, rev), conflicts+missed
				mu.Unlock()
				if err != nil {
					s.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(revs)
	for i, rev := range revs {
		if rev != last+resource.Revision(i)+1 {
			s.Fatalf("the %d. revision is %d, want %d: a gap or a tie", i+1, rev, last+resource.Revision(i)+1)
		}
	}
	total := 0
	for k := range keys {
		var c count
		if err := json.Unmarshal(s.read(thing(fmt.Sprint("k", k)).Key).Spec, &c); err != nil {
			s.Fatal(err)
		}
		total += c.N
	}
	if total != committers*each {
		s.Fatalf("the counters stand at %d after %d increments", total, committers*each)
	}
	s.Logf("%d increments met %d conflicts", total, conflicts)
}

func createRace(s *suite) {
	var mu sync.Mutex
	winners := 0
	var wg sync.WaitGroup
	for i := range 32 {
		o := thing("a")
		o.UID = resource.UID(fmt.Sprint("uid-", i))
		wg.Go(func() {
			_, err := s.commit(write(o, 0))
			if err != nil && !errors.Is(err, store.ErrConflict) {
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
		s.Fatalf("%d created the object", winners)
	}
}

func consumeOnce(s *suite) {
	o := thing("a")
	s.create(o)
	for range 8 {
		id := s.must(store.Transaction{Raise: []store.Signal{{Object: o.Key, Name: "Poke"}}}).Signals[0]
		var mu sync.Mutex
		winners := 0
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				_, err := s.commit(store.Transaction{Consume: []store.SignalID{id}})
				if err != nil && !errors.Is(err, store.ErrConflict) {
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
			s.Fatalf("%d consumed signal %d", winners, id)
		}
	}
}

// scanAndWatch changes everything there is while readers scan, and lets every reader catch up at the end.
func scanAndWatch(s *suite) {
	live := s.watchState(0)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() { s.churn(w, 40) })
	}
	scans := make(chan *State, 64)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				state, err := ScanState(s.ctx, s.s)
				if err != nil {
					s.Error(err)
					return
				}
				select {
				case <-done:
					return
				case scans <- state:
				default:
				}
			}
		})
	}
	wg.Wait()
	close(done)
	readers.Wait()
	close(scans)
	final := s.state()
	if got := live.upTo(final.Revision).String(); got != final.String() {
		s.Fatalf("a watcher from 0 has\n%s\nthe database has\n%s", got, final)
	}
	n := 0
	for state := range scans {
		n++
		from := state.Revision
		f := &follower{s, s.watch(from), state}
		if got := f.upTo(final.Revision).String(); got != final.String() {
			s.Fatalf("scan at %d and watch up to %d give\n%s\nthe database has\n%s", from, final.Revision, got, final)
		}
	}
	s.Logf("%d scans while %d commits were made", n, final.Revision)
}

// churn creates, changes, burdens and removes objects of its own.
func (s *suite) churn(worker, rounds int) {
	for i := range rounds {
		o := thing(fmt.Sprintf("w%d-%d", worker, i%5))
		o.UID = resource.UID(fmt.Sprintf("uid-%d-%d", worker, i))
		have, err := s.s.Object(s.ctx, o.Key)
		var tx store.Transaction
		switch {
		case errors.Is(err, store.ErrNotFound):
			tx = write(o, 0)
			tx.Commands = []store.CommandWrite{{Command: order(o, "x")}}
			tx.Raise = []store.Signal{{Object: o.Key, Name: "Poke"}}
		case err != nil:
			s.Error(err)
			return
		case i%3 == 0:
			tx = remove(o.Key, have.Revision)
		default:
			tx = write(changed(have, fmt.Sprintf(`{"n":%d}`, i)), have.Revision)
			tx.Timers = []store.Timer{{Controller: "c", Object: o.Key, Due: epoch.AddDate(0, 0, i)}}
		}
		if _, err := s.commit(tx); err != nil {
			s.Error(err)
			return
		}
	}
}
