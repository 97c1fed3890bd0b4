package lifecycle

import (
	"strings"
	"text/tabwriter"
)

// Text draws a table with aligned columns: a state per line, with what it is, its budget, and where it leads. It ends with a line
// feed, and is empty for a nil table.
func Text(t Table) string {
	if len(t) == 0 {
		return ""
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(cells ...string) {
		if _, err := w.Write([]byte(strings.Join(cells, "\t") + "\n")); err != nil {
			panic(err) // a strings.Builder takes everything
		}
	}
	line("STATE", "IN", "IS", "BUDGET", "TO")
	for i, r := range t {
		line(dash(string(r.State)), dash(string(r.Parent)), strings.Join(words(i, r), " "), dash(budget(r)), dash(names(r.To)))
	}
	if err := w.Flush(); err != nil {
		panic(err)
	}
	return b.String()
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
		words[i] = dash(string(s))
	}
	return strings.Join(words, " ")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
