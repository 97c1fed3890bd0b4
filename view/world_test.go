package view

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"pgregory.net/rapid"
)

// world is the naive model: plain maps, copied whole at every revision.
type world struct {
	revision resource.Revision
	objects  map[resource.Key]*resource.Object
	commands map[command.Slot]*command.Command
	signals  map[store.SignalID]store.Signal
	timers   map[timerKey]store.Timer
}

func newWorld() *world {
	return &world{
		objects: map[resource.Key]*resource.Object{}, commands: map[command.Slot]*command.Command{},
		signals: map[store.SignalID]store.Signal{}, timers: map[timerKey]store.Timer{},
	}
}

func (w *world) copy() *world {
	return &world{w.revision, maps.Clone(w.objects), maps.Clone(w.commands), maps.Clone(w.signals), maps.Clone(w.timers)}
}

// apply is the model's idea of a batch, with the store's cascade.
func (w *world) apply(b store.Batch) *world {
	n := w.copy()
	n.revision = b.Revision
	for _, c := range b.Objects {
		if c.Removed {
			delete(n.objects, c.Object.Key)
			n.cascade(c.Object)
		} else {
			n.objects[c.Object.Key] = c.Object
		}
	}
	for _, c := range b.Commands {
		row := c.Command
		if c.Removed {
			delete(n.commands, row.Slot)
		} else {
			n.commands[row.Slot] = &row
		}
	}
	for _, s := range b.Raised {
		n.signals[s.ID] = s
	}
	for _, id := range b.Consumed {
		delete(n.signals, id)
	}
	for _, t := range b.Timers {
		if k := (timerKey{t.Object, t.Controller}); t.Due.IsZero() {
			delete(n.timers, k)
		} else {
			n.timers[k] = t
		}
	}
	return n
}

func (w *world) cascade(o *resource.Object) {
	maps.DeleteFunc(w.commands, func(s command.Slot, _ *command.Command) bool { return s.Owner == o.UID })
	maps.DeleteFunc(w.signals, func(_ store.SignalID, s store.Signal) bool { return s.UID == o.UID })
	maps.DeleteFunc(w.timers, func(_ timerKey, t store.Timer) bool { return t.UID == o.UID })
}

// scan delivers the world as a store would, in several batches.
func (w *world) scan(_ context.Context, visit func(store.Batch) error) (resource.Revision, error) {
	for o := range maps.Values(w.objects) {
		if err := visit(store.Batch{Revision: w.revision, Objects: []store.ObjectChange{{Object: o, Created: true}}}); err != nil {
			return 0, err
		}
	}
	rest := store.Batch{Revision: w.revision, Raised: slices.Collect(maps.Values(w.signals)), Timers: slices.Collect(maps.Values(w.timers))}
	for c := range maps.Values(w.commands) {
		rest.Commands = append(rest.Commands, store.CommandChange{Command: *c})
	}
	return w.revision, visit(rest)
}

var (
	kinds       = []resource.KindID{"Gateway.edge.example", "Record.edge.example"}
	namespaces  = []resource.Namespace{"blue", "green"}
	names       = []resource.Name{"a", "a.dns", "b"}
	adapters    = []command.AdapterName{"dns", "hosts"}
	naturalKeys = []string{"x", "y"}
	controllers = []string{"main", "backup"}
	noon        = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
)

func allKeys() (keys []resource.Key) {
	for _, k := range kinds {
		for _, ns := range namespaces {
			for _, n := range names {
				keys = append(keys, resource.Key{Kind: k, Namespace: ns, Name: n})
			}
		}
	}
	return keys
}

// author makes random batches that a store could have committed.
type author struct {
	uids    []resource.UID // every one ever given
	signals store.SignalID
	history int // told apart after a restore, when revisions are given again
}

func (a *author) batch(t *rapid.T, w *world) store.Batch {
	b := store.Batch{Revision: w.revision + 1, At: noon.Add(time.Duration(w.revision) * time.Second)}
	keys := rapid.SliceOfNDistinct(rapid.SampledFrom(allKeys()), 0, 4, rapid.ID[resource.Key]).Draw(t, "written")
	removed := map[resource.UID]bool{}
	for _, k := range keys {
		c := a.object(t, w, k, b.Revision)
		if c.Object == nil {
			continue
		}
		if c.Removed {
			removed[c.Object.UID] = true
		}
		b.Objects = append(b.Objects, c)
	}
	a.rows(t, w, &b, removed)
	return b
}

func (a *author) object(t *rapid.T, w *world, k resource.Key, r resource.Revision) store.ObjectChange {
	have := w.objects[k]
	if have == nil {
		uid := resource.UID(fmt.Sprintf("uid-%d", len(a.uids)+1))
		a.uids = append(a.uids, uid)
		return store.ObjectChange{Created: true, Object: a.form(t, k, uid, r)}
	}
	if rapid.IntRange(0, 2).Draw(t, "remove") == 0 {
		last := have.Clone()
		last.Revision = r
		return store.ObjectChange{Removed: true, Object: last}
	}
	return store.ObjectChange{Object: a.form(t, k, have.UID, r)}
}

func (a *author) form(t *rapid.T, k resource.Key, uid resource.UID, r resource.Revision) *resource.Object {
	o := &resource.Object{Spec: fmt.Appendf(nil, `{"r":%d,"history":%d}`, r, a.history)}
	o.Key, o.UID, o.Revision = k, uid, r
	for range rapid.IntRange(0, 2).Draw(t, "owners") {
		o.Owners = append(o.Owners, resource.Owner{
			UID: rapid.SampledFrom(a.uids).Draw(t, "owner"), Child: rapid.SampledFrom([]string{"", "dns", "tls"}).Draw(t, "child"),
		})
	}
	return o
}

// rows adds commands, signals and timers of objects that exist, and clears some of those that are there.
func (a *author) rows(t *rapid.T, w *world, b *store.Batch, removed map[resource.UID]bool) {
	owners := slices.SortedFunc(maps.Values(w.objects), func(x, y *resource.Object) int { return x.Compare(y.Key) })
	for _, o := range owners {
		if removed[o.UID] {
			continue
		}
		switch rapid.IntRange(0, 6).Draw(t, "row") {
		case 0:
			b.Commands = append(b.Commands, a.command(t, w, o, b.Revision))
		case 1:
			a.signals++
			b.Raised = append(b.Raised, store.Signal{ID: a.signals, Object: o.Key, UID: o.UID, Name: "Go", Revision: b.Revision,
				Why: "drawn", Dedupe: rapid.SampledFrom([]string{"", "one", "two"}).Draw(t, "dedupe"), Expires: noon.Add(time.Duration(a.signals) * time.Minute)})
		case 2:
			tm := store.Timer{Controller: rapid.SampledFrom(controllers).Draw(t, "controller"), Object: o.Key, UID: o.UID, Code: "Later"}
			if rapid.Bool().Draw(t, "armed") {
				tm.Due = noon.Add(time.Duration(b.Revision) * time.Minute)
			}
			b.Timers = append(b.Timers, tm)
		case 3:
			for id, s := range w.signals {
				if s.UID == o.UID {
					b.Consumed = append(b.Consumed, id)
				}
			}
		}
	}
}

func (a *author) command(t *rapid.T, w *world, o *resource.Object, r resource.Revision) store.CommandChange {
	slot := command.Slot{Owner: o.UID, Adapter: rapid.SampledFrom(adapters).Draw(t, "adapter"), Key: rapid.SampledFrom(naturalKeys).Draw(t, "key")}
	c := command.Command{Slot: slot, Object: o.Key, Revision: r, Token: command.TokenOf(uint64(a.history), slot, uint64(r))}
	c.Phase = rapid.SampledFrom([]command.Phase{command.Pending, command.Accepted, command.Done, command.Refused}).Draw(t, "phase")
	c.Destination = rapid.SampledFrom([]string{"", "east"}).Draw(t, "destination")
	if rapid.Bool().Draw(t, "present") {
		c.Request = []byte(`{}`)
	}
	return store.CommandChange{Command: c, Removed: w.commands[slot] != nil && rapid.Bool().Draw(t, "remove")}
}

// tell describes a snapshot, or a world, as lines that can be compared. Both describe themselves by what they can be asked.
func (w *world) tell(uids []resource.UID) string {
	var b strings.Builder
	fmt.Fprintln(&b, "revision", w.revision)
	objects := slices.SortedFunc(maps.Values(w.objects), func(x, y *resource.Object) int { return x.Compare(y.Key) })
	for _, k := range allKeys() {
		fmt.Fprintf(&b, "get %s %p\n", k, w.objects[k])
	}
	for _, k := range kinds {
		for _, ns := range []resource.Namespace{"", "blue", "green"} {
			for _, o := range objects {
				if o.Kind == k && (ns == "" || o.Namespace == ns) {
					fmt.Fprintf(&b, "list %s %q %p\n", k, ns, o)
				}
			}
		}
	}
	commands := slices.SortedFunc(maps.Values(w.commands), func(x, y *command.Command) int { return compareSlots(&x.Slot, &y.Slot) })
	for _, u := range uids {
		for _, o := range objects {
			if o.UID == u {
				fmt.Fprintf(&b, "uid %s %p\n", u, o)
			}
		}
		w.tellChildren(&b, u)
		for _, c := range commands {
			if c.Owner == u {
				tellCommand(&b, "of "+string(u), c)
			}
		}
		for _, id := range slices.Sorted(maps.Keys(w.signals)) {
			if w.signals[id].UID == u {
				tellSignal(&b, w.signals[id])
			}
		}
	}
	for _, c := range commands {
		if c.Phase.Open() {
			tellCommand(&b, "open", c)
		}
	}
	w.tellExpected(&b, commands)
	for _, t := range slices.SortedFunc(maps.Values(w.timers), func(x, y store.Timer) int {
		return cmp.Or(x.Object.Compare(y.Object), cmp.Compare(x.Controller, y.Controller))
	}) {
		fmt.Fprintf(&b, "timer %s %s %s %s\n", t.Object, t.Controller, t.UID, t.Due)
	}
	return b.String()
}

func (w *world) tellChildren(b *strings.Builder, owner resource.UID) {
	type child struct {
		name string
		o    *resource.Object
	}
	var found []child
	for _, o := range w.objects {
		if i := slices.IndexFunc(o.Owners, func(x resource.Owner) bool { return x.UID == owner }); i >= 0 {
			found = append(found, child{o.Owners[i].Child, o})
		}
	}
	slices.SortFunc(found, func(x, y child) int {
		return cmp.Or(cmp.Compare(x.o.Kind, y.o.Kind), cmp.Compare(x.name, y.name), x.o.Compare(y.o.Key))
	})
	for _, c := range found {
		fmt.Fprintf(b, "child of %s %p\n", owner, c.o)
	}
}

func (w *world) tellExpected(b *strings.Builder, commands []*command.Command) {
	expected := slices.DeleteFunc(slices.Clone(commands), func(c *command.Command) bool { return c.Phase != command.Done || c.Request == nil })
	slices.SortFunc(expected, func(x, y *command.Command) int {
		return cmp.Or(cmp.Compare(x.Destination, y.Destination), cmp.Compare(x.Key, y.Key), cmp.Compare(x.Owner, y.Owner))
	})
	for _, a := range adapters {
		for _, d := range []string{"", "east"} {
			for _, c := range expected {
				if c.Adapter == a && (d == "" || c.Destination == d) {
					tellCommand(b, "expected "+d, c)
				}
			}
		}
	}
}

func tellCommand(b *strings.Builder, what string, c *command.Command) {
	fmt.Fprintf(b, "%s %s %s %s %s\n", what, c.Owner, c.Slot, c.Phase, c.Token)
}

func tellSignal(b *strings.Builder, s store.Signal) {
	fmt.Fprintf(b, "signal %s %d %s %q %q %s\n", s.UID, s.ID, s.Name, s.Why, s.Dedupe, s.Expires)
}

func (s *Snapshot) tell(uids []resource.UID) string {
	var b strings.Builder
	fmt.Fprintln(&b, "revision", s.Revision())
	for _, k := range allKeys() {
		o, _ := s.Get(k)
		fmt.Fprintf(&b, "get %s %p\n", k, o)
	}
	for _, k := range kinds {
		for _, ns := range []resource.Namespace{"", "blue", "green"} {
			for o := range s.List(k, ns) {
				fmt.Fprintf(&b, "list %s %q %p\n", k, ns, o)
			}
		}
	}
	for _, u := range uids {
		if o, ok := s.ByUID(u); ok {
			fmt.Fprintf(&b, "uid %s %p\n", u, o)
		}
		for _, o := range s.Children(u) {
			fmt.Fprintf(&b, "child of %s %p\n", u, o)
		}
		for _, c := range s.Commands(u) {
			if again, ok := s.Command(c.Slot); !ok || again != c {
				fmt.Fprintf(&b, "Command and Commands disagree on %s\n", c.Slot)
			}
			tellCommand(&b, "of "+string(u), c)
		}
		for _, x := range s.Signals(u) {
			tellSignal(&b, x)
		}
	}
	for c := range s.OpenCommands() {
		tellCommand(&b, "open", c)
	}
	for _, a := range adapters {
		for _, d := range []string{"", "east"} {
			for c := range s.Expected(a, d) {
				tellCommand(&b, "expected "+d, c)
			}
		}
	}
	for t := range s.Timers() {
		if again, ok := s.Timer(t.Controller, t.Object); !ok || again != t {
			fmt.Fprintf(&b, "Timer and Timers disagree on %s\n", t.Object)
		}
		fmt.Fprintf(&b, "timer %s %s %s %s\n", t.Object, t.Controller, t.UID, t.Due)
	}
	return b.String()
}
