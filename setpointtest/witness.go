package setpointtest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// witness stands between a plane and its database, sees every commit, and makes the orders of the cases part of them. It belongs to one trial, and
// outlives its planes.
type witness struct {
	program *program
	died    chan struct{} // has an entry when a plane was ended
	outside map[command.AdapterName]Outside
	spin    *spin

	mu       sync.Mutex
	tap      *tap
	subjects map[resource.Key]*subject
	byName   map[resource.Name]*subject
	raised   map[store.SignalID]*subject
	closing  resource.Revision // the first commit of the last plane, whose commits change nothing when all is well
	noted    resource.Revision // up to which all commits have been noted
	ahead    map[resource.Revision]bool
	moved    chan struct{} // closed and replaced when noted moves
}

func newWitness(p *program) *witness {
	w := &witness{
		program: p, died: make(chan struct{}, 1), outside: map[command.AdapterName]Outside{},
		subjects: map[resource.Key]*subject{}, byName: map[resource.Name]*subject{}, raised: map[store.SignalID]*subject{},
		ahead: map[resource.Revision]bool{}, moved: make(chan struct{}),
	}
	w.spin = &spin{witness: w}
	return w
}

// witnessed is a database with the witness before it.
type witnessed struct {
	store.Store
	*witness
}

// Commit makes a commit with what the cases order, and notes it.
func (w witnessed) Commit(ctx context.Context, tx store.Transaction) (store.Receipt, error) {
	own := len(tx.Raise)
	w.apart(&tx)
	s, at := w.subject(&tx)
	if s != nil {
		if !w.twist(s, &tx, at) {
			return store.Receipt{}, &store.CommitError{Err: store.ErrClosed}
		}
		if s.wild {
			return store.Receipt{}, &store.CommitError{Err: store.ErrRule, Key: s.key, Detail: "it is written without end"}
		}
	}
	var left map[string]string
	if s != nil {
		left = w.left(s, tx.Objects[at].Object)
	}
	r, err := w.Store.Commit(context.WithoutCancel(ctx), tx) // a commit of which the witness does not know the end would make it a false one
	if err != nil {
		w.forget(s)
		return r, err
	}
	w.note(s, at, &tx, r, left)
	r.Signals = r.Signals[:min(own, len(r.Signals))]
	return r, nil
}

// forget takes back what was noted for a commit that was not made.
func (w *witness) forget(s *subject) {
	if s != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		s.raises = s.raises[:s.raisesMade]
	}
}

// subject is the one whose driver makes a commit that writes it, and where in the transaction.
func (w *witness) subject(tx *store.Transaction) (*subject, int) {
	if tx.Writer.Name != w.program.writer {
		return nil, -1
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, o := range tx.Objects {
		if o.Object != nil {
			if s := w.subjects[o.Object.Key]; s != nil && o.Object.Key == tx.Writer.Object {
				return s, i
			}
		}
	}
	return nil, -1
}

func general(name lifecycle.SignalName) bool { return slices.Contains(decide.General(), name) }

// left is what there is outside for the steps of an action that a commit ends.
func (w *witness) left(s *subject, next *resource.Object) map[string]string {
	w.mu.Lock()
	was := s.latest()
	w.mu.Unlock()
	if was == nil || was.Action == nil || next.Action != nil && next.Action.Run == was.Action.Run {
		return nil
	}
	left := map[string]string{}
	for _, step := range was.Action.Steps {
		if step.Key != "" {
			left[step.Name] = w.content(command.AdapterName(step.Adapter), step.Key)
		}
	}
	return left
}

// note records a commit that was made.
func (w *witness) note(s *subject, at int, tx *store.Transaction, r store.Receipt, left map[string]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.passed(r.Revision)
	about := map[*subject]*sighting{}
	of := func(s *subject) *sighting {
		if about[s] == nil {
			about[s] = &sighting{
				revision: r.Revision, seen: tx.Cause.Revision, at: now(), cause: tx.Cause.Text, byDriver: tx.Writer.Name == w.program.writer && tx.Writer.Object == s.key,
			}
			if about[s].byDriver { // also one that only consumes signals
				about[s].guards = maps.Clone(s.guards)
			}
		}
		return about[s]
	}
	for i, o := range tx.Objects {
		if o.Object == nil {
			continue
		}
		w.noteBeside(o.Object)
		if s := w.subjects[o.Object.Key]; s != nil {
			e := of(s)
			e.object, e.reason = o.Object, o.Reason
			s.raisesMade = len(s.raises)
			if o.Object.Deleting() && len(o.Object.Finalizers) == 0 {
				e.gone = o.Gone
			}
			if i == at {
				e.left = left
			}
		}
	}
	for i, signal := range tx.Raise {
		if s := w.subjects[signal.Object]; s != nil && i < len(r.Signals) {
			signal.ID, signal.Revision = r.Signals[i], r.Revision
			s.signals[signal.ID] = &seenSignal{Signal: signal}
			w.raised[signal.ID] = s
			of(s)
		}
	}
	for _, id := range tx.Consume {
		if s := w.raised[id]; s != nil {
			of(s).consumed = append(of(s).consumed, id)
			s.signals[id].consumed = r.Revision
		}
	}
	for _, event := range tx.Events {
		if s := w.subjects[event.Object]; s != nil && event.Reason == "TransitionRefused" {
			of(s).trespass = event.Message
		}
	}
	for s, e := range about {
		s.entries = append(s.entries, *e)
		w.crash(s, e)
	}
}

// noteBeside keeps the last form of what is beside a subject; w.mu is held.
func (w *witness) noteBeside(o *resource.Object) {
	s := w.owned(o.Key)
	switch {
	case s == nil || s.key == o.Key:
	case o.Deleting() && len(o.Finalizers) == 0:
		delete(s.parts, o.Key)
	default:
		s.parts[o.Key] = o
	}
}

// crash ends the plane after a commit for which that is ordered; w.mu is held.
func (w *witness) crash(s *subject, e *sighting) {
	if !e.byDriver || e.object == nil || w.closing > 0 {
		return
	}
	n := s.written()
	for i, o := range s.Orders {
		if o.What == OrderCrash && o.After == n && !s.crashed[i] {
			s.crashed[i] = true
			w.kill()
		}
	}
}

// answered notes what a guard said.
func (w *witness) answered(key resource.Key, name decide.GuardName, holds bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.subjects[key]; s != nil {
		s.guards[name] = holds
	}
}

// owner is the subject that an object belongs to by its name: the subject itself, or what it has made.
func (w *witness) owner(key resource.Key) *subject {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.owned(key)
}

// owned is owner; w.mu is held.
func (w *witness) owned(key resource.Key) *subject {
	name, _, _ := strings.Cut(string(key.Name), ".")
	return w.byName[resource.Name(name)]
}

// now is the time as it is stored.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
