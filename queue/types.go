package queue

import (
	"cmp"
	"math/rand/v2"
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
	Tenant    func(K) resource.Namespace // whose key it is: quick and pure, called by who names the key. Nil: one tenant
	Random    *rand.Rand                 // for the jitter; the queue's own from now on. Nil: seeded at random
}

func (o Options[K]) withDefaults() Options[K] {
	const year = 365 * 24 * time.Hour // sums and multiples of it fit into a Duration
	o.Base = cmp.Or(max(o.Base, 0), 200*time.Millisecond)
	o.Cap = min(cmp.Or(max(o.Cap, 0), 5*time.Minute), year)
	o.Ageing = min(cmp.Or(max(o.Ageing, 0), 10*time.Second), year)
	o.MaxCauses = max(cmp.Or(o.MaxCauses, 8), 2)
	if o.Tenant == nil {
		o.Tenant = func(K) resource.Namespace { return "" }
	}
	if o.Random == nil {
		o.Random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return o
}

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
	Rounds   uint64 // times the queue had something to do, a call of Stats included; at rest it does not rise
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
