package availability

import (
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// ChangeType tells the changes of an object apart. The values are those of store.EntryType.
type ChangeType string

const (
	// Created: the object came to be, in state To.
	Created ChangeType = "Created"
	// Transition: it went from one state to another.
	Transition ChangeType = "Transition"
	// Removed: it ceased to exist, in state From.
	Removed ChangeType = "Removed"
)

// Change is one line of an object's history. Of a store.Entry e it is
//
//	availability.Change{
//		Type: availability.ChangeType(e.Type), At: e.At, UID: e.UID, From: e.From, To: e.To,
//		Reason: e.Reason, Cause: e.Cause.Text, Revision: e.Revision,
//	}
//
// Entries of other types (events, signals, commands) may be among them: they say nothing about the state and are passed over.
type Change struct {
	Type ChangeType
	// At is the time by the clock of the node that committed it.
	At       time.Time
	UID      resource.UID
	From, To lifecycle.State
	// Reason, Cause and Revision explain an outage that begins with this change.
	Reason, Cause string
	Revision      resource.Revision
}

// Present is what an object that exists says about itself. It makes up for a history that has been forgotten: an object that has been
// well for a year may have no line left. It should have been read at about the same time as the history: of the two, the newer one is right
// about the end.
type Present struct {
	// Created is when it was created, State where it is, Since when it came there (the object's StateSince).
	Created time.Time
	State   lifecycle.State
	Since   time.Time
}

// History is all that is known about one object.
type History struct {
	Key resource.Key
	UID resource.UID
	// Now is the object as it is: the zero Present when it is gone, or not at hand.
	Now Present
	// Kept is a time since which every change is among Changes, as the retention of the history has it; zero when that is not known.
	// Between it and the first change the object was in the state that this change left.
	Kept time.Time
	// Changes are in the order of their revisions, oldest first. The order decides, not the clocks.
	Changes []Change
}
