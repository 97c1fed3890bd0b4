package decide

import (
	"html/template"
	"strings"
)

// HTML draws a table as a fragment of HTML: one table of rows with a class for each verb, and one of actions. It has no scripts and
// no styles, and whatever authors wrote is text in it. Equal tables give equal text; a table without rows and actions gives none.
func HTML(t Table) string {
	page := struct {
		Heads, ActionHeads []string
		Rows               []htmlRow
		Actions            [][]string
	}{Heads: heads, ActionHeads: actionHeads}
	for i, r := range t.Rows {
		page.Rows = append(page.Rows, htmlRow{Verb: r.Verb(), Cells: cells(t, i)})
	}
	for _, a := range t.Actions {
		page.Actions = append(page.Actions, actionCells(a))
	}
	var b strings.Builder
	if err := fragment.Execute(&b, page); err != nil {
		panic(err) // a strings.Builder takes everything, and the template asks only for what it is given
	}
	return b.String()
}

type htmlRow struct {
	Verb  Verb
	Cells []string
}

var fragment = template.Must(template.New("decisions").Parse(`{{if .Rows -}}
<table class="decisions">
<thead><tr>{{range .Heads}}<th scope="col">{{.}}</th>{{end}}</tr></thead>
<tbody>
{{range .Rows}}<tr class="{{.Verb}}">{{range .Cells}}<td>{{.}}</td>{{end}}</tr>
{{end}}</tbody>
</table>
{{end}}{{if .Actions -}}
<table class="actions">
<thead><tr>{{range .ActionHeads}}<th scope="col">{{.}}</th>{{end}}</tr></thead>
<tbody>
{{range .Actions}}<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>
{{end}}</tbody>
</table>
{{end}}`))
