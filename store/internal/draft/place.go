package draft

import (
	"slices"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// few is how many things are found faster by looking through a list than by a map. Most transactions write fewer objects.
const few = 16

// Place returns where in the transaction the object of a key is written, -1 when it is not.
func (p *Draft) Place(key resource.Key) int {
	if p.places != nil {
		if i, ok := p.places[key]; ok {
			return i
		}
		return -1
	}
	for i := range p.Tx.Objects {
		if KeyOf(&p.Tx.Objects[i]) == key {
			return i
		}
	}
	return -1
}

// Writes reports whether the transaction writes the object of a key. What hangs on such an object is right when it has the object's UID.
func (p *Draft) Writes(key resource.Key) bool { return p.Place(key) >= 0 }

// place notes where the objects are, when there are many, and refuses a key that is written twice.
func (p *Draft) place() *store.CommitError {
	if len(p.Tx.Objects) > few {
		p.places = make(map[resource.Key]int, len(p.Tx.Objects))
	}
	for i := range p.Tx.Objects {
		key := KeyOf(&p.Tx.Objects[i])
		if at := p.Place(key); at >= 0 && at < i {
			return Invalid(key, "the key is written twice")
		}
		if p.places != nil {
			p.places[key] = i
		}
	}
	return nil
}

// seenBefore finds what comes twice. Most transactions are so small that looking through a list is faster than a map.
type seenBefore[T comparable] struct {
	few  []T
	many map[T]bool
}

func (s *seenBefore[T]) again(v T) bool {
	if s.many[v] || slices.Contains(s.few, v) {
		return true
	}
	if len(s.few) < few {
		s.few = append(s.few, v)
		return false
	}
	if s.many == nil {
		s.many = map[T]bool{}
	}
	s.many[v] = true
	return false
}
