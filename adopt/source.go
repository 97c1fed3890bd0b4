package adopt

import (
	"context"
	"errors"
)

// Version names one state of one row: a counter, a revision, an entity tag. It is compared for equality only.
type Version string

// Cursor is a position in a source's changes, as the source writes it. The controller only hands it back, and only to the
// same source in the same process.
type Cursor string

// Change says that a row was inserted, updated or deleted.
type Change[ID comparable] struct {
	ID ID
	// Version is the row's version after the change, if the source knows it cheaply. With it the controller
	// recognises its own saves, and takes no turn for them. "" is always correct and costs a turn.
	Version Version
}

// Batch is what has changed between two positions. Several changes of one row may be reported as one, the last.
type Batch[ID comparable] struct {
	Changes []Change[ID]
	Next    Cursor // the position behind them; where nothing has changed, the one that was asked about
}

// Source is somebody else's table, as the one who owns it lets a controller see it. Its methods are called concurrently,
// except that Scan and Changes are called by one goroutine.
//
// # Versions
//
// Every change of a row, by whomever and by whatever means, gives it a version that this row never had. Where writers
// cannot be relied upon a trigger can.
//
// # Positions
//
// Changes reports every change that became visible after the position, at least once. Whoever numbers changes from a sequence
// must know that sequences of most databases are not in the order of commits: a reader that has seen 8 may still be shown 7.
//
// # Not promised by the controller
//
// That it asks for each row only once, that it asks in any order, or that nobody else runs the same controller meanwhile:
// Save alone decides whose write counts.
type Source[ID comparable, Row any] interface {
	// Scan visits every row that may need work, and returns a position such that Changes after it leaves nothing out
	// that the scan has not seen: so it takes the position first, and then reads. It is called at the start and
	// after [ErrGap].
	Scan(ctx context.Context, visit func(ID)) (Cursor, error)
	// Changes returns what has changed since a position, for all rows at once. It may wait until there is something, or
	// return an empty batch; [Options].Interval says how often it is asked. It returns ErrGap when it
	// does not know any more what has happened since then.
	Changes(ctx context.Context, after Cursor) (Batch[ID], error)
	// Load returns a row, its own copy, as it is now, or ErrGone.
	Load(ctx context.Context, id ID) (Row, Version, error)
	// Save replaces the row if it still has the version, durably, and returns its new version. Otherwise it changes nothing and
	// returns ErrConflict, or ErrGone where there is no such row. Columns that the controller has no
	// business with need not be in Row.
	Save(ctx context.Context, id ID, row Row, at Version) (Version, error)
}

// What a source reports. Wrap them to add detail.
var (
	// ErrGone: there is no such row, or it is none of the controller's. The row is forgotten until a change of it is reported.
	ErrGone = errors.New("the row does not exist")
	// ErrConflict: the row was changed since it was loaded. The step ends, and a new one begins with the latest row.
	ErrConflict = errors.New("the row was changed by somebody else")
	// ErrGap: the changes after a position are not kept any more. The controller scans again.
	ErrGap = errors.New("the changes since this position are not known any more")
)
