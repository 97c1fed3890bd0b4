package lifecycle

import (
	"fmt"
	"strings"
)

// DOT draws a table in the language of Graphviz: parents are clusters, final states have a double frame, unstable ones a dashed
// frame, and budgets stand beneath the names. Equal tables give equal text, and a nil table an empty one.
func DOT(t Table) string {
	if len(t) == 0 {
		return ""
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "  "+format+"\n", args...) }
	b.WriteString("digraph lifecycle {\n")
	line("rankdir=LR")
	line(`node [shape=box, style="rounded,filled", fontname="sans-serif"]`)
	line(`"" [shape=point, style=filled, fillcolor=black]`)
	for _, g := range groups(t) {
		if g.parent == "" {
			for _, r := range g.rules {
				line("%s", dotNode(r))
			}
			continue
		}
		line("subgraph %q {", "cluster_"+string(g.parent))
		line("  label=%q", string(g.parent))
		for _, r := range g.rules {
			line("  %s", dotNode(r))
		}
		line("}")
	}
	line(`"" -> %q`, string(t.Initial()))
	for _, r := range t {
		for _, to := range r.To {
			line("%q -> %q", string(r.State), string(to))
		}
	}
	b.WriteString("}\n")
	return b.String()
}

func dotNode(r Rule) string {
	label := string(r.State)
	if r.Budget > 0 {
		label += "\nat most " + budget(r)
	}
	attributes := []string{fmt.Sprintf("label=%q", label)}
	for _, l := range looksOf(r) {
		attributes = append(attributes, l.dot)
	}
	return fmt.Sprintf("%q [%s]", string(r.State), strings.Join(attributes, ", "))
}
