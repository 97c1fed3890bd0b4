package api

import (
	"context"
	"errors"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var (
	// ErrExists: [Plane.Create] found another object with the same key.
	ErrExists = errors.New("object exists already")
	// ErrPrecondition: the object is not the one, or not at the revision, that a delete was to be about. Wrap it in a sentence that
	// says which: clients are shown it.
	ErrPrecondition = errors.New("precondition failed")
	// ErrSignal: [Plane.Signal] refuses the signal: the kind does not know it, or forbids it beside those that stand. Wrap it in a sentence that says
	// why: clients are shown it.
	ErrSignal = errors.New("signal refused")
)

// Plane is what the handler serves. The root package implements it; this package knows no other part of the engine.
//
// # Reads
//
// Get, List and Explain answer from the memory of this process and never wait for the database. What a write of this process has
// returned, they show from then on.
//
// # Writes
//
// Update refuses a change of the state, by [resource.StateRefused], and records that it was tried. Create, Update and Delete fill in defaults, admit and commit, in one transaction each. Their errors are *[resource.Invalid],
// *[resource.Malformed], *[store.CommitError] (or the sentinel errors of the store), [ErrExists] and [ErrPrecondition]. A dry run does all of it
// except the commit. The argument by is the name of the user.
//
// All methods may be called concurrently.
type Plane interface {
	Registry() *resource.Registry

	Get(key resource.Key) (*resource.Object, bool)
	// List returns one consistent cut, sorted by namespace and name, and its revision. The empty namespace stands for all.
	List(kind resource.KindID, ns resource.Namespace) (objects []*resource.Object, at resource.Revision)
	// WaitFor returns when Get and List show the commits up to a revision, or with the context's error.
	WaitFor(ctx context.Context, at resource.Revision) error
	// Watch streams every commit after a revision; the errors are [store.ErrCompacted] and [store.ErrFuture].
	Watch(ctx context.Context, from resource.Revision) (store.Stream, error)

	// Create stores a new object. UID, generation, times and state are the plane's to set; whatever o has of them is ignored.
	Create(ctx context.Context, by string, o *resource.Object, w WriteOptions) (*resource.Object, error)
	// Update replaces an object by what change makes of it, and returns what is stored then. On a conflict it calls change again with
	// the newer object, up to a bound of its own; an error from change ends it, unchanged. When change returns its argument itself, nothing is
	// written. Generation, StateSince and revision are the plane's to set. [store.ErrNotFound] says that there is no such object.
	Update(ctx context.Context, by string, key resource.Key, change Change, w WriteOptions) (*resource.Object, error)
	// Delete asks for the deletion of an object. It returns the last form and true when the object is gone, and the object as it is now
	// and false when a finalizer still holds it. Deleting once more is no error.
	Delete(ctx context.Context, by string, key resource.Key, d DeleteOptions) (o *resource.Object, removed bool, err error)
	// Signal raises a signal. fresh is false when one stands that has its name and its Dedupe, whose identity is then returned. The errors are [ErrSignal],
	// [store.ErrNotFound] and those of a commit.
	Signal(ctx context.Context, by string, key resource.Key, s Signal) (id store.SignalID, fresh bool, err error)
	// Signals returns an object and the signals that stand on it, oldest first, as of one moment.
	Signals(key resource.Key) (o *resource.Object, standing []store.Signal, found bool)
	// Warn records a warning in the history of an object.
	Warn(ctx context.Context, by string, key resource.Key, reason, message string) error

	// Explain says why an object is not at its setpoint, as a value that encodes as a JSON object.
	Explain(key resource.Key) (explanation any, found bool)
	History(ctx context.Context, q store.HistoryQuery) ([]store.Entry, error)

	// Live fails when the process should be restarted, Ready when it cannot serve now. The errors are shown to whoever probes.
	Live() error
	Ready() error
}

// Signal is a signal that a client asks for. Only Name is required.
type Signal struct {
	Name lifecycle.SignalName
	// Payload is JSON or nil, Why a sentence for people.
	Payload []byte
	Why     string
	// Dedupe makes the request one that can be repeated: while a signal of this name and Dedupe stands, another is not raised.
	Dedupe string
	// For is how long the signal means something, 0 for ever.
	For time.Duration
}

// Change computes a new form of an object from the present one. It must be pure, and must not alter its argument.
type Change func(old *resource.Object) (*resource.Object, error)

// WriteOptions qualify a write.
type WriteOptions struct {
	// DryRun judges and computes, and commits nothing.
	DryRun bool
}

// Propagation says what becomes of the objects that a deleted one owns.
type Propagation string

// The three ways of Kubernetes. The empty one leaves the choice to the plane.
const (
	Background Propagation = "Background"
	Foreground Propagation = "Foreground"
	Orphan     Propagation = "Orphan"
)

// DeleteOptions qualify a delete.
type DeleteOptions struct {
	// UID and Revision, when not zero, must be those of the object; [ErrPrecondition] otherwise.
	UID      resource.UID
	Revision resource.Revision

	Propagation Propagation
	DryRun      bool
}
