package view

import (
	"iter"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// Get returns an object as the view shows it now, and whether it exists. Two calls may see two revisions: take a [Snapshot] to read
// several things of one.
func (v *View) Get(key resource.Key) (*resource.Object, bool) {
	v.mu.RLock()
	o := v.objects.find(key, v.clock.present.sequence)
	v.mu.RUnlock()
	return o, o != nil
}

// List yields the objects of a kind, sorted by namespace and name; with a namespace only those in it. It is of one revision,
// the one at which the iteration begins.
func (v *View) List(kind resource.KindID, ns resource.Namespace) iter.Seq[*resource.Object] {
	return latest(v, func(s *Snapshot) iter.Seq[*resource.Object] { return s.List(kind, ns) })
}

// OpenCommands is [Snapshot.OpenCommands] of the moment at which the iteration begins.
func (v *View) OpenCommands() iter.Seq[*command.Command] {
	return latest(v, (*Snapshot).OpenCommands)
}

// Expected lists what has been acknowledged by an adapter and not withdrawn, at a destination ("" is all), as
// [command.Desk] asks for it. It is of one revision.
func (v *View) Expected(adapter command.AdapterName, destination string) []command.Expectation {
	s := v.Snapshot()
	defer s.Close()
	var found []command.Expectation
	for c := range s.Expected(adapter, destination) {
		found = append(found, command.Expectation{
			Key: c.Key, Destination: c.Destination, Token: c.Token, Intent: c.Intent,
			Request: c.Request, Result: c.Result, Object: c.Object,
		})
	}
	return found
}

// latest holds a snapshot for as long as an iteration runs.
func latest[V any](v *View, read func(*Snapshot) iter.Seq[V]) iter.Seq[V] {
	return func(yield func(V) bool) {
		s := v.Snapshot()
		defer s.Close()
		for x := range read(s) {
			if !yield(x) {
				return
			}
		}
	}
}
