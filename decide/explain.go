package decide

import (
	"fmt"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/lifecycle"
)

// because says in a sentence why a decision is what it is.
func because(p *precedence, state lifecycle.State, signals []SignalName, d Decision) string {
	life, t := p.life, p.table
	rule, known := life.Rule(state)
	switch {
	case d.Row >= 0:
		return why(p, d)
	case !known && (len(life) > 0 || state != ""):
		return fmt.Sprintf("%q is no state of this kind", state)
	case rule.Final:
		return string(state) + " is final: the object is gone"
	case rule.Deleting:
		return string(state) + " is for deletion, which is the engine's"
	case busy(life, t, state):
		return "in " + string(state) + " an action runs, and signals wait until it ends"
	case len(d.Barred) > 0:
		return "only a guard kept " + numbered(d.Barred) + " from matching"
	}
	asks := slices.DeleteFunc(slices.Clone(signals), func(s SignalName) bool { _, ok := t.Signal(s); return !ok })
	if len(asks) == 0 {
		return "no signal stands that this table knows, and no row fires without one"
	}
	return "no row is for " + list(asks) + " in " + place(state)
}

// why says how the row that fires came before those that match as well.
func why(p *precedence, d Decision) string {
	if len(d.Shadowed) == 0 {
		return "no other row matches"
	}
	var parts []string
	for _, q := range d.Shadowed {
		parts = append(parts, fmt.Sprintf("%s %s", numbered([]int{q}), lost(p, d.Row, q)))
	}
	return strings.Join(parts, "; ")
}

// lost says why a row that matches does not fire.
func lost(p *precedence, winner, loser int) string {
	r, q := p.table.Rows[winner], p.table.Rows[loser]
	switch {
	case r.Priority != q.Priority:
		return fmt.Sprintf("has a lower priority (%d, not %d)", q.Priority, r.Priority)
	case p.before(winner, loser):
		return fmt.Sprintf("is less specific than row %d", winner+1)
	case agree(r, q):
		return "would come to the same"
	}
	return "is ambiguous with it, and comes later by its content"
}

// Explain says in words what a decision is and why: which row fires, what becomes of the signals, and for each row that matched as
// well, or nearly, why it did not fire. State and signals are those the decision was made for. It ends with a line feed.
func Explain(life lifecycle.Table, t Table, state lifecycle.State, signals []SignalName, d Decision) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	head := fmt.Sprintf("in %s with %s", place(state), standing(signals))
	if d.Row < 0 {
		line("%s: no row fires, since %s", head, d.Because)
	} else {
		line("%s: %s fires", head, title(t, d.Row))
		line("  %s", effect(t, d))
		if rest := slices.DeleteFunc(slices.Clone(signals), func(s SignalName) bool { return slices.Contains(d.Read, s) }); len(rest) > 0 {
			line("  left standing: %s", list(rest))
		}
	}
	for _, q := range d.Shadowed {
		line("  %s matches too, but %s", title(t, q), lost(newPrecedence(life, t), d.Row, q))
	}
	for _, q := range d.Barred {
		line("  %s does not match, because its guard does not hold", title(t, q))
	}
	return b.String()
}

// effect says what a decision makes happen.
func effect(t Table, d Decision) string {
	switch d.Verb {
	case Ignore:
		return "it consumes " + list(d.Read) + " and does nothing else: " + oneLine(d.Reason)
	case Defer:
		return "it does nothing for now: " + oneLine(d.Reason)
	}
	a, _ := t.Action(d.Do)
	path := "it starts " + string(d.Do)
	if a.Via != "" {
		path += ", by way of " + string(a.Via)
	}
	if a.To != "" {
		path += ", to " + string(a.To)
	}
	if a.Else != "" {
		path += ", or to " + string(a.Else) + " if that fails"
	}
	if yields := slices.DeleteFunc(slices.Clone(a.Yield), func(s SignalName) bool { return slices.Contains(d.Read, s) }); len(yields) > 0 {
		path += ", making way for " + either(yields)
	}
	if len(d.Read) > 0 {
		path += "; the end of it consumes " + list(d.Read)
	}
	return path
}
