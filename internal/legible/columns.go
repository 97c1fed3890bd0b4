package legible

import (
	"strings"
	"text/tabwriter"
)

// Columns sets lines of cells in columns, two spaces apart, each line ended by a line feed. It is empty without lines. A cell must not contain tabs or
// line feeds.
func Columns(lines [][]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, cells := range lines {
		if _, err := w.Write([]byte(strings.Join(cells, "\t") + "\n")); err != nil {
			panic("legible: a buffer in memory refused a table: " + err.Error()) // it takes everything
		}
	}
	if err := w.Flush(); err != nil {
		panic("legible: a buffer in memory refused a table: " + err.Error())
	}
	return b.String()
}

// Dash is what a cell says: s, or "-" when there is nothing to say.
func Dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
