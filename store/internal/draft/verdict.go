package draft

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Conflict says that an object is at another revision than was expected.
func Conflict(key resource.Key, expected, actual resource.Revision) *store.CommitError {
	return &store.CommitError{Err: store.ErrConflict, Key: key, Expected: expected, Actual: actual}
}

// CommandConflict says that a command is at another revision than was expected.
func CommandConflict(c *command.Command, expected, actual resource.Revision) *store.CommitError {
	return &store.CommitError{Err: store.ErrConflict, Key: c.Object, Expected: expected, Actual: actual,
		Detail: fmt.Sprintf("command %s: expected revision %d, it is at %d; read it again and repeat", c.Slot, expected, actual)}
}

// SignalGone says that a signal cannot be consumed.
func SignalGone(id store.SignalID) *store.CommitError {
	return &store.CommitError{Err: store.ErrConflict, Detail: fmt.Sprintf("signal %d is gone: another commit consumed it, or its object was removed", id)}
}

// SignalSince says that another signal stands than those by which a raiser judged.
func SignalSince(g *store.Signal, newest resource.Revision) *store.CommitError {
	return &store.CommitError{Err: store.ErrConflict, Key: g.Object, Expected: g.Seen, Actual: newest,
		Detail: fmt.Sprintf("signal %s: it was judged by what stood at revision %d, and another signal was raised on the object at revision %d; judge it again, by what stands then, and repeat", g.Name, g.Seen, newest)}
}

// HangsOn judges whether something of the object with a UID ("" for whichever has the key) belongs to the object that has the key now, whose UID is have ("" for
// none). It returns nil when it does.
func HangsOn(key resource.Key, uid, have resource.UID, what string) *store.CommitError {
	switch {
	case have == "":
		return &store.CommitError{Err: store.ErrConflict, Key: key, Detail: what + ": there is no such object"}
	case uid != "" && uid != have:
		return &store.CommitError{Err: store.ErrConflict, Key: key,
			Detail: fmt.Sprintf("%s: it is for the object with UID %s; the one that has the name now has UID %s", what, uid, have)}
	}
	return nil
}

// Fenced says that a lease has another epoch; have is nil when nobody ever had it.
func Fenced(f store.Fence, have *store.Lease) *store.CommitError {
	now := "nobody has it"
	if have != nil {
		now = fmt.Sprintf("it is at epoch %s, held by %q", have.Epoch, have.Holder)
	}
	return &store.CommitError{Err: store.ErrFenced, Detail: fmt.Sprintf("lease %s: written under epoch %s, %s", f.Scope, f.Epoch, now)}
}

// Broken says which rule of a kind forbids a write.
func Broken(key resource.Key, format string, args ...any) *store.CommitError {
	return &store.CommitError{Err: store.ErrRule, Key: key, Detail: fmt.Sprintf(format, args...)}
}

// UnknownState says that a new object is in a state that its kind does not have.
func UnknownState(key resource.Key, state lifecycle.State, known []lifecycle.State) *store.CommitError {
	return Broken(key, "state %q is not in the table of kind %s, which has %s", state, key.Kind, listStates(known))
}

// IllegalTransition says that the table of the kind has no such transition.
func IllegalTransition(key resource.Key, from, to lifecycle.State, may []lifecycle.State) *store.CommitError {
	return Broken(key, "kind %s does not allow the transition from %q to %q; from %q it may go to %s", key.Kind, from, to, from, listStates(may))
}

// StrayState says that a table cannot be replaced because of an object.
func StrayState(key resource.Key, state lifecycle.State, known []lifecycle.State) *store.CommitError {
	return Broken(key, "it is in state %q, which the new table of the kind does not have (%s); move such objects first, or keep the state", state, listStates(known))
}

// Held says who keeps an object from being removed.
func Held(o *resource.Object) *store.CommitError {
	return Broken(o.Key, "it cannot be removed while it is held by %v: ask for its deletion and let the holders finish, or take their finalizers away first", o.Finalizers)
}

// OtherUID says that a write is of a namesake.
func OtherUID(o *resource.Object, have resource.UID) *store.CommitError {
	return Invalid(o.Key, "its UID is %s and never changes; the write has %s", have, o.UID)
}

// OtherCreation says that a write has another time of creation.
func OtherCreation(o *resource.Object, have time.Time) *store.CommitError {
	return Invalid(o.Key, "its time of creation is %s and never changes; the write has %s", have, o.Created)
}

// LowerGeneration says that a write is of an older generation.
func LowerGeneration(o *resource.Object, have resource.Generation) *store.CommitError {
	return Invalid(o.Key, "its generation is %d and only rises; the write has %d", have, o.Generation)
}

// DeletionTakenBack says that a deletion stays.
func DeletionTakenBack(o *resource.Object, have time.Time) *store.CommitError {
	return Broken(o.Key, "its deletion was asked for at %s, which is never taken back", have)
}

// Invalid says what is wrong with the form of a transaction.
func Invalid(key resource.Key, format string, args ...any) *store.CommitError {
	return &store.CommitError{Err: store.ErrInvalid, Key: key, Detail: fmt.Sprintf(format, args...)}
}

// TooLarge says what is over its cap.
func TooLarge(key resource.Key, what string, size, limit int) *store.CommitError {
	return &store.CommitError{Err: store.ErrTooLarge, Key: key, Detail: fmt.Sprintf("%s has %d bytes, the limit is %d", what, size, limit)}
}

// Sentence is what the history says of a command.
func Sentence(c *command.Command) string {
	if c.Message == "" {
		return c.Slot.String()
	}
	return c.Slot.String() + ": " + c.Message
}

// Raised is what the history says of a signal.
func Raised(s *store.Signal) string {
	switch {
	case s.By == "":
		return s.Why
	case s.Why == "":
		return "raised by " + s.By
	}
	return "raised by " + s.By + ": " + s.Why
}

func listStates(list []lifecycle.State) string {
	if len(list) == 0 {
		return "none"
	}
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = fmt.Sprintf("%q", s)
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}
