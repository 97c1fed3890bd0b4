package view

import (
	"fmt"

	"github.com/setpointhq/setpoint/store"
)

// Apply takes the next commit of the feed and returns what it changed. A batch that is not the next is refused with an
// [*OrderError] and changes nothing. The batch's objects are kept, not copied.
func (v *View) Apply(b store.Batch) (Applied, error) {
	v.applying.Lock()
	defer v.applying.Unlock()
	if !v.loaded.Load() {
		return Applied{}, fmt.Errorf("apply commit %d: %w: load it first", b.Revision, ErrNotLoaded)
	}
	if want := v.Revision() + 1; b.Revision != want {
		return Applied{}, &OrderError{Want: want, Got: b.Revision}
	}
	if err := wellFormed(b); err != nil {
		return Applied{}, fmt.Errorf("apply commit %d: %w", b.Revision, err)
	}
	rows := len(b.Objects) + len(b.Commands) + len(b.Raised) + len(b.Consumed) + len(b.Timers)
	s := v.begin(rows, Applied{Revision: b.Revision, At: b.At, Writer: b.Writer, Cause: b.Cause, Origin: Commit})
	s.out.Objects = make([]Change, 0, len(b.Objects))
	for _, c := range b.Objects {
		if c.Removed {
			s.removed(c.Object)
		} else {
			s.object(c.Object)
		}
	}
	for _, c := range b.Commands {
		row := c.Command // a copy, so that one row does not keep the whole batch
		if c.Removed {
			s.commandRemoved(&row)
		} else {
			s.command(&row)
		}
	}
	for _, r := range b.Raised {
		s.raised(newSignalRow(r))
	}
	for _, id := range b.Consumed {
		s.consumed(id)
	}
	for _, t := range b.Timers {
		s.timer(newTimerRow(t))
	}
	return s.publish(), nil
}

// wellFormed checks what a view could not survive.
func wellFormed(b store.Batch) error {
	for i, c := range b.Objects {
		switch {
		case c.Object == nil:
			return fmt.Errorf("%w: object change %d has no object", ErrMalformed, i)
		case c.Object.UID == "" || c.Object.Key.IsZero():
			return fmt.Errorf("%w: object change %d (%s) has no key or no UID", ErrMalformed, i, c.Object.Key)
		}
	}
	return nil
}
