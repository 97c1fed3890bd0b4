package control

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/store"
)

// recency is how old, at most, what the view shows may be for a call that no shard stands for: one of a controller that runs [Everywhere].
const recency = 3 * time.Second

// sight is when the view was last known to show everything there was.
type sight struct {
	asking chan struct{} // held by who finds out
	mu     sync.Mutex
	at     time.Time
}

// current returns when the view shows everything that was committed before it was called. It asks the store, with a commit that writes nothing and says which commit is the last; so a process that is cut off from it
// does not take for current what it happens to see.
func (e *Engine) current(ctx context.Context, who, what string) error {
	asked := time.Now()
	last, err := e.commit(ctx, store.Transaction{Writer: store.Writer{Name: who}, Cause: store.Cause{Text: what}})
	if err == nil {
		err = e.view.WaitFor(ctx, last.Revision)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	e.sight.mu.Lock()
	defer e.sight.mu.Unlock()
	if asked.After(e.sight.at) {
		e.sight.at = asked
	}
	return nil
}

// recent is current, where what was so a moment ago is good enough.
func (e *Engine) recent(ctx context.Context) error {
	if e.sight.recent() {
		return nil
	}
	select {
	case e.sight.asking <- struct{}{}:
		defer func() { <-e.sight.asking }()
	case <-ctx.Done():
		return fmt.Errorf("what is so now: %w", context.Cause(ctx))
	}
	if e.sight.recent() {
		return nil // another has asked meanwhile
	}
	return e.current(ctx, "engine", "what is so now")
}

func (s *sight) recent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.at.IsZero() && time.Since(s.at) < recency
}
