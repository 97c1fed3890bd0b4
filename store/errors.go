package store

import (
	"errors"
	"fmt"

	"github.com/setpointhq/setpoint/resource"
)

// The causes of a failed call. A [CommitError] wraps one of them; match with errors.Is.
var (
	// ErrConflict: an expectation did not hold. Read again, compare again, write again.
	ErrConflict = errors.New("conflict")
	// ErrRule: a rule of the kind forbids it (transition, schema, validation). Repeating cannot help.
	ErrRule = errors.New("rule violated")
	// ErrFenced: a lease that the transaction relied on has a newer epoch. The writer is not the owner any more.
	ErrFenced = errors.New("fenced")
	// ErrTooLarge: a value is over the cap of the store.
	ErrTooLarge = errors.New("too large")
	// ErrInvalid: the transaction itself is malformed (a key twice, a missing UID). A bug of the caller.
	ErrInvalid = errors.New("invalid transaction")
	// ErrUnavailable: the database could not be asked; nothing was written. Try again.
	ErrUnavailable = errors.New("unavailable")
	// ErrUnknown: the database was asked and did not answer; it may have been written. Read before you repeat.
	ErrUnknown = errors.New("outcome unknown")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store closed")

	// ErrNotFound: there is no such object.
	ErrNotFound = errors.New("not found")
	// ErrCompacted: the feed is not retained that far back. Scan again.
	ErrCompacted = errors.New("revision compacted")
	// ErrFuture: the revision is beyond the last commit of this incarnation. Scan again.
	ErrFuture = errors.New("revision in the future")
	// ErrHeld: another holder has the lease.
	ErrHeld = errors.New("lease held by another")
)

// CommitError says which part of a transaction failed, and why.
type CommitError struct {
	// Err is one of the sentinel errors above.
	Err error
	// Key is the object concerned, zero when none is.
	Key resource.Key
	// Expected and Actual are revisions, for a conflict on a version (0: absent).
	Expected, Actual resource.Revision
	// Detail is a sentence for people.
	Detail string
}

func (e *CommitError) Error() string {
	s := "commit"
	if !e.Key.IsZero() {
		s += " of " + e.Key.String()
	}
	s += ": " + e.Err.Error()
	switch {
	case e.Detail != "":
		s += ": " + e.Detail
	case errors.Is(e.Err, ErrConflict):
		s += fmt.Sprintf(": expected revision %d, it is at %d; read it again and repeat", e.Expected, e.Actual)
	}
	return s
}

func (e *CommitError) Unwrap() error { return e.Err }
