package decide

import (
	"cmp"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/lifecycle"
)

// precedence is the hit policy as one total order of rows, in which the first that matches fires: the higher priority, then
// the narrower condition, then the content. A row whose condition strictly implies another's is always the narrower by
// count, so that the more specific of two goes first; rows that imply nothing about each other and differ in outcome are refused by
// Check, so that what is left to the count and the content makes no difference. The position in the table is asked last,
// between rows that are equal.
type precedence struct {
	life  lifecycle.Table
	table Table
	where [][]lifecycle.State // by row, nil until asked for
}

func newPrecedence(life lifecycle.Table, t Table) *precedence {
	return &precedence{life, t, make([][]lifecycle.State, len(t.Rows))}
}

// in lists the states a row speaks of.
func (p *precedence) in(row int) []lifecycle.State {
	if p.where[row] == nil {
		p.where[row] = where(p.life, p.table, p.table.Rows[row])
	}
	return p.where[row]
}

// compare orders two rows by index; negative means that row a goes first.
func (p *precedence) compare(a, b int) int {
	r, q := p.table.Rows[a], p.table.Rows[b]
	if c := cmp.Compare(q.Priority, r.Priority); c != 0 {
		return c
	}
	if c := cmp.Compare(p.narrowness(b), p.narrowness(a)); c != 0 {
		return c
	}
	return cmp.Or(strings.Compare(content(r), content(q)), cmp.Compare(a, b))
}

// narrowness counts what a row demands: it is higher for a condition that strictly implies another.
func (p *precedence) narrowness(row int) int {
	r := p.table.Rows[row]
	n := len(sorted(r.When.All)) + len(sorted(r.When.None))
	if r.Guard != "" {
		n++
	}
	return n + len(states(p.life)) - len(p.in(row))
}

// implies reports whether whatever row a matches, row b matches too, whatever the guards say.
func (p *precedence) implies(a, b int) bool {
	r, q := p.table.Rows[a], p.table.Rows[b]
	return subset(q.When.All, r.When.All) && subset(q.When.None, r.When.None) && (q.Guard == "" || q.Guard == r.Guard) &&
		subset(p.in(a), p.in(b))
}

// before reports whether the condition of row a is strictly narrower than that of row b.
func (p *precedence) before(a, b int) bool { return p.implies(a, b) && !p.implies(b, a) }

// agree reports whether it makes no difference which of two rows fires. Two rows that ignore agree though they consume
// different signals, since the other is ignored next.
func agree(r, q Row) bool {
	if r.Verb() != q.Verb() || r.Do != q.Do {
		return false
	}
	return r.Verb() != Do || subset(r.When.All, q.When.All) && subset(q.When.All, r.When.All)
}

// content writes a row such that rows with equal content are equal but for the order of their lists.
func content(r Row) string {
	var b strings.Builder
	for _, list := range [][]string{sorted(r.When.All), sorted(r.When.None), sorted(r.In), {string(r.Guard), string(r.Verb()), string(r.Do), r.Reason()}} {
		for _, word := range list {
			b.WriteString(word)
			b.WriteByte(0)
		}
		b.WriteByte(1)
	}
	return b.String()
}

func sorted[S ~string](list []S) []string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	slices.Sort(words)
	return slices.Compact(words)
}

func subset[S comparable](part, whole []S) bool {
	for _, s := range part {
		if !slices.Contains(whole, s) {
			return false
		}
	}
	return true
}
