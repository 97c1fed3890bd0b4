package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// template is a text with paths in braces: "{.metadata.name} is {.status.state}". A text without braces is one path.
type template []segment

// segment is a piece of text, a path, or a range over the values of a path.
type segment struct {
	text string
	path []step
	body template // of a range
	loop bool
}

// step goes from one value to others: to a field, an item, all items, or the items that pass a test.
type step struct {
	field string
	index *int
	all   bool
	where []step
	is    any
	not   bool
}

func parseTemplate(s string) (template, error) {
	if !strings.Contains(s, "{") {
		s = "{" + s + "}"
	}
	t, rest, err := parseSegments(s, false)
	if err == nil && rest != "" {
		err = fmt.Errorf("{end} without {range}")
	}
	if err != nil {
		return nil, fmt.Errorf("jsonpath %q: %w", s, err)
	}
	return t, nil
}

func parseSegments(s string, inRange bool) (t template, rest string, err error) {
	for s != "" {
		text, after, found := strings.Cut(s, "{")
		if text != "" {
			t = append(t, segment{text: text})
		}
		if !found {
			s = ""
			break
		}
		var inner string
		if inner, s, err = untilBrace(after); err != nil {
			return nil, "", err
		}
		inner = strings.TrimSpace(inner)
		switch {
		case inner == "end" && inRange:
			return t, s, nil
		case inner == "end":
			return t, "{end}" + s, nil
		case strings.HasPrefix(inner, `"`):
			literal, err := strconv.Unquote(inner)
			if err != nil {
				return nil, "", fmt.Errorf("%s is not a text in quotes", inner)
			}
			t = append(t, segment{text: literal})
		default:
			var g segment
			path, loop := strings.CutPrefix(inner, "range ")
			if g.path, err = parsePath(strings.TrimSpace(path)); err != nil {
				return nil, "", err
			}
			if g.loop = loop; loop {
				if g.body, s, err = parseSegments(s, true); err != nil {
					return nil, "", err
				}
			}
			t = append(t, g)
		}
	}
	if inRange {
		return nil, "", fmt.Errorf("{range} without {end}")
	}
	return t, "", nil
}

// untilBrace cuts at the closing brace, passing over quoted ones.
func untilBrace(s string) (inner, rest string, err error) {
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && c == '}':
			return s[:i], s[i+1:], nil
		}
	}
	return "", "", fmt.Errorf("a { is not closed")
}

// parsePath reads .field, ['field'], [0], [-1], [*] and [?(@.field=="value")], one after the other.
func parsePath(path string) (steps []step, err error) {
	rest := strings.TrimPrefix(path, "$")
	if rest == "." || rest == "@" || rest == "" && path != "" {
		return nil, nil
	}
	for rest != "" {
		switch {
		case strings.HasPrefix(rest, "[") && strings.Contains(rest, "]"):
			end := strings.Index(rest, "]")
			if strings.HasPrefix(rest, "[?(") {
				end = strings.Index(rest, ")]") + 1
			}
			if end < 1 {
				return nil, fmt.Errorf("%s: want [?(@.field==\"value\")]", rest)
			}
			s, err := bracket(rest[1:end])
			if err != nil {
				return nil, err
			}
			steps, rest = append(steps, s), rest[end+1:]
		case strings.HasPrefix(rest, ".") && len(rest) > 1 && rest[1] != '.' && rest[1] != '[':
			name := rest[1:]
			if end := strings.IndexAny(name, ".["); end >= 0 {
				name = name[:end]
			}
			rest = rest[1+len(name):]
			steps = append(steps, step{field: name, all: name == "*"})
		default:
			return nil, fmt.Errorf("%q: want a path such as {.status.conditions[0].reason}", path)
		}
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("%q: want a path such as {.metadata.name}", path)
	}
	return steps, nil
}

func bracket(inner string) (step, error) {
	switch {
	case inner == "*":
		return step{all: true}, nil
	case strings.HasPrefix(inner, "?("):
		return filter(strings.TrimSuffix(strings.TrimPrefix(inner, "?("), ")"))
	case len(inner) > 1 && (inner[0] == '\'' || inner[0] == '"') && inner[len(inner)-1] == inner[0]:
		return step{field: inner[1 : len(inner)-1]}, nil
	}
	n, err := strconv.Atoi(inner)
	if err != nil {
		return step{}, fmt.Errorf("[%s]: want an index, *, a name in quotes or ?(@.field==\"value\")", inner)
	}
	return step{index: &n}, nil
}

func filter(test string) (step, error) {
	left, right, found := strings.Cut(test, "==")
	not := false
	if !found {
		left, right, found = strings.Cut(test, "!=")
		not = true
	}
	path, err := parsePath(strings.TrimPrefix(strings.TrimSpace(left), "@"))
	right = strings.TrimSpace(right)
	if len(right) > 1 && right[0] == '\'' && right[len(right)-1] == '\'' {
		right = strconv.Quote(right[1 : len(right)-1])
	}
	is, wrong := decodeAny([]byte(right))
	if !found || err != nil || wrong != nil {
		return step{}, fmt.Errorf("[?(%s)]: want @.field==\"value\"", test)
	}
	return step{where: path, is: is, not: not}, nil
}

// walk follows a path from a value to all that it leads to.
func walk(v any, path []step) []any {
	found := []any{v}
	for _, s := range path {
		var next []any
		for _, v := range found {
			next = append(next, s.from(v)...)
		}
		found = next
	}
	return found
}

func (s step) from(v any) []any {
	list, isList := v.([]any)
	object, isObject := v.(map[string]any)
	switch {
	case s.where != nil && isList:
		var passed []any
		for _, item := range list {
			if at := walk(item, s.where); len(at) == 1 && (at[0] == s.is) != s.not {
				passed = append(passed, item)
			}
		}
		return passed
	case s.all && isList:
		return list
	case s.all && isObject:
		var values []any
		for _, key := range slices.Sorted(maps.Keys(object)) {
			values = append(values, object[key])
		}
		return values
	case s.index != nil && isList:
		i := *s.index
		if i < 0 {
			i += len(list)
		}
		if i >= 0 && i < len(list) {
			return list[i : i+1]
		}
	case s.field != "" && isObject:
		if at, ok := object[s.field]; ok {
			return []any{at}
		}
	}
	return nil
}

// render fills a template in. Several values of one path are separated by spaces.
func (t template) render(v any) string {
	var b strings.Builder
	for _, g := range t {
		b.WriteString(g.text)
		if g.text != "" {
			continue
		}
		for i, at := range walk(v, g.path) {
			switch {
			case g.loop:
				b.WriteString(g.body.render(at))
				continue
			case i > 0:
				b.WriteByte(' ')
			}
			b.WriteString(plain(at))
		}
	}
	return b.String()
}

// decodeAny decodes JSON, numbers as they are written.
func decodeAny(body []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// plain writes texts as they are, and other values as JSON.
func plain(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(body)
}
