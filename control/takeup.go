package control

import (
	"context"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/view"
)

// TakeUp says how far the take-up is of what this process has gained.
type TakeUp struct {
	// Waiting counts objects that have not been entered into the queues of their controllers yet: about so many, since some come and go meanwhile, and since counting takes a moment. One that has controllers of both sorts,
	// [Everywhere] and not, counts twice.
	Waiting int
	// Paused is for how long the take-up stands still, if nobody says otherwise, 0 when it goes on.
	Paused time.Duration
}

// TakeUp says how far the take-up is.
func (e *Engine) TakeUp() TakeUp {
	until, _ := e.owner.TakeUpPaused()
	return TakeUp{Waiting: e.takeUp.waiting(), Paused: max(time.Until(until), 0)}
}

// takeUp sums what is to be taken up.
type takeUp struct {
	mu    sync.Mutex
	parts map[*remnant]struct{}
}

// remnant is a part of it: the objects of a kind in what was gained at a time. It is guarded by its takeUp.
type remnant struct {
	of *takeUp
	// counted are those that there were, once they have been counted; entered those that are in the queues.
	counted, entered int
}

func (t *takeUp) waiting() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for r := range t.parts {
		n += max(r.counted-r.entered, 0) // it may have been entered before it was counted
	}
	return n
}

func (t *takeUp) begin() *remnant {
	r := &remnant{of: t}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.parts == nil {
		t.parts = map[*remnant]struct{}{}
	}
	t.parts[r] = struct{}{}
	return r
}

func (r *remnant) add(counted, entered int) {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	r.counted += counted
	r.entered += entered
}

// end forgets the rest: those are gone, or another's.
func (r *remnant) end() {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	delete(r.of.parts, r)
}

// count counts the objects of a kind that are to be taken up, beside the take-up, which does not wait for it: in a large plane it takes a second. It ends with ctx.
func (e *Engine) count(ctx context.Context, kind resource.KindID, which func(resource.Key) bool, r *remnant) {
	for p := (keysPage{last: resource.Key{Kind: kind}, more: true}); p.more && ctx.Err() == nil; r.add(len(p.keys), 0) {
		p = e.page(p.last, func(_ *view.Snapshot, o *resource.Object) bool { return which(o.Key) })
	}
}
