package lifecycle

import (
	"strings"

	"github.com/setpointhq/setpoint/internal/legible"
)

// Text draws a table with aligned columns: a state per line, with what it is, its budget, and where it leads. It ends with a line
// feed, and is empty for a nil table.
func Text(t Table) string {
	if len(t) == 0 {
		return ""
	}
	lines := [][]string{{"STATE", "IN", "IS", "BUDGET", "TO"}}
	for i, r := range t {
		is := strings.Join(words(i, r), " ")
		lines = append(lines, []string{legible.Dash(string(r.State)), legible.Dash(string(r.Parent)), is, legible.Dash(budget(r)), legible.Dash(names(r.To))})
	}
	return legible.Columns(lines)
}

// words say what a state is.
func words(row int, r Rule) []string {
	var is []string
	add := func(when bool, word string) {
		if when {
			is = append(is, word)
		}
	}
	add(row == 0, "initial")
	add(r.Final, "final")
	add(r.Deleting, "deleting")
	if !r.Final {
		add(r.Healthy, "healthy")
		add(!r.Healthy, "unhealthy")
		add(r.Stable, "stable")
		add(!r.Stable, "unstable")
	}
	return is
}

func budget(r Rule) string {
	if r.Budget == 0 {
		return ""
	}
	text := trimDuration(r.Budget.String())
	if r.Late != "" {
		text += ", then " + string(r.Late)
	}
	return text
}

// trimDuration writes 10m0s as 10m, and 2h0m0s as 2h.
func trimDuration(s string) string {
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func names(states []State) string {
	words := make([]string, len(states))
	for i, s := range states {
		words[i] = legible.Dash(string(s))
	}
	return strings.Join(words, " ")
}
