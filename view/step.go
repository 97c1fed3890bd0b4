package view

import (
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// step is one change of the view under way: a commit, or a load. It holds the write lock, and a large one lets it go
// now and then; nobody sees a part of it, because versions stamped with the coming sequence are invisible until it is published.
type step struct {
	view *View
	out  Applied
	// pinned is the present cut, held open while a large step lets readers in between.
	pinned *cut
	writes int
	gone   []*resource.Object
	// restored says that the database went back in time: revisions mean other commits from now on.
	restored bool
}

// stepSize is how many rows are written before readers are let in.
const stepSize = 256

func (v *View) begin(rows int, out Applied) *step {
	s := &step{view: v, out: out}
	v.mu.Lock()
	if rows > stepSize {
		s.pinned = v.clock.present
		s.pinned.refs.Add(1)
	}
	return s
}

// wrote counts a row, and lets readers in when it is time.
func (s *step) wrote() {
	s.writes++
	if s.pinned != nil && s.writes%stepSize == 0 {
		s.view.mu.Unlock()
		s.view.mu.Lock()
	}
}

// object stores a new form of an object. A namesake that stood in its place ends first, as a change of its own.
func (s *step) object(o *resource.Object) {
	if stale := s.view.objects.rows[o.Key].newest(); stale != nil && stale.UID != o.UID {
		s.removed(lastForm(stale, s.out.Revision))
	}
	old := s.view.objects.put(o)
	if old == nil {
		s.view.kinds[o.Kind]++
	}
	s.out.Objects = append(s.out.Objects, Change{Old: old, New: o, Initial: s.out.Origin == Initial})
	s.wrote()
}

// removed ends an object; last is its final form. What it owned by UID ends with it, at the end of the step.
func (s *step) removed(last *resource.Object) {
	if have := s.view.objects.rows[last.Key].newest(); have == nil || have.UID != last.UID {
		return
	}
	old := s.view.objects.remove(last)
	if s.view.kinds[last.Kind]--; s.view.kinds[last.Kind] == 0 {
		delete(s.view.kinds, last.Kind)
	}
	s.out.Objects = append(s.out.Objects, Change{Old: old, Gone: last})
	s.gone = append(s.gone, last)
	s.wrote()
}

// lastForm is an object that was found missing, as if a commit had removed it.
func lastForm(o *resource.Object, r resource.Revision) *resource.Object {
	last := o.Clone()
	last.Revision = r
	return last
}

func (s *step) command(c *command.Command) {
	old := s.view.commands.put(c)
	s.out.Commands = append(s.out.Commands, CommandChange{Old: old, New: c})
	s.wrote()
}

func (s *step) commandRemoved(c *command.Command) {
	if old := s.view.commands.remove(c); old != nil {
		s.out.Commands = append(s.out.Commands, CommandChange{Old: old})
		s.wrote()
	}
}

func (s *step) raised(r *signalRow) {
	if s.view.signals.put(r) == nil {
		s.out.Raised = append(s.out.Raised, r.Signal)
	}
	s.wrote()
}

func (s *step) consumed(id store.SignalID) {
	row := s.view.signalIDs[id].newest()
	if row == nil {
		return
	}
	s.view.signals.remove(row)
	s.out.Consumed = append(s.out.Consumed, row.Signal)
	s.wrote()
}

// timer sets a timer, or clears it when it has no due time. The timer of a namesake ends first, as a change of its own.
func (s *step) timer(r *timerRow) {
	if r.due.IsZero() {
		s.timerCleared(r)
		return
	}
	if stale := s.view.timers.rows[r.timerKey].newest(); stale != nil && stale.uid != r.uid {
		s.timerCleared(stale)
	}
	now := r.timer()
	change := TimerChange{New: &now}
	if old := s.view.timers.put(r); old != nil {
		was := old.timer()
		change.Old = &was
	}
	s.out.Timers = append(s.out.Timers, change)
	s.wrote()
}

// timerCleared clears the timer of one object, not the one of its namesake.
func (s *step) timerCleared(r *timerRow) {
	have := s.view.timers.rows[r.timerKey].newest()
	if have == nil || have.uid != r.uid && r.uid != "" {
		return
	}
	s.view.timers.remove(have)
	was := have.timer()
	s.out.Timers = append(s.out.Timers, TimerChange{Old: &was})
	s.wrote()
}

// cascade ends what belonged to the objects that ended, as the store does.
func (s *step) cascade() {
	for _, o := range s.gone {
		uid := o.UID
		for _, c := range s.view.commands.newest(&command.Slot{Owner: uid}, func(k *command.Slot) bool { return k.Owner == uid }) {
			s.commandRemoved(c)
		}
		for _, r := range s.view.signals.newest(&signalKey{uid: uid}, func(k *signalKey) bool { return k.uid == uid }) {
			s.consumed(r.id)
		}
		for _, r := range s.view.timers.newest(&timerKey{object: o.Key}, func(k *timerKey) bool { return k.object == o.Key }) {
			if r.uid == uid {
				s.timerCleared(r)
			}
		}
	}
}

// publish makes the step visible, all at once, and lets the lock go.
func (s *step) publish() Applied {
	v := s.view
	s.cascade()
	v.clock.advance(s.out.Revision)
	if s.pinned != nil {
		s.pinned.refs.Add(-1)
	}
	more := v.clock.sweep(sweepStep)
	v.revision.Store(uint64(s.out.Revision))
	v.mu.Unlock()
	for more {
		more = v.sweep()
	}
	v.health.applied(s.out.Revision, s.out.At, time.Now(), s.restored)
	if v.loaded.CompareAndSwap(false, true) {
		close(v.ready)
	}
	v.waiting.reached(s.out.Revision, s.restored)
	return s.out
}
