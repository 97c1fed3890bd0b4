package view

import (
	"iter"
	"sync/atomic"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Snapshot shows the view as it was when the snapshot was taken, until it is closed. Taking and closing one costs well under
// a microsecond; holding one costs the versions that are replaced meanwhile. It may be used concurrently. Using it after Close panics, since
// what it stood for may be gone.
type Snapshot struct {
	view   *View
	cut    *cut
	closed atomic.Bool
}

// Snapshot takes a snapshot of the present. The caller closes it.
func (v *View) Snapshot() *Snapshot {
	v.mu.RLock()
	cut := v.clock.present
	cut.refs.Add(1)
	v.mu.RUnlock()
	return &Snapshot{view: v, cut: cut}
}

// Close gives the snapshot up. It may be called more than once.
func (s *Snapshot) Close() {
	if s.closed.Swap(true) {
		return
	}
	// The cut's place does not change while the read lock is held.
	s.view.mu.RLock()
	last := s.cut.refs.Add(-1) == 0 && s.cut != s.view.clock.present
	s.view.mu.RUnlock()
	if last {
		s.view.closed()
	}
}

// Revision is the commit up to which the snapshot shows everything, and nothing of later ones.
func (s *Snapshot) Revision() resource.Revision {
	s.use()
	return s.cut.revision
}

// use returns the moment the snapshot shows.
func (s *Snapshot) use() sequence {
	if s.closed.Load() {
		panic("view: snapshot used after Close")
	}
	return s.cut.sequence
}

// Get returns the object with a key, and whether there is one.
func (s *Snapshot) Get(key resource.Key) (*resource.Object, bool) {
	at := s.use()
	s.view.mu.RLock()
	o := s.view.objects.find(key, at)
	s.view.mu.RUnlock()
	return o, o != nil
}

// ByUID returns the object with a UID, and whether it exists. A namesake created later is another object.
func (s *Snapshot) ByUID(uid resource.UID) (*resource.Object, bool) {
	at := s.use()
	s.view.mu.RLock()
	defer s.view.mu.RUnlock()
	e := s.view.uids[uid]
	if e == nil {
		return nil, false
	}
	o := e.at(at)
	if o == nil || o.UID != uid {
		return nil, false
	}
	return o, true
}

// Children returns the objects that name a UID among their owners, sorted by kind, then by child name, then by key.
func (s *Snapshot) Children(owner resource.UID) []*resource.Object {
	at := s.use()
	a := string(owner)
	return collect(walk[ref[resource.Object], resource.Object]{
		mu: &s.view.mu, tree: s.view.children, from: ref[resource.Object]{a: a}, at: true,
		see: func(r ref[resource.Object]) (*resource.Object, bool) {
			if r.a != a {
				return nil, false
			}
			o := r.entry.at(at)
			if o == nil {
				return nil, true
			}
			if i, ok := childOf(o, owner); !ok || o.Owners[i].Child != r.b {
				return nil, true
			}
			return o, true
		},
	})
}

// List yields the objects of a kind, sorted by namespace and name; with a namespace only those in it. An object that is deleted
// while the list is being read is still yielded: the list is of the snapshot.
func (s *Snapshot) List(kind resource.KindID, ns resource.Namespace) iter.Seq[*resource.Object] {
	return s.ListAfter(resource.Key{Kind: kind, Namespace: ns}, ns)
}

// ListAfter is [Snapshot.List] from the first object behind a key on, of the key's kind; with a namespace only those in it.
func (s *Snapshot) ListAfter(key resource.Key, ns resource.Namespace) iter.Seq[*resource.Object] {
	at := s.use()
	pages := walk[item[resource.Key, resource.Object], resource.Object]{
		mu: &s.view.mu, tree: s.view.objects.order, from: item[resource.Key, resource.Object]{place: &key}, at: true,
		see: func(i item[resource.Key, resource.Object]) (*resource.Object, bool) {
			have := &i.entry.value.Key
			if have.Kind != key.Kind || ns != "" && have.Namespace != ns {
				return nil, false
			}
			if *have == key {
				return nil, true
			}
			return i.entry.at(at), true
		},
	}.all()
	return guarded(s, pages)
}

// guarded stops an iteration that outlives its snapshot, before the next value.
func guarded[V any](s *Snapshot, seq iter.Seq[*V]) iter.Seq[*V] {
	return func(yield func(*V) bool) {
		s.use()
		for v := range seq {
			if !yield(v) {
				return
			}
			s.use()
		}
	}
}

// Command returns the command in a slot, and whether there is one.
func (s *Snapshot) Command(slot command.Slot) (*command.Command, bool) {
	at := s.use()
	s.view.mu.RLock()
	c := s.view.commands.find(slot, at)
	s.view.mu.RUnlock()
	return c, c != nil
}

// Commands returns the commands of an object, sorted by adapter and natural key.
func (s *Snapshot) Commands(owner resource.UID) []*command.Command {
	at := s.use()
	return collect(walk[item[command.Slot, command.Command], command.Command]{
		mu: &s.view.mu, tree: s.view.commands.order, from: item[command.Slot, command.Command]{place: &command.Slot{Owner: owner}}, at: true,
		see: func(i item[command.Slot, command.Command]) (*command.Command, bool) {
			return i.entry.at(at), i.entry.value.Owner == owner
		},
	})
}

// OpenCommands yields the commands that are still to be sent, or asked about, sorted by slot.
func (s *Snapshot) OpenCommands() iter.Seq[*command.Command] {
	at := s.use()
	return guarded(s, walk[ref[command.Command], command.Command]{
		mu: &s.view.mu, tree: s.view.open,
		see: func(r ref[command.Command]) (*command.Command, bool) {
			if c := r.entry.at(at); c != nil && c.Phase.Open() {
				return c, true
			}
			return nil, true
		},
	}.all())
}

// Expected yields the commands of an adapter that are acknowledged and not withdrawn, sorted by destination and natural key;
// with a destination only those for it.
func (s *Snapshot) Expected(adapter command.AdapterName, destination string) iter.Seq[*command.Command] {
	at := s.use()
	a := string(adapter)
	return guarded(s, walk[ref[command.Command], command.Command]{
		mu: &s.view.mu, tree: s.view.expected, from: ref[command.Command]{a: a, b: destination}, at: true,
		see: func(r ref[command.Command]) (*command.Command, bool) {
			if r.a != a || destination != "" && r.b != destination {
				return nil, false
			}
			c := r.entry.at(at)
			if c == nil || c.Phase != command.Done || c.Request == nil || c.Destination != r.b {
				return nil, true
			}
			return c, true
		},
	}.all())
}

// Signals returns the signals that wait for an object, oldest first, those whose time is over included: the driver removes them.
func (s *Snapshot) Signals(uid resource.UID) []store.Signal {
	at := s.use()
	var found []store.Signal
	for row := range (walk[item[signalKey, signalRow], signalRow]{
		mu: &s.view.mu, tree: s.view.signals.order, from: item[signalKey, signalRow]{place: &signalKey{uid: uid}}, at: true,
		see: func(i item[signalKey, signalRow]) (*signalRow, bool) { return i.entry.at(at), i.entry.value.uid == uid },
	}).all() {
		found = append(found, row.Signal)
	}
	return found
}

// Timer returns a controller's timer on an object, and whether there is one.
func (s *Snapshot) Timer(controller string, key resource.Key) (store.Timer, bool) {
	at := s.use()
	s.view.mu.RLock()
	row := s.view.timers.find(timerKey{object: key, controller: controller}, at)
	s.view.mu.RUnlock()
	if row == nil {
		return store.Timer{}, false
	}
	return row.timer(), true
}

// Timers yields all timers, sorted by object and controller.
func (s *Snapshot) Timers() iter.Seq[store.Timer] {
	at := s.use()
	rows := guarded(s, walk[item[timerKey, timerRow], timerRow]{
		mu: &s.view.mu, tree: s.view.timers.order,
		see: func(i item[timerKey, timerRow]) (*timerRow, bool) { return i.entry.at(at), true },
	}.all())
	return func(yield func(store.Timer) bool) {
		for row := range rows {
			if !yield(row.timer()) {
				return
			}
		}
	}
}

// collect reads a whole walk.
func collect[T, V any](w walk[T, V]) []*V {
	var found []*V
	for v := range w.all() {
		found = append(found, v)
	}
	return found
}
