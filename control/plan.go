package control

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/resource"
)

// plan is the steps of an action, as the program has them.
type plan struct {
	name   decide.ActionName
	steps  []*step
	within time.Duration
	finish func(*run)

	byName    map[string]*step
	signature string
}

// check indexes the steps, and reports what is wrong with them.
func (p *plan) check() error {
	var problems []error
	refuse := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("action %s: "+format, append([]any{p.name}, args...)...))
	}
	if p.within < 0 {
		refuse("it has a limit below zero")
	}
	var lines []string
	p.each(p.steps, func(s *step) {
		switch {
		case s == nil:
			refuse("a step is nil")
			return
		case !word(s.name):
			refuse("the step name %q must be a word of letters, digits and hyphens: it is stored, and part of keys", s.name)
		case p.byName[s.name] != nil:
			refuse("two steps have the name %q", s.name)
		}
		p.byName[s.name] = s
		lines = append(lines, s.line())
		if fault := s.fault(); fault != "" {
			refuse("step %s %s", s.name, fault)
		}
	})
	p.signature = strings.Join(lines, ";")
	return errors.Join(problems...)
}

// word reports whether a name can be stored in a signature and be part of a natural key.
func word(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool { return c != '-' && !unicode.IsLetter(c) && !unicode.IsDigit(c) })
}

// each visits steps and those in them, in order.
func (p *plan) each(steps []*step, visit func(*step)) {
	for _, s := range steps {
		visit(s)
		if s == nil {
			continue
		}
		p.each(s.steps, visit)
		for _, way := range slices.Sorted(maps.Keys(s.ways)) {
			p.each(s.ways[way], visit)
		}
	}
}

// line is what of a step must not change while it is still to be done: its name, what it is, and what it joins.
func (s *step) line() string {
	var parts []string
	for _, c := range s.steps {
		if c != nil {
			parts = append(parts, c.name)
		}
	}
	for _, way := range slices.Sorted(maps.Keys(s.ways)) {
		parts = append(parts, way+"=")
		for _, c := range s.ways[way] {
			if c != nil {
				parts = append(parts, c.name)
			}
		}
	}
	return s.name + ":" + string(s.kind) + ":" + string(s.adapter) + string(s.signal) + strings.Join(parts, ",")
}

// fault is what is wrong with a step by itself, "" when nothing is.
func (s *step) fault() string {
	var missing string
	switch s.kind {
	case stepCall:
		if s.adapter == "" || s.request == nil {
			missing = "an endpoint with an adapter, and a function that makes the request"
		}
	case stepWait:
		if s.until == nil {
			missing = "a function that says whether what it waits for holds"
		}
	case stepAsk:
		if s.signal == "" || s.asked == nil {
			missing = "the name of a signal, and a function that says whom to ask"
		}
	case stepSet:
		if s.set == nil {
			missing = "a function that changes the status"
		}
	case stepChoose:
		if s.choose == nil || len(s.ways) == 0 {
			missing = "ways, and a function that chooses one"
		}
	case stepTogether, stepFirst:
		if len(s.steps) == 0 {
			missing = "steps to join"
		}
	}
	switch {
	case missing != "":
		return "(" + string(s.kind) + ") needs " + missing
	case s.retry.Attempts < 0, s.retry.For < 0, s.retry.Tell < 0, s.within < 0, s.lookAgain < 0:
		return "has a limit below zero"
	}
	for _, way := range slices.Sorted(maps.Keys(s.ways)) {
		if !word(way) {
			return fmt.Sprintf("has a way %q, which must be a word of letters, digits and hyphens: it is stored", way)
		}
	}
	return ""
}

// fits reports whether a run that began with another plan can go on with this one: what is left to do is the same. Otherwise it says what differs.
func (p *plan) fits(a *resource.Action) (difference string) {
	if a.Plan == p.signature {
		return ""
	}
	left := func(signature string) []string {
		return slices.DeleteFunc(strings.Split(signature, ";"), func(line string) bool {
			name, _, _ := strings.Cut(line, ":")
			s := a.Step(name)
			return s != nil && s.Phase != resource.StepRunning && s.Phase != resource.StepUndoing
		})
	}
	then, now := left(a.Plan), left(p.signature)
	if slices.Equal(then, now) {
		return ""
	}
	for i, line := range then {
		if i >= len(now) {
			return fmt.Sprintf("it began with %q, which the program does not have any more", line)
		}
		if now[i] != line {
			return fmt.Sprintf("it began with %q where the program has %q now", line, now[i])
		}
	}
	return fmt.Sprintf("the program has %q now, which it did not begin with", now[len(then)])
}

// family lists the names of a step and those in it.
func (p *plan) family(s *step) (names []string) {
	p.each([]*step{s}, func(s *step) { names = append(names, s.name) })
	return names
}

// adapters lists those that the steps of a decider use.
func (d *decider) adapters() (names []command.AdapterName) {
	for _, p := range d.plans {
		for _, s := range p.byName {
			if s.adapter != "" && !slices.Contains(names, s.adapter) {
				names = append(names, s.adapter)
			}
		}
	}
	slices.Sort(names)
	return names
}

// check reports everything in which code and table do not fit together.
func (d *decider) check() error {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	table := &d.def.Decisions
	if !decides(table) {
		refuse("the kind %s has no decision table; give it one, or use a Driver", d.def.ID())
	}
	for _, a := range table.Actions {
		if d.plans[a.Name] == nil {
			refuse("action %s of the table has no entry in Decider.Actions; one that only moves the object has the zero Action", a.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.plans)) {
		if _, known := table.Action(name); !known {
			refuse("action %s is not in the decision table of %s, so that nothing could start it", name, d.def.ID())
		}
		if err := d.plans[name].check(); err != nil {
			problems = append(problems, err)
		}
	}
	for _, name := range table.Guards() {
		if d.guards[name] == nil {
			refuse("guard %s of the table has no entry in Decider.Guards", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.guards)) {
		if !slices.Contains(table.Guards(), name) {
			refuse("guard %s is not asked by any row of the decision table of %s", name, d.def.ID())
		}
	}
	return errors.Join(problems...)
}
