package alert

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// MaxExamples is how many objects a group names.
const MaxExamples = 10

// TooManyGroups is the cause of the one group, without kind and state, that holds what found no place in a group of its own.
const TooManyGroups Cause = "TooManyGroups"

// Key is what the objects of a group have in common.
type Key struct {
	Kind  resource.KindID
	State lifecycle.State
	Cause Cause
}

// Compare orders keys by kind, state and cause.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Kind, o.Kind), cmp.Compare(k.State, o.State), cmp.Compare(k.Cause, o.Cause))
}

// Fingerprint tells a group from every other: 16 hexadecimal digits. It is the same on every node and after a restart.
type Fingerprint string

// Fingerprint is made of kind, state and cause, and of nothing else.
func (k Key) Fingerprint() Fingerprint {
	sum := sha256.Sum256([]byte(string(k.Kind) + "\x00" + string(k.State) + "\x00" + string(k.Cause)))
	return Fingerprint(hex.EncodeToString(sum[:8]))
}

// Example is one object of a group.
type Example struct {
	Object  resource.Key `json:"object"`
	Since   time.Time    `json:"since"`
	Message string       `json:"message,omitempty"`
}

// Group is what many objects suffer from together.
type Group struct {
	Key         Key
	Fingerprint Fingerprint
	// Count is how many objects are in it; when several sources say the same of one object, each counts.
	Count int
	// Severity is the highest of any in it.
	Severity Severity
	// Since is the earliest beginning of any trouble that has been in it since it was last told as cleared. It never rises in between.
	Since time.Time
	// Examples are those whose trouble is oldest, at most MaxExamples.
	Examples []Example
}

// Summary is one line for people: "1000 Device.edge.example in state Provisioning: NoCapacity".
func (g *Group) Summary() string {
	s := fmt.Sprintf("%d", g.Count)
	if g.Key.Kind != "" {
		s += " " + string(g.Key.Kind)
	}
	if g.Key.State != "" {
		s += " in state " + string(g.Key.State)
	}
	return s + ": " + string(g.Key.Cause)
}

// Event says what has happened to a group.
type Event string

// What can happen to a group.
const (
	// Raised: it was empty, or has not been told of.
	Raised Event = "raised"
	// Changed: the severity changed, the count doubled or halved, or it differs from what was told a while ago.
	Changed Event = "changed"
	// Repeated: it is still there, as it was.
	Repeated Event = "repeated"
	// Cleared: nobody is in it any more. The group is as it was told last, with a count of 0.
	Cleared Event = "cleared"
)

// Change is one thing worth telling.
type Change struct {
	Event Event
	Group Group
	// At is when it was noticed. It is never before Group.Since.
	At time.Time
	// inherited: receivers may have heard of the group from somebody else.
	inherited bool
}
