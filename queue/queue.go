package queue

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// backlog is how many requests may wait for the goroutine without their callers waiting for it too.
const backlog = 64

// Queue schedules the keys of one controller. All methods may be called from any goroutine and return promptly;
// only [Queue.Next] and [Queue.Acquire] wait.
type Queue[K comparable] struct {
	options  Options[K]
	requests chan request[K] // to the goroutine that owns the state
	parked   chan *owned[K]  // holds the state while there is no such goroutine: before the first Next, after Close
	replies  sync.Pool       // of chan struct{}, empty: for ask
	seats    sync.Pool       // of chan Item[K], empty and open: for Next
}

// A request is something to be done to the state.
type request[K comparable] struct {
	do   func(*owned[K])
	done chan struct{} // if not nil: has room for one value, and gets it afterwards
}

// owned is all the state of a queue. Who has it has it alone: the goroutine, or who has taken it from parked.
type owned[K comparable] struct {
	schedule[K]
	waiting []chan Item[K]       // workers in Next, longest first: each is sent one item, or closed
	claims  map[K][]chan Item[K] // callers of Acquire, longest first, for the keys that somebody works on
	armed   instant              // when the alarm goes off; not after the earliest delayed entry
	running bool                 // the goroutine is there
}

// New makes an empty queue. Its goroutine begins with the first Next; Close ends it.
func New[K comparable](o Options[K]) *Queue[K] {
	q := &Queue[K]{options: o.withDefaults(), requests: make(chan request[K], backlog), parked: make(chan *owned[K], 1)}
	q.parked <- &owned[K]{schedule: newSchedule(q.options), armed: never, claims: map[K][]chan Item[K]{}}
	return q
}

// tell makes a request. Whoever deals with it deals with those before it first.
func (q *Queue[K]) tell(do func(*owned[K])) { q.send(request[K]{do: do}) }

func (q *Queue[K]) send(r request[K]) {
	for {
		select {
		case q.requests <- r: // tried alone first: that costs less than a choice
			q.wake()
			return
		default:
		}
		select {
		case q.requests <- r:
			q.wake()
			return
		case o := <-q.parked: // nobody reads requests, which were full
			q.carryOn(o)
		}
	}
}

// wake sees to it that what is in requests is dealt with.
func (q *Queue[K]) wake() {
	select {
	case o := <-q.parked:
		q.carryOn(o)
	default: // who has the state looks into requests after parking it
	}
}

// carryOn deals with what is in requests, and leaves the state to the goroutine or parks it. It takes no more at a time than is there as it
// begins, so that who waits for the state, to close the queue for example, gets it in between.
func (q *Queue[K]) carryOn(o *owned[K]) {
	for {
		for n := len(q.requests); n > 0 && !o.running; n-- {
			o.handle(<-q.requests)
		}
		if o.running {
			go q.run(o)
			return
		}
		q.parked <- o
		if len(q.requests) == 0 {
			return
		}
		select {
		case o = <-q.parked:
		default:
			return // who took it deals with them
		}
	}
}

// run is the goroutine. An alarm for an entry that has left stays and goes off for nothing: cheaper than moving it.
func (q *Queue[K]) run(o *owned[K]) {
	alarm := time.AfterFunc(math.MaxInt64, func() { q.tell(func(o *owned[K]) { o.armed = never }) })
	alarm.Stop()
	for o.running {
		if due := o.earliest(); due < o.armed {
			o.armed = due
			alarm.Reset(time.Duration(due - o.now))
		}
		o.handle(<-q.requests)
	}
	alarm.Stop()
	q.carryOn(o)
}

// handle deals with one request, and hands out what is ready to who is waiting.
func (o *owned[K]) handle(r request[K]) {
	o.advance()
	r.do(o)
	if r.done != nil {
		r.done <- struct{}{}
	}
	for len(o.waiting) > 0 {
		e := o.ready.next()
		if e == nil {
			return
		}
		o.waiting[0] <- o.take(e)
		o.waiting = slices.Delete(o.waiting, 0, 1)
	}
}

// ask makes a request and waits until it has been dealt with.
func (q *Queue[K]) ask(do func(*owned[K])) {
	done, reused := q.replies.Get().(chan struct{})
	if !reused {
		done = make(chan struct{}, 1)
	}
	q.send(request[K]{do, done})
	<-done
	q.replies.Put(done)
}

// Add schedules a turn of the key. A hand-out that begins after Add was called answers it, see [Wake]. On a closed
// queue it does nothing.
func (q *Queue[K]) Add(key K, w Wake) {
	tenant := q.options.Tenant(key)
	q.tell(func(o *owned[K]) { o.add(key, tenant, w) })
}

// AddMany is Add for many keys at once, for example all that one commit concerns.
func (q *Queue[K]) AddMany(requests []Request[K]) {
	requests = slices.Clone(requests)
	tenants := make([]resource.Namespace, len(requests))
	for i := range requests {
		tenants[i] = q.options.Tenant(requests[i].Key)
	}
	q.tell(func(o *owned[K]) {
		for i := range requests {
			o.add(requests[i].Key, tenants[i], requests[i].Wake)
		}
	})
}

// Next waits for a key and hands it out: until Done is called for it, nobody else gets it. Who waits longest is served
// first. It is false when the queue is closed, also if keys are left, or when ctx ends and nothing is ready.
func (q *Queue[K]) Next(ctx context.Context) (item Item[K], ok bool) {
	if ctx.Err() != nil {
		return Item[K]{}, false
	}
	mine, reused := q.seats.Get().(chan Item[K])
	if !reused {
		mine = make(chan Item[K], 1)
	}
	q.tell(func(o *owned[K]) {
		if o.closed {
			close(mine)
			return
		}
		o.waiting, o.running = append(o.waiting, mine), true
	})
	select {
	case item, ok = <-mine:
		if ok {
			q.seats.Put(mine)
		}
	case <-ctx.Done():
		q.tell(func(o *owned[K]) {
			if i := slices.Index(o.waiting, mine); i >= 0 {
				o.waiting = slices.Delete(o.waiting, i, i+1)
				close(mine)
			}
		})
		item, ok = <-mine // what was handed out meanwhile is not lost
	}
	return item, ok
}

// TryAcquire hands out the key to a caller who wants to run its turn at once, and is false when somebody works
// on it or the queue is closed. What was due by now is absorbed: the caller's turn answers it. A later due time
// asked for by Add stays; one asked for by a verdict is replaced by the caller's, as always.
func (q *Queue[K]) TryAcquire(key K) (item Item[K], ok bool) {
	tenant := q.options.Tenant(key)
	q.ask(func(o *owned[K]) {
		if o.closed {
			return
		}
		if e := o.entry(key, tenant); e.state != Working {
			o.unlink(e)
			item, ok = o.take(e), true
		}
	})
	return item, ok
}

// Acquire is [Queue.TryAcquire], but waits for who works on the key to be done, and gets it before any worker. It is false when the queue is closed and when
// ctx ends first.
func (q *Queue[K]) Acquire(ctx context.Context, key K) (item Item[K], ok bool) {
	if item, ok = q.TryAcquire(key); ok {
		return item, true
	}
	tenant, mine := q.options.Tenant(key), make(chan Item[K], 1)
	q.tell(func(o *owned[K]) {
		switch e := o.entries[key]; {
		case o.closed:
			close(mine)
		case e != nil && e.state == Working:
			o.claims[key] = append(o.claims[key], mine)
		default:
			e = o.entry(key, tenant)
			o.unlink(e)
			mine <- o.take(e)
		}
	})
	select {
	case item, ok = <-mine:
	case <-ctx.Done():
		q.tell(func(o *owned[K]) {
			if i := slices.Index(o.claims[key], mine); i >= 0 {
				o.dropClaim(key, i)
				close(mine)
			}
		})
		item, ok = <-mine // what was handed out meanwhile is not lost
	}
	return item, ok
}

// honour hands a key that has just been given back to who has claimed it.
func (o *owned[K]) honour(key K, tenant resource.Namespace) {
	if len(o.claims[key]) == 0 {
		return
	}
	mine, e := o.claims[key][0], o.entry(key, tenant)
	o.dropClaim(key, 0)
	o.unlink(e)
	mine <- o.take(e)
}

func (o *owned[K]) dropClaim(key K, i int) {
	if o.claims[key] = slices.Delete(o.claims[key], i, i+1); len(o.claims[key]) == 0 {
		delete(o.claims, key)
	}
}

// Done ends the work on a key and says how it ended. What was added meanwhile is scheduled now. It panics if the
// key is not handed out, because then two workers may have had it.
func (q *Queue[K]) Done(key K, v Verdict) {
	var ok bool
	tenant := q.options.Tenant(key)
	q.ask(func(o *owned[K]) {
		if ok = o.done(key, v); ok {
			o.honour(key, tenant)
		}
	})
	if !ok {
		panic(fmt.Sprintf("queue %s: Done(%v) without Next or TryAcquire before it; call Done once per hand-out", q.options.Name, key))
	}
}

// Remove forgets the key: its times, its attempts, its causes. If somebody works on it, the verdict will be
// ignored, and the key is still not handed out before Done.
func (q *Queue[K]) Remove(key K) { q.tell(func(o *owned[K]) { o.remove(key) }) }

// Close ends every Next, now and later, makes Add and TryAcquire do nothing, and waits for the queue's goroutine. It
// does not wait for workers: they end their turns, call Done, and are awaited by who started them. It may be called
// repeatedly.
func (q *Queue[K]) Close() {
	q.ask(func(o *owned[K]) {
		for _, mine := range o.waiting {
			close(mine)
		}
		for _, claims := range o.claims {
			for _, mine := range claims {
				close(mine)
			}
		}
		o.waiting, o.claims, o.running, o.closed = nil, map[K][]chan Item[K]{}, false, true
	})
	q.carryOn(<-q.parked)
}

// Stats counts what the queue holds and has done.
func (q *Queue[K]) Stats() (s Stats) {
	q.ask(func(o *owned[K]) { s = o.stats() })
	return s
}

// Inspect says what the queue knows about a key, and is false when that is nothing: it is at rest.
func (q *Queue[K]) Inspect(key K) (entry Entry[K], ok bool) {
	q.ask(func(o *owned[K]) {
		if e := o.entries[key]; e != nil {
			entry, ok = o.describe(e), true
		}
	})
	return entry, ok
}

// InProgress lists the keys that are handed out, longest first.
func (q *Queue[K]) InProgress() (list []Entry[K]) {
	q.ask(func(o *owned[K]) {
		for _, e := range o.working {
			list = append(list, o.describe(e))
		}
	})
	return list
}
