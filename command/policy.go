package command

import (
	"math/rand/v2"
	"time"
)

// Policy says how an adapter's commands are repeated and how many run at once. Its zero value is
// usable: every field that is zero takes the default named beside it.
type Policy struct {
	// Concurrency bounds the calls in flight (the bulkhead). Default 16.
	Concurrency int
	// Timeout bounds one attempt. Default 10 s.
	Timeout time.Duration
	// Base and Cap bound the exponential backoff. Defaults 100 ms and 30 s.
	Base, Cap time.Duration
	// Attempts pauses a command as Exhausted after so many attempts. 0 retries for ever, at the cap.
	Attempts int
	// For pauses a command as Exhausted when it has been tried for so long. 0 has no limit.
	For time.Duration
}

// WithDefaults returns p with every unset field filled in.
func (p Policy) WithDefaults() Policy {
	if p.Concurrency <= 0 {
		p.Concurrency = 16
	}
	if p.Timeout <= 0 {
		p.Timeout = 10 * time.Second
	}
	if p.Base <= 0 {
		p.Base = 100 * time.Millisecond
	}
	if p.Cap <= 0 {
		p.Cap = 30 * time.Second
	}
	return p
}

// Backoff returns the delay after the attempt'th failure (from 1): full jitter over an exponentially
// growing, capped window, never less than a tenth of it. The method is the one Marc Brooker
// described for AWS in 2015; the floor keeps a burst of unlucky draws from becoming a hot loop.
func (p Policy) Backoff(attempt int, random *rand.Rand) time.Duration {
	return Backoff(p.Base, p.Cap, attempt, random)
}

// Window is the longest wait after the attempt'th failure (from 1): base·2^(attempt-1), at most limit. How much of it is left to chance is for the caller to
// say.
func Window(base, limit time.Duration, attempt int) time.Duration {
	window := base
	for i := 1; i < attempt && window < limit; i++ {
		window *= 2
	}
	return min(window, limit)
}

// Backoff is full jitter over the [Window], but never less than a tenth of it.
func Backoff(base, limit time.Duration, attempt int, random *rand.Rand) time.Duration {
	window := Window(base, limit, attempt)
	floor := window / 10
	if window <= floor {
		return window
	}
	return floor + time.Duration(random.Int64N(int64(window-floor)))
}

// Exhausted reports whether no further attempt may be made after attempt attempts since created.
func (p Policy) Exhausted(attempt int, created, now time.Time) bool {
	return p.Attempts > 0 && attempt >= p.Attempts || p.For > 0 && now.Sub(created) >= p.For
}
