package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/internal/legible"
)

// format is what -o asks for.
type format struct {
	name string // "table", "wide", "json", "yaml", "name" or "jsonpath"
	path template
}

const formats = "table, wide, json, yaml, name or jsonpath=…"

func parseFormat(s string) (format, error) {
	if path, ok := strings.CutPrefix(s, "jsonpath="); ok {
		t, err := parseTemplate(path)
		if err != nil {
			return format{}, &usageError{err}
		}
		return format{"jsonpath", t}, nil
	}
	switch s {
	case "", "table":
		return format{name: "table"}, nil
	case "wide", "json", "yaml", "name":
		return format{name: s}, nil
	}
	return format{}, usage("output %q: want %s", s, formats)
}

// table reports whether a table is asked for, plain or wide.
func (f format) table() bool { return f.name == "table" || f.name == "wide" }

func outputFlag(c *cobra.Command, into *string) {
	c.Flags().StringVarP(into, "output", "o", "table", "output: "+formats)
	completeWords(c, "output", "table", "wide", "json", "yaml", "name", "jsonpath=")
}

// object prints one object.
func (a *app) object(f format, k client.Kind, o *client.Object) error {
	if f.name == "name" {
		return a.out("%s", printable(objectName(k, o.Metadata.Name), false))
	}
	return a.document(f, o.Raw)
}

// objects prints objects as one list.
func (a *app) objects(f format, kinds []client.Kind, objects []*client.Object) error {
	if f.name == "name" {
		for i, o := range objects {
			if err := a.object(f, kinds[i], o); err != nil {
				return err
			}
		}
		return nil
	}
	items := make([]json.RawMessage, len(objects))
	for i, o := range objects {
		items[i] = o.Raw
	}
	body, err := json.Marshal(struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Items      []json.RawMessage `json:"items"`
	}{"v1", "List", items})
	if err != nil {
		return err
	}
	return a.document(f, body)
}

// value prints anything that encodes as JSON.
func (a *app) value(f format, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.document(f, body)
}

// document prints JSON in the form asked for.
func (a *app) document(f format, body []byte) error {
	switch f.name {
	case "yaml":
		text, err := toYAML(body)
		if err != nil {
			return err
		}
		return a.print(a.Stdout, string(text))
	case "jsonpath":
		v, err := decodeAny(body)
		if err != nil {
			return fmt.Errorf("the server's JSON cannot be read: %w", err)
		}
		text := f.path.render(v)
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		return a.print(a.Stdout, text)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", "  "); err != nil {
		return fmt.Errorf("the server's JSON cannot be read: %w", err)
	}
	return a.print(a.Stdout, b.String()+"\n")
}

// line prints JSON as one line, or one YAML document of several, for streams.
func (a *app) line(f format, body []byte) error {
	switch f.name {
	case "json":
		var b bytes.Buffer
		if err := json.Compact(&b, body); err != nil {
			return fmt.Errorf("the server's JSON cannot be read: %w", err)
		}
		return a.print(a.Stdout, b.String()+"\n")
	case "yaml":
		if err := a.print(a.Stdout, "---\n"); err != nil {
			return err
		}
	}
	return a.document(f, body)
}

// tablePrinter prints tables of one kind, which may come in parts.
type tablePrinter struct {
	grid
	wide, namespaces bool
	columns          []client.Column
	headed           bool
}

func (p *tablePrinter) print(w io.Writer, t *client.Table) error {
	if len(t.Columns) > 0 {
		p.columns = t.Columns
	}
	var lines [][]string
	if !p.headed && len(t.Rows) > 0 {
		p.headed = true
		lines = append(lines, p.head())
	}
	for _, row := range t.Rows {
		lines = append(lines, p.row(row))
	}
	return p.write(w, lines)
}

func (p *tablePrinter) head() (line []string) {
	if p.namespaces {
		line = append(line, "NAMESPACE")
	}
	for _, c := range p.columns {
		if p.wide || c.Priority == 0 {
			line = append(line, strings.ToUpper(printable(c.Name, false)))
		}
	}
	return line
}

func (p *tablePrinter) row(r client.Row) (line []string) {
	if p.namespaces {
		line = append(line, legible.Dash(string(r.Object.Metadata.Namespace)))
	}
	for i, c := range r.Cells {
		if i >= len(p.columns) || p.wide || p.columns[i].Priority == 0 {
			line = append(line, cell(c))
		}
	}
	return line
}
