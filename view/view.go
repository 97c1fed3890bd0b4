package view

import (
	"sync"
	"sync/atomic"

	"github.com/setpointhq/setpoint/resource"
)

// View is the in-memory replica of a database: the state after exactly the commits up to one revision. All methods may be
// called concurrently. What it returns is shared and must not be changed.
type View struct {
	// applying is held by whoever changes the view, for the whole step.
	applying sync.Mutex
	// mu guards the tables and the clock. No function of an author runs under it, and it is held for a bounded number of rows.
	mu sync.RWMutex
	tables
	clock clock
	kinds map[resource.KindID]int

	// revision is the published one, to be read without the lock.
	revision atomic.Uint64
	// ready is closed by the first load.
	ready   chan struct{}
	loaded  atomic.Bool
	marks   uint32
	waiting waiting
	health  health
	// unswept has a message when versions wait to be freed.
	unswept chan struct{}
}

// New returns an empty view. Feed it with [View.Run], or by hand with [View.Load] and [View.Apply].
func New() *View {
	v := &View{
		clock:   newClock(),
		kinds:   map[resource.KindID]int{},
		ready:   make(chan struct{}),
		unswept: make(chan struct{}, 1),
	}
	v.tables = newTables(&v.clock)
	return v
}

// Revision is the commit up to which the view shows everything, 0 before the first load.
func (v *View) Revision() resource.Revision { return resource.Revision(v.revision.Load()) }

// Ready reports whether the view has been loaded. From then on it always shows a consistent cut, if perhaps an old one.
func (v *View) Ready() bool { return v.loaded.Load() }

// Loaded is closed when the view has been loaded for the first time.
func (v *View) Loaded() <-chan struct{} { return v.ready }

// Trim frees what closed snapshots have left. [View.Run] does so by itself, and so does every snapshot that closes while
// nobody else is about; a view that is fed by hand and then left alone may have something to free.
func (v *View) Trim() {
	for v.sweep() {
	}
}

// sweepStep bounds the versions freed in one critical section.
const sweepStep = 256

func (v *View) sweep() (more bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.clock.sweep(sweepStep)
}

// closed is called when the last snapshot of an overtaken cut closes.
func (v *View) closed() {
	if v.mu.TryLock() {
		more := v.clock.sweep(sweepStep / 4)
		v.mu.Unlock()
		if !more {
			return
		}
	}
	select {
	case v.unswept <- struct{}{}:
	default: // a message waits already
	}
}
