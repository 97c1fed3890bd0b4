package feed

import (
	"context"
	"sync"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Feed keeps the newest commits in memory, so that a reader that keeps up costs the database nothing. The writer
// publishes, streams read; a stream that is behind the oldest commit here reads the table instead.
type Feed struct {
	mu sync.Mutex
	// ring holds the commits up to and including head, oldest first, within limit bytes.
	ring  []Item
	bytes int
	limit int
	// source is where older commits are.
	source Source
	// life counts the times that the past turned out to be another one. Streams do not outlive one.
	life int
	head resource.Revision
	// compacted is the newest revision that is forgotten in the database.
	compacted resource.Revision
	// moved is closed and replaced whenever head moves or the feed is closed.
	moved  chan struct{}
	closed bool
}

// Item is a commit and about how many bytes it takes in memory.
type Item struct {
	Batch store.Batch
	Bytes int
}

// ringMax bounds the number of commits in memory, for the sake of very small ones.
const ringMax = 16384

// Source reads commits from the database: those after a revision, up to and including another, oldest first and without a hole, as many as it
// likes. What is not retained any more is store.ErrCompacted.
type Source func(ctx context.Context, after, to resource.Revision) ([]store.Batch, error)

// New makes a feed that keeps as many commits in memory as take a number of bytes.
func New(bytes int, source Source) *Feed {
	return &Feed{limit: bytes, source: source, moved: make(chan struct{})}
}

// Start says where a database that was just opened stands.
func (f *Feed) Start(head, compacted resource.Revision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head, f.compacted = head, compacted
}

// Restart says that the database does not have the past that was published: a replica was promoted that lacked some of it. Streams end
// with store.ErrFuture, so that their readers scan again.
func (f *Feed) Restart(head, compacted resource.Revision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(len(f.ring))
	f.head, f.compacted = head, compacted
	f.life++
	f.wake()
}

// Publish appends the commits that follow head.
func (f *Feed) Publish(batches []Item) {
	if len(batches) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range batches {
		f.ring = append(f.ring, b)
		f.bytes += b.Bytes
	}
	f.head = batches[len(batches)-1].Batch.Revision
	drop, bytes := 0, f.bytes
	for bytes > f.limit || len(f.ring)-drop > ringMax {
		bytes -= f.ring[drop].Bytes
		drop++
	}
	f.drop(drop)
	f.wake()
}

func (f *Feed) wake() {
	close(f.moved)
	f.moved = make(chan struct{})
}

// Revision is the newest commit that was published.
func (f *Feed) Revision() resource.Revision {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head
}

// Forgot says that revisions up to and including rev are not retained any more, here neither.
func (f *Feed) Forgot(rev resource.Revision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if rev <= f.compacted {
		return
	}
	f.compacted = rev
	drop := 0
	for drop < len(f.ring) && f.ring[drop].Batch.Revision <= rev {
		drop++
	}
	f.drop(drop)
}

// drop takes the n oldest commits out of memory.
func (f *Feed) drop(n int) {
	for i := range n {
		f.bytes -= f.ring[i].Bytes
		f.ring[i] = Item{}
	}
	f.ring = f.ring[n:]
}

// Close ends every stream.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		f.wake()
	}
}

// check judges a position that a watch wants to start from, and returns the present life.
func (f *Feed) check(from resource.Revision) (life int, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return 0, store.ErrClosed
	case from > f.head:
		return 0, store.ErrFuture
	case from < f.compacted:
		return 0, store.ErrCompacted
	}
	return f.life, nil
}

func (f *Feed) inRing(rev resource.Revision) bool {
	return len(f.ring) > 0 && rev >= f.ring[0].Batch.Revision && rev <= f.head
}

// place says where the commit after a position is to be had.
type place int

const (
	inMemory place = iota
	inTable
	notYet
	forgotten
	anotherPast
	feedClosed
)

// after returns the commit after a position, or where it is to be had; for notYet the channel is closed when there is more.
func (f *Feed) after(from resource.Revision, life int) (store.Batch, place, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := from + 1
	switch {
	case f.closed:
		return store.Batch{}, feedClosed, nil
	case f.life != life:
		return store.Batch{}, anotherPast, nil
	case f.inRing(next):
		return f.ring[next-f.ring[0].Batch.Revision].Batch, inMemory, nil
	case next > f.head:
		return store.Batch{}, notYet, f.moved
	case next <= f.compacted:
		return store.Batch{}, forgotten, nil
	}
	return store.Batch{}, inTable, nil
}
