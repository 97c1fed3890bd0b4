package lifecycle

import (
	"fmt"
	"slices"
	"strings"
)

// Mermaid draws a table as a Mermaid state diagram (stateDiagram-v2): parents hold their states, colours tell unhealthy,
// unstable and final states, notes the budgets. Equal tables give equal text, and a nil table an empty one.
func Mermaid(t Table) string {
	if len(t) == 0 {
		return ""
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "    "+format+"\n", args...) }
	b.WriteString("stateDiagram-v2\n")
	for _, g := range groups(t) {
		if g.parent == "" {
			for _, r := range g.rules {
				line("%s", declaration(r.State))
			}
			continue
		}
		line("state %s {", mermaidID(g.parent))
		for _, r := range g.rules {
			line("    %s", declaration(r.State))
		}
		line("}")
	}
	line("[*] --> %s", mermaidID(t.Initial()))
	for _, r := range t {
		for _, to := range r.To {
			line("%s --> %s", mermaidID(r.State), mermaidID(to))
		}
		if r.Final {
			line("%s --> [*]", mermaidID(r.State))
		}
	}
	for _, r := range t {
		if r.Budget > 0 {
			line("note right of %s : at most %s", mermaidID(r.State), budget(r))
		}
	}
	for _, l := range looks {
		line("classDef %s %s", l.name, l.mermaid)
	}
	for _, r := range t {
		for _, l := range looksOf(r) {
			line("class %s %s", mermaidID(r.State), l.name)
		}
	}
	return b.String()
}

// look is how one property of a state is drawn: colour tells health, the frame whether it lasts.
type look struct{ name, mermaid, dot string }

var (
	healthy   = look{"healthy", "fill:#e6f4ea,stroke:#1e7e34", `fillcolor="#e6f4ea", color="#1e7e34"`}
	unhealthy = look{"unhealthy", "fill:#fdecea,stroke:#b3261e", `fillcolor="#fdecea", color="#b3261e"`}
	unstable  = look{"unstable", "stroke-dasharray:4", `style="rounded,filled,dashed"`}
	final     = look{"final", "fill:#eceff1,stroke:#546e7a,stroke-width:3px", `fillcolor="#eceff1", color="#546e7a", peripheries=2`}
	looks     = []look{healthy, unhealthy, unstable, final}
)

func looksOf(r Rule) (ls []look) {
	switch {
	case r.Final:
		return []look{final}
	case r.Healthy:
		ls = append(ls, healthy)
	default:
		ls = append(ls, unhealthy)
	}
	if !r.Stable {
		ls = append(ls, unstable)
	}
	return ls
}

// group is the states of one parent, in the order of the table.
type group struct {
	parent State
	rules  []Rule
}

// groups gathers states by parent, in the order in which the parents first appear.
func groups(t Table) (gs []group) {
	for _, r := range t {
		at := slices.IndexFunc(gs, func(g group) bool { return g.parent == r.Parent })
		if at < 0 {
			at = len(gs)
			gs = append(gs, group{parent: r.Parent})
		}
		gs[at].rules = append(gs[at].rules, r)
	}
	return gs
}

func declaration(s State) string {
	if id := mermaidID(s); id != string(s) {
		return fmt.Sprintf("state %q as %s", string(s), id)
	}
	return string(s)
}

// mermaidID keeps states apart from Mermaid's own words, which it reads in any case.
func mermaidID(s State) string {
	switch strings.ToLower(string(s)) {
	case "state", "note", "class", "classdef", "style", "direction", "end", "as", "click", "default", "hide", "scale", "title":
		return string(s) + "_"
	}
	return string(s)
}
