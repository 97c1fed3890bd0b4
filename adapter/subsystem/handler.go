package subsystem

import (
	"context"
	"encoding/json"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// Effect is what a call changed.
type Effect string

const (
	// NoEffect: everything was as asked for already. No line is written to the ledger.
	NoEffect Effect = ""
	// Create, Update and Delete are the finished effects. A token has at most one of them per memory.
	Create Effect = "create"
	Update Effect = "update"
	Delete Effect = "delete"
	// Partial: something was done and the call failed. The same token finishes it.
	Partial Effect = "partial"
	// Restored: an effect was taught again after the memory was lost.
	Restored Effect = "restore"
	// LostEffect: an effect was noticed to be gone.
	LostEffect Effect = "lost"
	// Forgot: the memory was erased.
	Forgot Effect = "forget"
)

// Entry is what a server remembers of one key.
type Entry struct {
	Key    string         `json:"key"`
	Token  command.Token  `json:"token"`
	Scope  string         `json:"scope,omitempty"` // of the epoch
	Epoch  resource.Epoch `json:"epoch"`
	Intent uint64         `json:"intent"`
	// Request is nil when the key was asked to be absent.
	Request json.RawMessage `json:"request,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Object  Object          `json:"object"`
	// Outcome is done, accepted or failed.
	Outcome command.Outcome `json:"outcome"`
	// Lost is the reason when the effect no longer holds.
	Lost string `json:"lost,omitempty"`
}

// Change is one wish that passed the fence and was not answered before.
type Change struct {
	Key    string
	Token  command.Token
	Scope  string // of the epoch
	Epoch  resource.Epoch
	Intent uint64
	// Request is nil when the effect is to be absent.
	Request []byte
	// Previous is the last result that the caller has on record; a repair asks for the same one again with it.
	Previous []byte
	// Handle is set when an earlier call of this token was accepted.
	Handle string
	Object Object
	// Standing is what this server remembers of the key, nil when nothing. Its token equals the change's when an earlier
	// attempt of it was accepted or failed half-way.
	Standing *Entry
	// StopHalfway is the fault: leave a partial effect, and answer with [Fail].
	StopHalfway bool
}

// Answer is what a handler says to a change. Make it with [Done], [Accept], [Refuse] or [Fail].
type Answer struct {
	Outcome    command.Outcome
	Class      command.Class
	Result     []byte
	Handle     string
	Message    string
	RetryAfter time.Duration
	Effect     Effect
	// Detail goes into the ledger.
	Detail string
}

// Done says that the wish holds. result is JSON or nil; effect says what this call changed, [NoEffect] for nothing.
func Done(result []byte, effect Effect, detail string) Answer {
	return Answer{Outcome: command.OutcomeDone, Result: result, Effect: effect, Detail: detail}
}

// Accept says that work goes on; the caller asks again, with the same token and this handle, not before after.
func Accept(handle string, after time.Duration) Answer {
	return Answer{Outcome: command.OutcomeAccepted, Handle: handle, RetryAfter: after}
}

// Refuse says that nothing was done. class is Retry, Throttled or Terminal.
func Refuse(class command.Class, message string) Answer {
	return Answer{Outcome: command.OutcomeRefused, Class: class, Message: message}
}

// Fail says that a part was done. partial is remembered as the key's result, so that the next attempt finds it in
// [Change.Standing]; it is not sent to the caller.
func Fail(partial []byte, message, detail string) Answer {
	return Answer{
		Outcome: command.OutcomeFailed, Class: command.Retry, Result: partial,
		Message: message, Effect: Partial, Detail: detail,
	}
}

// LoseFunc announces that the effect of token no longer holds. It is ignored when another token has replaced it.
type LoseFunc func(key string, token command.Token, reason string) error

// Handler is what an author writes. Calls for one key never overlap; calls for different keys do. No method is called
// while Forget runs.
//
//   - Start is called once, before anything else, with what the server remembers. lose may be kept and called at any
//     time, from any goroutine, also while the call that makes the effect is still under way.
//   - Apply makes the change. It is called again for a token whose earlier attempt was refused, accepted or failed, or was
//     cut off by a crash, so it has to finish what it finds; it is never called again for a token that is done. A panic
//     leaves the caller without an answer. ctx ends when the server shuts down, not when the caller goes away.
//   - Restore takes up an effect that was acknowledged before the memory was lost. An error says that it cannot be had
//     again, and why; it is announced as lost. It does not matter that an item was restored before.
//   - Forget drops everything, as a machine does that is replaced.
type Handler interface {
	Start(remembered []Entry, lose LoseFunc) error
	Apply(ctx context.Context, change Change) Answer
	Restore(ctx context.Context, item RestoreItem) error
	Forget(ctx context.Context) error
}
