package control

import (
	"sync"

	"github.com/setpointhq/setpoint/resource"
)

// dependencies are what a turn has read beside its own object, children and commands: a change of any wakes it.
type dependencies struct {
	keys  map[resource.Key]struct{}
	kinds map[resource.KindID]struct{}
}

func (d *dependencies) key(k resource.Key) {
	if d.keys == nil {
		d.keys = map[resource.Key]struct{}{}
	}
	d.keys[k] = struct{}{}
}

func (d *dependencies) kind(k resource.KindID) {
	if d.kinds == nil {
		d.kinds = map[resource.KindID]struct{}{}
	}
	d.kinds[k] = struct{}{}
}

func (d *dependencies) empty() bool { return len(d.keys)+len(d.kinds) == 0 }

// subscriber is an object's turn that depends on something.
type subscriber struct {
	loop *loop
	key  resource.Key
}

// subscriptions are the dependencies of all turns, both ways round.
type subscriptions struct {
	mu      sync.Mutex
	of      map[subscriber]dependencies
	byKey   map[resource.Key]map[subscriber]struct{}
	byKind  map[resource.KindID]map[subscriber]struct{}
	changed map[resource.KindID]resource.Revision
}

func newSubscriptions() *subscriptions {
	return &subscriptions{
		of:      map[subscriber]dependencies{},
		byKey:   map[resource.Key]map[subscriber]struct{}{},
		byKind:  map[resource.KindID]map[subscriber]struct{}{},
		changed: map[resource.KindID]resource.Revision{},
	}
}

// set replaces what a turn depends on. It reports whether something of a listed kind has changed after the
// revision that the turn read, which nobody told it because it was not subscribed yet.
func (s *subscriptions) set(who subscriber, d dependencies, read resource.Revision) (missed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, had := s.of[who]
	if !had && d.empty() {
		return false
	}
	for k := range old.keys {
		drop(s.byKey, k, who)
	}
	for k := range old.kinds {
		drop(s.byKind, k, who)
	}
	if d.empty() {
		delete(s.of, who)
		return false
	}
	s.of[who] = d
	for k := range d.keys {
		add(s.byKey, k, who)
	}
	for k := range d.kinds {
		add(s.byKind, k, who)
		missed = missed || s.changed[k] > read
	}
	return missed
}

// wake returns who depends on a key, and notes the change of its kind.
func (s *subscriptions) wake(key resource.Key, at resource.Revision) []subscriber {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed[key.Kind] = at
	if len(s.of) == 0 {
		return nil
	}
	var out []subscriber
	for who := range s.byKey[key] {
		out = append(out, who)
	}
	for who := range s.byKind[key.Kind] {
		out = append(out, who)
	}
	return out
}

func add[K, V comparable](m map[K]map[V]struct{}, k K, v V) {
	if m[k] == nil {
		m[k] = map[V]struct{}{}
	}
	m[k][v] = struct{}{}
}

func drop[K, V comparable](m map[K]map[V]struct{}, k K, v V) {
	delete(m[k], v)
	if len(m[k]) == 0 {
		delete(m, k)
	}
}
