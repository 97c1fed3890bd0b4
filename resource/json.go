package resource

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Bounds of the JSON that is accepted from outside.
const (
	// MaxBytes is the size of the largest object: 1 MiB.
	MaxBytes = 1 << 20
	// MaxDepth is how deep arrays and objects may be nested.
	MaxDepth = 100
)

type jsonKind uint8

const (
	jsonNull jsonKind = iota
	jsonBool
	jsonNumber
	jsonString
	jsonArray
	jsonObject
)

var jsonKindNames = [...]string{"null", "boolean", "number", "string", "array", "object"}

func (k jsonKind) String() string { return jsonKindNames[k] }

// node is one JSON value: its text as it was written, and what is inside. Reading into nodes costs a fraction of
// reading into map[string]any, keeps the order of fields and the digits of numbers, and finds duplicate fields.
type node struct {
	kind    jsonKind
	raw     []byte
	str     string // the value of a string
	members []member
	items   []node
}

// member is one field of an object.
type member struct {
	key string
	val node
}

// get returns an object's field, nil when it has none of that name.
func (n *node) get(key string) *node {
	for i := range n.members {
		if n.members[i].key == key {
			return &n.members[i].val
		}
	}
	return nil
}

// set replaces an object's field, or adds it at the end.
func (n *node) set(key string, v node) {
	if have := n.get(key); have != nil {
		*have = v
		return
	}
	n.members = append(n.members, member{key, v})
}

// remove takes a field out of an object.
func (n *node) remove(key string) {
	for i := range n.members {
		if n.members[i].key == key {
			n.members = append(n.members[:i:i], n.members[i+1:]...)
			return
		}
	}
}

// render writes the node as compact JSON.
func (n *node) render(dst []byte) []byte {
	switch n.kind {
	case jsonObject:
		dst = append(dst, '{')
		for i := range n.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, n.members[i].key), ':')
			dst = n.members[i].val.render(dst)
		}
		return append(dst, '}')
	case jsonArray:
		dst = append(dst, '[')
		for i := range n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = n.items[i].render(dst)
		}
		return append(dst, ']')
	default:
		return append(dst, n.raw...)
	}
}

// SameJSON reports whether two JSON texts mean the same: the same fields in any order, with any spacing. An absent
// text, null and {} are the same. Numbers are the same when they are written alike, so that no digit is ever lost.
func SameJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, errX := parseOptional(a)
	y, errY := parseOptional(b)
	return errX == nil && errY == nil && same(&x, &y)
}

func parseOptional(b []byte) (node, error) {
	if len(b) == 0 {
		return node{kind: jsonObject}, nil
	}
	n, err := parseJSON(b)
	if err == nil && n.kind == jsonNull {
		n = node{kind: jsonObject}
	}
	return n, err
}

func same(a, b *node) bool {
	if a.kind != b.kind || len(a.members) != len(b.members) || len(a.items) != len(b.items) {
		return false
	}
	switch a.kind {
	case jsonString:
		return a.str == b.str
	case jsonArray:
		for i := range a.items {
			if !same(&a.items[i], &b.items[i]) {
				return false
			}
		}
		return true
	case jsonObject:
		for i := range a.members {
			// Fields mostly come in the same order: look there first.
			other := &b.members[i].val
			if b.members[i].key != a.members[i].key {
				other = b.get(a.members[i].key)
			}
			if other == nil || !same(&a.members[i].val, other) {
				return false
			}
		}
		return true
	default:
		return bytes.Equal(a.raw, b.raw)
	}
}

// appendString appends s as a JSON string.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r) // an invalid byte becomes U+FFFD
			i += size
			continue
		}
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
		i++
	}
	return append(dst, '"')
}

// pathField appends a field to a path: "spec" and "routes" make "spec.routes". Names that would not read well
// after a dot stand in brackets.
func pathField(path, field string) string {
	for i := 0; i < len(field); i++ {
		c := field[i]
		if !(c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return path + "[" + field + "]"
		}
	}
	return path + "." + field
}
