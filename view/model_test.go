package view

import (
	"errors"
	"slices"
	"testing"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"pgregory.net/rapid"
)

// held is an open snapshot and the world it was taken of.
type held struct {
	snapshot *Snapshot
	world    *world
}

// machine drives a view and the naive model side by side.
type machine struct {
	author   author
	view     *View
	now      *world
	past     []*world
	open     []held
	follower *world // built from what the view says has changed
}

func TestViewAgreesWithTheNaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{view: New(), now: newWorld(), follower: newWorld()}
		if err := m.view.Load(t.Context(), m.now.scan, m.observe(t)); err != nil {
			t.Fatal(err)
		}
		t.Repeat(map[string]func(*rapid.T){
			"commit":  m.commit,
			"commit2": m.commit,
			"take":    func(t *rapid.T) { m.open = append(m.open, held{m.view.Snapshot(), m.now}) },
			"close":   m.closeOne,
			"rescan":  m.rescan,
			"restore": m.restore,
			"gap":     m.gap,
			"":        m.check,
		})
		for len(m.open) > 0 {
			m.closeOne(t)
		}
		m.view.Trim()
		m.checkNoGarbage(t)
	})
}

func (m *machine) commit(t *rapid.T) {
	b := m.author.batch(t, m.now)
	applied, err := m.view.Apply(b)
	if err != nil {
		t.Fatal(err)
	}
	m.past = append(m.past, m.now)
	m.now = m.now.apply(b)
	m.observe(t)(applied)
}

func (m *machine) closeOne(t *rapid.T) {
	if len(m.open) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.open)-1).Draw(t, "closed")
	m.open[i].snapshot.Close()
	m.open = slices.Delete(m.open, i, i+1)
}

// rescan lets commits pass that the view does not hear of, and loads it again.
func (m *machine) rescan(t *rapid.T) {
	for range rapid.IntRange(0, 4).Draw(t, "missed") {
		m.now = m.now.apply(m.author.batch(t, m.now))
	}
	if err := m.view.Load(t.Context(), m.now.scan, m.observe(t)); err != nil {
		t.Fatal(err)
	}
}

// restore goes back to an earlier world; what follows gives the same revisions to other commits.
func (m *machine) restore(t *rapid.T) {
	if len(m.past) == 0 {
		return
	}
	m.now = rapid.SampledFrom(m.past).Draw(t, "backup")
	m.past = nil
	m.author.history++
	if rapid.Bool().Draw(t, "goes on") {
		m.now = m.now.apply(m.author.batch(t, m.now))
	}
	if err := m.view.load(t.Context(), m.now.scan, m.observe(t), true); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) gap(t *rapid.T) {
	b := m.author.batch(t, m.now)
	b.Revision = m.now.revision + resource.Revision(rapid.SampledFrom([]int{0, 2, 9}).Draw(t, "revision"))
	var order *OrderError
	if _, err := m.view.Apply(b); !errors.Is(err, ErrOrder) || !errors.As(err, &order) || order.Got != b.Revision {
		t.Fatalf("a batch of revision %d at %d: %v", b.Revision, m.now.revision, err)
	}
}

func (m *machine) check(t *rapid.T) {
	s := m.view.Snapshot()
	if got, want := s.tell(m.author.uids), m.now.tell(m.author.uids); got != want {
		t.Fatalf("the view shows\n%s\nand should show\n%s", got, want)
	}
	s.Close()
	for _, h := range m.open {
		if got, want := h.snapshot.tell(m.author.uids), h.world.tell(m.author.uids); got != want {
			t.Fatalf("a snapshot has become\n%s\nand was\n%s", got, want)
		}
	}
	if got, want := m.follower.tell(m.author.uids), m.now.tell(m.author.uids); got != want {
		t.Fatalf("who follows the changes has\n%s\nand should have\n%s", got, want)
	}
	m.view.Trim()
	m.checkStrict(t)
}

// observe keeps a world up to date by changes alone, and checks that each one starts from what that world has.
func (m *machine) observe(t *rapid.T) func(Applied) {
	return func(a Applied) {
		f := m.follower
		f.revision = a.Revision
		for _, c := range a.Objects {
			k := c.Object().Key
			if f.objects[k] != c.Old || c.Old != nil && c.Old.UID != c.Object().UID {
				t.Fatalf("%s: a change starts from another version than the one before it ended with", k)
			}
			if c.New == nil {
				delete(f.objects, k)
			} else {
				f.objects[k] = c.New
			}
			if c.New == nil && c.Gone.Revision != a.Revision {
				t.Fatalf("%s: gone at %d, in a step to %d", k, c.Gone.Revision, a.Revision)
			}
		}
		for _, c := range a.Commands {
			slot := commandOf(c).Slot
			if f.commands[slot] != c.Old {
				t.Fatalf("%s: a change starts from another version than the one before it ended with", slot)
			}
			delete(f.commands, slot)
			if c.New != nil {
				f.commands[slot] = c.New
			}
		}
		for _, s := range a.Raised {
			f.signals[s.ID] = s
		}
		for _, s := range a.Consumed {
			delete(f.signals, s.ID)
		}
		for _, c := range a.Timers {
			f.timer(c)
		}
	}
}

func commandOf(c CommandChange) *command.Command {
	if c.New != nil {
		return c.New
	}
	return c.Old
}

func (w *world) timer(c TimerChange) {
	if c.Old != nil {
		delete(w.timers, timerKey{c.Old.Object, c.Old.Controller})
	}
	if c.New != nil {
		w.timers[timerKey{c.New.Object, c.New.Controller}] = *c.New
	}
}

// checkStrict checks that every old version is seen by an open snapshot.
func (m *machine) checkStrict(t *rapid.T) {
	count := 0
	needed := func(born, died sequence) {
		count++
		if !slices.ContainsFunc(m.open, func(h held) bool { return h.snapshot.cut.sequence >= born && h.snapshot.cut.sequence < died }) {
			t.Fatalf("a version of [%d,%d) is kept and no snapshot sees it", born, died)
		}
	}
	v := m.view
	eachVersion(v.objects, needed)
	eachVersion(v.commands, needed)
	eachVersion(v.signals, needed)
	eachVersion(v.timers, needed)
	if got := v.Stats().Versions; got != count {
		t.Fatalf("%d versions are kept and %d counted", count, got)
	}
}

func eachVersion[K comparable, V any](t *table[K, V], see func(born, died sequence)) {
	for _, e := range t.rows {
		died := e.born
		for w := e.older; w != nil; w = w.older {
			see(w.born, died)
			died = w.born
		}
	}
}

// checkNoGarbage checks that with no snapshot open nothing is held but the newest versions, in every index.
func (m *machine) checkNoGarbage(t *rapid.T) {
	v, w := m.view, m.now
	owned, open, expected := 0, 0, 0
	for _, o := range w.objects {
		owned += len(childTerms(nil, o))
	}
	for _, c := range w.commands {
		open += len(openTerms(nil, c))
		expected += len(expectedTerms(nil, c))
	}
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"old versions", v.clock.kept, 0},
		{"past cuts", len(v.clock.past), 0},
		{"object rows", len(v.objects.rows), len(w.objects)},
		{"object tree", v.objects.order.Len(), len(w.objects)},
		{"live objects", v.objects.live, len(w.objects)},
		{"UIDs", len(v.uids), len(w.objects)},
		{"children", v.children.Len(), owned},
		{"command rows", len(v.commands.rows), len(w.commands)},
		{"command tree", v.commands.order.Len(), len(w.commands)},
		{"open commands", v.open.Len(), open},
		{"expected commands", v.expected.Len(), expected},
		{"signal rows", len(v.signals.rows), len(w.signals)},
		{"signal IDs", len(v.signalIDs), len(w.signals)},
		{"timer rows", len(v.timers.rows), len(w.timers)},
		{"timer tree", v.timers.order.Len(), len(w.timers)},
	} {
		if c.got != c.want {
			t.Fatalf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
	kinds := map[resource.KindID]int{}
	for k := range w.objects {
		kinds[k.Kind]++
	}
	for k, n := range v.Stats().Kinds {
		if kinds[k] != n {
			t.Fatalf("kind %s: counted %d of %d", k, n, kinds[k])
		}
	}
}
