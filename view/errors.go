package view

import (
	"errors"
	"fmt"

	"github.com/setpointhq/setpoint/resource"
)

var (
	// ErrOrder: a batch is not the next one. The view has not changed; load it again.
	ErrOrder = errors.New("not the next revision")
	// ErrMalformed: a batch or a scan contradicts itself. The view has not changed.
	ErrMalformed = errors.New("malformed batch")
	// ErrNotLoaded: the view has never been loaded, so that no batch can be the next.
	ErrNotLoaded = errors.New("view not loaded")
	// ErrRestored: the database went back to an earlier state, so the awaited revision is not to be expected any more.
	ErrRestored = errors.New("database was restored to an earlier state")
	// ErrStopped: nobody feeds the view any more.
	ErrStopped = errors.New("view stopped")
)

// OrderError says which revision was wanted and which one came.
type OrderError struct{ Want, Got resource.Revision }

func (e *OrderError) Error() string {
	return fmt.Sprintf("apply commit %d: %v: the view is at %d and wants %d; scan again", e.Got, ErrOrder, e.Want-1, e.Want)
}

func (e *OrderError) Unwrap() error { return ErrOrder }
