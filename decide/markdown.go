package decide

import "strings"

// Markdown draws a table as Markdown tables: the rows, and beneath them the actions. What authors wrote cannot break out of its
// cell. Equal tables give equal text; a table without rows and actions gives none.
func Markdown(t Table) string {
	var b strings.Builder
	if len(t.Rows) > 0 {
		markdownLine(&b, heads)
		markdownRule(&b, len(heads))
		for i := range t.Rows {
			markdownLine(&b, cells(t, i))
		}
	}
	if len(t.Actions) > 0 {
		if len(t.Rows) > 0 {
			b.WriteByte('\n')
		}
		markdownLine(&b, actionHeads)
		markdownRule(&b, len(actionHeads))
		for _, a := range t.Actions {
			markdownLine(&b, actionCells(a))
		}
	}
	return b.String()
}

func markdownLine(b *strings.Builder, cells []string) {
	b.WriteByte('|')
	for _, c := range cells {
		b.WriteString(" " + markdownEscape.Replace(oneLine(c)) + " |")
	}
	b.WriteByte('\n')
}

func markdownRule(b *strings.Builder, columns int) {
	b.WriteString("|" + strings.Repeat(" --- |", columns) + "\n")
}

// markdownEscape quotes what Markdown, or HTML within it, would read as its own.
var markdownEscape = strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&", "&amp;")
