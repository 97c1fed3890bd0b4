package managed

import (
	"context"
	"errors"
	"fmt"
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
		d, missing := s.unrest(ctx, also)
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
	for _, kind := range []client.Kind{s.databases, s.servers} {
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

// unrest says what is missing for calm.
func (s *service) unrest(ctx context.Context, also func(database, map[string]server) string) (d database, missing string) {
	d, err := s.database(ctx)
	if err != nil {
		return d, err.Error()
	}
	if !d.atRest() {
		return d, fmt.Sprintf("the database is %s: %v", d.State, d.Conditions)
	}
	all, err := s.fleet(ctx)
	if err != nil {
		return d, err.Error()
	}
	if want := len(replicas(d, all)); d.Status.Following != want {
		return d, fmt.Sprintf("%d servers follow, of %d", d.Status.Following, want)
	}
	if missing := s.busy(ctx, all); missing != "" {
		return d, missing
	}
	if also != nil {
		if missing := also(d, all); missing != "" {
			return d, missing
		}
	}
	return d, s.disagreement(ctx, d, all)
}

// busy says what is under way or asked for.
func (s *service) busy(ctx context.Context, all map[string]server) string {
	look := func(kind client.Kind, name string) string {
		actions, err := s.Client.Actions(ctx, kind, ref(name))
		standing, other := s.Client.Signals(ctx, kind, ref(name))
		switch err := errors.Join(err, other); {
		case err != nil:
			return err.Error()
		case actions.Action != nil:
			return fmt.Sprintf("%s of %s is under way", actions.Action.Name, name)
		case len(standing) > 0:
			return fmt.Sprintf("%s stands on %s: %s", standing[0].Name, name, standing[0].Note)
		}
		return ""
	}
	if missing := look(s.databases, "orders"); missing != "" {
		return missing
	}
	for name, v := range all {
		if !v.atRest() {
			return fmt.Sprintf("%s is %s: %v", name, v.State, v.Conditions)
		}
		if missing := look(s.servers, name); missing != "" {
			return missing
		}
	}
	return ""
}

// disagreement says which server does not do what the API says, by its own word.
func (s *service) disagreement(ctx context.Context, d database, all map[string]server) string {
	for _, name := range append(replicas(d, all), primary(d)) {
		rows, err := s.ask(ctx, all[name], "SELECT pg_is_in_recovery(), (SELECT sender_host || ':' || sender_port FROM pg_stat_wal_receiver WHERE status = 'streaming')")
		if err != nil {
			return fmt.Sprintf("%s does not answer: %v", name, err)
		}
		want := []string{"f", ""}
		if name != primary(d) {
			want = []string{"t", all[primary(d)].Status.Address}
		}
		if got := rows[0]; got[0] != want[0] || got[1] != want[1] {
			return fmt.Sprintf("%s says that it is in recovery and receives from: %v, want %v", name, got, want)
		}
	}
	return ""
}
