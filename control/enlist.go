package control

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/queue"
	"github.com/setpointhq/setpoint/resource"
)

// How what is gained is taken up: objects are entered into a controller's queue a page at a time, and no further page while the queue has so many that are due.
const (
	enlistPage    = 1024
	enlistBacklog = 4096
	enlistPause   = 20 * time.Millisecond
)

// enlist takes up the work on shards that were gained: first the commands that are open, which somebody may wait for, then a turn for each object, because nobody
// knows which of them its former node had seen. That goes in the background, at the pace at which the turns are run; what changes meanwhile goes first.
func (e *Engine) enlist(ctx context.Context, gained []int) {
	in := [resource.Shards]bool{}
	for _, i := range gained {
		in[i] = true
	}
	e.inherit(func(d *dispatcher, c *command.Command) bool { return in[shardOf(c.Object)] && !d.everywhere(c) })
	e.enlistLoops(ctx, &in, func(l *loop) bool { return !l.everywhere })
}

// enlistEverywhere takes up the work of the controllers that run on every node.
func (e *Engine) enlistEverywhere(ctx context.Context) {
	select {
	case <-e.ready:
	case <-ctx.Done():
		return
	}
	all := [resource.Shards]bool{}
	for i := range all {
		all[i] = true
	}
	e.inherit(func(d *dispatcher, c *command.Command) bool { return d.everywhere(c) })
	e.enlistLoops(ctx, &all, func(l *loop) bool { return l.everywhere })
}

// enlistLoops gives each object in some shards a turn of each of some controllers.
func (e *Engine) enlistLoops(ctx context.Context, in *[resource.Shards]bool, which func(*loop) bool) {
	kinds := slices.Sorted(maps.Keys(e.byKind))
	for _, kind := range kinds {
		loops := slices.DeleteFunc(slices.Clone(e.byKind[kind]), func(l *loop) bool { return !which(l) })
		if len(loops) > 0 && !e.enlistKind(ctx, kind, loops, in) {
			return
		}
	}
}

// inherit enters some open commands. An attempt of each of them may have been begun by another process, and reached its subsystem.
func (e *Engine) inherit(which func(*dispatcher, *command.Command) bool) {
	snapshot := e.view.Snapshot()
	defer snapshot.Close()
	for c := range snapshot.OpenCommands() {
		if d := e.dispatchers[c.Adapter]; d != nil && which(d, c) {
			d.inherit(c)
		}
	}
}

// enlistKind gives each object of a kind a turn of each of its controllers. It is false when ctx has ended.
func (e *Engine) enlistKind(ctx context.Context, kind resource.KindID, loops []*loop, in *[resource.Shards]bool) bool {
	var last resource.Key
	last.Kind = kind
	for {
		page := e.page(last, in)
		wake := queue.Wake{Change: true, Priority: queue.Background, Cause: queue.Cause{Revision: e.view.Revision(), Writer: "engine", At: e.now()}}
		requests := make([]queue.Request[resource.Key], 0, len(page.keys))
		for _, key := range page.keys {
			requests = append(requests, queue.Request[resource.Key]{Key: key, Wake: wake})
		}
		for _, l := range loops {
			l.queue.AddMany(slices.Clone(requests))
		}
		if !page.more {
			return true
		}
		last = page.last
		for slices.ContainsFunc(loops, func(l *loop) bool { return l.queue.Stats().Ready > enlistBacklog }) {
			if !sleep(ctx, enlistPause) {
				return false
			}
		}
	}
}

// keysPage is a page of the objects of a kind.
type keysPage struct {
	keys []resource.Key // those in the shards
	last resource.Key
	more bool
}

// page reads so many objects after a key, and keeps no snapshot longer than that.
func (e *Engine) page(after resource.Key, in *[resource.Shards]bool) (p keysPage) {
	snapshot := e.view.Snapshot()
	defer snapshot.Close()
	n := 0
	for o := range snapshot.ListAfter(after, "") {
		if n++; n > enlistPage {
			p.more = true
			break
		}
		if p.last = o.Key; in[shardOf(o.Key)] {
			p.keys = append(p.keys, o.Key)
		}
	}
	return p
}

// inherit enters a command that another process may have begun to send.
func (d *dispatcher) inherit(c *command.Command) {
	d.mu.Lock()
	d.begun[c.Slot] = c.Revision
	d.mu.Unlock()
	d.queue.Add(c.Unit, queue.Wake{Due: c.NotBefore, Change: true})
}
