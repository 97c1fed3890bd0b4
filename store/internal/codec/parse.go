package codec

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/setpointhq/setpoint/resource"
)

// ParseAttributes reads JSON that [AppendAttributes], or a person, wrote. What AppendAttributes writes is read by a parser that knows no
// more than that; anything else (escapes, spaces, fields in another case) is left to encoding/json.
func ParseAttributes(text []byte, a *resource.Attributes) error {
	if len(text) == 0 || string(text) == "{}" {
		return nil
	}
	// One copy, of which all texts are parts.
	c := cursor{s: string(text)}
	var parsed resource.Attributes
	c.object(func(field string) { c.attribute(field, &parsed) })
	if !c.odd && c.i == len(c.s) {
		*a = parsed
		return nil
	}
	return json.Unmarshal(text, a)
}

// cursor reads the plain form. Whatever it does not expect makes it odd, and then it reads nothing more.
type cursor struct {
	s   string
	i   int
	odd bool
}

func (c *cursor) attribute(field string, a *resource.Attributes) {
	switch field {
	case "labels":
		c.texts(&a.Labels)
	case "annotations":
		c.texts(&a.Annotations)
	case "owners":
		items(c, &a.Owners, func(o *resource.Owner) { c.object(func(f string) { c.owner(f, o) }) })
	case "finalizers":
		items(c, &a.Finalizers, func(f *resource.Finalizer) { *f = resource.Finalizer(c.text()) })
	case "needs":
		items(c, &a.Needs, func(n *string) { *n = c.text() })
	case "conditions":
		items(c, &a.Conditions, func(x *resource.Condition) { c.object(func(f string) { c.condition(f, x) }) })
	case "observedGeneration":
		a.Observed = resource.Generation(c.number())
	case "waits":
		items(c, &a.Waits, func(w *resource.Wait) { c.object(func(f string) { c.wait(f, w) }) })
	default:
		c.actions(field, a)
	}
}

func (c *cursor) owner(field string, o *resource.Owner) {
	switch field {
	case "uid":
		o.UID = resource.UID(c.text())
	case "child":
		o.Child = c.text()
	case "version":
		o.Version = c.text()
	case "controller":
		o.Controller = c.flag()
	case "blockOwnerDeletion":
		o.Block = c.flag()
	default:
		c.key(field, &o.Key)
	}
}

func (c *cursor) key(field string, k *resource.Key) {
	switch field {
	case "kind":
		k.Kind = resource.KindID(c.text())
	case "namespace":
		k.Namespace = resource.Namespace(c.text())
	case "name":
		k.Name = resource.Name(c.text())
	default:
		c.odd = true
	}
}

func (c *cursor) condition(field string, x *resource.Condition) {
	switch field {
	case "type":
		x.Type = c.text()
	case "status":
		x.Status = resource.Truth(c.text())
	case "reason":
		x.Reason = c.text()
	case "message":
		x.Message = c.text()
	case "observedGeneration":
		x.Observed = resource.Generation(c.number())
	case "lastTransitionTime":
		x.Since = c.time()
	default:
		c.odd = true
	}
}

func (c *cursor) wait(field string, w *resource.Wait) {
	switch field {
	case "controller":
		w.Controller = c.text()
	case "code":
		w.Code = c.text()
	case "message":
		w.Message = c.text()
	case "on":
		items(c, &w.On, func(r *resource.Ref) { c.object(func(f string) { c.ref(f, r) }) })
	case "until":
		w.Until = c.time()
	case "class":
		w.Class = c.text()
	case "since":
		w.Since = c.time()
	default:
		c.odd = true
	}
}

func (c *cursor) ref(field string, r *resource.Ref) {
	switch field {
	case "object":
		c.object(func(f string) { c.key(f, &r.Object) })
	case "command":
		r.Command = c.text()
	default:
		c.odd = true
	}
}

// is reads one byte, if it is the next.
func (c *cursor) is(b byte) bool {
	if c.i < len(c.s) && c.s[c.i] == b {
		c.i++
		return true
	}
	return false
}

func (c *cursor) must(b byte) {
	if !c.is(b) {
		c.odd = true
	}
}

// object reads {"field":value,…}; value has to read the value of a field.
func (c *cursor) object(value func(field string)) {
	c.must('{')
	for first := true; !c.odd; first = false {
		if first && c.is('}') {
			return
		}
		field := c.text()
		c.must(':')
		if c.odd {
			return
		}
		value(field)
		if c.is('}') {
			return
		}
		c.must(',')
	}
}

// items reads an array of at least one item.
func items[T any](c *cursor, list *[]T, item func(*T)) {
	c.must('[')
	if *list != nil {
		c.odd = true
	}
	for !c.odd {
		var v T
		item(&v)
		*list = append(*list, v)
		if c.is(']') {
			return
		}
		c.must(',')
	}
}

func (c *cursor) texts(m *map[string]string) {
	if *m != nil {
		c.odd = true
		return
	}
	*m = map[string]string{}
	c.object(func(name string) { (*m)[name] = c.text() })
	if len(*m) == 0 {
		c.odd = true
	}
}

// text reads a text without escapes.
func (c *cursor) text() string {
	if c.odd || !c.is('"') {
		c.odd = true
		return ""
	}
	n := strings.IndexByte(c.s[c.i:], '"')
	if n < 0 {
		c.odd = true
		return ""
	}
	t := c.s[c.i : c.i+n]
	ascii := true
	for i := range len(t) {
		if t[i] < ' ' || t[i] == '\\' {
			c.odd = true
			return ""
		}
		ascii = ascii && t[i] < utf8.RuneSelf
	}
	if !ascii && !utf8.ValidString(t) {
		c.odd = true
		return ""
	}
	c.i += n + 1
	return t
}

// flag reads true; false is never written.
func (c *cursor) flag() bool {
	const word = "true"
	if !strings.HasPrefix(c.s[c.i:], word) {
		c.odd = true
		return false
	}
	c.i += len(word)
	return true
}

func (c *cursor) number() uint64 {
	end := c.i
	for end < len(c.s) && c.s[end] >= '0' && c.s[end] <= '9' {
		end++
	}
	digits := c.s[c.i:end]
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || len(digits) > 1 && digits[0] == '0' {
		c.odd = true
	}
	c.i = end
	return n
}

// time reads a time in UTC.
func (c *cursor) time() time.Time {
	s := c.text()
	if !strings.HasSuffix(s, "Z") {
		c.odd = true
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		c.odd = true
	}
	return t
}
