package managed

import (
	"context"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/client"
)

// calmLimit bounds the wait for calm after a fault. It only ends a test that would hang.
const calmLimit = 3 * time.Minute

// calm waits until the database is available and as it should be, has nothing under way and nothing asked of it, and its servers, asked themselves, say the
// same: one leads, and all others that belong to it receive from it. What else must be is said by also, "" when it is.
func (s *service) calm(what string, also func(database, map[string]server) string) database {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), calmLimit)
	defer cancel()
	changes, stop := s.changes(ctx)
	defer stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for last := ""; ; {
		d, missing := s.Unrest(ctx, "orders", also)
		if missing == "" {
			return d
		}
		if ctx.Err() == nil {
			last = missing
		}
		select {
		case <-changes:
		case <-tick.C: // for what the API does not tell
		case <-ctx.Done():
			s.t.Fatalf("after %s it does not come to rest in %v: %s\n%s", what, calmLimit, last, s.diagnosis())
		}
	}
}

// changes tells that something about databases or servers has changed.
func (s *service) changes(ctx context.Context) (<-chan struct{}, func()) {
	ctx, cancel := context.WithCancel(ctx)
	changed := make(chan struct{}, 1)
	var watching sync.WaitGroup
	for _, kind := range []client.Kind{s.Databases, s.Servers} {
		watching.Go(func() {
			for _, err := range s.Client.Follow(ctx, kind, client.WatchOptions{}) {
				if err != nil {
					if ctx.Err() == nil {
						s.t.Errorf("watch %s: %v", kind, err)
					}
					return
				}
				select {
				case changed <- struct{}{}:
				default: // it is known already
				}
			}
		})
	}
	return changed, func() { cancel(); watching.Wait() }
}
