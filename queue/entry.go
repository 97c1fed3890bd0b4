package queue

import (
	"math"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// An instant counts nanoseconds of the monotonic clock since the queue was made, so that a wall clock that is
// set does not move what is scheduled.
type instant int64

const never instant = math.MaxInt64

// State says where a key is.
type State uint8

// The states of a key. A key that is at rest without failures behind it has no entry at all.
const (
	Resting State = iota // nothing scheduled; remembered for its failed attempts
	Delayed              // scheduled for later
	Ready                // to be handed out as soon as somebody calls Next
	Working              // handed out
)

func (s State) String() string {
	return [...]string{"resting", "delayed", "ready", "working"}[s]
}

// entry is all that the queue knows about a key.
type entry[K comparable] struct {
	key    K
	tenant resource.Namespace
	plain  instant // earliest due time asked for by wakes without Change
	change instant // earliest due time asked for by wakes with Change
	look   instant // due time asked for by the last verdict
	at     instant // delayed: due; ready: since when; working: since when
	seq    uint64  // order among the same at
	line   *line[K]
	causes []Cause
	woken  uint32 // wakes since the last hand-out, so also those whose cause was dropped

	attempts uint32
	pos      [2]int32
	priority Priority
	state    State
	held     bool // the last verdict allows nothing but a change before look
	removed  bool // the turn in progress is of an object that is gone: ignore its verdict
}

// due is when the key is to be handed out next, were it not in progress.
func (e *entry[K]) due() instant {
	if e.held {
		return min(e.change, e.look)
	}
	return min(e.plain, e.change, e.look)
}

// reset forgets everything but the key and its place.
func (e *entry[K]) reset() {
	e.plain, e.change, e.look = never, never, never
	e.causes, e.woken, e.attempts = nil, 0, 0
	e.priority, e.held = math.MinInt8, false
}

// wake merges a wake: the earliest due time and the highest priority win.
func (e *entry[K]) wake(due instant, w *Wake, maxCauses int) {
	if w.Change {
		e.change = min(e.change, due)
	} else {
		e.plain = min(e.plain, due)
	}
	e.priority = max(e.priority, w.Priority)
	e.woken++
	if w.Cause != (Cause{}) {
		e.addCause(w.Cause, maxCauses)
	}
}

// addCause keeps the oldest half and the newest half of a list that is full.
func (e *entry[K]) addCause(c Cause, most int) {
	if len(e.causes) < most {
		e.causes = append(e.causes, c)
		return
	}
	oldest := most / 2
	copy(e.causes[oldest:], e.causes[oldest+1:])
	e.causes[most-1] = c
}

// absorb takes what is due as answered by a turn that begins now, and returns the causes for it. A later due
// time stays, and then so do the priority and the causes, which may be its own.
func (e *entry[K]) absorb(now instant) (causes []Cause, woken int) {
	answer := func(t *instant) {
		if *t <= now {
			*t = never
		}
	}
	answer(&e.plain)
	answer(&e.change)
	answer(&e.look)
	causes, woken = e.causes, int(e.woken)
	if e.plain != never || e.change != never {
		return append([]Cause(nil), causes...), woken
	}
	e.causes, e.woken, e.priority = nil, 0, math.MinInt8
	return causes, woken
}

// judge applies the verdict of the turn that ends now. The look is its due time or never.
func (e *entry[K]) judge(v Verdict, look instant, backoff time.Duration, now instant) {
	e.look, e.held = look, false
	switch v.End {
	case Succeeded:
		e.attempts = 0
	case Failed:
		e.held = true
		e.look = now + instant(backoff)
		if look != never {
			e.look = max(e.look, look)
		}
	case Throttled:
		e.held = look != never
	case Waiting:
	}
	if e.look != never {
		e.priority = max(e.priority, v.Priority)
	}
}
