package command

import (
	"context"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// Call is one attempt of a command, as an adapter sees it.
type Call struct {
	Token       Token
	Epoch       resource.Epoch
	Intent      uint64
	Key         string
	Destination string
	// Request is nil when the effect is to be absent.
	Request []byte
	// Scope is what the epoch is of: "" when all calls have one, "shard/17" when each shard has its own. Epochs of different scopes are not to be compared.
	Scope string
	// Previous is the last acknowledged result of the slot, nil when there was none.
	Previous []byte
	// Handle is set when the subsystem accepted this token before and is asked how far it is.
	Handle  string
	Attempt int
	// Object names the owner, for logs and for subsystems that label what they make.
	Object resource.Key
}

// Outcome is the kind of an attempt's end.
type Outcome string

const (
	// OutcomeDone: the effect holds; Body is the answer.
	OutcomeDone Outcome = "done"
	// OutcomeAccepted: the subsystem has it and goes on by itself; ask again after RetryAfter.
	OutcomeAccepted Outcome = "accepted"
	// OutcomeRefused: nothing was done. Class says whether repeating can help.
	OutcomeRefused Outcome = "refused"
	// OutcomeFailed: something was done, not all of it. The same token finishes or replaces it.
	OutcomeFailed Outcome = "failed"
	// OutcomeUnknown: no answer after the request was sent. It is looked up or repeated by token, never guessed.
	OutcomeUnknown Outcome = "unknown"
)

// Class says what an error asks of the one who repeats.
type Class string

const (
	// Retry: again with exponential backoff and jitter.
	Retry Class = "Retry"
	// Throttled: again, not before a moment the subsystem named.
	Throttled Class = "Throttled"
	// Terminal: repeating the same request cannot help.
	Terminal Class = "Terminal"
	// Ambiguous: it may or may not have happened.
	Ambiguous Class = "Ambiguous"
	// Stale: a newer epoch or intent has been seen there; the sender is not the owner any more.
	Stale Class = "Stale"
)

// Result is the end of one attempt.
type Result struct {
	Outcome Outcome
	Class   Class
	// Body is the subsystem's answer (JSON, by convention), at most 1 MiB.
	Body    []byte
	Handle  string
	Message string
	// RetryAfter is a hint: the earliest sensible moment for the next attempt, counted from now.
	RetryAfter time.Duration
}

// Adapter is the one way to a subsystem. Do makes one attempt and says how it ended; it must honour the
// context, may be called concurrently for different units of order, and must send Call.Token so
// that a repeat has no second effect. A panic or an unset Outcome counts as unknown.
type Adapter interface {
	Do(context.Context, Call) Result
}

// LookUp is the optional capability of asking a subsystem what became of a token after an
// attempt whose end is unknown. known is false when the subsystem has not seen the token, so that
// sending it is the first time.
type LookUp interface {
	LookUp(context.Context, Call) (r Result, known bool, err error)
}

// Overlapping is the optional capability of an adapter to say that calls of one unit of order may overlap. Where several nodes divide the work, a unit orders the commands of the objects in one shard; when
// objects of different shards have commands in one unit, several nodes send them, each in its own order. That is told to people as a mistake, unless the adapter says that its subsystem
// bears it: by comparing what it finds before it changes it, for example.
type Overlapping interface {
	Overlaps() bool
}

// Observer is the optional capability of telling the engine what a subsystem noticed by itself. Observe
// runs for as long as the plane does, reconnects by itself, and returns when ctx ends. It asks for
// batches of changes; it never polls per resource.
type Observer interface {
	Observe(ctx context.Context, desk Desk) error
}

// Desk is where an Observer looks up what should be, and reports what is not.
type Desk interface {
	// Expected lists what has been acknowledged and not withdrawn at a destination ("" is all).
	Expected(destination string) []Expectation
	// Lost reports effects that no longer hold. An entry whose token is not the slot's current one,
	// or is not done, is ignored: the news is old.
	Lost(ctx context.Context, losses []Loss) error
	// Raise raises signals on objects, in as few commits as possible: what a sensor has noticed, one notice per change and not one per look. A notice that stands already, under
	// the same Dedupe, is not raised again; one whose object is gone is dropped; one that the object's kind forbids is recorded in its history. It returns when
	// all that could be raised is durable.
	Raise(ctx context.Context, notices []Notice) error
}

// Notice is a signal that a sensor raises.
type Notice struct {
	Object resource.Key
	// UID, when set, is that of the object meant: a notice for a former namesake is dropped.
	UID    resource.UID
	Signal lifecycle.SignalName
	// Payload is JSON or nil, Why a sentence for people.
	Payload []byte
	Why     string
	// Dedupe is what the notice is about; while a signal of this name and Dedupe stands, another says nothing new. "" is a value like others.
	Dedupe string
	// For is how long it means something, 0 for ever.
	For time.Duration
}

// Expectation is one acknowledged effect.
type Expectation struct {
	Key         string
	Destination string
	Token       Token
	Intent      uint64
	Request     []byte
	Result      []byte
	Object      resource.Key
}

// Loss says that an acknowledged effect no longer holds.
type Loss struct {
	Key string
	// Token of the acknowledged effect.
	Token  Token
	Reason string
}
