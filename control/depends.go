package control

import (
	"sync"

	"github.com/setpointhq/setpoint/resource"
)

// dependencies are what a turn has read beside its own object, children and commands: a change of any wakes it (C2).
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

// subscriptions are one controller's dependencies, both ways round.
type subscriptions struct {
	mu      sync.Mutex
	of      map[resource.Key]dependencies
	byKey   map[resource.Key]map[resource.Key]struct{}
	byKind  map[resource.KindID]map[resource.Key]struct{}
	changed map[resource.KindID]resource.Revision
}

func newSubscriptions() *subscriptions {
	return &subscriptions{
		of:      map[resource.Key]dependencies{},
		byKey:   map[resource.Key]map[resource.Key]struct{}{},
		byKind:  map[resource.KindID]map[resource.Key]struct{}{},
		changed: map[resource.KindID]resource.Revision{},
	}
}

// set replaces what the turn of key depends on. It reports whether something of a listed kind has changed after the
// revision that the turn read, which nobody told it because it was not subscribed yet.
func (s *subscriptions) set(key resource.Key, d dependencies, read resource.Revision) (missed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, had := s.of[key]
	if !had && d.empty() {
		return false
	}
	for k := range old.keys {
		drop(s.byKey, k, key)
	}
	for k := range old.kinds {
		drop(s.byKind, k, key)
	}
	if d.empty() {
		delete(s.of, key)
		return false
	}
	s.of[key] = d
	for k := range d.keys {
		add(s.byKey, k, key)
	}
	for k := range d.kinds {
		add(s.byKind, k, key)
		missed = missed || s.changed[k] > read
	}
	return missed
}

// wake returns who depends on a key, and notes the change of its kind.
func (s *subscriptions) wake(key resource.Key, at resource.Revision) []resource.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed[key.Kind] = at
	if len(s.of) == 0 {
		return nil
	}
	var out []resource.Key
	for k := range s.byKey[key] {
		out = append(out, k)
	}
	for k := range s.byKind[key.Kind] {
		out = append(out, k)
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
