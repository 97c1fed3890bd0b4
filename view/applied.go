package view

import (
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Applied says what one step changed, with the former versions, so that whoever has to be woken by a change can be
// found from what was as well as from what is. Everything it points at is shared and must not be changed.
//
// A commit gives one Applied. The first load, and a load after the feed was lost, give as many as needed, all of the same
// revision, each of at most [Part] changes per sort.
type Applied struct {
	Revision resource.Revision
	// At, Writer and Cause are those of the commit; zero for a load.
	At     time.Time
	Writer store.Writer
	Cause  store.Cause
	// Origin tells a commit from a load.
	Origin Origin
	// More announces that the same load has further parts. All of it is visible already.
	More bool

	Objects  []Change
	Commands []CommandChange
	Raised   []store.Signal
	// Consumed are the signals that are gone, whole.
	Consumed []store.Signal
	Timers   []TimerChange
}

// Part is the most changes of one sort that an [Applied] of a load carries.
const Part = 1024

// Origin says where a step came from.
type Origin string

const (
	// Commit: one commit of the feed.
	Commit Origin = "Commit"
	// Initial: the first load. Everything is new to the view, if not to the world.
	Initial Origin = "Initial"
	// Rescan: the difference between what the view had and what a new scan found, because commits between
	// were not to be had any more. Several changes of one row are seen as one, with nothing lost of its end.
	Rescan Origin = "Rescan"
)

// Change is an object before and after a step. An object that was deleted and one created under its name since are
// two changes, never one: Old and New always have the same UID.
type Change struct {
	// Old is nil for an object that the view did not have.
	Old *resource.Object
	// New is nil for an object that is gone.
	New *resource.Object
	// Gone is the last form of an object that is gone, with Revision set to the revision that removed it, or, after a
	// rescan, to the revision at which it was missed.
	Gone *resource.Object
	// Initial marks an object of the first load.
	Initial bool
}

// Object returns the object as the step left it: New, or Gone.
func (c Change) Object() *resource.Object {
	if c.New != nil {
		return c.New
	}
	return c.Gone
}

// CommandChange is a command before (nil: there was none) and after (nil: removed) a step.
type CommandChange struct{ Old, New *command.Command }

// TimerChange is a timer before (nil: there was none) and after (nil: cleared) a step. Old and New are timers of one UID.
type TimerChange struct{ Old, New *store.Timer }

// parts splits a load for delivery. It yields at least one part.
func (a *Applied) parts(yield func(Applied)) {
	for {
		p := *a
		p.Objects, a.Objects = split(a.Objects)
		p.Commands, a.Commands = split(a.Commands)
		p.Raised, a.Raised = split(a.Raised)
		p.Consumed, a.Consumed = split(a.Consumed)
		p.Timers, a.Timers = split(a.Timers)
		p.More = len(a.Objects)+len(a.Commands)+len(a.Raised)+len(a.Consumed)+len(a.Timers) > 0
		yield(p)
		if !p.More {
			return
		}
	}
}

func split[T any](all []T) (part, rest []T) {
	n := min(Part, len(all))
	return all[:n:n], all[n:]
}
