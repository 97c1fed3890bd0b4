package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// State is what a reader knows that has applied a scan, and the batches after it. Two states are equal when their String is.
type State struct {
	// Revision is that of the last batch applied.
	Revision resource.Revision
	Objects  map[resource.Key]*resource.Object
	Commands map[command.Slot]command.Command
	Signals  map[store.SignalID]store.Signal
	Timers   map[TimerSlot]store.Timer
}

// TimerSlot is the identity of a timer.
type TimerSlot struct {
	UID        resource.UID
	Controller string
}

// NewState is an empty one, as of revision 0.
func NewState() *State {
	return &State{
		Objects:  map[resource.Key]*resource.Object{},
		Commands: map[command.Slot]command.Command{},
		Signals:  map[store.SignalID]store.Signal{},
		Timers:   map[TimerSlot]store.Timer{},
	}
}

// ScanState reads a store into a state.
func ScanState(ctx context.Context, s store.Store) (*State, error) {
	state := NewState()
	rev, err := s.Scan(ctx, func(b store.Batch) error {
		state.put(b)
		return nil
	})
	state.Revision = rev
	return state, err
}

// Apply applies a commit. It fails when the commit does not follow the last one, or contradicts the state.
func (s *State) Apply(b store.Batch) error {
	if b.Revision != s.Revision+1 {
		return fmt.Errorf("revision %d follows %d", b.Revision, s.Revision)
	}
	for _, c := range b.Objects {
		have := s.Objects[c.Object.Key]
		switch {
		case c.Object.Revision != b.Revision:
			return fmt.Errorf("commit %d delivers %s at revision %d", b.Revision, c.Object.Key, c.Object.Revision)
		case c.Created != (have == nil):
			return fmt.Errorf("commit %d: created is %t for %s, which was there: %t", b.Revision, c.Created, c.Object.Key, have != nil)
		}
	}
	s.put(b)
	s.Revision = b.Revision
	return nil
}

func (s *State) put(b store.Batch) {
	for _, c := range b.Objects {
		if c.Removed {
			delete(s.Objects, c.Object.Key)
		} else {
			s.Objects[c.Object.Key] = c.Object
		}
	}
	for _, c := range b.Commands {
		if c.Removed {
			delete(s.Commands, c.Command.Slot)
		} else {
			s.Commands[c.Command.Slot] = c.Command
		}
	}
	for _, g := range b.Raised {
		s.Signals[g.ID] = g
	}
	for _, id := range b.Consumed {
		delete(s.Signals, id)
	}
	for _, t := range b.Timers {
		slot := TimerSlot{t.UID, t.Controller}
		if t.Due.IsZero() {
			delete(s.Timers, slot)
		} else {
			s.Timers[slot] = t
		}
	}
}

// String lists everything, sorted, one item a line.
func (s *State) String() string {
	var lines []string
	add := func(what string, v any) {
		text, err := json.Marshal(v)
		if err != nil {
			text = []byte(err.Error())
		}
		lines = append(lines, what+" "+string(text))
	}
	for _, o := range s.Objects {
		add("object", printed(o))
	}
	for _, c := range s.Commands {
		add("command", c)
	}
	for _, g := range s.Signals {
		add("signal", g)
	}
	for _, t := range s.Timers {
		add("timer", t)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// printed is everything about an object, in a form without methods of its own.
func printed(o *resource.Object) any {
	return struct {
		Key                         resource.Key
		UID                         resource.UID
		Generation                  resource.Generation
		Revision                    resource.Revision
		Created, Deleted, State, At any
		Attributes                  resource.Attributes
		Spec, Status                string
	}{o.Key, o.UID, o.Generation, o.Revision, o.Created.UTC(), o.Deleted.UTC(), o.State, o.StateSince.UTC(), o.Attributes, string(o.Spec), string(o.Status)}
}

// same compares two objects, revision apart.
func same(a, b *resource.Object) bool {
	x, y := a.Clone(), b.Clone()
	x.Revision, y.Revision = 0, 0
	p, errP := json.Marshal(printed(x))
	q, errQ := json.Marshal(printed(y))
	return errP == nil && errQ == nil && string(p) == string(q)
}
