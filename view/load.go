package view

import (
	"context"
	"fmt"
	"slices"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Scanner reads a whole database at one revision, as [store.Store.Scan] does.
type Scanner func(ctx context.Context, visit func(store.Batch) error) (resource.Revision, error)

// Load makes the view what a scan finds, in one visible step, and tells observe the difference in parts, after it has become
// visible. While it runs, readers see the old cut; when it fails, they still do.
//
// On a view that has rows already, rows that the scan did not find are removed, and rows with the same UID and revision stay as
// they are; if the scan's revision is below the view's, the database went back in time and every row is taken anew.
func (v *View) Load(ctx context.Context, scan Scanner, observe func(Applied)) error {
	return v.load(ctx, scan, observe, false)
}

func (v *View) load(ctx context.Context, scan Scanner, observe func(Applied), distrust bool) error {
	out, err := v.scan(ctx, scan, distrust)
	if err != nil {
		return fmt.Errorf("load the view: %w", err)
	}
	if observe != nil {
		out.parts(observe)
	}
	return nil
}

func (v *View) scan(ctx context.Context, scan Scanner, distrust bool) (Applied, error) {
	v.applying.Lock()
	defer v.applying.Unlock()
	l := v.newLoader(distrust)
	r, err := scan(ctx, l.take)
	switch {
	case err != nil:
		return Applied{}, err
	case l.started && r != l.revision:
		return Applied{}, fmt.Errorf("%w: the batches of the scan are of revision %d, and it ended as %d", ErrMalformed, l.revision, r)
	}
	return l.publish(r), nil
}

// loader compares a scan, as it comes in, with what the view has, and keeps only what differs.
type loader struct {
	view *View
	// distrust takes rows anew though their revision is the same: it was given by another history.
	distrust bool
	started  bool
	revision resource.Revision

	objects  []*resource.Object
	commands []*command.Command
	signals  []*signalRow
	timers   []*timerRow
}

func (v *View) newLoader(distrust bool) *loader {
	v.marks++
	return &loader{view: v, distrust: distrust}
}

// take marks the rows that the view has, and keeps those that are new or changed.
func (l *loader) take(b store.Batch) error {
	if err := wellFormed(b); err != nil {
		return err
	}
	switch {
	case !l.started:
		l.started, l.revision = true, b.Revision
		l.distrust = l.distrust || b.Revision < l.view.Revision()
	case b.Revision != l.revision:
		return fmt.Errorf("%w: a scan of revision %d goes on at %d", ErrMalformed, l.revision, b.Revision)
	}
	v := l.view
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, c := range b.Objects {
		if have := mark(v.objects, c.Object, v.marks); l.distrust || have == nil || have.UID != c.Object.UID || have.Revision != c.Object.Revision {
			l.objects = append(l.objects, c.Object)
		}
	}
	for _, c := range b.Commands {
		row := c.Command
		if have := mark(v.commands, &row, v.marks); l.distrust || have == nil || have.Token != row.Token || have.Revision != row.Revision {
			l.commands = append(l.commands, &row)
		}
	}
	for _, s := range b.Raised {
		row := newSignalRow(s)
		if have := mark(v.signals, row, v.marks); l.distrust || have == nil {
			l.signals = append(l.signals, row)
		}
	}
	for _, t := range b.Timers {
		row := newTimerRow(t)
		if have := mark(v.timers, row, v.marks); l.distrust || have == nil || !have.same(row) {
			l.timers = append(l.timers, row)
		}
	}
	return nil
}

// mark notes that a scan has seen a row, and returns what the view has of it.
func mark[K comparable, V any](t *table[K, V], row *V, marks uint32) *V {
	e := t.rows[*t.key(row)]
	if e == nil {
		return nil
	}
	e.mark = marks
	return e.newest()
}

// missing lists the rows that exist in the view and were not seen by the scan, a bounded number per critical section.
func missing[K comparable, V any](v *View, t *table[K, V]) []*V {
	w := walk[item[K, V], V]{mu: &v.mu, tree: t.order, see: func(i item[K, V]) (*V, bool) {
		if i.entry.mark == v.marks {
			return nil, true
		}
		return i.entry.newest(), true
	}}
	var rows []*V
	for row := range w.all() {
		rows = append(rows, row)
	}
	return rows
}

// prepare puts a first load in order: neighbours are then written one after the other, which saves a third of the time.
func (l *loader) prepare() {
	slices.SortFunc(l.objects, func(a, b *resource.Object) int { return compareKeys(&a.Key, &b.Key) })
	slices.SortFunc(l.commands, func(a, b *command.Command) int { return compareSlots(&a.Slot, &b.Slot) })
}

// publish writes the difference as one step.
func (l *loader) publish(r resource.Revision) Applied {
	v := l.view
	origin := Rescan
	if !v.loaded.Load() {
		origin = Initial
	}
	if origin == Initial {
		l.prepare()
	}
	objects, commands, signals, timers := missing(v, v.objects), missing(v, v.commands), missing(v, v.signals), missing(v, v.timers)
	// A load is always a large step, as the rows of vanished objects are not counted here.
	s := v.begin(stepSize+1, Applied{Revision: r, Origin: origin})
	s.out.Objects = make([]Change, 0, len(objects)+len(l.objects))
	s.restored = l.distrust || r < v.Revision()
	for _, o := range objects {
		s.removed(lastForm(o, r))
	}
	for _, c := range commands {
		s.commandRemoved(c)
	}
	for _, row := range signals {
		s.consumed(row.id)
	}
	for _, row := range timers {
		s.timerCleared(row)
	}
	for _, o := range l.objects {
		s.object(o)
	}
	for _, c := range l.commands {
		s.command(c)
	}
	for _, row := range l.signals {
		s.raised(row)
	}
	for _, row := range l.timers {
		s.timer(row)
	}
	return s.publish()
}
