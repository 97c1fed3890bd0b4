package setpointtest

import (
	"slices"

	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// twist makes the orders for a boundary part of the commit before it. It reports false when the plane dies instead.
func (w *witness) twist(s *subject, tx *store.Transaction, at int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := s.written() + 1
	if n > s.most() {
		s.wild = true
	}
	if w.closing > 0 {
		return true
	}
	for i, o := range s.Orders {
		if o.What == OrderCrashBefore && o.After == n-1 && !s.crashed[i] {
			s.crashed[i] = true
			w.kill()
			return false
		}
	}
	tx.Objects, tx.Raise = slices.Clone(tx.Objects), slices.Clone(tx.Raise)
	for _, o := range s.Orders {
		if o.After == n {
			w.order(s, o, tx, at)
		}
	}
	return true
}

// kill ends the plane; w.mu is held.
func (w *witness) kill() {
	w.tap.kill()
	select {
	case w.died <- struct{}{}:
	default:
	}
}

// order makes one order part of a commit; w.mu is held.
func (w *witness) order(s *subject, o Order, tx *store.Transaction, at int) {
	object := tx.Objects[at].Object
	leaving := object.Deleting() && len(object.Finalizers) == 0
	switch {
	case leaving:
	case o.What == OrderDelete && !object.Deleting():
		next := object.Clone()
		next.Deleted, next.Generation = now(), object.Generation+1
		tx.Objects[at].Object = next
	case o.What == OrderRaise:
		if signal, ok := w.signal(s, o.Signal, object, tx); ok {
			tx.Raise = append(tx.Raise, signal)
		}
	}
}

// signal makes a signal, unless the table forbids it beside those that will stand.
func (w *witness) signal(s *subject, name lifecycle.SignalName, object *resource.Object, tx *store.Transaction) (store.Signal, bool) {
	def := w.program.def
	r := Raised{Name: name, State: object.State, Beside: s.beside(tx)}
	_, forbidden := decide.Forbidden(def.Lifecycle, def.Decisions, object.State, append([]lifecycle.SignalName{name}, r.Beside...))
	r.Refused = forbidden && !general(name)
	s.raises = append(s.raises, r)
	signal := store.Signal{Object: s.key, UID: s.uid, Name: name, By: "api:fuzz", At: now(), Why: "the case says so"}
	if w.program.payload != nil && !general(name) {
		signal.Payload = s.named(w.program.payload(s.Case, name))
	}
	return signal, !r.Refused
}

// beside lists the signals of the table that will stand after a commit.
func (s *subject) beside(tx *store.Transaction) (names []lifecycle.SignalName) {
	add := func(name lifecycle.SignalName) {
		if !general(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for id, have := range s.signals {
		if have.consumed == 0 && !slices.Contains(tx.Consume, id) {
			add(have.Name)
		}
	}
	for _, have := range tx.Raise {
		if have.UID == s.uid {
			add(have.Name)
		}
	}
	slices.Sort(names)
	return names
}
