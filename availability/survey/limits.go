package survey

import (
	"errors"

	"github.com/setpointhq/setpoint/availability"
	"github.com/setpointhq/setpoint/store"
)

var (
	// ErrTooMuch: the window holds more transitions than are read for one answer. Ask for a shorter window, or for one namespace.
	ErrTooMuch = errors.New("too many transitions for one answer")
	// ErrNoLifecycle: the kind has no states, so its objects are neither up nor down. Give the kind a lifecycle, or ask about another one.
	ErrNoLifecycle = errors.New("the kind has no lifecycle")
)

// Limits bound what one answer reads. Values of 0 and below stand for the defaults.
type Limits struct {
	// Objects is how many objects are looked at: 10,000.
	Objects int
	// Changes is how many transitions are read: 200,000.
	Changes int
	// Lookups is of how many objects that were not healthy at the window's beginning the history before it is read: 256.
	Lookups int
}

func (l Limits) withDefaults() Limits {
	if l.Objects <= 0 {
		l.Objects = 10_000
	}
	if l.Changes <= 0 {
		l.Changes = 200_000
	}
	if l.Lookups <= 0 {
		l.Lookups = 256
	}
	return l
}

// Cut leaves out the objects beyond the limit, and says how many they are.
func (l Limits) Cut(lives []availability.Life) (within []availability.Life, leftOut int) {
	limit := min(l.withDefaults().Objects, len(lives))
	return lives[:limit], len(lives) - limit
}

// pageSize is how many entries of a kind are asked for at once, and how many of one object are.
const pageSize = 10_000

// moves are the entries that say where an object is.
var moves = []store.EntryType{store.EntryCreated, store.EntryTransition, store.EntryRemoved}
