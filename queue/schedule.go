package queue

import (
	"math/bits"
	"slices"
	"time"
)

// enter begins an operation: what has come due by now becomes ready, in the order of due times.
func (q *Queue[K]) enter() instant {
	q.mu.Lock()
	now := q.now()
	for e := q.delayed.min(); e != nil && e.at <= now; e = q.delayed.min() {
		q.delayed.remove(e)
		e.state = Ready
		q.ready.push(e)
	}
	return now
}

// leave ends an operation: the alarm covers the earliest delayed entry, and if an entry is ready one sleeping
// worker is told. That worker leaves its poll the same way, and so tells the next.
func (q *Queue[K]) leave(now instant) {
	tell := q.ready.count > 0
	if !q.down {
		q.arm(now)
	}
	q.mu.Unlock()
	if tell {
		select {
		case q.signal <- struct{}{}:
		default: // a token is there already
		}
	}
}

// arm sets the alarm unless it goes off in time as it is. It is not set back when the earliest entry leaves: it
// then goes off once for nothing, which costs less than setting it twice per turn.
func (q *Queue[K]) arm(now instant) {
	e := q.delayed.min()
	if e == nil || q.armed > now && q.armed <= e.at {
		return
	}
	q.armed = e.at
	q.alarm.Reset(time.Duration(e.at - now))
}

func (q *Queue[K]) now() instant { return instant(time.Since(q.start)) }

// instant converts a due time, never to an earlier one: the clock is read after the distance was taken. Times
// without a monotonic reading, as from a database, are taken by the distance on the wall clock as it is set now.
func (q *Queue[K]) instant(t time.Time, now instant) instant {
	if t.IsZero() {
		return now
	}
	distance := instant(time.Until(t))
	if distance <= 0 {
		return now
	}
	if now = q.now(); distance >= never-now {
		return never - 1
	}
	return now + distance
}

// entry returns the key's entry and makes one if there is none.
func (q *Queue[K]) entry(key K) *entry[K] {
	e := q.entries[key]
	if e == nil {
		e = &entry[K]{key: key, tenant: q.options.Tenant(key), at: never}
		e.reset()
		q.entries[key] = e
	}
	return e
}

func (q *Queue[K]) add(key K, w *Wake, now instant) {
	if q.down {
		return
	}
	q.counts.Wakes++
	e := q.entry(key)
	e.wake(q.instant(w.Due, now), w, q.options.MaxCauses)
	if e.state != Working {
		q.place(e, now)
	}
}

// place puts an entry that nobody works on where its times say. One that has nothing to be remembered is dropped.
func (q *Queue[K]) place(e *entry[K], now instant) {
	due := e.due()
	if due == e.at && (e.state == Delayed || e.state == Ready && e.line.level.priority == e.priority) {
		return
	}
	q.unlink(e)
	if due != e.at {
		q.stamp(e, due)
	}
	switch {
	case due <= now:
		e.state = Ready
		q.ready.push(e)
	case due < never:
		e.state = Delayed
		q.delayed.push(e)
	case e.attempts == 0:
		delete(q.entries, e.key)
	}
}

func (q *Queue[K]) stamp(e *entry[K], at instant) {
	q.seq++
	e.at, e.seq = at, q.seq
}

// unlink takes the entry from where it is.
func (q *Queue[K]) unlink(e *entry[K]) {
	switch e.state {
	case Delayed:
		q.delayed.remove(e)
	case Ready:
		q.ready.remove(e)
	case Working:
		q.working.remove(e)
		e.at = never
	case Resting:
	}
	e.state = Resting
}

// take hands out an entry that is in no place.
func (q *Queue[K]) take(e *entry[K], now instant) Item[K] {
	item := Item[K]{Key: e.key, Attempts: int(e.attempts), Waited: time.Duration(max(0, now-e.at))}
	item.Causes, item.Woken = e.absorb(now)
	q.stamp(e, now)
	e.state = Working
	q.working.push(e)
	q.counts.Handed++
	return item
}

func (q *Queue[K]) judge(e *entry[K], v Verdict, now instant) {
	look := never
	if !v.Due.IsZero() {
		look = q.instant(v.Due, now)
	}
	var backoff time.Duration
	if v.End == Failed {
		q.counts.Failures++
		e.attempts++
		backoff = q.backoff(e.attempts)
	}
	e.judge(v, look, backoff, now)
}

// backoff draws from zero to the base doubled with each attempt, but not above the cap ("full jitter", Marc
// Brooker, AWS Architecture Blog, 2015): failures that began together do not come back together.
func (q *Queue[K]) backoff(attempts uint32) time.Duration {
	top := q.options.Cap
	if n := int(attempts - 1); n < bits.LeadingZeros64(uint64(q.options.Base))-1 {
		top = min(top, q.options.Base<<n)
	}
	return time.Duration(q.options.Random.Int64N(int64(top) + 1))
}

func (q *Queue[K]) describe(e *entry[K]) Entry[K] {
	d := Entry[K]{
		Key: e.key, State: e.state, Attempts: int(e.attempts), Held: e.held, Priority: e.priority,
		Causes: slices.Clone(e.causes), Woken: int(e.woken),
	}
	if due := e.due(); due != never {
		d.Due = q.start.Add(time.Duration(due))
	}
	if e.state == Working {
		d.Since = q.start.Add(time.Duration(e.at))
	}
	return d
}
