package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/setpointhq/setpoint/resource"
)

// The parser is chosen for what strangers may send: its time is linear, and its depth bounded, on deeply nested texts, which
// github.com/goccy/go-yaml takes quadratic time for (16 KiB of "[": 5 ms against 217 ms).

// fromYAML turns one YAML document into JSON. Aliases are refused: a few lines of them can stand for gigabytes.
func fromYAML(text []byte) ([]byte, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, next yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, errors.New("there is no document")
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(&next); !errors.Is(err, io.EOF) {
		return nil, errors.New("want one document, not several")
	}
	if len(document.Content) != 1 {
		return nil, errors.New("there is no document")
	}
	value, err := plain(document.Content[0], 0)
	if err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

// plain turns a node into what [json.Marshal] takes.
func plain(n *yaml.Node, depth int) (any, error) {
	if depth > resource.MaxDepth {
		return nil, refuseNode(n, "nested deeper than %d levels", resource.MaxDepth)
	}
	switch n.Kind {
	case yaml.MappingNode:
		return mapping(n, depth)
	case yaml.SequenceNode:
		items := make([]any, len(n.Content))
		for i, item := range n.Content {
			value, err := plain(item, depth+1)
			if err != nil {
				return nil, err
			}
			items[i] = value
		}
		return items, nil
	case yaml.ScalarNode:
		return scalar(n)
	}
	return nil, refuseNode(n, "aliases (*name) are not accepted: write the value out")
}

func refuseNode(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d, column %d: %s", n.Line, n.Column, fmt.Sprintf(format, args...))
}

func mapping(n *yaml.Node, depth int) (any, error) {
	fields := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			return nil, refuseNode(key, "a key must be a plain word")
		}
		if _, twice := fields[key.Value]; twice {
			return nil, refuseNode(key, "the key %q is there twice", key.Value)
		}
		value, err := plain(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		fields[key.Value] = value
	}
	return fields, nil
}

func scalar(n *yaml.Node) (value any, err error) {
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp":
		return n.Value, nil
	case "!!int", "!!float", "!!null", "!!bool":
		if (tag == "!!int" || tag == "!!float") && json.Valid([]byte(n.Value)) {
			return json.Number(n.Value), nil // every digit of it
		}
		if err := n.Decode(&value); err != nil {
			return nil, refuseNode(n, "%v", err)
		}
		return value, nil
	}
	return nil, refuseNode(n, "the tag %s is not accepted", n.Tag)
}

// toYAML writes a JSON text in YAML, fields in the same order.
func toYAML(text []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	n, err := node(decoder)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(n), encoder.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// node reads the next JSON value.
func node(d *json.Decoder) (*yaml.Node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode}
	switch v := token.(type) {
	case json.Delim:
		n.Kind = yaml.MappingNode
		if v == '[' {
			n.Kind = yaml.SequenceNode
		}
		for d.More() { // a key is a value like any other
			sub, err := node(d)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, sub)
		}
		_, err = d.Token() // the end
	case string:
		n.SetString(v)
	case json.Number:
		n.Value = v.String()
		if tag := n.ShortTag(); tag != "!!int" && tag != "!!float" {
			n.Tag = "!!float" // YAML would take it for a text
		}
	case bool:
		n.Value = fmt.Sprint(v)
	default:
		n.Value = "null"
	}
	return n, err
}
