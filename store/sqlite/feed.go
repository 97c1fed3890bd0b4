package sqlite

import (
	"sync"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// feed keeps the newest commits in memory, so that a reader that keeps up costs the database nothing. The writer
// publishes, streams read; a stream that is behind the oldest commit here reads the table instead.
type feed struct {
	mu sync.Mutex
	// ring holds the commits up to and including head, oldest first, within limit bytes.
	ring  []sized
	bytes int
	limit int
	head  resource.Revision
	// compacted is the newest revision that is forgotten in the database.
	compacted resource.Revision
	// moved is closed and replaced whenever head moves or the feed is closed.
	moved  chan struct{}
	closed bool
}

type sized struct {
	batch store.Batch
	bytes int
}

// ringMax bounds the number of commits in memory, for the sake of very small ones.
const ringMax = 16384

func newFeed(limit int) *feed { return &feed{limit: limit, moved: make(chan struct{})} }

// start says where a database that was just opened stands.
func (f *feed) start(head, compacted resource.Revision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head, f.compacted = head, compacted
}

// publish appends the commits that follow head.
func (f *feed) publish(batches []sized) {
	if len(batches) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range batches {
		f.ring = append(f.ring, b)
		f.bytes += b.bytes
	}
	f.head = batches[len(batches)-1].batch.Revision
	drop, bytes := 0, f.bytes
	for bytes > f.limit || len(f.ring)-drop > ringMax {
		bytes -= f.ring[drop].bytes
		drop++
	}
	f.drop(drop)
	f.wake()
}

func (f *feed) wake() {
	close(f.moved)
	f.moved = make(chan struct{})
}

func (f *feed) revision() resource.Revision {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head
}

// forgot says that revisions up to and including rev are not retained any more, here neither.
func (f *feed) forgot(rev resource.Revision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if rev <= f.compacted {
		return
	}
	f.compacted = rev
	drop := 0
	for drop < len(f.ring) && f.ring[drop].batch.Revision <= rev {
		drop++
	}
	f.drop(drop)
}

// drop takes the n oldest commits out of memory.
func (f *feed) drop(n int) {
	for i := range n {
		f.bytes -= f.ring[i].bytes
		f.ring[i] = sized{}
	}
	f.ring = f.ring[n:]
}

func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		f.wake()
	}
}

// check judges a position that a watch wants to start from.
func (f *feed) check(from resource.Revision) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return store.ErrClosed
	case from > f.head:
		return store.ErrFuture
	case from < f.compacted:
		return store.ErrCompacted
	}
	return nil
}

func (f *feed) inRing(rev resource.Revision) bool {
	return len(f.ring) > 0 && rev >= f.ring[0].batch.Revision && rev <= f.head
}

// place says where the commit after a position is to be had.
type place int

const (
	inMemory place = iota
	inTable
	notYet
	forgotten
	feedClosed
)

// after returns the commit after a position, or where it is to be had; for notYet the channel is closed when there is more.
func (f *feed) after(from resource.Revision) (store.Batch, place, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := from + 1
	switch {
	case f.closed:
		return store.Batch{}, feedClosed, nil
	case f.inRing(next):
		return f.ring[next-f.ring[0].batch.Revision].batch, inMemory, nil
	case next > f.head:
		return store.Batch{}, notYet, f.moved
	case next <= f.compacted:
		return store.Batch{}, forgotten, nil
	}
	return store.Batch{}, inTable, nil
}
