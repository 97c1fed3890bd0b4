package api

import (
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/setpointhq/setpoint/resource"
)

// table renders objects as rows: the columns are name, those of the kind, and age.
type table struct {
	def     *resource.Definition
	columns []resource.Column
	// include says how much of the object goes with its row.
	include metav1.IncludeObjectPolicy
	now     time.Time
}

// table makes one as the request wants it.
func (c *call) table() (*table, error) {
	t := &table{def: c.target.def, columns: columnsOf(c.target.def), now: time.Now()}
	t.include = metav1.IncludeObjectPolicy(c.r.URL.Query().Get("includeObject"))
	switch t.include {
	case metav1.IncludeNone, metav1.IncludeMetadata, metav1.IncludeObject:
	case "":
		t.include = metav1.IncludeMetadata
	default:
		return nil, apierrors.NewBadRequest(fmt.Sprintf("includeObject: want None, Metadata or Object, not %q", t.include))
	}
	return t, nil
}

// columnsOf are the kind's columns or, when its author has named none, what every kind can show.
func columnsOf(d *resource.Definition) []resource.Column {
	if len(d.Columns) > 0 {
		return d.Columns
	}
	columns := []resource.Column{{Name: "Ready", Type: "string", Description: "Whether the object is at its setpoint.", Value: readiness}}
	if len(d.Lifecycle) > 0 {
		state := resource.Column{Name: "State", Type: "string", Description: "The place in the lifecycle.",
			Value: func(o *resource.Object) any { return string(o.State) }}
		columns = append([]resource.Column{state}, columns...)
	}
	return columns
}

func readiness(o *resource.Object) any {
	if ready, ok := o.Condition(resource.Ready); ok {
		return string(ready.Status)
	}
	return nil
}

func (t *table) definitions() []metav1.TableColumnDefinition {
	defs := []metav1.TableColumnDefinition{{Name: "Name", Type: "string", Format: "name",
		Description: "Name must be unique within a namespace."}}
	for _, c := range t.columns {
		kind := c.Type
		if kind == "" {
			kind = "string"
		}
		defs = append(defs, metav1.TableColumnDefinition{Name: c.Name, Type: kind, Format: c.Format, Description: c.Description, Priority: int32(c.Priority)})
	}
	return append(defs, metav1.TableColumnDefinition{Name: "Age", Type: "date", Description: "How long ago the object was created."})
}

// append appends a whole table.
func (t *table) append(out []byte, objects []*resource.Object, m listMeta) []byte {
	return append(t.appendRows(out, objects, m, true), '\n')
}

// appendRows appends a table, with or without the definitions of its columns.
func (t *table) appendRows(out []byte, objects []*resource.Object, m listMeta, headed bool) []byte {
	out = append(out, `{"kind":"Table","apiVersion":"meta.k8s.io/v1",`...)
	out = append(m.append(out), `,"columnDefinitions":`...)
	if headed {
		head := encode(t.definitions())
		out = append(out, head[:len(head)-1]...)
	} else {
		out = append(out, "[]"...)
	}
	out = append(out, `,"rows":[`...)
	for i, o := range objects {
		if i > 0 {
			out = append(out, ',')
		}
		out = t.row(out, o)
	}
	return append(out, "]}"...)
}

func (t *table) row(out []byte, o *resource.Object) []byte {
	out = append(out, `{"cells":[`...)
	out = appendCell(out, string(o.Name))
	values := t.values(o)
	for i, c := range t.columns {
		out = appendCell(append(out, ','), t.read(c, values[i]))
	}
	out = appendCell(append(out, ','), t.age(o.Created))
	out = append(out, ']')
	switch t.include {
	case metav1.IncludeMetadata:
		out = appendMetadata(append(out, `,"object":`...), t.def, o)
	case metav1.IncludeObject:
		out = resource.AppendJSON(append(out, `,"object":`...), t.def, o)
	}
	return append(out, '}')
}

// values are those of the columns, in order.
func (t *table) values(o *resource.Object) []any {
	if len(t.def.Columns) > 0 {
		return t.def.Row(o)
	}
	row := make([]any, len(t.columns))
	for i, c := range t.columns {
		row[i] = c.Value(o)
	}
	return row
}

// read is a value as people read it: times are ages.
func (t *table) read(c resource.Column, value any) any {
	switch v := value.(type) {
	case time.Time:
		return t.age(v)
	case string:
		if c.Type == "date" {
			if at, err := time.Parse(time.RFC3339, v); err == nil {
				return t.age(at)
			}
		}
	}
	return value
}

func (t *table) age(since time.Time) string {
	if since.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(t.now.Sub(since))
}

// appendCell appends a value. One that is no JSON, which only a column's function can come up with, is shown as text.
func appendCell(out []byte, value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		text = encode(fmt.Sprint(value))
		text = text[:len(text)-1]
	}
	return append(out, text...)
}
