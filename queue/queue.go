package queue

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// Options says how a queue behaves. The zero value is usable.
type Options[K comparable] struct {
	Name      string                     // for messages; usually the controller's
	Base      time.Duration              // greatest delay after the first failure; doubles with each. Zero: 200 ms
	Cap       time.Duration              // greatest delay after any failure. Zero: 5 min
	Ageing    time.Duration              // waiting so long is worth one step of priority. Zero: 10 s
	MaxCauses int                        // causes kept per key, at least 2. Zero: 8
	Tenant    func(K) resource.Namespace // whose key it is: quick and pure, called within the queue. Nil: one tenant
	Random    *rand.Rand                 // for the jitter; the queue's own from now on. Nil: seeded at random
}

func (o Options[K]) withDefaults() Options[K] {
	orDefault := func(d *time.Duration, zero time.Duration) {
		if *d <= 0 {
			*d = zero
		}
	}
	orDefault(&o.Base, 200*time.Millisecond)
	orDefault(&o.Cap, 5*time.Minute)
	orDefault(&o.Ageing, 10*time.Second)
	const year = 365 * 24 * time.Hour // sums and multiples of it fit into a Duration
	o.Cap, o.Ageing = min(o.Cap, year), min(o.Ageing, year)
	if o.MaxCauses == 0 {
		o.MaxCauses = 8
	}
	o.MaxCauses = max(o.MaxCauses, 2)
	if o.Tenant == nil {
		o.Tenant = func(K) resource.Namespace { return "" }
	}
	if o.Random == nil {
		o.Random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return o
}

// Queue schedules the keys of one controller. All methods may be called from any goroutine and return promptly;
// only [Queue.Next] waits.
type Queue[K comparable] struct {
	options Options[K]
	start   time.Time
	closed  chan struct{} // closed by Close
	signal  chan struct{} // holds a token when an entry may be ready and its worker asleep
	alarm   *time.Timer   // goes off at armed, which is not after the earliest delayed entry
	armed   instant

	mu      sync.Mutex // guards what follows, and armed; nothing is waited for while it is held
	entries map[K]*entry[K]
	delayed heap[K]
	ready   ready[K]
	working heap[K]
	seq     uint64
	down    bool
	counts  Counts
}

// New makes an empty queue. Close it when its workers are to end.
func New[K comparable](o Options[K]) *Queue[K] {
	o = o.withDefaults()
	alarm := time.NewTimer(math.MaxInt64)
	alarm.Stop()
	return &Queue[K]{
		options: o,
		start:   time.Now(),
		closed:  make(chan struct{}),
		signal:  make(chan struct{}, 1),
		alarm:   alarm,
		armed:   never,
		entries: map[K]*entry[K]{},
		ready:   ready[K]{ageing: o.Ageing, strict: agedShare - 1},
	}
}

// Add schedules a turn of the key. A hand-out that begins after Add returned answers it, see [Wake]. On a closed
// queue it does nothing.
func (q *Queue[K]) Add(key K, w Wake) {
	now := q.enter()
	defer q.leave(now)
	q.add(key, &w, now)
}

// AddMany is Add for many keys at once, for example all that one commit concerns.
func (q *Queue[K]) AddMany(requests []Request[K]) {
	now := q.enter()
	defer q.leave(now)
	for i := range requests {
		q.add(requests[i].Key, &requests[i].Wake, now)
	}
}

// Next waits for a key and hands it out: until Done is called for it, nobody else gets it. It is false when the
// queue is closed, also if keys are left, or when ctx ends and nothing is ready.
func (q *Queue[K]) Next(ctx context.Context) (Item[K], bool) {
	if ctx.Err() != nil {
		return Item[K]{}, false
	}
	for {
		if item, ok := q.poll(); ok {
			return item, true
		}
		// Whoever receives a token or the alarm polls, whatever else has happened: it is for a ready entry,
		// and nobody else was told.
		select {
		case <-q.signal:
		case <-q.alarm.C:
		case <-ctx.Done():
			return Item[K]{}, false
		case <-q.closed:
			return Item[K]{}, false
		}
	}
}

func (q *Queue[K]) poll() (Item[K], bool) {
	now := q.enter()
	defer q.leave(now)
	q.counts.Polls++
	if q.down {
		return Item[K]{}, false
	}
	e := q.ready.next()
	if e == nil {
		return Item[K]{}, false
	}
	return q.take(e, now), true
}

// TryAcquire hands out the key to a caller who wants to run its turn at once, and is false when somebody works
// on it or the queue is closed. What was due by now is absorbed: the caller's turn answers it. A later due time
// asked for by Add stays; one asked for by a verdict is replaced by the caller's, as always.
func (q *Queue[K]) TryAcquire(key K) (Item[K], bool) {
	now := q.enter()
	defer q.leave(now)
	if q.down {
		return Item[K]{}, false
	}
	e := q.entry(key)
	if e.state == Working {
		return Item[K]{}, false
	}
	q.unlink(e)
	return q.take(e, now), true
}

// Done ends the work on a key and says how it ended. What was added meanwhile is scheduled now. It panics if the
// key is not handed out, because then two workers may have had it.
func (q *Queue[K]) Done(key K, v Verdict) {
	now := q.enter()
	defer q.leave(now)
	e := q.entries[key]
	if e == nil || e.state != Working {
		panic(fmt.Sprintf("queue %s: Done(%v) without Next or TryAcquire before it; call Done once per hand-out", q.options.Name, key))
	}
	q.unlink(e)
	if e.removed {
		e.removed = false
	} else {
		q.judge(e, v, now)
	}
	q.place(e, now)
	if e.state == Ready {
		q.counts.Requeued++
	}
}

// Remove forgets the key: its times, its attempts, its causes. If somebody works on it, the verdict will be
// ignored, and the key is still not handed out before Done.
func (q *Queue[K]) Remove(key K) {
	now := q.enter()
	defer q.leave(now)
	e := q.entries[key]
	if e == nil {
		return
	}
	e.reset()
	if e.state == Working {
		e.removed = true
		return
	}
	q.place(e, now)
}

// Close ends every Next, now and later, and makes Add and TryAcquire do nothing. It waits for nobody: workers
// end their turns, call Done, and are awaited by who started them. It may be called repeatedly.
func (q *Queue[K]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down {
		return
	}
	q.down = true
	q.alarm.Stop()
	close(q.closed)
}

// Stats counts what the queue holds and has done.
func (q *Queue[K]) Stats() Stats {
	now := q.enter()
	defer q.leave(now)
	s := Stats{
		Ready: q.ready.count, Delayed: q.delayed.len(), Working: q.working.len(),
		Entries: len(q.entries), Counts: q.counts,
	}
	if e := q.ready.oldest(); e != nil {
		s.Oldest = time.Duration(now - e.at)
	}
	if e := q.working.min(); e != nil {
		s.Longest = time.Duration(now - e.at)
	}
	return s
}

// Inspect says what the queue knows about a key, and is false when that is nothing: it is at rest.
func (q *Queue[K]) Inspect(key K) (Entry[K], bool) {
	now := q.enter()
	defer q.leave(now)
	e := q.entries[key]
	if e == nil {
		return Entry[K]{}, false
	}
	return q.describe(e), true
}

// InProgress lists the keys that are handed out, longest first.
func (q *Queue[K]) InProgress() []Entry[K] {
	now := q.enter()
	defer q.leave(now)
	list := make([]Entry[K], 0, q.working.len())
	for _, n := range q.working.nodes {
		list = append(list, q.describe(n.entry))
	}
	slices.SortStableFunc(list, func(a, b Entry[K]) int { return a.Since.Compare(b.Since) })
	return list
}
