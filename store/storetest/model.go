package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

var modelScenarios = []scenario{
	{name: "Model/RandomTransactions", reason: "thousands of random transactions have the verdict and the effect that forty lines of maps predict", run: randomTransactions},
}

// randomTransactions compares a store with a model of it, seed by seed. A failure names its seed.
func randomTransactions(s *suite) {
	m := &model{State: NewState(), suite: s}
	for seed := range uint64(8) {
		m.random = rand.New(rand.NewPCG(seed, 1))
		for step := range 150 {
			tx, want := m.transaction()
			r, err := s.commit(tx)
			if !errors.Is(err, want) {
				s.Fatalf("seed %d, step %d: error %v, want %v, for\n%s", seed, step, err, want, describe(tx))
			}
			if err == nil {
				m.apply(tx, r)
			}
			if step%25 == 0 {
				m.compare(seed, step)
			}
		}
	}
	m.compare(0, 0)
	if got := s.watchState(0).upTo(m.Revision).String(); got != m.String() {
		s.Fatalf("the feed gives\n%s\nthe model has\n%s", got, m)
	}
}

// model is what a store should be: maps.
type model struct {
	*State
	*suite
	random *rand.Rand
	born   int
	// wrong says that the transaction being made has an unmet expectation.
	wrong bool
}

func (m *model) String() string { return m.State.String() }

func (m *model) compare(seed uint64, step int) {
	m.Helper()
	now := m.state()
	if now.Revision != m.Revision || now.String() != m.String() {
		m.Fatalf("seed %d, step %d: the store (%d) has\n%s\nthe model (%d)\n%s", seed, step, now.Revision, now, m.Revision, m)
	}
}

// chance is true once in n times.
func (m *model) chance(n int) bool { return m.random.IntN(n) == 0 }

// expect is a revision, or now and then a wrong one.
func (m *model) expect(rev resource.Revision) resource.Revision {
	if m.chance(12) {
		m.wrong = true
		return rev + 1
	}
	return rev
}

// transaction makes one, and says how it has to end.
func (m *model) transaction() (store.Transaction, error) {
	m.wrong = false
	var tx store.Transaction
	names := m.random.Perm(6)
	for _, n := range names[:m.random.IntN(3)] {
		tx.Objects = append(tx.Objects, m.objectWrite(fmt.Sprint("o", n)))
	}
	left := m.after(tx)
	if m.chance(3) {
		key := thing(fmt.Sprint("o", names[5])).Key
		tx.Reads = append(tx.Reads, store.Read{Key: key, Revision: m.expect(m.revisionOf(key))})
	}
	for _, o := range left {
		if m.chance(4) {
			tx.Commands = append(tx.Commands, m.commandWrite(o))
		}
		if m.chance(4) {
			tx.Raise = append(tx.Raise, store.Signal{Object: o.Key, UID: o.UID, Name: "Poke", At: epoch})
		}
		if m.chance(4) {
			due := epoch.AddDate(0, 0, m.random.IntN(9))
			if m.chance(3) {
				due = time.Time{}
			}
			tx.Timers = append(tx.Timers, store.Timer{Controller: fmt.Sprint("c", m.random.IntN(2)), Object: o.Key, UID: o.UID, Due: due})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(m.Signals)) {
		if m.chance(6) {
			tx.Consume = append(tx.Consume, id)
		}
	}
	if m.chance(30) {
		m.wrong = true
		tx.Consume = append(tx.Consume, 1_000_000)
	}
	if m.wrong {
		return tx, store.ErrConflict
	}
	return tx, nil
}

func (m *model) revisionOf(key resource.Key) resource.Revision {
	if o := m.Objects[key]; o != nil {
		return o.Revision
	}
	return 0
}

func (m *model) objectWrite(name string) store.ObjectWrite {
	key := thing(name).Key
	have := m.Objects[key]
	switch {
	case have == nil:
		o := thing(name)
		m.born++
		o.UID = resource.UID(fmt.Sprint("uid-", m.born))
		if m.chance(2) {
			o.Finalizers = []resource.Finalizer{"dns"}
		}
		return store.ObjectWrite{Object: o, Expect: m.expect(0)}
	case len(have.Finalizers) == 0 && m.chance(3):
		return store.ObjectWrite{Key: key, Expect: m.expect(have.Revision)}
	}
	o := changed(have, fmt.Sprintf(`{"n":%d}`, m.random.IntN(1000)))
	switch {
	case o.Deleting() && m.chance(2):
		o.Finalizers = nil
	case len(o.Finalizers) > 0 && !o.Deleting() && m.chance(3):
		o.Deleted = epoch
	}
	return store.ObjectWrite{Object: o, Expect: m.expect(have.Revision)}
}

// commandWrite makes, changes or removes a command of an object.
func (m *model) commandWrite(o *resource.Object) store.CommandWrite {
	c := order(o, fmt.Sprint("k", m.random.IntN(2)))
	have, ok := m.Commands[c.Slot]
	switch {
	case !ok:
		return store.CommandWrite{Command: c, Expect: m.expect(0)}
	case m.chance(3):
		return store.CommandWrite{Command: have, Expect: m.expect(have.Revision), Delete: true}
	}
	have.Intent++
	have.Phase = []command.Phase{command.Pending, command.Done, command.Lost}[m.random.IntN(3)]
	return store.CommandWrite{Command: have, Expect: m.expect(have.Revision)}
}

// after lists the objects that are there when a transaction is applied, in order of their keys.
func (m *model) after(tx store.Transaction) []*resource.Object {
	there := maps.Clone(m.Objects)
	for _, w := range tx.Objects {
		if w.Object == nil || leaves(w.Object) {
			key := w.Key
			if w.Object != nil {
				key = w.Object.Key
			}
			delete(there, key)
		} else {
			there[w.Object.Key] = w.Object
		}
	}
	list := slices.Collect(maps.Values(there))
	slices.SortFunc(list, func(a, b *resource.Object) int { return a.Key.Compare(b.Key) })
	return list
}

// leaves reports whether the commit that writes o removes it.
func leaves(o *resource.Object) bool { return o.Deleting() && len(o.Finalizers) == 0 }

// apply does to the maps what the contract says.
func (m *model) apply(tx store.Transaction, r store.Receipt) {
	if len(tx.Objects)+len(tx.Commands)+len(tx.Raise)+len(tx.Consume)+len(tx.Timers) == 0 {
		return
	}
	m.Revision++
	b := store.Batch{Consumed: tx.Consume, Timers: tx.Timers}
	for _, w := range tx.Commands {
		w.Command.Revision = m.Revision
		b.Commands = append(b.Commands, store.CommandChange{Command: w.Command, Removed: w.Delete})
	}
	for i, g := range tx.Raise {
		g.ID, g.Revision = r.Signals[i], m.Revision
		b.Raised = append(b.Raised, g)
	}
	for _, w := range tx.Objects {
		if w.Object != nil && !leaves(w.Object) {
			o := w.Object.Clone()
			o.Revision = m.Revision
			b.Objects = append(b.Objects, store.ObjectChange{Object: o})
			continue
		}
		key := w.Key
		if w.Object != nil {
			key = w.Object.Key
		}
		m.forget(m.Objects[key])
	}
	m.put(b)
}

// forget removes an object, and what hangs on it.
func (m *model) forget(o *resource.Object) {
	delete(m.Objects, o.Key)
	maps.DeleteFunc(m.Commands, func(slot command.Slot, _ command.Command) bool { return slot.Owner == o.UID })
	maps.DeleteFunc(m.Signals, func(_ store.SignalID, g store.Signal) bool { return g.UID == o.UID })
	maps.DeleteFunc(m.Timers, func(slot TimerSlot, _ store.Timer) bool { return slot.UID == o.UID })
}

func describe(tx store.Transaction) string {
	text := ""
	for _, w := range tx.Objects {
		if w.Object == nil {
			text += fmt.Sprintf("remove %s at %d\n", w.Key, w.Expect)
		} else {
			text += fmt.Sprintf("write %s (%s) at %d: deleted %t, finalizers %v\n", w.Object.Key, w.Object.UID, w.Expect, w.Object.Deleting(), w.Object.Finalizers)
		}
	}
	return text + fmt.Sprintf("reads %+v\ncommands %s\nraise %+v\nconsume %v\ntimers %+v", tx.Reads, stringOf(tx.Commands), tx.Raise, tx.Consume, tx.Timers)
}
