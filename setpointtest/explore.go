package setpointtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
)

// explorer finds the cases of a program by telling them: what can go wrong in a case is known when it has been told once.
type explorer struct {
	*program
	most, depth, variants int
	immortal              bool // no plane dies
	stories               []Case
	random                *rand.Rand
	seen                  map[string]bool
	all                   []told
	report                *Report
}

// inOneWorld bounds the cases of one world, and crashing those in which the plane dies: each such death is one for all the others in the world.
const (
	inOneWorld = 128
	crashing   = 12
)

// explore tells cases until there are enough, or none is left.
func (x *explorer) explore(t *testing.T, only []Case) error {
	t.Helper()
	x.random, x.seen = rand.New(rand.NewPCG(x.seed, 8)), map[string]bool{}
	situations, err := decide.Situations(x.def.Lifecycle, x.def.Decisions)
	if err != nil {
		return err
	}
	x.situated(situations)
	if err := x.prove(); err != nil {
		return err
	}
	if len(only) > 0 {
		x.most = len(only)
		return x.tell(t, only)
	}
	cases := x.plain(situations)
	x.report.Situations = len(cases)
	if err := x.tell(t, x.sample(x.stories, len(x.stories))); err != nil {
		return err
	}
	room := x.most
	x.most += len(x.all)
	if err := x.tell(t, x.sample(cases, room/2)); err != nil {
		return err
	}
	for depth := 1; depth <= x.depth && len(x.all) < x.most; depth++ {
		from := x.representatives(depth - 1)
		var next []Case
		for i := range from {
			next = append(next, x.twisted(&from[i])...)
		}
		room := x.most - len(x.all)
		if depth < x.depth {
			room = room * 3 / 4
		}
		x.report.Twisted = append(x.report.Twisted, len(next))
		if err := x.tell(t, x.sample(next, room)); err != nil {
			return err
		}
	}
	return nil
}

// situated learns in which states the table is asked.
func (x *explorer) situated(situations []decide.Situation) {
	x.resting = nil
	for _, s := range situations {
		if !slices.Contains(x.resting, s.State) {
			x.resting = append(x.resting, s.State)
		}
	}
}

// prove proves the claims.
func (x *explorer) prove() error {
	for _, c := range x.claims {
		err := decide.Always(x.def.Lifecycle, x.def.Decisions, c)
		var counter *decide.Counterexample
		switch {
		case errors.As(err, &counter):
			x.report.claims = append(x.report.claims, Finding{
				Judgement: JudgedProperty, Message: err.Error(), Case: Case{State: counter.State, Signals: counter.Signals}, Proved: true, Cases: 1, seed: x.seed,
			})
		case err != nil:
			return err
		}
	}
	return nil
}

// plain are the cases in which nothing goes wrong.
func (x *explorer) plain(situations []decide.Situation) (cases []Case) {
	for _, s := range situations {
		for variant := range x.variants {
			cases = append(cases, Case{State: s.State, Variant: variant, Signals: s.Signals})
		}
	}
	return cases
}

// sample keeps so many cases: the first of them are those with the fewest signals and nothing wrong, which are the most telling.
func (x *explorer) sample(cases []Case, most int) []Case {
	cases = slices.DeleteFunc(cases, func(c Case) bool {
		key := c.String()
		was := x.seen[key]
		x.seen[key] = true
		return was
	})
	if len(cases) <= most {
		return cases
	}
	x.report.Sampled = true
	simple := 0
	if n := slices.IndexFunc(cases, func(c Case) bool { return c.twists() > 0 || len(c.Signals) > 1 }); n >= 0 {
		simple = min(n, most)
	}
	x.random.Shuffle(len(cases)-simple, func(a, b int) { cases[simple+a], cases[simple+b] = cases[simple+b], cases[simple+a] })
	for _, c := range cases[most:] {
		delete(x.seen, c.String())
	}
	return cases[:most]
}

// tell tells cases, in as many worlds as they need.
func (x *explorer) tell(t *testing.T, cases []Case) error {
	t.Helper()
	for _, world := range worlds(cases, inOneWorld) {
		all, err := x.isolate(t, world)
		if err != nil {
			return err
		}
		x.all = append(x.all, all...)
	}
	x.report.Cases = len(x.all)
	return nil
}

// worlds divides cases among worlds, those in which the plane dies apart.
func worlds(cases []Case, size int) (all [][]Case) {
	var calm, dying []Case
	for _, c := range cases {
		if c.crashes() {
			dying = append(dying, c)
		} else {
			calm = append(calm, c)
		}
	}
	all = slices.AppendSeq(all, slices.Chunk(calm, size))
	return slices.AppendSeq(all, slices.Chunk(dying, min(size, crashing)))
}

// representatives are of those that were told with so many twists one of each course, the simplest. A plane dies last: what is under way elsewhere in its world
// then goes another way each time. What is wrong already is not made worse.
func (x *explorer) representatives(twists int) (out []told) {
	courses := map[string]bool{}
	for i := range x.all {
		k := &x.all[i]
		if course := k.course(); k.twists() == twists && !k.crashes() && len(k.wrongs) == 0 && !courses[course] {
			courses[course] = true
			out = append(out, *k)
		}
	}
	return out
}

// course is the way that a case went, without what stood by.
func (k *told) course() string {
	var b strings.Builder
	fmt.Fprintln(&b, k.State, k.Path, k.Results, k.Orders)
	for _, m := range k.Calls {
		fmt.Fprintln(&b, m.Adapter, m.Key, m.Undo)
	}
	return b.String()
}

// twisted are the cases in which one more thing goes wrong, not before what goes wrong already.
func (x *explorer) twisted(k *told) (cases []Case) {
	last := 0
	for _, o := range k.Orders {
		last = max(last, o.After)
	}
	for _, m := range k.Calls {
		if m.Result != "" || m.Boundary < last {
			continue
		}
		for _, r := range Results() {
			cases = append(cases, k.with([]Injected{{Adapter: m.Adapter, Key: m.Key, Nth: m.nth, Result: r}}, nil))
		}
	}
	for n := range k.boundaries + 1 {
		for _, o := range x.orders(k, n) {
			if n >= last || o.What == OrderCrash || o.What == OrderCrashBefore {
				cases = append(cases, k.with(nil, []Order{o}))
			}
		}
	}
	return cases
}

// orders are what can be ordered at a boundary.
func (x *explorer) orders(k *told, n int) []Order {
	var orders []Order
	if !x.immortal {
		orders = append(orders, Order{After: n, What: OrderCrash}, Order{After: n, What: OrderCrashBefore})
	}
	if n > 0 {
		orders = append(orders, Order{After: n, What: OrderDelete}) // nothing is created deleted
	}
	raise := func(names ...lifecycle.SignalName) {
		for _, name := range names {
			orders = append(orders, Order{After: n, What: OrderRaise, Signal: name})
		}
	}
	raise(control.CancelSignal, control.PauseSignal, control.AbandonSignal)
	if slices.Contains(k.stuck, n) || k.twists() == 0 {
		raise(control.RetrySignal)
	}
	for _, s := range x.def.Decisions.Signals {
		raise(s.Name)
	}
	return orders
}
