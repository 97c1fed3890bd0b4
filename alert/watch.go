package alert

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/view"
)

// The wait before a feed that was lost is opened again, which doubles.
const (
	reopenBase = 20 * time.Millisecond
	reopenCap  = 5 * time.Second
)

// Plane is what a notifier watches: *setpoint.Plane.
type Plane interface {
	// Registry says what the states of a kind mean.
	Registry() *resource.Registry
	// View is what there is, Store tells what changes.
	View() *view.View
	Store() store.Store
}

// Watch observes every object of a plane once its view is loaded, and then every change, until ctx ends. It reads memory and the feed: the database is asked nothing. When the
// feed has gone on without it, it looks at everything again. It returns nil when ctx ends, and an error that wraps [store.ErrClosed] when the store was closed.
//
// Of several processes on one database each watches, and one tells: see [Options.Silent].
func (n *Notifier) Watch(ctx context.Context, p Plane) error {
	select {
	case <-p.View().Loaded():
	case <-ctx.Done():
		return nil
	}
	w := watcher{notifier: n, plane: p, random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
	for failures := 1; ; failures++ {
		progress, err := w.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, store.ErrClosed):
			return fmt.Errorf("watch for alerts after revision %d: %w", w.at, err)
		case errors.Is(err, store.ErrCompacted), errors.Is(err, store.ErrFuture):
			w.at = 0
		}
		if progress {
			failures = 1
		}
		wait := backoff(reopenBase, reopenCap, failures, w.random)
		n.log.Warn("alerts: the feed was lost; it is opened again", "revision", w.at, "wait", wait, "cause", err)
		rest(nil, ctx, wait)
	}
}

// watcher is one Watch.
type watcher struct {
	notifier *Notifier
	plane    Plane
	random   *rand.Rand
	// at is the revision up to which everything has been observed, in this incarnation of the database; 0 for nothing.
	at          resource.Revision
	incarnation uint64
}

// follow observes commits until there is an error, and reports whether there was any.
func (w *watcher) follow(ctx context.Context) (progress bool, err error) {
	if now := w.plane.Store().Info().Incarnation; now != w.incarnation {
		w.at, w.incarnation = 0, now // a restored database gives the same revisions to other commits
	}
	if w.at == 0 {
		w.survey()
	}
	stream, err := w.plane.Store().Watch(ctx, w.at)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	for {
		batch, err := stream.Next(ctx)
		if err != nil {
			return progress, err
		}
		for _, c := range batch.Objects {
			w.changed(c)
		}
		w.at, progress = batch.Revision, true
	}
}

// survey observes everything that the view shows, and forgets who is not there.
func (w *watcher) survey() {
	s := w.plane.View().Snapshot()
	defer s.Close()
	for _, kind := range w.plane.Registry().List() {
		for o := range s.List(kind.ID(), "") {
			w.observe(o, kind)
		}
	}
	for _, key := range w.notifier.Objects() {
		if _, there := s.Get(key); !there {
			w.notifier.Forget(key)
		}
	}
	w.at = s.Revision()
}

func (w *watcher) changed(c store.ObjectChange) {
	if c.Removed {
		w.notifier.Forget(c.Object.Key)
		return
	}
	if kind, known := w.plane.Registry().Kind(c.Object.Kind); known {
		w.observe(c.Object, kind)
	}
}

func (w *watcher) observe(o *resource.Object, kind *resource.Definition) {
	if err := w.notifier.Observe(o, kind.Lifecycle); err != nil {
		w.notifier.log.Error("an object's trouble is not counted", "object", o.Key.String(), "cause", err)
	}
}
