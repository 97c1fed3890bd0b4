package lifecycle

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is all that is wrong with a table. Its message says so in words, one to a line, with the table drawn beneath.
type Problem struct {
	Table Table
	// Faults are sentences.
	Faults []string
}

func (p *Problem) Error() string {
	return "the lifecycle is wrong:\n  - " + strings.Join(p.Faults, "\n  - ") + "\n" + indent(Text(p.Table))
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ")
}

// Check reports what would make a table a trap for its objects, as a *[Problem]; nil when nothing does. A nil table is right.
func Check(t Table) error {
	if len(t) == 0 {
		return nil
	}
	c := &checker{table: t}
	c.states()
	c.parents()
	if len(c.faults) == 0 { // ways are only worth following between states that exist once
		c.reachable()
		c.deletion()
	}
	if len(c.faults) == 0 {
		return nil
	}
	return &Problem{Table: t, Faults: c.faults}
}

type checker struct {
	table  Table
	faults []string
}

func (c *checker) refuse(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// states judges every row by itself.
func (c *checker) states() {
	seen := map[State]bool{}
	for i, r := range c.table {
		if r.State == "" {
			c.refuse("row %d has no state", i+1)
			continue
		}
		if !isCamelCase(r.State) {
			c.refuse("%q is no name for a state: it must be a capital letter followed by letters and digits", r.State)
		}
		if seen[r.State] {
			c.refuse("%s has two rows", r.State)
		}
		seen[r.State] = true
		c.waysOut(r)
		c.budget(r)
	}
	if c.table[0].Final {
		c.refuse("%s is the first state and final: every object would be gone at once", c.table[0].State)
	}
}

func (c *checker) waysOut(r Rule) {
	targets := map[State]bool{}
	for _, to := range r.To {
		if _, ok := c.table.Rule(to); !ok || to == "" {
			c.refuse("%s leads to %q, which is no state%s", r.State, to, c.parentHint(to))
		}
		if to == r.State {
			c.refuse("%s leads to itself: staying is always allowed and is no transition", r.State)
		}
		if targets[to] {
			c.refuse("%s leads to %s twice", r.State, to)
		}
		targets[to] = true
	}
	switch {
	case r.Final && len(r.To) > 0:
		c.refuse("%s is final, yet leads to %s: nothing leaves a final state", r.State, join(r.To))
	case !r.Final && len(r.To) == 0 && !r.Stable:
		c.refuse("%s has no way out and is neither final nor stable: an object would be caught in it", r.State)
	case !r.Final && len(r.To) == 0:
		c.refuse("%s has no way out and is not final: say Final, or where it leads to", r.State)
	}
	if r.Final && r.Deleting {
		c.refuse("%s is both deleting and final: deletion takes time, its end is another state", r.State)
	}
}

func (c *checker) parentHint(s State) string {
	var inside []State
	for _, r := range c.table {
		if r.Parent == s {
			inside = append(inside, r.State)
		}
	}
	if len(inside) == 0 || s == "" {
		return ""
	}
	return fmt.Sprintf(" but the parent of %s: name those", join(inside))
}

func (c *checker) budget(r Rule) {
	switch {
	case r.Budget < 0:
		c.refuse("%s has a budget below zero (%s)", r.State, r.Budget)
	case r.Budget > 0 && r.Final:
		c.refuse("%s is final, yet has a budget (%s): nothing stays in a final state", r.State, r.Budget)
	case r.Budget > 0 && len(r.To) == 0:
		c.refuse("%s has a budget (%s) but no way out: being late could not be mended", r.State, r.Budget)
	}
	if r.Late != "" && r.Budget == 0 {
		c.refuse("%s raises %s when late, but has no budget that could run out", r.State, r.Late)
	}
}

// parents judges nesting. A parent is no state and so has no row that could name a parent of its own: there can be no cycle.
func (c *checker) parents() {
	for _, r := range c.table {
		switch {
		case r.Parent == "":
		case r.Parent == r.State:
			c.refuse("%s is its own parent", r.State)
		case !isCamelCase(r.Parent):
			c.refuse("%q, the parent of %s, is no name: it must be a capital letter followed by letters and digits", r.Parent, r.State)
		default:
			if _, ok := c.table.Rule(r.Parent); ok {
				c.refuse("%s has the parent %s, which is a state: a parent is only a name, no object is ever in it", r.State, r.Parent)
			}
		}
	}
}

// reachable: from the first state every other can be entered.
func (c *checker) reachable() {
	seen := c.table.from(c.table.Initial())
	var lost []State
	for _, r := range c.table {
		if !seen[r.State] {
			lost = append(lost, r.State)
		}
	}
	if len(lost) > 0 {
		c.refuse("%s cannot be reached from %s, the first state", join(lost), c.table.Initial())
	}
}

// deletion: there is at most one deleting state, every other leads to it directly, because deletion is asked for at any time, and it leads to an end.
func (c *checker) deletion() {
	var deleting []State
	for _, r := range c.table {
		if r.Deleting {
			deleting = append(deleting, r.State)
		}
	}
	if len(deleting) > 1 {
		c.refuse("%s are all deleting: there can be one such state", join(deleting))
		return
	}
	if len(deleting) == 0 {
		return
	}
	if c.table.Deleted() == "" {
		c.refuse("%s is deleting, but does not lead to a final state directly", deleting[0])
	}
	var stuck []State
	for _, r := range c.table {
		if !r.Final && !c.table.Allows(r.State, deleting[0]) {
			stuck = append(stuck, r.State)
		}
	}
	if len(stuck) > 0 {
		verb := "does"
		if len(stuck) > 1 {
			verb = "do"
		}
		c.refuse("%s %s not lead to %s: an object could not be deleted there, though that may be asked for at any time", join(stuck), verb, deleting[0])
	}
}

// from lists the states that can be reached from s, s included.
func (t Table) from(s State) map[State]bool {
	seen, next := map[State]bool{s: true}, []State{s}
	for len(next) > 0 {
		r, _ := t.Rule(next[0])
		next = next[1:]
		for _, to := range r.To {
			if !seen[to] {
				seen[to] = true
				next = append(next, to)
			}
		}
	}
	return seen
}

// Advise lists what is allowed and yet worth a second look: sentences for the author of a table.
func Advise(t Table) (advice []string) {
	say := func(format string, args ...any) { advice = append(advice, fmt.Sprintf(format, args...)) }
	if len(t) == 0 {
		return nil
	}
	for _, r := range t {
		if r.Final || r.Budget > 0 || r.Healthy && r.Stable {
			continue
		}
		var is []string
		if !r.Healthy {
			is = append(is, "unhealthy")
		}
		if !r.Stable {
			is = append(is, "unstable")
		}
		say("%s is %s and has no budget: an object may stay in it for ever, and nobody is told", r.State, strings.Join(is, " and "))
	}
	if t.Deleting() == "" {
		say("no state is deleting: objects go from any state at once, without a final state on record")
	}
	if !slices.ContainsFunc(t, func(r Rule) bool { return r.Healthy && r.Stable }) {
		say("no state is healthy and stable: objects are never at rest")
	}
	return advice
}

func join(states []State) string {
	words := make([]string, len(states))
	for i, s := range states {
		words[i] = string(s)
	}
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

func isCamelCase(s State) bool {
	for i := 0; i < len(s); i++ {
		upper, lower, digit := s[i] >= 'A' && s[i] <= 'Z', s[i] >= 'a' && s[i] <= 'z', s[i] >= '0' && s[i] <= '9'
		if !upper && (i == 0 || !lower && !digit) {
			return false
		}
	}
	return s != ""
}
