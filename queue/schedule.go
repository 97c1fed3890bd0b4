package queue

import (
	"math"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// An instant counts nanoseconds of the monotonic clock since the queue was made, so that a wall clock that is
// set does not move what is scheduled.
type instant int64

const never instant = math.MaxInt64

// entry is all that the queue knows about a key.
type entry[K comparable] struct {
	key      K
	tenant   resource.Namespace
	plain    instant // earliest due time asked for by wakes without Change
	change   instant // earliest due time asked for by wakes with Change
	look     instant // due time asked for by the last verdict
	held     bool    // the last verdict allows nothing but a change before look
	removed  bool    // the turn in progress is of an object that is gone: ignore its verdict
	attempts uint32
	woken    uint32 // wakes since the last hand-out, so also those whose cause was dropped
	causes   []Cause

	state    State
	priority Priority
	at       instant // delayed: due; ready: since when; working: since when
	rank     instant // ready: at, less what the priority is worth
	seq      uint64  // order among the same at
	line     *line[K]
	pos      [2]int32 // in a pile, by time and by rank
}

// due is when the key is to be handed out next, were it not in progress.
func (e *entry[K]) due() instant {
	if e.held {
		return min(e.change, e.look)
	}
	return min(e.plain, e.change, e.look)
}

// forget keeps nothing but the key and its place.
func (e *entry[K]) forget() {
	e.plain, e.change, e.look, e.held, e.attempts = never, never, never, false, 0
	e.answered()
}

// answered drops what describes the wakes that a hand-out has answered.
func (e *entry[K]) answered() { e.causes, e.woken, e.priority = nil, 0, math.MinInt8 }

// schedule knows every key and when it is due. It is plain data.
type schedule[K comparable] struct {
	options Options[K]
	start   time.Time
	now     instant // of the request being dealt with
	entries map[K]*entry[K]
	delayed pile[K]
	ready   ready[K]
	working []*entry[K] // longest first
	seq     uint64
	counts  Counts
	closed  bool
}

func newSchedule[K comparable](o Options[K]) schedule[K] {
	return schedule[K]{
		options: o, start: time.Now(), entries: map[K]*entry[K]{},
		ready: ready[K]{ageing: o.Ageing, strict: agedShare - 1, ranks: pile[K]{by: byRank}},
	}
}

// advance begins a request: what has come due by now becomes ready, in the order of due times.
func (s *schedule[K]) advance() {
	s.counts.Rounds++
	s.now = s.clock()
	for s.earliest() <= s.now {
		e := s.delayed.first()
		s.delayed.remove(e)
		e.state = Ready
		s.ready.push(e)
	}
}

func (s *schedule[K]) clock() instant { return instant(time.Since(s.start)) }

// earliest is when the next delayed entry is due.
func (s *schedule[K]) earliest() instant {
	if e := s.delayed.first(); e != nil {
		return e.at
	}
	return never
}

// instant converts a due time, never to an earlier one: the clock is read after the distance was taken. Times
// without a monotonic reading, as from a database, are taken by the distance on the wall clock as it is set now.
func (s *schedule[K]) instant(t time.Time) instant {
	if t.IsZero() {
		return s.now
	}
	distance := instant(time.Until(t))
	if distance <= 0 {
		return s.now
	}
	now := s.clock()
	return now + min(distance, never-1-now)
}

// entry returns the key's entry and makes one if there is none.
func (s *schedule[K]) entry(key K, tenant resource.Namespace) *entry[K] {
	e := s.entries[key]
	if e == nil {
		e = &entry[K]{key: key, tenant: tenant, at: never}
		e.forget()
		s.entries[key] = e
	}
	return e
}

// add merges a wake: the earliest due time and the highest priority win. A list of causes that is full keeps its
// oldest half and its newest.
func (s *schedule[K]) add(key K, tenant resource.Namespace, w Wake) {
	if s.closed {
		return
	}
	s.counts.Wakes++
	e, due := s.entry(key, tenant), s.instant(w.Due)
	if w.Change {
		e.change = min(e.change, due)
	} else {
		e.plain = min(e.plain, due)
	}
	e.priority = max(e.priority, w.Priority)
	e.woken++
	if w.Cause != (Cause{}) {
		if most := s.options.MaxCauses; len(e.causes) == most {
			e.causes = slices.Delete(e.causes, most/2, most/2+1)
		}
		e.causes = append(e.causes, w.Cause)
	}
	if e.state != Working {
		s.place(e)
	}
}

// place puts an entry that nobody works on where its times say. One that has nothing to be remembered is dropped.
func (s *schedule[K]) place(e *entry[K]) {
	due := e.due()
	if due == e.at && (e.state == Delayed || e.state == Ready && e.line.level.priority == e.priority) {
		return
	}
	s.unlink(e)
	if due != e.at {
		s.seq++
		e.at, e.seq = due, s.seq
	}
	switch {
	case due <= s.now:
		e.state = Ready
		s.ready.push(e)
	case due < never:
		e.state = Delayed
		s.delayed.push(e)
	case e.attempts == 0:
		delete(s.entries, e.key)
	}
}

// unlink takes the entry from where it is.
func (s *schedule[K]) unlink(e *entry[K]) {
	switch e.state {
	case Delayed:
		s.delayed.remove(e)
	case Ready:
		s.ready.remove(e)
	case Working:
		i := slices.Index(s.working, e)
		s.working = slices.Delete(s.working, i, i+1)
		e.at = never
	}
	e.state = Resting
}

// take hands out an entry that is in no place. What is due is answered by the turn that begins now. A later due time
// stays, and then so do the priority and the causes, which may be its own.
func (s *schedule[K]) take(e *entry[K]) Item[K] {
	item := Item[K]{
		Key: e.key, Attempts: int(e.attempts), Waited: time.Duration(max(0, s.now-e.at)), Causes: e.causes, Woken: int(e.woken),
	}
	for _, due := range []*instant{&e.plain, &e.change, &e.look} {
		if *due <= s.now {
			*due = never
		}
	}
	if e.plain == never && e.change == never {
		e.answered()
	} else {
		item.Causes = slices.Clone(e.causes)
	}
	e.state, e.at = Working, s.now
	s.working = append(s.working, e)
	s.counts.Handed++
	return item
}

// done applies the verdict of the turn that ends now, and is false if there is no such turn.
func (s *schedule[K]) done(key K, v Verdict) bool {
	e := s.entries[key]
	if e == nil || e.state != Working {
		return false
	}
	s.unlink(e)
	if !e.removed {
		s.judge(e, v)
	}
	e.removed = false
	s.place(e)
	if e.state == Ready {
		s.counts.Requeued++
	}
	return true
}

func (s *schedule[K]) judge(e *entry[K], v Verdict) {
	e.look, e.held = never, false
	if !v.Due.IsZero() {
		e.look = s.instant(v.Due)
	}
	switch v.End {
	case Succeeded:
		e.attempts = 0
	case Failed:
		s.counts.Failures++
		e.attempts++
		e.held = true
		over := s.now + s.backoff(e.attempts)
		if e.look == never {
			e.look = over
		}
		e.look = max(e.look, over)
	case Throttled:
		e.held = e.look != never
	}
	if e.look != never {
		e.priority = max(e.priority, v.Priority)
	}
}

// backoff draws from zero to the base doubled with each attempt, but not above the cap ("full jitter", Marc
// Brooker, AWS Architecture Blog, 2015): failures that began together do not come back together.
func (s *schedule[K]) backoff(attempts uint32) instant {
	top := s.options.Cap
	if s.options.Base <= top>>(attempts-1) {
		top = s.options.Base << (attempts - 1)
	}
	return instant(s.options.Random.Int64N(int64(top) + 1))
}

func (s *schedule[K]) remove(key K) {
	e := s.entries[key]
	if e == nil {
		return
	}
	e.forget()
	if e.state == Working {
		e.removed = true
		return
	}
	s.place(e)
}

func (s *schedule[K]) stats() Stats {
	st := Stats{
		Entries: len(s.entries), Ready: s.ready.ranks.Len(), Delayed: s.delayed.Len(), Working: len(s.working), Counts: s.counts,
	}
	if e := s.ready.oldest(); e != nil {
		st.Oldest = time.Duration(s.now - e.at)
	}
	if len(s.working) > 0 {
		st.Longest = time.Duration(s.now - s.working[0].at)
	}
	return st
}

func (s *schedule[K]) describe(e *entry[K]) Entry[K] {
	d := Entry[K]{
		Key: e.key, State: e.state, Attempts: int(e.attempts), Held: e.held, Priority: e.priority,
		Causes: slices.Clone(e.causes), Woken: int(e.woken),
	}
	if due := e.due(); due != never {
		d.Due = s.start.Add(time.Duration(due))
	}
	if e.state == Working {
		d.Since = s.start.Add(time.Duration(e.at))
	}
	return d
}
