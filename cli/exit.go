package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/setpointhq/setpoint/client"
)

// The exit codes. [ExitCodes] says what each is for.
const (
	ExitOK          = 0
	ExitError       = 1
	ExitUsage       = 2
	ExitNotFound    = 3
	ExitConflict    = 4
	ExitTimeout     = 5
	ExitUnavailable = 6
	ExitRefused     = 7
	ExitUnknown     = 8
	ExitSchema      = 9
	ExitInterrupted = 130
)

// ExitCode documents an exit code.
type ExitCode struct {
	Code    int
	Meaning string
}

// ExitCodes lists the exit codes, in ascending order.
var ExitCodes = []ExitCode{
	{ExitOK, "Done."},
	{ExitError, "Failed, for none of the reasons below; or setpoint doctor has found what needs somebody."},
	{ExitUsage, "The command line, a manifest or the configuration is wrong; nothing was asked of a server."},
	{ExitNotFound, "The object, or the kind, does not exist."},
	{ExitConflict, "The object exists already, is being deleted, or was changed by another meanwhile. Read it again."},
	{ExitTimeout, "What was waited for has not come about in time."},
	{ExitUnavailable, "The server, or the database, cannot be reached, or cannot serve now. Nothing was written; try again."},
	{ExitRefused, "The server, or the database, refuses the request: it is invalid, forbidden, or too large. Repeating it cannot help."},
	{ExitUnknown, "A write was sent and its answer was lost. Read before repeating it."},
	{ExitSchema, "The database's schema does not fit this program. Run: setpoint migrate up."},
	{ExitInterrupted, "Interrupted by a signal."},
}

// errTimeout: --timeout has passed.
var errTimeout = errors.New("timed out")

// usageError is a mistake in what was typed or written, found before a server was asked.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// Failure is an error of the program that runs the tree ([Program]), with the exit code that says what kind it is.
// Look the code up in [ExitCodes].
type Failure struct {
	Code int
	Err  error
}

// Error is the error's own text.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the error itself.
func (f *Failure) Unwrap() error { return f.Err }

// failures are several errors of one command, in the order in which they came.
type failures []error

// Error is one failure to a line.
func (f failures) Error() string   { return errors.Join(f...).Error() }
func (f failures) Unwrap() []error { return f }

// failed is nothing, the one error, or all of them.
func failed(problems []error) error {
	problems = slices.DeleteFunc(problems, func(err error) bool { return err == nil })
	switch len(problems) {
	case 0:
		return nil
	case 1:
		return problems[0]
	}
	return failures(problems)
}

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// causes gives the exit code of each sentinel, the first that matches.
var causes = []struct {
	err  error
	code int
}{
	{errTimeout, ExitTimeout},
	{client.ErrUnknown, ExitUnknown},
	{client.ErrUnknownKind, ExitNotFound}, {client.ErrAmbiguousKind, ExitUsage}, {client.ErrNotFound, ExitNotFound},
	{client.ErrExists, ExitConflict}, {client.ErrConflict, ExitConflict}, {client.ErrDeleting, ExitConflict}, {client.ErrExpired, ExitConflict},
	{client.ErrInvalid, ExitRefused}, {client.ErrForbidden, ExitRefused}, {client.ErrTooLarge, ExitRefused},
	{client.ErrUnavailable, ExitUnavailable}, {context.DeadlineExceeded, ExitTimeout},
}

func exitCode(ctx context.Context, err error) int {
	if err == nil {
		return ExitOK
	}
	var several failures
	if errors.As(err, &several) {
		return exitCode(ctx, several[0])
	}
	var wrong *usageError
	if errors.As(err, &wrong) {
		return ExitUsage
	}
	if ctx.Err() != nil {
		return ExitInterrupted
	}
	var known *Failure
	if errors.As(err, &known) {
		return known.Code
	}
	for _, c := range causes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return ExitError
}
