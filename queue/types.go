package queue

import (
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// Priority says what goes first. Any value may be used; these have names.
type Priority int8

// Named priorities.
const (
	Background    Priority = -10 // may wait: resynchronisation, roll-outs
	Normal        Priority = 0
	Administrator Priority = 10 // a human is waiting
)

// Wake asks for one turn of a key. Wakes of one key merge: the earliest due time and the highest priority win, the
// causes are collected. The zero value means: now, in the usual order, but not before a failure backoff is over.
type Wake struct {
	Due      time.Time // not before this; zero or past: now
	Priority Priority
	// Change is set when something happened that may end the failure: the object itself was changed, it got a
	// signal or a result. Such a wake does not wait for a failure backoff or a throttle to be over. All else is
	// bookkeeping and waits. Neither resets the attempts.
	Change bool
	Cause  Cause
}

// Request is a wake with its key.
type Request[K comparable] struct {
	Key  K
	Wake Wake
}

// Cause tells later why a turn ran. It has no influence on when or whether it runs.
type Cause struct {
	Revision resource.Revision // the commit; 0: none
	Writer   string            // who made it
	At       time.Time
	Trace    string // trace context to link to; may be empty
}

// Item is a key that was handed out.
type Item[K comparable] struct {
	Key      K
	Attempts int           // failures since the last success
	Waited   time.Duration // how long it had been ready
	Causes   []Cause       // oldest first; if too many, the oldest half and the newest half
	Woken    int           // wakes that this turn answers; more than causes if some were dropped or empty
}

// End is how a turn ended, as far as the queue is concerned.
type End uint8

// The ends of a turn. In all but Failed and Throttled, any wake runs the key again.
const (
	Waiting   End = iota // neither success nor failure: attempts stay as they are
	Succeeded            // attempts start again from zero
	Failed               // one attempt more; not before the backoff, nor before Due, is over, except for a change
	Throttled            // not before Due, except for a change; attempts stay as they are
)

// Verdict ends the work on a key.
type Verdict struct {
	End      End
	Due      time.Time // look again at this time; zero: do not. It replaces the due time of the verdict before
	Priority Priority  // of looking again
}

// Counts rise for ever.
type Counts struct {
	Wakes    uint64 // keys added
	Handed   uint64 // by Next and TryAcquire
	Requeued uint64 // turns whose key was due again as they ended, mostly for what was added meanwhile
	Failures uint64
	Polls    uint64 // looks for work; at rest it does not rise
}

// Stats describes a queue.
type Stats struct {
	Entries int // keys known: ready, delayed, working, or with failed attempts behind them
	Ready   int
	Delayed int
	Working int
	Oldest  time.Duration // how long the oldest ready key has been waiting: the lag
	Longest time.Duration // how long the longest turn in progress has been running
	Counts
}

// Entry describes a key.
type Entry[K comparable] struct {
	Key      K
	State    State
	Attempts int       // failures since the last success
	Held     bool      // in failure backoff or throttled: only a change runs it before Due
	Due      time.Time // when it will be or was due; of a key in progress: what is already asked for afterwards; zero: nothing
	Since    time.Time // when it was handed out; zero if it is not
	Priority Priority  // of what is scheduled
	Causes   []Cause   // of what is scheduled
	Woken    int
}
