package view

import (
	"cmp"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/tidwall/btree"
)

// signalKey orders signals by object, then by age.
type signalKey struct {
	uid resource.UID
	id  store.SignalID
}

// signalRow is a signal with its key where the table finds it.
type signalRow struct {
	signalKey
	store.Signal
}

// timerKey orders timers by object, then by controller.
type timerKey struct {
	object     resource.Key
	controller string
}

// timerRow is a timer; its key stands for two of the fields.
type timerRow struct {
	timerKey
	uid  resource.UID
	due  time.Time
	code string
}

func (r *timerRow) timer() store.Timer {
	return store.Timer{Controller: r.controller, Object: r.object, UID: r.uid, Due: r.due, Code: r.code}
}

func newTimerRow(t store.Timer) *timerRow {
	return &timerRow{timerKey: timerKey{object: t.Object, controller: t.Controller}, uid: t.UID, due: t.Due, code: t.Code}
}

// same reports whether two timers with one key say the same.
func (r *timerRow) same(o *timerRow) bool {
	return r.uid == o.uid && r.due.Equal(o.due) && r.code == o.code
}

func newSignalRow(s store.Signal) *signalRow {
	return &signalRow{signalKey: signalKey{uid: s.UID, id: s.ID}, Signal: s}
}

// ref is an entry in a secondary index, under a term. Without an entry it is the place before all of that term.
type ref[V any] struct {
	a, b  string
	entry *entry[V]
}

type (
	objectTable  = table[resource.Key, resource.Object]
	commandTable = table[command.Slot, command.Command]
	signalTable  = table[signalKey, signalRow]
	timerTable   = table[timerKey, timerRow]
	objectRefs   = btree.BTreeG[ref[resource.Object]]
	commandRefs  = btree.BTreeG[ref[command.Command]]
)

// tables are all rows and all ways to find them.
type tables struct {
	objects  *objectTable
	uids     map[resource.UID]*entry[resource.Object]
	children *objectRefs // (owner UID, kind, child name, key)

	commands *commandTable
	expected *commandRefs // acknowledged and not withdrawn: (adapter, destination, natural key, owner)
	open     *commandRefs // still to be sent: by slot

	signals   *signalTable
	signalIDs map[store.SignalID]*entry[signalRow]

	timers *timerTable
}

func newTables(c *clock) tables {
	t := tables{
		uids:      map[resource.UID]*entry[resource.Object]{},
		children:  newRefs(compareChildren),
		expected:  newRefs(compareExpected),
		open:      newRefs(compareOpen),
		signalIDs: map[store.SignalID]*entry[signalRow]{},
	}
	t.objects = newTable(c, objectKey, compareKeys, t.uidIndex(), treeIndex(t.children, childTerms))
	t.commands = newTable(c, commandSlot, compareSlots, treeIndex(t.expected, expectedTerms), treeIndex(t.open, openTerms))
	t.signals = newTable(c, func(s *signalRow) *signalKey { return &s.signalKey }, compareSignals, t.signalIndex())
	t.timers = newTable(c, func(t *timerRow) *timerKey { return &t.timerKey }, compareTimers)
	return t
}

func objectKey(o *resource.Object) *resource.Key   { return &o.Key }
func commandSlot(c *command.Command) *command.Slot { return &c.Slot }

func (t *tables) uidIndex() *index[resource.Object] {
	return &index[resource.Object]{
		terms: func(dst []term, o *resource.Object) []term { return append(dst, term{a: string(o.UID)}) },
		add:   func(x term, e *entry[resource.Object]) { t.uids[resource.UID(x.a)] = e },
		drop: func(x term, e *entry[resource.Object]) {
			if t.uids[resource.UID(x.a)] == e {
				delete(t.uids, resource.UID(x.a))
			}
		},
	}
}

func (t *tables) signalIndex() *index[signalRow] {
	return &index[signalRow]{
		terms: func(dst []term, s *signalRow) []term { return append(dst, term{n: uint64(s.id)}) },
		add:   func(x term, e *entry[signalRow]) { t.signalIDs[store.SignalID(x.n)] = e },
		drop:  func(x term, _ *entry[signalRow]) { delete(t.signalIDs, store.SignalID(x.n)) },
	}
}

func newRefs[V any](compare func(a, b ref[V]) int) *btree.BTreeG[ref[V]] {
	return btree.NewBTreeGOptions(func(a, b ref[V]) bool { return compare(a, b) < 0 }, btree.Options{NoLocks: true})
}

func treeIndex[V any](refs *btree.BTreeG[ref[V]], terms func([]term, *V) []term) *index[V] {
	return &index[V]{
		terms: terms,
		add:   func(x term, e *entry[V]) { refs.Set(ref[V]{x.a, x.b, e}) },
		drop:  func(x term, e *entry[V]) { refs.Delete(ref[V]{x.a, x.b, e}) },
	}
}

// childTerms lists each owner once, with the child name it declared first.
func childTerms(dst []term, o *resource.Object) []term {
	for i := range o.Owners {
		if child, ok := childOf(o, o.Owners[i].UID); ok && child == i {
			dst = append(dst, term{a: string(o.Owners[i].UID), b: o.Owners[i].Child})
		}
	}
	return dst
}

// childOf returns the place of the first owner with a UID.
func childOf(o *resource.Object, owner resource.UID) (int, bool) {
	for i := range o.Owners {
		if o.Owners[i].UID == owner {
			return i, true
		}
	}
	return 0, false
}

func expectedTerms(dst []term, c *command.Command) []term {
	if c.Phase != command.Done || c.Request == nil {
		return dst
	}
	return append(dst, term{a: string(c.Adapter), b: c.Destination})
}

func openTerms(dst []term, c *command.Command) []term {
	if !c.Phase.Open() {
		return dst
	}
	return append(dst, term{})
}

func compareKeys(a, b *resource.Key) int {
	if c := strings.Compare(string(a.Kind), string(b.Kind)); c != 0 {
		return c
	}
	if c := strings.Compare(string(a.Namespace), string(b.Namespace)); c != 0 {
		return c
	}
	return strings.Compare(string(a.Name), string(b.Name))
}

func compareSlots(a, b *command.Slot) int {
	if c := strings.Compare(string(a.Owner), string(b.Owner)); c != 0 {
		return c
	}
	if c := strings.Compare(string(a.Adapter), string(b.Adapter)); c != 0 {
		return c
	}
	return strings.Compare(a.Key, b.Key)
}

func compareSignals(a, b *signalKey) int {
	if c := strings.Compare(string(a.uid), string(b.uid)); c != 0 {
		return c
	}
	return cmp.Compare(a.id, b.id)
}

func compareTimers(a, b *timerKey) int {
	if c := compareKeys(&a.object, &b.object); c != 0 {
		return c
	}
	return strings.Compare(a.controller, b.controller)
}

// placed compares two refs of which at least one may be a mere place; decided is false when both have entries.
func placed[V any](a, b ref[V]) (c int, decided bool) {
	switch {
	case a.entry == b.entry:
		return 0, true
	case a.entry == nil:
		return -1, true
	case b.entry == nil:
		return 1, true
	}
	return 0, false
}

func compareChildren(a, b ref[resource.Object]) int {
	if c := strings.Compare(a.a, b.a); c != 0 {
		return c
	}
	if a.entry == nil || b.entry == nil {
		c, _ := placed(a, b)
		return c
	}
	x, y := &a.entry.value.Key, &b.entry.value.Key
	if c := strings.Compare(string(x.Kind), string(y.Kind)); c != 0 {
		return c
	}
	if c := strings.Compare(a.b, b.b); c != 0 {
		return c
	}
	return compareKeys(x, y)
}

func compareExpected(a, b ref[command.Command]) int {
	if c := strings.Compare(a.a, b.a); c != 0 {
		return c
	}
	if c := strings.Compare(a.b, b.b); c != 0 {
		return c
	}
	if c, ok := placed(a, b); ok {
		return c
	}
	x, y := &a.entry.value.Slot, &b.entry.value.Slot
	if c := strings.Compare(x.Key, y.Key); c != 0 {
		return c
	}
	return strings.Compare(string(x.Owner), string(y.Owner))
}

func compareOpen(a, b ref[command.Command]) int {
	if c, ok := placed(a, b); ok {
		return c
	}
	return compareSlots(&a.entry.value.Slot, &b.entry.value.Slot)
}
