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
)

// How what is gained is taken up: objects are entered into a controller's queue a page at a time, and no further page while the queue has so many that are due. What is entered is run also when the take-up is
// paused then: the less is entered, the sooner a pause is felt.
const (
	enlistPage    = 512
	enlistBacklog = 512
	enlistPause   = 20 * time.Millisecond
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
	all := enlisted{key: func(resource.Key) bool { return true }, some: true}
	e.enlistLoops(ctx, func(l *loop) bool { return l.everywhere }, func() enlisted { return all })
}

// enlisted says which objects are to be taken up, as things are now: whether there are some still, and what is closed when that may have changed.
type enlisted struct {
	key     func(resource.Key) bool
	some    bool
	changed <-chan struct{}
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
	last := resource.Key{Kind: kind}
	for {
		now, ok := e.mayEnlist(ctx, what)
		if !ok {
			return
		}
		page := e.page(last, now.key)
		wake := queue.Wake{Change: true, Priority: queue.Background, Cause: queue.Cause{Revision: e.view.Revision(), Writer: "engine", At: e.now()}}
		requests := make([]queue.Request[resource.Key], 0, len(page.keys))
		for _, key := range page.keys {
			requests = append(requests, queue.Request[resource.Key]{Key: key, Wake: wake})
		}
		for _, l := range loops {
			l.queue.AddMany(slices.Clone(requests))
		}
		left.add(0, len(requests))
		if !page.more {
			return
		}
		last = page.last
		for slices.ContainsFunc(loops, func(l *loop) bool { return l.queue.Stats().Ready > enlistBacklog }) {
			if !wait.For(ctx, enlistPause) || !what().some {
				return
			}
		}
	}
}

// mayEnlist waits while the take-up is paused, and returns what is to be taken up then; false when ctx has ended, or nothing is.
func (e *Engine) mayEnlist(ctx context.Context, what func() enlisted) (enlisted, bool) {
	for ctx.Err() == nil {
		now := what()
		until, told := e.owner.TakeUpPaused()
		rest := time.Until(until)
		if rest <= 0 || !now.some {
			return now, now.some
		}
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
func (e *Engine) page(after resource.Key, which func(resource.Key) bool) (p keysPage) {
	snapshot := e.view.Snapshot()
	defer snapshot.Close()
	n := 0
	for o := range snapshot.ListAfter(after, "") {
		if n++; n > enlistPage {
			p.more = true
			break
		}
		if p.last = o.Key; which(o.Key) {
			p.keys = append(p.keys, o.Key)
		}
	}
	return p
}
