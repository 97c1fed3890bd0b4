package decide

import (
	"fmt"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/internal/legible"
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
	var lines, actions [][]string
	margin := func(i int) string {
		switch {
		case len(marked) == 0:
			return ""
		case slices.Contains(marked, i):
			return "> "
		}
		return "  "
	}
	if len(t.Rows) > 0 {
		lines = append(lines, line(margin(-1), heads))
	}
	for i := range t.Rows {
		lines = append(lines, line(margin(i), cells(t, i)))
	}
	if len(t.Actions) > 0 {
		actions = append(actions, line(margin(-1), actionHeads))
	}
	for _, a := range t.Actions {
		actions = append(actions, line(margin(-1), actionCells(a)))
	}
	between := ""
	if len(lines) > 0 && len(actions) > 0 {
		between = "\n"
	}
	return legible.Columns(lines) + between + legible.Columns(actions)
}

// line makes cells fit for their columns, and puts the mark before them.
func line(mark string, cells []string) []string {
	fit := make([]string, len(cells))
	for i, c := range cells {
		fit[i] = oneLine(c)
	}
	fit[0] = mark + fit[0]
	return fit
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
	return []string{fmt.Sprint(i + 1), in, legible.Dash(condition(r.When)), legible.Dash(string(r.Guard)), legible.Dash(priority), then}
}

func actionCells(a Action) []string {
	here := func(s lifecycle.State) string {
		if s == "" {
			return "stays"
		}
		return string(s)
	}
	return []string{legible.Dash(string(a.Name)), here(a.Via), here(a.To), here(a.Else), legible.Dash(list(a.Yield))}
}

func spaced(in []lifecycle.State) string {
	words := make([]string, len(in))
	for i, s := range in {
		words[i] = legible.Dash(string(s))
	}
	return strings.Join(words, " ")
}

// oneLine keeps a cell in its line and its column, whatever an author wrote.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
