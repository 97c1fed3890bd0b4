package survey

import (
	"context"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/availability"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Plane is what a survey asks. The present comes from memory, the history from the database.
type Plane interface {
	Get(key resource.Key) (*resource.Object, bool)
	List(kind resource.KindID, ns resource.Namespace) (objects []*resource.Object, at resource.Revision)
	History(ctx context.Context, q store.HistoryQuery) ([]store.Entry, error)
}

// changeOf translates a line of the history.
func changeOf(e *store.Entry) availability.Change {
	return availability.Change{
		Type: availability.ChangeType(e.Type), At: e.At, UID: e.UID, From: e.From, To: e.To, Reason: e.Reason, Cause: e.Cause.Text, Revision: e.Revision,
	}
}

// presentOf is what an object says about itself.
func presentOf(o *resource.Object) availability.Present {
	return availability.Present{Created: o.Created, State: o.State, Since: o.StateSince}
}

// horizon is a time since which everything is kept about the objects of a kind: that of the oldest line there is, as histories are forgotten by age. Zero: there is no line.
func horizon(ctx context.Context, p Plane, kind resource.KindID) (time.Time, error) {
	oldest, err := p.History(ctx, store.HistoryQuery{Kind: kind, Types: moves, Limit: 1})
	if err != nil {
		return time.Time{}, fmt.Errorf("read from when on the history of %s is kept: %w", kind, err)
	}
	if len(oldest) == 0 {
		return time.Time{}, nil
	}
	return oldest[0].At, nil
}

// readOne reads all that is kept of one object, or with uid "" of all that had its name, as far as one page goes; and since when that is everything.
func readOne(ctx context.Context, p Plane, key resource.Key, uid resource.UID, horizon time.Time) (changes []availability.Change, kept time.Time, err error) {
	entries, err := p.History(ctx, store.HistoryQuery{Key: key, UID: uid, Types: moves, Limit: pageSize})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read the history of %s: %w", key, err)
	}
	if len(entries) == pageSize {
		horizon = entries[0].At
	}
	for i := range entries {
		changes = append(changes, changeOf(&entries[i]))
	}
	return changes, horizon, nil
}
