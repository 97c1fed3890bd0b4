package draft

import (
	"context"
	"errors"
	"fmt"

	"github.com/setpointhq/setpoint/store"
)

// known are the sentinels that an error of an engine may be already.
var known = []error{store.ErrClosed, store.ErrCompacted, store.ErrConflict, store.ErrHeld, store.ErrInvalid, store.ErrNotFound, store.ErrRule, store.ErrUnavailable,
	store.ErrUnknown, store.ErrFuture}

// Unavailable sorts an error that is not a commit's: everything that keeps a database from answering is store.ErrUnavailable, except the end of the caller's context
// and what package store has another name for. A nil error stays nil.
func Unavailable(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	for _, sentinel := range known {
		if errors.Is(err, sentinel) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}
