package lease

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/command"
)

// DefaultTTL is how long a holder that died keeps others waiting, where nobody says otherwise. LeastTTL keeps a lease from being renewed all the time.
const (
	DefaultTTL = 10 * time.Second
	LeastTTL   = 100 * time.Millisecond
)

// Interval is the time from one renewal to the next, and how long one may take: two in a row may fail before trust ends.
func Interval(ttl time.Duration) time.Duration { return ttl * 3 / 10 }

// Margin is taken off a time to live, for clocks that do not run alike and for what is begun just before the end.
func Margin(ttl time.Duration) time.Duration { return ttl / 10 }

// Backoff is the wait after the n'th failure in a row, at most a second. Who waits for a lease asks so often that it has it within a second after it has run out.
func Backoff(ttl time.Duration, failures int, random *rand.Rand) time.Duration {
	limit := min(ttl/4, time.Second)
	return command.Backoff(limit/16, limit, failures, random)
}

// Trust is how far something that is renewed can be relied on between two renewals. Nothing is certain before the first [Trust.Note]. Its methods may be called concurrently.
type Trust struct {
	what string
	ttl  time.Duration

	mu      sync.Mutex
	sent    time.Time // when the last renewal that was answered had been sent; zero before, and after Void
	changed chan struct{}
	trouble error // why the last attempt failed, nil when it did not
}

// NewTrust begins without any. What names the thing in messages: "lease plane".
func NewTrust(what string, ttl time.Duration) *Trust {
	return &Trust{what: what, ttl: ttl, changed: make(chan struct{})}
}

// Note says that a renewal was answered, which had been sent at a time of this process's clock. One that is older than what is known already adds nothing but that the
// last attempt has not failed.
func (t *Trust) Note(sent time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trouble = nil
	if sent.After(t.sent) {
		t.sent = sent
	}
	t.tell()
}

// Fail says that an attempt to renew has failed. What is trusted stays so until its time has passed.
func (t *Trust) Fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trouble = err
}

// Void ends trust at once, because the thing was lost or given up.
func (t *Trust) Void(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent, t.trouble = time.Time{}, why
	t.tell()
}

// tell wakes who waits for a change. The caller has the lock.
func (t *Trust) tell() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Certain reports whether nobody else can have taken the thing yet.
func (t *Trust) Certain() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.certain()
}

func (t *Trust) certain() bool { return !t.sent.IsZero() && time.Since(t.sent) < t.ttl-Margin(t.ttl) }

// Until is when trust ends if nothing comes, zero when there is none.
func (t *Trust) Until() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent.IsZero() {
		return time.Time{}
	}
	return t.sent.Add(t.ttl - Margin(t.ttl))
}

// Trusted is Certain, and what is closed at the next Note or Void.
func (t *Trust) Trusted() (now bool, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.certain(), t.changed
}

// Await returns true as soon as there is trust, and false when ctx ends or stop is closed before.
func (t *Trust) Await(ctx context.Context, stop <-chan struct{}) bool {
	for ctx.Err() == nil {
		now, changed := t.Trusted()
		if now {
			return true
		}
		select {
		case <-changed:
		case <-stop:
			return false
		case <-ctx.Done():
		}
	}
	return false
}

// Problem describes what is wrong, nil when nothing is.
func (t *Trust) Problem() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.sent.IsZero() && t.trouble != nil:
		return fmt.Errorf("waiting for %s: %w", t.what, t.trouble)
	case t.sent.IsZero() || t.trouble == nil && t.certain():
		return nil
	}
	calls := "calls to subsystems go on for now"
	if !t.certain() {
		calls = "no call to a subsystem is begun until it is"
	}
	why := t.trouble
	if why == nil {
		why = errors.New("the renewal has not been answered yet")
	}
	return fmt.Errorf("%s has not been renewed since %s; %s: %w", t.what, t.sent.Format(time.RFC3339), calls, why)
}
