package decide

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/setpointhq/setpoint/lifecycle"
)

// heads and actionHeads are the columns of every drawing.
var (
	heads       = []string{"ROW", "IN", "WHEN", "IF", "PRIORITY", "THEN"}
	actionHeads = []string{"ACTION", "VIA", "TO", "ELSE", "YIELDS TO"}
)

// Text draws a table with aligned columns: a row per line and beneath it the actions. It ends with a line feed, and is empty for a
// table without rows and actions. Equal tables give equal text.
func Text(t Table) string { return draw(t, nil) }

// draw is Text with some rows marked.
func draw(t Table, marked []int) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(mark string, cells []string) {
		for i, c := range cells {
			cells[i] = oneLine(c)
		}
		if _, err := w.Write([]byte(mark + strings.Join(cells, "\t") + "\n")); err != nil {
			panic(err) // a strings.Builder takes everything
		}
	}
	margin := func(i int) string {
		switch {
		case len(marked) == 0:
			return ""
		case slices.Contains(marked, i):
			return "> "
		}
		return "  "
	}
	flush := func() {
		if err := w.Flush(); err != nil {
			panic(err)
		}
	}
	if len(t.Rows) > 0 {
		line(margin(-1), slices.Clone(heads))
	}
	for i := range t.Rows {
		line(margin(i), cells(t, i))
	}
	flush()
	if len(t.Actions) > 0 {
		if len(t.Rows) > 0 {
			b.WriteByte('\n')
		}
		line(margin(-1), slices.Clone(actionHeads))
	}
	for _, a := range t.Actions {
		line(margin(-1), actionCells(a))
	}
	flush()
	return b.String()
}

// cells are the columns of a row.
func cells(t Table, i int) []string {
	r := t.Rows[i]
	in := "any"
	if len(r.In) > 0 {
		in = spaced(r.In)
	}
	priority := ""
	if r.Verb() != Forbid {
		priority = fmt.Sprint(r.Priority)
	}
	then := outcome(r)
	if reason := r.Reason(); reason != "" {
		then += ": " + reason
	}
	return []string{fmt.Sprint(i + 1), in, dash(condition(r.When)), dash(string(r.Guard)), dash(priority), then}
}

func actionCells(a Action) []string {
	here := func(s lifecycle.State) string {
		if s == "" {
			return "stays"
		}
		return string(s)
	}
	return []string{dash(string(a.Name)), here(a.Via), here(a.To), here(a.Else), dash(list(a.Yield))}
}

func spaced(in []lifecycle.State) string {
	words := make([]string, len(in))
	for i, s := range in {
		words[i] = dash(string(s))
	}
	return strings.Join(words, " ")
}

// oneLine keeps a cell in its line and its column, whatever an author wrote.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
