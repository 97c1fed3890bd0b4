package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// toYAML writes JSON as YAML, with fields in the same order.
func toYAML(body []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	v, err := ordered(d)
	if err != nil {
		return nil, fmt.Errorf("the server's JSON cannot be read: %w", err)
	}
	return yaml.MarshalWithOptions(v, yaml.IndentSequence(false), yaml.UseLiteralStyleIfMultiline(true))
}

// ordered reads a value, objects as lists of fields.
func ordered(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return orderedObject(d)
		}
		list := []any{}
		for d.More() {
			v, err := ordered(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Number:
		return number(t), nil
	}
	return t, nil
}

func orderedObject(d *json.Decoder) (any, error) {
	fields := yaml.MapSlice{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := ordered(d)
		if err != nil {
			return nil, err
		}
		fields = append(fields, yaml.MapItem{Key: key, Value: v})
	}
	_, err := d.Token()
	return fields, err
}

func number(n json.Number) any {
	if i, err := n.Int64(); err == nil {
		return i
	}
	if u, err := strconv.ParseUint(n.String(), 10, 64); err == nil {
		return u
	}
	if f, err := n.Float64(); err == nil {
		return f
	}
	return n.String()
}

// yamlDocuments calls each with every document of a stream and the line it begins at.
func yamlDocuments(text []byte, each func(line int, document []byte) error) error {
	line := 1
	var document bytes.Buffer
	begins := 1
	flush := func() error {
		body := bytes.Clone(document.Bytes())
		document.Reset()
		if blank(body) {
			return nil
		}
		return each(begins, body)
	}
	for rest := text; len(rest) > 0; line++ {
		next := rest
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			next = rest[:end+1]
		}
		rest = rest[len(next):]
		if separates(next) {
			if err := flush(); err != nil {
				return err
			}
			begins = line + 1
			continue
		}
		document.Write(next)
	}
	return flush()
}

// separates reports whether a line ends a document: "---" or "..." alone, or with a comment. Content never begins in the first column
// with these, by the grammar of YAML.
func separates(line []byte) bool {
	trimmed := bytes.TrimRight(line, " \t\r\n")
	if bytes.Equal(trimmed, []byte("...")) || bytes.Equal(trimmed, []byte("---")) {
		return true
	}
	rest, found := bytes.CutPrefix(trimmed, []byte("---"))
	return found && bytes.HasPrefix(bytes.TrimLeft(rest, " \t"), []byte("#")) && (rest[0] == ' ' || rest[0] == '\t')
}

// blank reports whether there is nothing but comments.
func blank(document []byte) bool {
	for line := range bytes.Lines(document) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && line[0] != '%' {
			return false
		}
	}
	return true
}

// fromYAML reads one document as JSON. Errors name lines as they are in a text in which the document begins at the given line.
func fromYAML(line int, document []byte) (json.RawMessage, error) {
	padded := append(bytes.Repeat([]byte{'\n'}, line-1), document...)
	var v any
	if err := yaml.Unmarshal(padded, &v); err != nil {
		return nil, errors.New(strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	return json.Marshal(v)
}
