package fleet

import (
	"context"
	"errors"
	"fmt"

	"github.com/setpointhq/setpoint/client"
)

// Unrest says what is missing for a database to be at rest, "" when nothing is: it is available and as it should be, has nothing under way and nothing asked of it, and its servers, asked themselves, say
// the same: one leads, and all others that belong to it receive from it. What else must be is said by also, unless it is nil.
func (f *Fleet) Unrest(ctx context.Context, name string, also func(Database, map[string]Server) string) (d Database, missing string) {
	d, err := f.Database(ctx, name)
	if err != nil {
		return d, err.Error()
	}
	if !d.AtRest() {
		return d, fmt.Sprintf("database %s is %s: %v", name, d.State, d.Conditions)
	}
	all, err := f.Of(ctx, name)
	if err != nil {
		return d, err.Error()
	}
	if want := len(Replicas(d, all)); d.Status.Following != want {
		return d, fmt.Sprintf("%d servers of %s follow, of %d", d.Status.Following, name, want)
	}
	if missing := f.busy(ctx, name, all); missing != "" {
		return d, missing
	}
	if also != nil {
		if missing := also(d, all); missing != "" {
			return d, missing
		}
	}
	return d, f.Disagreement(ctx, d, all)
}

// busy says what is under way or asked for.
func (f *Fleet) busy(ctx context.Context, database string, all map[string]Server) string {
	look := func(kind client.Kind, name string) string {
		actions, err := f.API.Actions(ctx, kind, Ref(name))
		standing, other := f.API.Signals(ctx, kind, Ref(name))
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
	if missing := look(f.Databases, database); missing != "" {
		return missing
	}
	for name, v := range all {
		if !v.AtRest() {
			return fmt.Sprintf("%s is %s: %v", name, v.State, v.Conditions)
		}
		if missing := look(f.Servers, name); missing != "" {
			return missing
		}
	}
	return ""
}

// Disagreement says which server does not do what the API says, by its own word.
func (f *Fleet) Disagreement(ctx context.Context, d Database, all map[string]Server) string {
	for _, name := range append(Replicas(d, all), Primary(d)) {
		rows, err := f.Ask(ctx, all[name], "SELECT pg_is_in_recovery(), (SELECT sender_host || ':' || sender_port FROM pg_stat_wal_receiver WHERE status = 'streaming')")
		if err != nil {
			return fmt.Sprintf("%s does not answer: %v", name, err)
		}
		want := []string{"f", ""}
		if name != Primary(d) {
			want = []string{"t", all[Primary(d)].Status.Address}
		}
		if got := rows[0]; got[0] != want[0] || got[1] != want[1] {
			return fmt.Sprintf("%s says that it is in recovery and receives from: %v, want %v", name, got, want)
		}
	}
	return ""
}
