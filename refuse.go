package setpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// StateWriteRefused is the reason of the warning that stays in the history of an object whose state somebody else than its driver tried to change.
const StateWriteRefused = "StateWriteRefused"

// Warn leaves a warning in the history of an object: what was asked of it and refused, for example. reason is a CamelCase word, message a sentence. It
// fails with store.ErrNotFound or *store.CommitError.
func (p *Plane) Warn(ctx context.Context, by string, key Key, reason, message string) error {
	if _, err := p.begin(ctx, key); err != nil {
		return err
	}
	o, ok := p.View().Get(key)
	if !ok {
		return fmt.Errorf("%s: %w", key, store.ErrNotFound)
	}
	r, err := p.store.Commit(ctx, store.Transaction{
		Writer: store.Writer{Name: by}, Cause: store.Cause{Text: "refused"},
		Events: []store.Event{{Object: key, UID: o.UID, Kind: "Warning", Reason: reason, Message: message}},
	})
	if err != nil {
		return err
	}
	return p.View().WaitFor(ctx, r.Revision)
}

// update makes a change by a writer from outside. One that would move the object to another state is refused, and that it was tried is recorded.
func (p *Plane) update(ctx context.Context, w write, key Key, change Change) (*Object, error) {
	o, err := p.modify(ctx, w, key, p.accepting(change))
	if w.dryRun || !movesState(err) {
		return o, err
	}
	if unrecorded := p.Warn(ctx, w.by, key, StateWriteRefused, err.Error()); unrecorded != nil {
		err = errors.Join(err, fmt.Errorf("the refusal could not be recorded: %w", unrecorded))
	}
	return nil, err
}

// movesState reports whether a write was refused because it would move the object to another state.
func movesState(err error) bool {
	var invalid *resource.Invalid
	return errors.As(err, &invalid) && slices.ContainsFunc(invalid.Causes, func(c resource.Cause) bool {
		return c.Field == "status.state" && c.Type == resource.Forbidden
	})
}
