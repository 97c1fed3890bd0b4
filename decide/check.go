package decide

import (
	"fmt"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/lifecycle"
)

// Problem is all that is wrong with a table. Its message says so in words, one to a line, with the table drawn beneath and the
// rows in question marked.
type Problem struct {
	Table Table
	// Faults are sentences. They name rows by number, from 1, and content.
	Faults []string
	// Rows lists the rows that faults speak of, as indices into Table.Rows, ascending.
	Rows []int
}

func (p *Problem) Error() string {
	text := "the decision table is wrong:\n  - " + strings.Join(p.Faults, "\n  - ")
	for line := range strings.Lines(draw(p.Table, p.Rows)) {
		text += strings.TrimRight("\n  "+strings.TrimSuffix(line, "\n"), " ")
	}
	return text
}

// Check reports what would make a table a trap: words that mean nothing, rows that can never fire or that contradict each other, cases in
// which nothing is said, actions that the lifecycle does not allow. The error is a *[Problem], or wraps a
// *lifecycle.Problem when the lifecycle itself is wrong. It enumerates every state with every combination of signals that can stand in it;
// tables for which that would take too long are refused in words ([MaxTogether]).
func Check(life lifecycle.Table, t Table) error {
	if err := lifecycle.Check(life); err != nil {
		return fmt.Errorf("a decision table cannot stand on a wrong lifecycle: %w", err)
	}
	if len(t.Signals)+len(t.Actions)+len(t.Rows)+len(t.Moved) == 0 {
		return nil // the kind has no table; signals of its lifecycle are read by code
	}
	c := &checker{life: life, table: t, marked: map[int]bool{}}
	c.names()
	for i, r := range t.Rows {
		c.row(i, r)
	}
	if len(c.faults) == 0 { // cases are only worth going through when every word means something
		c.actions()
		c.used()
		c.entered()
		c.loops()
		c.enumerate()
	}
	if len(c.faults) == 0 {
		return nil
	}
	p := &Problem{Table: t, Faults: c.faults}
	for i := range t.Rows {
		if c.marked[i] {
			p.Rows = append(p.Rows, i)
		}
	}
	return p
}

type checker struct {
	life   lifecycle.Table
	table  Table
	faults []string
	marked map[int]bool
}

// refuse notes a fault of some rows, or of none in particular.
func (c *checker) refuse(rows []int, format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
	for _, r := range rows {
		c.marked[r] = true
	}
}

// names judges the lists of signals and actions.
func (c *checker) names() {
	for i, s := range c.table.Signals {
		switch first, _ := c.table.Signal(s.Name); {
		case slices.Contains(General(), s.Name):
			c.refuse(nil, "the signal %s is every kind's, and means the same everywhere: it is not for a table to declare", s.Name)
		case !camelCase(string(s.Name)):
			c.refuse(nil, "%q is no name for a signal: it must be a capital letter followed by letters and digits", s.Name)
		case i > 0 && slices.ContainsFunc(c.table.Signals[:i], func(q Signal) bool { return q.Name == first.Name }):
			c.refuse(nil, "the signal %s is listed twice", s.Name)
		}
	}
	for i, a := range c.table.Actions {
		switch {
		case !camelCase(string(a.Name)):
			c.refuse(nil, "%q is no name for an action: it must be a capital letter followed by letters and digits", a.Name)
		case slices.ContainsFunc(c.table.Actions[:i], func(q Action) bool { return q.Name == a.Name }):
			c.refuse(nil, "the action %s is listed twice", a.Name)
		}
		for _, s := range []lifecycle.State{a.Via, a.To, a.Else} {
			if s != "" {
				c.state(nil, "the action "+string(a.Name), s)
			}
		}
		for k, s := range a.Yield {
			if _, ok := c.table.Signal(s); !ok {
				c.refuse(nil, "the action %s yields to %q, which is no signal of this table", a.Name, s)
			} else if slices.Contains(a.Yield[:k], s) {
				c.refuse(nil, "the action %s yields to %s twice", a.Name, s)
			}
		}
	}
	for _, s := range c.table.Moved {
		if !c.parent(s) {
			c.state(nil, "the list of states that code moves objects to", s)
		}
	}
	for _, r := range c.life {
		if _, ok := c.table.Signal(r.Late); r.Late != "" && !ok {
			c.refuse(nil, "%s raises %s when late, which is no signal of this table", r.State, r.Late)
		}
	}
}

// row judges a row by itself.
func (c *checker) row(i int, r Row) {
	say := func(format string, args ...any) {
		c.refuse([]int{i}, "%s %s", title(c.table, i), fmt.Sprintf(format, args...))
	}
	var set []string
	for _, v := range []struct{ verb, text string }{{"Do", string(r.Do)}, {"Ignore", r.Ignore}, {"Defer", r.Defer}, {"Forbid", r.Forbid}} {
		if v.text != "" {
			set = append(set, v.verb)
		}
	}
	switch {
	case len(set) == 0:
		say("says nothing: set one of Do, Ignore, Defer and Forbid")
	case len(set) > 1:
		say("sets %s: one row has one outcome", list(set))
	case r.Do == "" && strings.TrimSpace(r.Reason()) == "":
		say("gives no reason")
	}
	if _, ok := c.table.Action(r.Do); r.Do != "" && !ok {
		say("starts %q, which is no action of this table", r.Do)
	}
	if r.Guard != "" && !word(string(r.Guard)) {
		say("has the guard %q: a guard's name is a letter followed by letters and digits", r.Guard)
	}
	c.when(i, r, say)
	c.in(i, r, say)
}

// when judges the condition of a row.
func (c *checker) when(i int, r Row, say func(string, ...any)) {
	named := slices.Concat(r.When.All, r.When.None)
	for _, s := range named {
		if _, ok := c.table.Signal(s); !ok {
			say("names %q, which is no signal of this table", s)
		}
	}
	for _, s := range sorted(named) {
		in, out := slices.Contains(r.When.All, SignalName(s)), slices.Contains(r.When.None, SignalName(s))
		switch n := count(named, SignalName(s)); {
		case in && out:
			say("asks for %s and for none of it: that can never be", s)
		case n > 1:
			say("names %s %d times", s, n)
		}
	}
	switch v := r.Verb(); {
	case len(r.When.All) == 0 && v != Do && v != "":
		say("names no signal that must stand: there is nothing to %s", v)
	case v == Forbid && r.Guard != "":
		say("forbids under a guard: what may be raised must be the same for everybody who reads the table")
	case v == Forbid && r.Priority != 0:
		say("forbids and has a priority: it is judged when a signal is raised, and competes with nothing")
	}
}

// in judges where a row holds.
func (c *checker) in(i int, r Row, say func(string, ...any)) {
	for k, s := range r.In {
		if slices.Contains(r.In[:k], s) {
			say("names %s twice", s)
		}
		if c.parent(s) {
			continue
		}
		rule, ok := c.life.Rule(s)
		switch {
		case !ok && (s != "" || len(c.life) > 0):
			say("holds in %q, which is no state", s)
		case rule.Final:
			say("holds in %s, which is final: an object there is gone", s)
		case rule.Deleting && r.Verb() != Forbid:
			say("holds in %s: deletion is the engine's, and a table can only forbid signals there", s)
		case ok && busy(c.life, c.table, s) && r.Verb() != Forbid:
			say("holds in %s, where an object is only while an action runs: the table is not asked there, and signals wait", s)
		}
	}
	if len(where(c.life, c.table, r)) == 0 && len(r.In) == 0 {
		say("holds nowhere: the table is asked in no state")
	}
}

func (c *checker) parent(s lifecycle.State) bool {
	return s != "" && slices.ContainsFunc(c.life, func(r lifecycle.Rule) bool { return r.Parent == s })
}

// state refuses what is no state that something other than deletion may lead to.
func (c *checker) state(rows []int, who string, s lifecycle.State) {
	rule, ok := c.life.Rule(s)
	switch {
	case !ok && c.parent(s):
		c.refuse(rows, "%s names %s, which is a parent: name a state in it", who, s)
	case !ok:
		c.refuse(rows, "%s names %q, which is no state", who, s)
	case rule.Final:
		c.refuse(rows, "%s names %s, which is final: only deletion leads there", who, s)
	case rule.Deleting:
		c.refuse(rows, "%s names %s: only a request to delete leads there", who, s)
	}
}

func count[S comparable](list []S, what S) (n int) {
	for _, s := range list {
		if s == what {
			n++
		}
	}
	return n
}

func camelCase(s string) bool { return word(s) && s[0] >= 'A' && s[0] <= 'Z' }

func word(s string) bool {
	for i := 0; i < len(s); i++ {
		letter, digit := s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z', s[i] >= '0' && s[i] <= '9'
		if !letter && (i == 0 || !digit) {
			return false
		}
	}
	return s != ""
}
