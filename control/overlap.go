package control

import (
	"sync"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// Overlap is that one unit of order has open commands of objects in different shards: each node that has some of these shards sends its own in order, and nobody orders those of one node and of another.
type Overlap struct {
	// Unit is one such unit, the last that was seen; Here and There are objects of two shards whose commands are in it.
	Unit        string
	Here, There resource.Key
	// At is when it was seen, Count how often such a thing was seen since the process began.
	At    time.Time
	Count uint64
}

// overlaps is what a dispatcher has seen of them.
type overlaps struct {
	borne bool // by the adapter's subsystem, so nobody need know
	mu    sync.Mutex
	last  *Overlap // nil: none
}

// bears reports whether an adapter says that its subsystem bears calls of one unit that overlap.
func bears(a command.Adapter) bool {
	o, ok := a.(command.Overlapping)
	return ok && o.Overlaps()
}

// note records that a command is due here while another of its unit is open elsewhere, and reports whether that is the first time.
func (o *overlaps) note(here, there *command.Command, now time.Time) (first bool) {
	if o.borne {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := Overlap{Unit: here.Unit, Here: here.Object, There: there.Object, At: now, Count: 1}
	if o.last != nil {
		seen.Count += o.last.Count
	}
	first, o.last = o.last == nil, &seen
	return first
}

// seen is what was recorded, nil when nothing was.
func (o *overlaps) seen() *Overlap {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// overlapped notes two commands of a unit, and tells the log of the first.
func (d *dispatcher) overlapped(here, there *command.Command) {
	if d.overlaps.note(here, there, d.engine.now()) {
		d.engine.log.Warn("a unit of order is of objects in several shards: nodes send its commands in no order among each other; keep a unit to one object or one family of names, or have the adapter say that its subsystem bears it",
			"adapter", d.name, "unit", here.Unit, "object", here.Object.String(), "other", there.Object.String())
	}
}
