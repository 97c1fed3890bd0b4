package view

import (
	"container/heap"
	"context"
	"fmt"
	"sync"

	"github.com/setpointhq/setpoint/resource"
)

// WaitFor returns when the view shows at least the commits up to r: at once when it does already. It fails with the context's
// error, with [ErrRestored] when the database went back in time meanwhile, and with [ErrStopped] when [View.Run] has ended.
func (v *View) WaitFor(ctx context.Context, r resource.Revision) error {
	if v.Revision() >= r {
		return nil
	}
	w, err := v.waiting.enter(r, v.Revision)
	if err != nil || w == nil {
		return err
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		v.waiting.leave(w)
		return fmt.Errorf("wait for revision %d, the view is at %d: %w", r, v.Revision(), context.Cause(ctx))
	}
}

// waiter is one call of WaitFor. err is written before done is closed.
type waiter struct {
	revision resource.Revision
	done     chan struct{}
	err      error
	place    int // in the heap, -1 when it has left
}

// waiting holds the waiters, the one that is served first on top.
type waiting struct {
	mu      sync.Mutex
	heap    waiters
	stopped bool
}

// enter adds a waiter, unless the view has got there meanwhile, and then returns nil.
func (q *waiting) enter(r resource.Revision, now func() resource.Revision) (*waiter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	// The revision is published before reached takes the lock: it is seen here, or reached will see the waiter.
	if now() >= r {
		return nil, nil
	}
	if q.stopped {
		return nil, fmt.Errorf("wait for revision %d: %w", r, ErrStopped)
	}
	w := &waiter{revision: r, done: make(chan struct{})}
	heap.Push(&q.heap, w)
	return w, nil
}

func (q *waiting) leave(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.place >= 0 {
		heap.Remove(&q.heap, w.place)
	}
}

// reached serves those who waited for r or less, and the rest too, with an error, when the database was restored.
func (q *waiting) reached(r resource.Revision, restored bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.heap) > 0 && q.heap[0].revision <= r {
		q.pop(nil)
	}
	for restored && len(q.heap) > 0 {
		q.pop(ErrRestored)
	}
}

// stop ends all waiting, now and from now on; resume allows it again.
func (q *waiting) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	for len(q.heap) > 0 {
		q.pop(ErrStopped)
	}
}

func (q *waiting) resume() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = false
}

func (q *waiting) count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.heap)
}

func (q *waiting) pop(err error) {
	w := heap.Pop(&q.heap).(*waiter)
	if err != nil {
		w.err = fmt.Errorf("wait for revision %d: %w", w.revision, err)
	}
	close(w.done)
}

// waiters is a heap by revision.
type waiters []*waiter

func (h waiters) Len() int           { return len(h) }
func (h waiters) Less(i, j int) bool { return h[i].revision < h[j].revision }
func (h waiters) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push is for container/heap.
func (h *waiters) Push(x any) {
	w := x.(*waiter)
	w.place = len(*h)
	*h = append(*h, w)
}

// Pop is for container/heap.
func (h *waiters) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	w.place = -1
	return w
}
