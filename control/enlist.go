package control

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/wait"
	"github.com/setpointhq/setpoint/queue"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/view"
)

// How what is gained is taken up: objects are entered into a controller's queue a page at a time, and no further page while the queue has so many that are due. What is entered is run also when the take-up is
// paused then: the less is entered, the sooner a pause is felt.
const (
	enlistPage    = 512
	enlistBacklog = 512
	enlistPause   = 20 * time.Millisecond
	// enlistPatience is after which time a page is entered though a queue is full.
	enlistPatience = 5 * time.Second
	// enlistUrgentAfter is after which time of a pause that is urgent which does not wait for its end.
	enlistUrgentAfter = time.Second
)

// enlist takes up the work on shards that were gained: first the commands that are open, which somebody may wait for, then a turn for each object, because nobody
// knows which of them its former node had seen. That goes in the background, at the pace at which the turns of each kind are run; what changes meanwhile goes first. It ends when nothing of the
// shards is worked on here any more.
func (e *Engine) enlist(ctx context.Context, gained []stay) {
	var in [resource.Shards]bool
	for _, s := range gained {
		in[s.shard] = true
	}
	e.send(func(d *dispatcher, c *command.Command) bool { return in[shardOf(c.Object)] && !d.everywhere(c) })
	e.enlistLoops(ctx, func(l *loop) bool { return !l.everywhere }, func() enlisted {
		in, some, changed := e.shards.lasting(gained)
		return enlisted{key: func(k resource.Key) bool { return in[shardOf(k)] }, some: some, changed: changed}
	})
}

// enlistEverywhere takes up the work of the controllers that run on every node.
func (e *Engine) enlistEverywhere(ctx context.Context) {
	select {
	case <-e.ready:
	case <-ctx.Done():
		return
	}
	e.send(func(d *dispatcher, c *command.Command) bool { return d.everywhere(c) })
	all := enlisted{key: func(resource.Key) bool { return true }, some: true, unpaused: true}
	e.enlistLoops(ctx, func(l *loop) bool { return l.everywhere }, func() enlisted { return all })
}

// enlisted says which objects are to be taken up, as things are now: whether there are some still, and what is closed when that may have changed.
type enlisted struct {
	key     func(resource.Key) bool
	some    bool
	changed <-chan struct{}
	// unpaused: what keeps others alive does not stand still with the rest.
	unpaused bool
}

// enlistLoops gives objects a turn of each of some controllers, the kinds beside each other: one whose turns are slow holds up no other.
func (e *Engine) enlistLoops(ctx context.Context, which func(*loop) bool, what func() enlisted) {
	var kinds sync.WaitGroup
	defer kinds.Wait()
	for kind, all := range e.byKind {
		if loops := slices.DeleteFunc(slices.Clone(all), func(l *loop) bool { return !which(l) }); len(loops) > 0 {
			kinds.Go(func() { e.enlistKind(ctx, kind, loops, what) })
		}
	}
}

// inherit notes, before any of them is sent from here, that attempts of the open commands of some shards may have been begun by another process, and have reached their subsystems.
func (e *Engine) inherit(gained []store.Assignment) {
	var in [resource.Shards]bool
	for _, a := range gained {
		in[a.Shard] = true
	}
	snapshot := e.view.Snapshot()
	defer snapshot.Close()
	for c := range snapshot.OpenCommands() {
		if d := e.dispatchers[c.Adapter]; d != nil && in[shardOf(c.Object)] {
			d.mu.Lock()
			d.begun[c.Slot] = c.Revision
			d.mu.Unlock()
		}
	}
}

// send enters some of the open commands.
func (e *Engine) send(which func(*dispatcher, *command.Command) bool) {
	snapshot := e.view.Snapshot()
	defer snapshot.Close()
	for c := range snapshot.OpenCommands() {
		if d := e.dispatchers[c.Adapter]; d != nil && which(d, c) {
			d.queue.Add(c.Unit, queue.Wake{Due: e.here(c.NotBefore), Change: true})
		}
	}
}

// enlistKind gives each object of a kind a turn of each of some controllers.
func (e *Engine) enlistKind(ctx context.Context, kind resource.KindID, loops []*loop, what func() enlisted) {
	left := e.takeUp.begin()
	defer left.end()
	ctx, cancel := context.WithCancel(ctx)
	var counting sync.WaitGroup
	counting.Go(func() { e.count(ctx, kind, what().key, left) })
	defer counting.Wait()
	defer cancel()
	urgent := sync.OnceFunc(func() { e.enlistUrgent(ctx, kind, loops, what().key) })
	for last := (resource.Key{Kind: kind}); ; {
		now, ok := e.mayEnlist(ctx, what, urgent)
		if !ok {
			return
		}
		page := e.page(last, func(_ *view.Snapshot, o *resource.Object) bool { return now.key(o.Key) })
		e.enter(loops, page.keys, queue.Background)
		left.add(0, len(page.keys))
		if last = page.last; !page.more || !roomFor(ctx, loops, what) {
			return
		}
	}
}

// roomFor waits while a queue is full of what is due, but not for ever: one that is never empty would be given none of this. It is false when nothing is to be taken up any more.
func roomFor(ctx context.Context, loops []*loop, what func() enlisted) bool {
	for waited := time.Duration(0); waited < enlistPatience; waited += enlistPause {
		if !slices.ContainsFunc(loops, func(l *loop) bool { return l.queue.Stats().Ready > enlistBacklog }) {
			return true
		}
		if !wait.For(ctx, enlistPause) || !what().some {
			return false
		}
	}
	return true
}

// enter wakes some controllers for some objects.
func (e *Engine) enter(loops []*loop, keys []resource.Key, priority queue.Priority) {
	wake := queue.Wake{Change: true, Priority: priority, Cause: queue.Cause{Revision: e.view.Revision(), Writer: "engine", At: e.now()}}
	requests := make([]queue.Request[resource.Key], 0, len(keys))
	for _, key := range keys {
		requests = append(requests, queue.Request[resource.Key]{Key: key, Wake: wake})
	}
	for _, l := range loops {
		l.queue.AddMany(slices.Clone(requests))
	}
}

// enlistUrgent gives a turn to those objects that a pause is not meant for, because somebody waits for them: whose driver has not looked at what was asked for, who have signals, in whom an action is under
// way, and who are to go. Who had their shard before may have died in the midst of it, and what came while nobody had it has woken nobody.
func (e *Engine) enlistUrgent(ctx context.Context, kind resource.KindID, loops []*loop, which func(resource.Key) bool) {
	driven := slices.ContainsFunc(loops, func(l *loop) bool { return l.driver })
	urgent := func(s *view.Snapshot, o *resource.Object) bool {
		return which(o.Key) && (o.Deleting() || driven && o.Observed != o.Generation || o.Action != nil && o.Action.Halt == "" || len(s.Signals(o.UID)) > 0)
	}
	for p := (keysPage{last: resource.Key{Kind: kind}, more: true}); p.more && ctx.Err() == nil; {
		p = e.page(p.last, urgent)
		e.enter(loops, p.keys, queue.Normal)
	}
}

// mayEnlist waits while the take-up is paused, after what is urgent all the same, and returns what is to be taken up then; false when ctx has ended, or nothing is.
func (e *Engine) mayEnlist(ctx context.Context, what func() enlisted, urgent func()) (enlisted, bool) {
	for least := enlistUrgentAfter; ctx.Err() == nil; {
		now := what()
		until, told := e.owner.TakeUpPaused()
		rest := time.Until(until)
		if rest <= 0 || !now.some || now.unpaused {
			return now, now.some
		}
		if least == 0 {
			urgent()
		} else {
			rest = min(rest, least) // the store may not have said yet whether there is a pause
		}
		least = 0
		over := time.NewTimer(rest)
		select {
		case <-over.C:
		case <-told:
		case <-now.changed:
		case <-ctx.Done():
		}
		over.Stop()
	}
	return enlisted{}, false
}

// keysPage is a page of the objects of a kind.
type keysPage struct {
	keys []resource.Key // those to be taken up
	last resource.Key
	more bool
}

// page reads so many objects after a key, and keeps no snapshot longer than that.
func (e *Engine) page(after resource.Key, which func(*view.Snapshot, *resource.Object) bool) (p keysPage) {
	snapshot := e.view.Snapshot()
	defer snapshot.Close()
	n := 0
	for o := range snapshot.ListAfter(after, "") {
		if n++; n > enlistPage {
			p.more = true
			break
		}
		if p.last = o.Key; which(snapshot, o) {
			p.keys = append(p.keys, o.Key)
		}
	}
	return p
}
