package api

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// watch answers with a stream of events that ends with the client, the time-out, or an ERROR event.
func (c *call) watch() error {
	q, err := c.watchQuery()
	if err != nil {
		return err
	}
	out, err := c.frames()
	if err != nil {
		return err
	}
	defer out.end()
	ctx, cancel := context.WithTimeout(c.ctx, q.timeout)
	defer cancel()
	w := &watcher{c: c, q: q, out: out}
	if err := w.begin(ctx); err != nil {
		return w.refuse(err)
	}
	if err := w.run(ctx); err != nil {
		out.fail(c.status(err))
	}
	if err := w.stream.Close(); err != nil { // which the client cannot be told any more
		c.h.Logger.Warn("closing a watch failed", "path", c.r.URL.Path, "error", err)
	}
	return nil
}

// watcher turns commits into events.
type watcher struct {
	c      *call
	q      watchQuery
	out    *frames
	stream store.Stream
	// known are the selected objects, as the client has them; nil when what is selected cannot change.
	known map[resource.Key]*resource.Object
	// known is of this revision. The commits up to it are a replay, in which known is right about the objects in replayed, and about
	// those that do not come up.
	settled  resource.Revision
	replayed map[resource.Key]bool
	// at is the revision up to which the client has seen everything.
	at resource.Revision
}

// begin opens the stream, and learns what is selected already.
func (w *watcher) begin(ctx context.Context) error {
	plane, t := w.c.h.Plane, w.c.target
	if w.q.from != 0 && (w.q.initial || w.q.changing()) {
		if err := w.c.fresh(w.q.from); err != nil {
			return err
		}
	}
	var present []*resource.Object
	at := w.q.from
	if w.q.initial || w.q.changing() {
		present, w.settled = w.selected()
	}
	if w.q.initial {
		at = w.settled
	}
	var err error
	if w.stream, err = plane.Watch(ctx, at); err != nil {
		if errors.Is(err, store.ErrFuture) {
			_, now := plane.List(t.def.ID(), t.namespace)
			return tooLarge(at, now)
		}
		return err
	}
	w.at = at
	if w.q.changing() {
		w.known, w.replayed = make(map[resource.Key]*resource.Object, len(present)), map[resource.Key]bool{}
		for _, o := range present {
			w.known[o.Key] = o
		}
	}
	w.out.start()
	if !w.q.initial {
		return nil
	}
	for _, o := range present {
		w.out.event(added, o)
	}
	if w.q.announce {
		w.out.bookmark(w.at, true)
	}
	return nil
}

// selected lists what is selected now.
func (w *watcher) selected() (found []*resource.Object, at resource.Revision) {
	all, at := w.c.h.Plane.List(w.c.target.def.ID(), w.q.namespace)
	for _, o := range all {
		if w.q.matches(o) {
			found = append(found, o)
		}
	}
	return found, at
}

// refuse answers a watch that cannot begin. One that is too late gets its answer as an event, as the original gives it.
func (w *watcher) refuse(err error) error {
	if !errors.Is(err, store.ErrCompacted) {
		return err
	}
	w.out.start()
	w.out.fail(w.c.status(expired(err)))
	return nil
}

func expired(err error) error {
	return apierrors.NewResourceExpired("too old resource version: " + err.Error())
}

// run sends events until something ends the watch. The error is for the client; nil says that the watch may simply end.
func (w *watcher) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	batches, ended := w.pump(ctx)
	defer func() { cancel(); <-ended }()
	var bookmark <-chan time.Time
	if w.q.bookmarks {
		ticker := time.NewTicker(w.c.h.BookmarkInterval)
		defer ticker.Stop()
		bookmark = ticker.C
	}
	for {
		if len(batches) == 0 && !w.out.flush() {
			return nil
		}
		select {
		case b, ok := <-batches:
			if !ok {
				return w.end(<-ended)
			}
			w.commit(b)
		case <-bookmark:
			w.out.bookmark(w.at, false)
		case <-ctx.Done():
			return nil
		case <-w.c.h.drained:
			return nil
		}
		if w.out.broken {
			return nil
		}
	}
}

// end tells the ends of a stream that the client must hear of from the others.
func (w *watcher) end(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, store.ErrClosed):
		return nil
	case errors.Is(err, store.ErrCompacted):
		return expired(err)
	}
	return err
}

// ahead is how many commits are read before the client has taken the last one.
const ahead = 16

// pump reads the stream in a goroutine of its own, which has ended once ended has delivered the stream's error.
func (w *watcher) pump(ctx context.Context) (<-chan store.Batch, <-chan error) {
	batches, ended := make(chan store.Batch, ahead), make(chan error, 1)
	go func() {
		defer close(ended)
		defer close(batches)
		for {
			b, err := w.stream.Next(ctx)
			if err != nil {
				ended <- err
				return
			}
			select {
			case batches <- b:
			case <-ctx.Done():
				ended <- ctx.Err()
				return
			}
		}
	}()
	return batches, ended
}

// commit sends what a commit means to this client.
func (w *watcher) commit(b store.Batch) {
	for _, change := range b.Objects {
		if change.Object.Kind != w.c.target.def.ID() {
			continue
		}
		if w.known == nil {
			w.simple(change)
		} else {
			w.transition(change, b.Revision)
		}
	}
	w.at = b.Revision
}

// simple is for selectors of which an object is always or never.
func (w *watcher) simple(change store.ObjectChange) {
	if !w.q.matches(change.Object) {
		return
	}
	switch {
	case change.Removed:
		w.out.event(deleted, change.Object)
	case change.Created:
		w.out.event(added, change.Object)
	default:
		w.out.event(modified, change.Object)
	}
}

// transition is for selectors that an object can begin and cease to match. It ceases as a DELETED event, with the object as it was
// while it matched, at the revision of the change.
//
// A client that resumes at an earlier revision than the present one is not known to have or not to have an object that has changed between
// the two. Of the first such change it is told what the object is now, as MODIFIED or DELETED: an informer takes either way.
func (w *watcher) transition(change store.ObjectChange, at resource.Revision) {
	o, unsure := change.Object, false
	if at <= w.settled && !w.replayed[o.Key] {
		w.replayed[o.Key] = true
		delete(w.known, o.Key) // which has the object as it will be
		unsure = !change.Created
	}
	was, matches := w.known[o.Key], w.q.matches(o)
	if matches && !change.Removed {
		w.known[o.Key] = o
	} else {
		delete(w.known, o.Key)
	}
	switch {
	case was != nil && (change.Removed || !matches):
		gone := was.Clone()
		gone.Revision = at
		w.out.event(deleted, gone)
	case unsure && change.Removed == matches:
		w.out.event(deleted, o)
	case change.Removed || !matches:
	case was == nil && !unsure:
		w.out.event(added, o)
	default:
		w.out.event(modified, o)
	}
}

// The types of events.
const (
	added    = "ADDED"
	modified = "MODIFIED"
	deleted  = "DELETED"
)
