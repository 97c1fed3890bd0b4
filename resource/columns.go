package resource

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Column is one column of the table that lists of a kind show. Its value is computed by Value, or else found at Path.
type Column struct {
	Name string
	// Type is "string" (when empty), "integer", "number", "boolean" or "date", as in OpenAPI; Format refines it.
	Type, Format string
	// Path finds the value in the object as it is served: ".spec.host", ".status.addresses[0]",
	// `.status.conditions[?(@.type=="Ready")].status`.
	Path        string
	Description string
	// Priority above 0 hides the column unless a wide table is asked for.
	Priority int
	// Value computes the value: a string, number, boolean, time.Time or nil.
	Value func(*Object) any
}

func (c Column) check() error {
	switch {
	case c.Name == "":
		return errors.New("a column has no name")
	case c.Value == nil && c.Path == "":
		return fmt.Errorf("the column %q has neither a path nor a function", c.Name)
	case c.Value == nil:
		if _, err := parsePath(c.Path); err != nil {
			return fmt.Errorf("the column %q: %w", c.Name, err)
		}
	}
	switch c.Type {
	case "", "string", "integer", "number", "boolean", "date":
		return nil
	}
	return fmt.Errorf("the column %q has the type %q, want string, integer, number, boolean or date", c.Name, c.Type)
}

// Row computes the values of the kind's columns for one object; see [Definition.Cell]. It reads each part of the object once.
func (d *Definition) Row(o *Object) []any {
	p := parts{d: d, o: o}
	row := make([]any, len(d.Columns))
	for i, c := range d.Columns {
		row[i] = p.cell(c)
	}
	return row
}

// Cell computes the value of one column for one object: a string, int64, float64, bool, time.Time (from a function), the JSON text of an
// array or object, or nil when there is none.
func (d *Definition) Cell(c Column, o *Object) any {
	p := parts{d: d, o: o}
	return p.cell(c)
}

// parts reads of an object what its columns need, once. A part that is not JSON has empty cells.
type parts struct {
	d *Definition
	o *Object
	// spec and status are the author's; engine is {"status": …} with the engine's fields, head all else, as they are served.
	spec, status, engine, head *node
}

func (p *parts) cell(c Column) any {
	if c.Value != nil {
		return c.Value(p.o)
	}
	steps, err := parsePath(c.Path)
	if err != nil {
		return nil // Check has refused it
	}
	at, steps := p.root(steps)
	for _, s := range steps {
		if at = s.from(at); at == nil {
			return nil
		}
	}
	return at.value()
}

// root is where a path begins, with the steps that are left to go.
func (p *parts) root(steps []pathStep) (*node, []pathStep) {
	read := func(into **node, text func() []byte) *node {
		if *into == nil {
			n, err := parseOptional(text())
			if err != nil {
				n = node{}
			}
			*into = &n
		}
		return *into
	}
	switch {
	case steps[0].field == "spec":
		return read(&p.spec, func() []byte { return p.o.Spec }), steps[1:]
	case steps[0].field != "status":
		return read(&p.head, func() []byte { return AppendJSON(nil, p.d, &Object{Meta: p.o.Meta}) }), steps
	case len(steps) > 1 && !slices.Contains(engineStatus, steps[1].field):
		return read(&p.status, func() []byte { return p.o.Status }), steps[1:]
	}
	return read(&p.engine, func() []byte {
		w := writer{[]byte{'{'}}
		w.statusOf(p.o)
		w.shut()
		return w.out
	}), steps
}

func (n *node) value() any {
	switch n.kind {
	case jsonNull:
		return nil
	case jsonBool:
		return string(n.raw) == "true"
	case jsonString:
		return n.str
	case jsonNumber:
		if i, err := strconv.ParseInt(string(n.raw), 10, 64); err == nil {
			return i
		}
		f, err := strconv.ParseFloat(string(n.raw), 64)
		if err != nil {
			return string(n.raw)
		}
		return f
	}
	return string(n.render(nil))
}

// pathStep is one step of a path: a field, an index, or the first item whose field has a value.
type pathStep struct {
	field string
	index int
	// where and is select an item of a list.
	where, is string
}

func (s pathStep) from(n *node) *node {
	switch {
	case s.field != "":
		return n.get(s.field)
	case s.where != "":
		for i := range n.items {
			if f := n.items[i].get(s.where); f != nil && f.str == s.is {
				return &n.items[i]
			}
		}
		return nil
	case s.index < len(n.items):
		return &n.items[s.index]
	}
	return nil
}

// parsePath reads the part of JSONPath that columns use.
func parsePath(path string) (steps []pathStep, err error) {
	rest := strings.TrimSuffix(strings.TrimPrefix(path, "{"), "}")
	for rest != "" {
		var s pathStep
		switch {
		case strings.HasPrefix(rest, "."):
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			s.field, rest = rest[1:1+end], rest[1+end:]
			if s.field == "" {
				return nil, fmt.Errorf("the path %q has a dot without a field", path)
			}
		case strings.HasPrefix(rest, "["):
			inner, after, found := strings.Cut(rest[1:], "]")
			if !found {
				return nil, fmt.Errorf("the path %q has a [ without ]", path)
			}
			if s, err = bracketStep(inner); err != nil {
				return nil, fmt.Errorf("the path %q: %w", path, err)
			}
			rest = after
		default:
			return nil, fmt.Errorf("the path %q must consist of .field, [index] and [?(@.field==\"value\")]", path)
		}
		steps = append(steps, s)
	}
	if len(steps) == 0 || steps[0].field == "" {
		return nil, fmt.Errorf("the path %q must begin with a field, like .spec", path)
	}
	return steps, nil
}

func bracketStep(inner string) (pathStep, error) {
	if filter, ok := strings.CutPrefix(inner, "?("); ok {
		field, value, found := strings.Cut(strings.TrimSuffix(filter, ")"), "==")
		field, dotted := strings.CutPrefix(strings.TrimSpace(field), "@.")
		value = strings.TrimSpace(value)
		if !found || !dotted || field == "" || len(value) < 2 || value[0] != '"' && value[0] != '\'' || value[len(value)-1] != value[0] {
			return pathStep{}, fmt.Errorf("[%s] is not of the form [?(@.field==\"value\")]", inner)
		}
		return pathStep{where: field, is: value[1 : len(value)-1]}, nil
	}
	if quoted, ok := strings.CutPrefix(inner, "'"); ok && strings.HasSuffix(quoted, "'") && len(quoted) > 1 {
		return pathStep{field: strings.TrimSuffix(quoted, "'")}, nil
	}
	index, err := strconv.Atoi(inner)
	if err != nil || index < 0 {
		return pathStep{}, fmt.Errorf("[%s] is not an index", inner)
	}
	return pathStep{index: index}, nil
}
