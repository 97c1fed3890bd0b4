package queue

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// subject is a key as the outside world sees it.
type subject struct {
	wanted  atomic.Int64 // rises before each Add
	seen    atomic.Int64 // what the last turn found in wanted when it began
	holders atomic.Int64
	turns   int // written by turns without a lock: the race detector objects if two run at once
}

// stress is a queue under many workers and many writers in real time.
type stress struct {
	t        *testing.T
	q        *Queue[int]
	subjects [40]subject
	mu       sync.Mutex
	progress *sync.Cond // a turn has ended
	ended    int
}

func newStress(t *testing.T) *stress {
	s := &stress{t: t, q: New(Options[int]{
		Base: time.Millisecond, Cap: 2 * time.Millisecond, Tenant: func(k int) resource.Namespace { return resource.Namespace(rune('a' + k%5)) },
	})}
	s.progress = sync.NewCond(&s.mu)
	return s
}

// turn looks at the world once, works, and ends one way or another.
func (s *stress) turn(key int, rnd *rand.Rand) {
	sub := &s.subjects[key]
	if n := sub.holders.Add(1); n != 1 {
		s.t.Errorf("key %d has %d workers", key, n)
	}
	sub.turns++
	found := sub.wanted.Load()
	v := Verdict{End: End(rnd.IntN(4)), Priority: Priority(rnd.IntN(3))}
	if rnd.IntN(4) == 0 {
		v.Due = time.Now().Add(time.Duration(rnd.IntN(1000)) * time.Microsecond)
	}
	sub.seen.Store(found)
	sub.holders.Add(-1)
	s.q.Done(key, v)
	s.mu.Lock()
	s.ended++
	s.progress.Broadcast()
	s.mu.Unlock()
}

func (s *stress) work(ctx context.Context, rnd *rand.Rand) {
	for item, ok := s.q.Next(ctx); ok; item, ok = s.q.Next(ctx) {
		s.turn(item.Key, rnd)
	}
}

// write adds in every way that there is.
func (s *stress) write(rnd *rand.Rand) {
	wake := func() Wake {
		w := Wake{Priority: Priority(rnd.IntN(5)), Change: rnd.IntN(2) == 0, Cause: Cause{Revision: resource.Revision(rnd.Uint64())}}
		if rnd.IntN(3) == 0 {
			w.Due = time.Now().Add(time.Duration(rnd.IntN(2000)) * time.Microsecond)
		}
		return w
	}
	for range 3000 {
		key := rnd.IntN(len(s.subjects))
		switch rnd.IntN(8) {
		case 0:
			var batch []Request[int]
			for range 5 {
				k := rnd.IntN(len(s.subjects))
				s.subjects[k].wanted.Add(1)
				batch = append(batch, Request[int]{Key: k, Wake: wake()})
			}
			s.q.AddMany(batch)
		case 1:
			if item, ok := s.q.TryAcquire(key); ok {
				s.turn(item.Key, rnd)
			}
		case 2:
			s.q.Inspect(key)
			s.q.Stats()
			s.q.InProgress()
		default:
			s.subjects[key].wanted.Add(1)
			s.q.Add(key, wake())
		}
	}
}

// TestNeverConcurrentAndNothingLost ends only if every Add was followed by a turn that began after it.
func TestNeverConcurrentAndNothingLost(t *testing.T) {
	s := newStress(t)
	var workers, writers sync.WaitGroup
	impatient, giveUp := context.WithCancel(t.Context())
	for i := range 16 {
		ctx := t.Context()
		if i >= 8 {
			ctx = impatient // leaves in the middle; what it was told must not be lost with it
		}
		workers.Go(func() { s.work(ctx, rand.New(rand.NewPCG(1, uint64(i)))) })
	}
	for i := range 8 {
		writers.Go(func() { s.write(rand.New(rand.NewPCG(2, uint64(i)))) })
	}
	writers.Go(func() {
		s.mu.Lock()
		for s.ended < 1000 {
			s.progress.Wait()
		}
		s.mu.Unlock()
		giveUp()
	})
	writers.Wait()
	s.mu.Lock()
	for i := range s.subjects {
		for s.subjects[i].seen.Load() != s.subjects[i].wanted.Load() {
			s.progress.Wait()
		}
	}
	s.mu.Unlock()
	s.q.Close()
	workers.Wait()
	turns := 0
	for i := range s.subjects {
		turns += s.subjects[i].turns
	}
	if handed := s.q.Stats().Handed; uint64(turns) != handed {
		t.Errorf("%d turns of %d hand-outs", turns, handed)
	}
}

// TestCloseAtAnyMoment ends only if no method hangs when it meets Close.
func TestCloseAtAnyMoment(t *testing.T) {
	for round := range 200 {
		s := newStress(t)
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() { s.work(t.Context(), rand.New(rand.NewPCG(3, uint64(i)))) })
		}
		closing := make(chan struct{})
		for i := range 3 {
			all.Go(func() {
				rnd := rand.New(rand.NewPCG(4, uint64(round*3+i)))
				for n := range 60 {
					if i == 0 && n == round%60 {
						close(closing)
					}
					s.q.Add(rnd.IntN(len(s.subjects)), Wake{Due: time.Now().Add(time.Duration(rnd.IntN(100)) * time.Microsecond)})
					if item, ok := s.q.TryAcquire(rnd.IntN(len(s.subjects))); ok {
						s.turn(item.Key, rnd)
					}
					s.q.Remove(rnd.IntN(len(s.subjects)))
				}
			})
		}
		for range 2 {
			all.Go(func() {
				<-closing
				s.q.Close()
			})
		}
		all.Wait()
		if n := s.q.Stats().Working; n != 0 {
			t.Fatalf("round %d: %d keys are still handed out", round, n)
		}
	}
}

// endless is a queue with requests of which each makes another one, until it is told to stop, or there were too many.
type endless struct {
	*Queue[int]
	stop   atomic.Bool
	ended  chan struct{}
	number int // read it after ended
}

const tooMany = 1_000_000

func newEndless() *endless {
	e := &endless{Queue: New(Options[int]{}), ended: make(chan struct{})}
	e.requests <- request[int]{do: e.again}
	return e
}

func (e *endless) again(*owned[int]) {
	if e.number++; e.stop.Load() || e.number == tooMany {
		close(e.ended)
		return
	}
	e.requests <- request[int]{do: e.again}
}

func (e *endless) want(t *testing.T, what string) {
	t.Helper()
	e.stop.Store(true)
	<-e.ended
	if e.number == tooMany {
		t.Errorf("only when there were no more requests of others: %s", what)
	}
	e.Close()
}

func TestTheFirstNextIsNotKeptByTheRequestsOfOthers(t *testing.T) {
	e := newEndless()
	e.requests <- request[int]{do: func(o *owned[int]) { o.add(1, "", Wake{}) }}
	if item, ok := e.Next(t.Context()); !ok || item.Key != 1 {
		t.Errorf("Next = %v, %v, want 1", item, ok)
	}
	e.want(t, "Next returned")
}

// TestTheStateIsGivenToWhoWaitsForIt: as Close does, while another goroutine deals with requests that do not end.
func TestTheStateIsGivenToWhoWaitsForIt(t *testing.T) {
	e := newEndless()
	o := <-e.parked
	var other sync.WaitGroup
	other.Go(func() { e.carryOn(o) })
	o = <-e.parked
	e.stop.Store(true)
	e.carryOn(o)
	other.Wait()
	e.want(t, "the state was given away")
}
