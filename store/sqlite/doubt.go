package sqlite

import (
	"errors"
	"fmt"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// doubt settles a COMMIT that failed. The disk may have the transaction or not: after a failed fsync its frames can still be in the log, and
// a restart would find them. What decides is a later commit that succeeds, because it overwrites those frames or stands after them. Then the
// database can simply be asked. It returns nil when the transaction turns out to be there.
func (w *writer) doubt(last resource.Revision, cause error) error {
	w.suspect = true
	if err := errors.Join(w.rollback(), w.settle()); err != nil {
		w.store.options.Logger.Error("a commit failed, and the disk does not say whether it is there", "revision", last, "error", cause, "settling", err)
		return &store.CommitError{Err: store.ErrUnknown, Detail: fmt.Sprintf("the disk failed at the commit, and again when asked: %v; %v", cause, err)}
	}
	have, err := w.c.number("SELECT revision FROM meta")
	if err != nil {
		return &store.CommitError{Err: store.ErrUnknown, Detail: fmt.Sprintf("the disk failed at the commit (%v) and then at reading (%v)", cause, err)}
	}
	if resource.Revision(have) >= last {
		w.suspect = false
		return nil
	}
	return &store.CommitError{Err: store.ErrUnavailable, Detail: fmt.Sprintf("the disk failed at the commit; asked again, the database does not have it: %v", cause)}
}

// settle makes one durable commit of its own. After it the past is certain; what it holds is taken in by the next group. It has to change
// something: SQLite does not write a page whose content stays the same.
func (w *writer) settle() error {
	if err := transaction(w.c, func() error { return w.c.exec("UPDATE meta SET settled = settled + 1") }); err != nil {
		return fmt.Errorf("settle the last commit: %w", err)
	}
	w.suspect = false
	w.seen = -1 // look at everything again
	return nil
}
