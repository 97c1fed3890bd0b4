package control

import (
	"fmt"
	"maps"
	"slices"

	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/resource"
)

// Mutant is a decider with one slip in it. The tests of a decider are good when no mutant passes them, those apart that behave as the original
// does (DeMillo, Lipton and Sayward described the method in 1978, as program mutation).
type Mutant[S, T any] struct {
	// Name says in words what was done: "action Promote: step fence dropped".
	Name    string
	Decider Decider[S, T]
}

// Mutants makes every decider that differs from this one by one slip: a step dropped, two neighbours swapped, an undo skipped or made to ask for absence, Finish or
// Compare dropped, a guard negated, or answered always or never, two ways of a [Choose] exchanged, a branch of a [Together] or [First] dropped, one of them taken for the
// other, a time limit, a limit of the repetitions, a Key or a destination dropped. Slips in the table are made by [decide.Mutants]. The original is not changed. A mutant need not be
// one that [Kind.Decider] accepts. The order is always the same.
func Mutants[S, T any](d Decider[S, T]) []Mutant[S, T] {
	m := &mutator[S, T]{from: d}
	if d.Compare != nil {
		m.decider("Compare dropped", func(d *Decider[S, T]) { d.Compare = nil })
	}
	for _, name := range slices.Sorted(maps.Keys(d.Guards)) {
		m.guard(name)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Actions)) {
		m.action(name)
	}
	return m.mutants
}

// Undoes lists, by action, the steps that have an undo: what must be as it was outside after an action that was not done.
func (d Decider[S, T]) Undoes() map[decide.ActionName][]string {
	undoes := map[decide.ActionName][]string{}
	for name, a := range d.Actions {
		p := planOf(name, a)
		p.each(p.steps, func(s *step) {
			if s != nil && s.undo != nil {
				undoes[name] = append(undoes[name], s.name)
			}
		})
	}
	return undoes
}

type mutator[S, T any] struct {
	from    Decider[S, T]
	mutants []Mutant[S, T]
}

// decider adds a mutant in which something of the decider is another. What change replaces is a copy.
func (m *mutator[S, T]) decider(name string, change func(*Decider[S, T])) {
	d := m.from
	d.Actions, d.Guards = maps.Clone(d.Actions), maps.Clone(d.Guards)
	change(&d)
	m.mutants = append(m.mutants, Mutant[S, T]{Name: name, Decider: d})
}

func (m *mutator[S, T]) guard(name decide.GuardName) {
	was := m.from.Guards[name]
	if was == nil {
		return
	}
	for _, slip := range []struct {
		what string
		is   func(*Turn, *resource.Typed[S, T]) bool
	}{
		{"negated", func(t *Turn, o *resource.Typed[S, T]) bool { return !was(t, o) }},
		{"always true", func(*Turn, *resource.Typed[S, T]) bool { return true }},
		{"always false", func(*Turn, *resource.Typed[S, T]) bool { return false }},
	} {
		m.decider(fmt.Sprintf("guard %s: %s", name, slip.what), func(d *Decider[S, T]) { d.Guards[name] = slip.is })
	}
}

func (m *mutator[S, T]) action(name decide.ActionName) {
	was := m.from.Actions[name]
	change := func(what string, change func(*Action[S, T])) {
		m.decider(fmt.Sprintf("action %s: %s", name, what), func(d *Decider[S, T]) {
			a := was
			change(&a)
			d.Actions[name] = a
		})
	}
	if was.Finish != nil {
		change("Finish dropped", func(a *Action[S, T]) { a.Finish = nil })
	}
	if was.Within > 0 {
		change("Within dropped", func(a *Action[S, T]) { a.Within = 0 })
	}
	var x slips
	x.list("", cores(was.Steps), true, func(steps []*step) []*step { return steps })
	for _, slip := range x {
		change(slip.what, func(a *Action[S, T]) { a.Steps = dressed[S, T](slip.steps) })
	}
}

// dressed makes steps those of a kind again.
func dressed[S, T any](steps []*step) []Step[S, T] {
	out := make([]Step[S, T], len(steps))
	for i, s := range steps {
		if s != nil {
			out[i] = joint[S, T]{*s}
		}
	}
	return out
}

// slip is an action's steps with one slip in them.
type slip struct {
	what  string
	steps []*step
}

type slips []slip

// list makes the slips in a list of steps. in says whose they are, "" for the action itself; with puts another list in the place of this one, and returns all steps of
// the action.
func (x *slips) list(in string, steps []*step, ordered bool, with func([]*step) []*step) {
	for i, s := range steps {
		if s == nil {
			continue
		}
		*x = append(*x, slip{in + "step " + s.name + " dropped", with(slices.Delete(slices.Clone(steps), i, i+1))})
		if ordered && i+1 < len(steps) && steps[i+1] != nil {
			swapped := slices.Clone(steps)
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			*x = append(*x, slip{fmt.Sprintf("%ssteps %s and %s swapped", in, s.name, steps[i+1].name), with(swapped)})
		}
		x.step(s, func(other *step) []*step {
			changed := slices.Clone(steps)
			changed[i] = other
			return with(changed)
		})
	}
}

// step makes the slips within a step.
func (x *slips) step(s *step, with func(*step) []*step) {
	change := func(applies bool, what string, change func(*step)) {
		if applies {
			c := *s
			change(&c)
			*x = append(*x, slip{"step " + s.name + ": " + what, with(&c)})
		}
	}
	change(s.undo != nil || s.unset != nil, "undo skipped", func(c *step) { c.undo, c.unset = nil, nil })
	change(s.undo != nil, "undo asks for absence", func(c *step) { c.undo = func(*run) ([]byte, error) { return nil, nil } })
	change(s.within > 0, "Within dropped", func(c *step) { c.within = 0 })
	change(s.lookAgain > 0, "Every dropped", func(c *step) { c.lookAgain = 0 })
	change(s.retry.Attempts > 0, "the limit of attempts dropped", func(c *step) { c.retry.Attempts = 0 })
	change(s.retry.For > 0, "the limit of time for repetitions dropped", func(c *step) { c.retry.For = 0 })
	change(len(s.retry.Final) > 0, "the final classes dropped", func(c *step) { c.retry.Final = nil })
	change(s.retry.Tell > 0, "Tell dropped", func(c *step) { c.retry.Tell = 0 })
	change(s.key != nil, "Key dropped", func(c *step) { c.key = nil })
	change(s.destination != nil, "the destination dropped", func(c *step) { c.destination = nil })
	change(s.about != nil, "About dropped", func(c *step) { c.about = nil })
	change(s.kind == stepFirst, "First taken for Together", func(c *step) { c.kind = stepTogether })
	change(s.kind == stepTogether, "Together taken for First", func(c *step) { c.kind = stepFirst })
	ways := slices.Sorted(maps.Keys(s.ways))
	for i, a := range ways {
		for _, b := range ways[i+1:] {
			change(true, fmt.Sprintf("the ways %s and %s exchanged", a, b), func(c *step) {
				c.ways = maps.Clone(s.ways)
				c.ways[a], c.ways[b] = s.ways[b], s.ways[a]
			})
		}
	}
	x.inner(s, ways, with)
}

// inner makes the slips in what a step joins.
func (x *slips) inner(s *step, ways []string, with func(*step) []*step) {
	in := fmt.Sprintf("in %s: ", s.name)
	x.list(in, s.steps, s.kind == stepSequence, func(steps []*step) []*step {
		c := *s
		c.steps = steps
		return with(&c)
	})
	for _, way := range ways {
		x.list(fmt.Sprintf("in %s, way %s: ", s.name, way), s.ways[way], true, func(steps []*step) []*step {
			c := *s
			c.ways = maps.Clone(s.ways)
			c.ways[way] = steps
			return with(&c)
		})
	}
}
