package resource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// jsonError says where a text stops being JSON that is accepted.
type jsonError struct {
	path   string
	offset int
	reason string
}

func (e *jsonError) Error() string { return e.reason }

func (e *jsonError) within(path string) *jsonError {
	e.path = path + e.path
	return e
}

// parseJSON reads one JSON value: strictly, without duplicate fields, no deeper than MaxDepth.
func parseJSON(text []byte) (node, error) {
	p := parser{text: text}
	n, err := p.value(0)
	if err == nil {
		if p.space(); p.at < len(text) {
			err = p.fail("there is more after the end of the value")
		}
	}
	if err != nil {
		err.path = strings.TrimPrefix(err.path, ".")
		return node{}, err
	}
	return n, nil
}

type parser struct {
	text []byte
	at   int
}

func (p *parser) fail(format string, args ...any) *jsonError {
	return &jsonError{offset: p.at, reason: fmt.Sprintf(format, args...)}
}

func (p *parser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) next() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) value(depth int) (node, *jsonError) {
	p.space()
	if p.at >= len(p.text) {
		return node{}, p.fail("the text ends where a value should be")
	}
	if depth >= MaxDepth && (p.next() == '{' || p.next() == '[') {
		return node{}, p.fail("nested deeper than %d levels", MaxDepth)
	}
	start := p.at
	n, err := p.scan(depth)
	if err != nil {
		return node{}, err
	}
	n.raw = p.text[start:p.at:p.at]
	return n, nil
}

func (p *parser) scan(depth int) (node, *jsonError) {
	switch c := p.next(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		s, err := p.string()
		return node{kind: jsonString, str: s}, err
	case c == '-' || c >= '0' && c <= '9':
		return node{kind: jsonNumber}, p.number()
	case c == 't':
		return node{kind: jsonBool}, p.word("true")
	case c == 'f':
		return node{kind: jsonBool}, p.word("false")
	case c == 'n':
		return node{kind: jsonNull}, p.word("null")
	default:
		return node{}, p.fail("%q cannot begin a value", c)
	}
}

func (p *parser) word(w string) *jsonError {
	if !bytes.HasPrefix(p.text[p.at:], []byte(w)) {
		return p.fail("want %s here", w)
	}
	p.at += len(w)
	return nil
}

func (p *parser) object(depth int) (node, *jsonError) {
	n := node{kind: jsonObject}
	var seen map[string]bool
	p.at++
	for p.space(); p.next() != '}'; p.space() {
		if len(n.members) > 0 {
			if p.next() != ',' {
				return n, p.fail("want a comma or } here")
			}
			p.at++
			p.space()
		}
		if p.next() != '"' {
			return n, p.fail("want a field's name in double quotes here")
		}
		keyAt := p.at
		key, err := p.string()
		if err != nil {
			return n, err
		}
		if seen = noteKey(seen, &n, key); seen != nil && seen[key] || seen == nil && n.get(key) != nil {
			p.at = keyAt
			return n, p.fail("the field %q is there twice", key).within(pathField("", key))
		}
		if seen != nil {
			seen[key] = true
		}
		if p.space(); p.next() != ':' {
			return n, p.fail("want a colon here").within(pathField("", key))
		}
		p.at++
		v, err := p.value(depth + 1)
		if err != nil {
			return n, err.within(pathField("", key))
		}
		if n.members == nil {
			n.members = make([]member, 0, 4)
		}
		n.members = append(n.members, member{key, v})
	}
	p.at++
	return n, nil
}

// noteKey starts a set of keys once an object is too large to look through.
func noteKey(seen map[string]bool, n *node, key string) map[string]bool {
	const small = 16
	if seen != nil || len(n.members) < small {
		return seen
	}
	seen = make(map[string]bool, 2*small)
	for i := range n.members {
		seen[n.members[i].key] = true
	}
	return seen
}

func (p *parser) array(depth int) (node, *jsonError) {
	n := node{kind: jsonArray}
	p.at++
	for p.space(); p.next() != ']'; p.space() {
		if len(n.items) > 0 {
			if p.next() != ',' {
				return n, p.fail("want a comma or ] here")
			}
			p.at++
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return n, err.within("[" + strconv.Itoa(len(n.items)) + "]")
		}
		n.items = append(n.items, v)
	}
	p.at++
	return n, nil
}

func (p *parser) string() (string, *jsonError) {
	start, escaped, ascii := p.at, false, true
	for p.at++; ; p.at++ {
		if p.at >= len(p.text) {
			return "", p.fail("the text ends inside a string")
		}
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return p.unquote(p.text[start:p.at], escaped, ascii)
		case c == '\\':
			escaped = true
			p.at++
		case c < ' ':
			return "", p.fail("a control character must be escaped in a string")
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
}

func (p *parser) unquote(quoted []byte, escaped, ascii bool) (string, *jsonError) {
	if !ascii && !utf8.Valid(quoted) {
		return "", p.fail("a string is not UTF-8")
	}
	if !escaped {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return "", p.fail("a string has an escape that JSON does not know")
	}
	return s, nil
}

// number follows the grammar of RFC 8259, section 6.
func (p *parser) number() *jsonError {
	if p.next() == '-' {
		p.at++
	}
	if p.next() == '0' {
		p.at++
	} else if !p.digits() {
		return p.fail("a number needs a digit here")
	}
	if p.next() == '.' {
		p.at++
		if !p.digits() {
			return p.fail("a number needs a digit after its point")
		}
	}
	if c := p.next(); c == 'e' || c == 'E' {
		p.at++
		if c := p.next(); c == '+' || c == '-' {
			p.at++
		}
		if !p.digits() {
			return p.fail("a number needs a digit in its exponent")
		}
	}
	return nil
}

func (p *parser) digits() bool {
	start := p.at
	for c := p.next(); c >= '0' && c <= '9'; c = p.next() {
		p.at++
	}
	return p.at > start
}
