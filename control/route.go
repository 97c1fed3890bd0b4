package control

import (
	"context"

	"github.com/setpointhq/setpoint/queue"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/view"
)

// feed keeps the view at the head of the store's feed, and wakes whom each commit concerns.
func (e *Engine) feed(ctx context.Context) error {
	return e.view.Run(ctx, e.store, e.route)
}

// route wakes, for one applied commit, the controllers of what changed, of its owners, of those who read it, and of the
// owners of commands and signals. A controller is not woken by its own echo, unless
// it moved its object to another state or into deletion. What the first load finds wakes nobody: it is taken up, see [Engine.enlist].
func (e *Engine) route(a view.Applied) {
	var w wakes
	for i := range a.Commands {
		e.routeCommand(&w, &a, a.Commands[i])
	}
	if a.Origin != view.Initial {
		for i := range a.Objects {
			e.routeObject(&w, &a, a.Objects[i])
		}
		for i := range a.Raised {
			w.all(e.byKind[a.Raised[i].Object.Kind], a.Raised[i].Object)
		}
	}
	w.send(&a)
	if a.Origin == view.Commit {
		e.meter.Applied(a.At)
	}
	if a.Origin == view.Initial && !a.More {
		close(e.ready)
	}
}

func (e *Engine) routeObject(w *wakes, a *view.Applied, c view.Change) {
	o := c.Object()
	for _, l := range e.byKind[o.Kind] {
		switch {
		case c.New == nil:
			l.queue.Remove(o.Key)
			e.subs.set(subscriber{l, o.Key}, dependencies{}, 0)
		case !echo(a, l, o.Key) || moved(c):
			w.add(l, o.Key)
		}
	}
	for _, owner := range o.Owners {
		for _, l := range e.byKind[owner.Kind] {
			if !echo(a, l, owner.Key) || c.New == nil {
				w.add(l, owner.Key)
			}
		}
	}
	if c.New == nil {
		e.routeOrphans(w, o.UID)
	}
	for _, who := range e.subs.wake(o.Key, a.Revision) {
		if !echo(a, who.loop, who.key) {
			w.add(who.loop, who.key)
		}
	}
}

// moved reports whether a commit brought an object into another state, or asked for its deletion: then even the controller that did it has to
// look at it again.
func moved(c view.Change) bool {
	return c.Old == nil || c.Old.State != c.New.State || c.Old.Deleting() != c.New.Deleting()
}

// routeOrphans wakes what an object owned that is gone. Rarely is there anything: owners are usually held until their children are gone.
func (e *Engine) routeOrphans(w *wakes, owner resource.UID) {
	s := e.view.Snapshot()
	defer s.Close()
	for _, child := range s.Children(owner) {
		w.all(e.byKind[child.Kind], child.Key)
	}
}

// routeCommand keeps an adapter's index in step, and wakes the owner of a command that says something new. A wish of its own says nothing new.
func (e *Engine) routeCommand(w *wakes, a *view.Applied, c view.CommandChange) {
	now := c.New
	if now == nil {
		now = c.Old
	}
	if d := e.dispatchers[now.Adapter]; d != nil {
		d.follow(now, c.New == nil)
	}
	l := e.loops[now.Controller]
	if l == nil || c.New == nil || a.Origin == view.Initial || echo(a, l, now.Object) {
		return
	}
	w.add(l, now.Object)
}

// echo reports whether a commit is a controller's own, for an object's turn.
func echo(a *view.Applied, l *loop, key resource.Key) bool {
	return a.Writer.Object == key && a.Writer.Name == l.writer
}

// wakes collects who is to be woken, so that each queue is entered once per commit. What is not worked on here is left out.
type wakes struct {
	loops []*loop
	keys  [][]resource.Key
}

func (w *wakes) add(l *loop, key resource.Key) {
	if !l.mine(key) {
		return
	}
	for i := range w.loops {
		if w.loops[i] == l {
			w.keys[i] = append(w.keys[i], key)
			return
		}
	}
	w.loops = append(w.loops, l)
	w.keys = append(w.keys, []resource.Key{key})
}

func (w *wakes) all(loops []*loop, key resource.Key) {
	for _, l := range loops {
		w.add(l, key)
	}
}

func (w *wakes) send(a *view.Applied) {
	wake := queue.Wake{Change: true, Cause: queue.Cause{Revision: a.Revision, Writer: a.Writer.Name, At: a.At}}
	for i, l := range w.loops {
		requests := make([]queue.Request[resource.Key], len(w.keys[i]))
		for j, key := range w.keys[i] {
			requests[j] = queue.Request[resource.Key]{Key: key, Wake: wake}
		}
		l.queue.AddMany(requests)
	}
}
