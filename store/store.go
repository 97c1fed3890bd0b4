package store

import (
	"context"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// Store is the database behind one small contract: read, commit, watch, lease.
//
// # Identity
//
// A database has an incarnation, from 1, which rises when it is restored from a backup. Within an incarnation every commit has one
// [resource.Revision], the next whole number: there are no gaps and no ties, over all kinds.
//
// # Versions
//
// Every write of an object or a command names the revision it was computed from, or 0 for "there is none". A transaction whose
// expectations do not all hold changes nothing and fails with [ErrConflict].
//
// # Consistency
//
// [Store.Scan] returns the state after exactly the commits up to the revision it reports; [Store.Watch] from there on delivers every later
// commit, once, in order, whole. Together they are exact. Commit is durable when it returns: it survives the
// loss of the process and of the machine's power.
//
// # Rules
//
// Registered kinds have their transition tables stored as rows, and the database itself refuses an illegal transition and a version that
// does not move by one commit, whoever writes. Schemas and validation functions are not the engine's business.
//
// # Not promised
//
// Isolation between two calls (reads are not locked; write with an expectation), fairness between committers, and that Watch reaches back beyond what
// [Store.Compact] left.
//
// All methods may be called concurrently. Close ends watches and waits for commits under way; what was not committed fails with [ErrClosed].
type Store interface {
	// Info says which database this is. It costs no statement.
	Info() Info
	// Register declares kinds: their transition rules are stored, replacing older ones. A rule set that would leave a stored object
	// in a state the table does not know is refused, naming one such object.
	Register(ctx context.Context, kinds []Rules) error

	// Commit applies a transaction whole, or not at all. Concurrent commits share one database transaction (group commit), each succeeding
	// or failing alone. The errors are *[CommitError], which say which write failed and why. A transaction without writes is judged and changes nothing; its receipt has the
	// newest revision, and no earlier commit whose outcome was unknown can be written after it: it tells what became of them.
	Commit(ctx context.Context, tx Transaction) (Receipt, error)

	// Scan calls visit with everything that exists, in batches, all of one moment, and returns its revision. The
	// batches carry objects, commands, signals and timers; the order is unspecified.
	Scan(ctx context.Context, visit func(Batch) error) (resource.Revision, error)
	// Watch streams the commits after revision from. ErrCompacted says that they are not all retained any more, and
	// ErrFuture that from is beyond the last commit of this incarnation: in both cases scan again.
	Watch(ctx context.Context, from resource.Revision) (Stream, error)

	// Object reads one object from the database, past any cache.
	Object(ctx context.Context, key resource.Key) (*resource.Object, error)
	// History returns what happened to an object, or to all of a kind, oldest first. By key it includes former namesakes.
	History(ctx context.Context, q HistoryQuery) ([]Entry, error)

	// Acquire takes a lease, or renews the one that holder was the last to have, and then the epoch stays, also when its time was over: nobody
	// else has been the owner in between, or the row would say so. Whoever else takes it, and whoever takes it after a [Store.Release], gets a
	// higher epoch than there ever was. While another holder's lease has not expired, Acquire fails with ErrHeld and a message that names that
	// holder. Expiry lets others in and does nothing else: a fence with the epoch holds until somebody takes the lease.
	Acquire(ctx context.Context, scope Scope, holder string, ttl time.Duration) (Lease, error)
	// Release gives a lease up before its time. It is not an error if the lease is lost already.
	Release(ctx context.Context, lease Lease) error

	// Compact forgets the feed up to and including revision before, and the history older than the given time (zero keeps all).
	// State is never touched.
	Compact(ctx context.Context, before resource.Revision, history time.Time) error
	// Close ends everything that runs. It may be called more than once.
	Close() error
}

// Info identifies a database.
type Info struct {
	Engine      string
	Incarnation uint64
	// Location is where it is, for messages to people.
	Location string
	// Shared says that several processes may work on it at a time, and divide the work: the store is [Sharded].
	Shared bool
}

// Rules are what the database itself enforces for a kind.
type Rules struct {
	Kind      resource.KindID
	Lifecycle lifecycle.Table
}

// Transaction is one commit: many writes, all or nothing.
type Transaction struct {
	// Writer says who commits; it is recorded with every transition, and travels with the feed.
	Writer Writer
	// Cause says why: the revision that led to this and a few words.
	Cause Cause
	// Fences must be the current epochs of their scopes.
	Fences []Fence
	// Reads are objects that must still be at the named revision (0: still absent), though they are not written.
	Reads    []Read
	Objects  []ObjectWrite
	Commands []CommandWrite
	// Raise appends signals. Their IDs and revisions are assigned by the commit.
	Raise []Signal
	// Consume removes exactly these signals; one that is gone is a conflict.
	Consume []SignalID
	// Timers set or, with a zero Due, clear a controller's timer on an object.
	Timers []Timer
	// Events are recorded in the history of their objects.
	Events []Event
}

// Writer identifies who wrote.
type Writer struct {
	// Name is "controller/<name>", "adapter/<name>", "api:<user>", "engine".
	Name string `json:"name"`
	// Object is the key whose turn wrote, zero for writers without one. A controller is not woken by its own echo.
	Object resource.Key `json:"object,omitzero"`
}

// Cause is the provenance of a commit.
type Cause struct {
	Revision resource.Revision `json:"revision,omitempty"`
	Text     string            `json:"text,omitempty"`
}

// Fence is a condition on a lease.
type Fence struct {
	Scope Scope
	Epoch resource.Epoch
}

// Read is a condition on an object that is not written.
type Read struct {
	Key      resource.Key
	Revision resource.Revision
}

// ObjectWrite creates, updates or removes an object.
//
// Expect 0 creates. Otherwise the stored object must be at that revision; Object replaces it, or, being nil, removes it. The engine sets
// Revision; the caller sets everything else: UID, Generation, Created, StateSince. Key is taken from Object when that is not nil.
//
// An object whose deletion was asked for and that has no finalizers left is removed by the very commit that leaves it so; it passes
// through Gone, the final state to record, when its kind has one. Removal deletes the object's commands, signals and timers.
type ObjectWrite struct {
	Expect resource.Revision
	Key    resource.Key
	Object *resource.Object
	// Reason is recorded with a transition.
	Reason string
	// Gone is the final state that a removed object is recorded to have reached, "" for kinds without one. The transition to it must be legal.
	Gone lifecycle.State
}

// CommandWrite stores a command, or, with Delete, removes its row.
type CommandWrite struct {
	// Expect is the revision of the stored row, 0 when there must be none.
	Expect  resource.Revision
	Command command.Command
	Delete  bool
}

// SignalID is the identity of a stored signal, unique within a database for ever.
type SignalID uint64

// Signal is a durable request to an object.
type Signal struct {
	ID     SignalID
	Object resource.Key
	UID    resource.UID
	Name   lifecycle.SignalName
	// Payload is JSON, at most 64 KiB, or nil.
	Payload []byte
	// By says who raises it, Why a sentence for people.
	By, Why string
	At      time.Time
	// Dedupe names what the signal is about, for those who raise it: one that has the name and the Dedupe of a standing one says nothing new. The store keeps
	// it, and leaves it to the raiser, with Seen, not to say a thing twice.
	Dedupe string
	// Expires is when the signal means nothing any more; zero is never. The object's driver removes it then.
	Expires  time.Time
	Revision resource.Revision

	// Seen, when not 0, is a condition, and not stored: no signal that was raised on the object (its UID) after that revision may stand. It is judged before anything
	// of the transaction is written. What earlier transactions have raised counts, those of the same group included; what was raised and consumed since does not. The
	// transaction's own signals do not count; one that it consumes itself does, and one that an earlier transaction of the same group consumes may still. When the
	// condition does not hold the transaction fails with ErrConflict, whose Actual is the revision of the newest signal that stands. So a raiser that has judged what
	// stands at a revision (is it there already? is the combination forbidden?) raises on top of exactly that, or of less.
	Seen resource.Revision
}

// Live reports whether the signal still means something at a time.
func (s *Signal) Live(now time.Time) bool { return s.Expires.IsZero() || now.Before(s.Expires) }

// Timer wakes a controller's turn for an object at a time. There is one per controller and object.
type Timer struct {
	Controller string
	Object     resource.Key
	UID        resource.UID
	Due        time.Time
	// Code is the reason it was armed for.
	Code string
}

// Event is a remark for the history of an object: a late state, an alert, a decision.
type Event struct {
	Object resource.Key
	UID    resource.UID
	// Kind is "Normal" or "Warning"; Reason a CamelCase word; Message a sentence.
	Kind, Reason, Message string
}

// Receipt says what a commit did.
type Receipt struct {
	Revision resource.Revision
	// Signals are the IDs of the raised signals, in order.
	Signals []SignalID
}

// Batch is one commit as the feed delivers it, or a part of a scan.
type Batch struct {
	// Revision of the commit; in a scan the revision of the whole.
	Revision resource.Revision
	At       time.Time
	Writer   Writer
	Cause    Cause
	Objects  []ObjectChange
	Commands []CommandChange
	Raised   []Signal
	Consumed []SignalID
	Timers   []Timer
}

// ObjectChange is an object as a commit left it.
type ObjectChange struct {
	// Object is the new form; for a removed object the last one it had, with Revision set to the removing commit.
	Object *resource.Object
	// Created and Removed tell the first and the last change of an object.
	Created, Removed bool
}

// CommandChange is a command as a commit left it.
type CommandChange struct {
	Command command.Command
	Removed bool
}

// Stream delivers batches. It is used by one goroutine.
type Stream interface {
	// Next waits for the next commit. It fails with the context's error, ErrCompacted when the reader fell behind what is
	// retained, and ErrClosed when the store was closed.
	Next(ctx context.Context) (Batch, error)
	// Close ends the stream and frees what it holds.
	Close() error
}

// HistoryQuery selects entries: of one object, by Key, or of all objects of Kind, those that are gone included. One of the two is needed, and not both: otherwise
// History fails with ErrInvalid.
type HistoryQuery struct {
	Key resource.Key
	// Kind selects the objects of a kind, Namespace those of a namespace of it ("" is all).
	Kind      resource.KindID
	Namespace resource.Namespace

	// UID ("" is any), Types (none is all), Since (entries at or after it; zero is all) and After (entries of later revisions) narrow both.
	UID   resource.UID
	Types []EntryType
	Since time.Time
	After resource.Revision

	// Limit, by Key, keeps the newest so many; 0 means 1,000. By Kind it ends a page: after so many entries (0 means 10,000) the answer goes on to the last entry of
	// that revision, which is never cut in two. The next page is asked for with After, the revision of the last entry that was received; an answer with fewer
	// entries than Limit is the last one.
	Limit int
}

// Entry is one line of an object's history.
type Entry struct {
	Revision resource.Revision `json:"revision"`
	At       time.Time         `json:"at"`
	Key      resource.Key      `json:"-"`
	UID      resource.UID      `json:"uid"`
	// Type is "Transition", "Created", "Removed", "Event", "Signal" or "Command".
	Type EntryType       `json:"type"`
	From lifecycle.State `json:"from,omitempty"`
	To   lifecycle.State `json:"to,omitempty"`
	// Reason is a CamelCase word, Message a sentence.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	Writer  Writer `json:"writer"`
	Cause   Cause  `json:"cause,omitzero"`
}

// EntryType tells the kinds of history entries apart.
type EntryType string

// The entry types. EntryCommand is recorded when a command reaches a phase in which nothing is sent any more.
const (
	EntryCreated    EntryType = "Created"
	EntryRemoved    EntryType = "Removed"
	EntryTransition EntryType = "Transition"
	EntryEvent      EntryType = "Event"
	EntrySignal     EntryType = "Signal"
	EntryCommand    EntryType = "Command"
)

// Scope names what a lease is about: "plane", "shard/17".
type Scope string

// Lease is a lease that was acquired.
type Lease struct {
	Scope Scope
	// Holder names one run of one process. It must not be used again by the next run, which would be taken for this one.
	Holder string
	// Epoch is the fencing token: it rises with every change of holder.
	Epoch resource.Epoch
	// Expires is when others may take it, by the clock that the store's leases live by. It is for messages: to compare it with a
	// process's own clock is to trust that the two agree.
	Expires time.Time
}
