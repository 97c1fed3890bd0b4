package codec

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// AppendAttributes appends the JSON of a, "{}" when there is nothing in it. It is what encoding/json makes, up to the escaping of texts, at a fraction
// of the cost: attributes are written with every commit.
func AppendAttributes(dst []byte, a *resource.Attributes) ([]byte, error) {
	p := printer{b: append(dst, '{')}
	p.texts("labels", a.Labels)
	p.texts("annotations", a.Annotations)
	array(&p, "owners", a.Owners, (*printer).owner)
	array(&p, "finalizers", a.Finalizers, func(p *printer, f *resource.Finalizer) { p.quote(string(*f)) })
	array(&p, "needs", a.Needs, func(p *printer, n *string) { p.quote(*n) })
	array(&p, "conditions", a.Conditions, (*printer).condition)
	p.number("observedGeneration", uint64(a.Observed))
	array(&p, "waits", a.Waits, (*printer).wait)
	p.actions(a)
	p.b = append(p.b, '}')
	return p.b, p.err
}

// printer appends JSON. Fields that are empty are left out, unless they are required.
type printer struct {
	b   []byte
	err error
}

// name begins a field.
func (p *printer) name(n string) {
	if last := p.b[len(p.b)-1]; last != '{' {
		p.b = append(p.b, ',')
	}
	p.b = append(p.b, '"')
	p.b = append(p.b, n...)
	p.b = append(p.b, '"', ':')
}

// quote appends a text. Those that need an escape are left to encoding/json.
func (p *printer) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			escaped, err := json.Marshal(s)
			if err != nil {
				p.err = err
			}
			p.b = append(p.b, escaped...)
			return
		}
	}
	p.b = append(p.b, '"')
	p.b = append(p.b, s...)
	p.b = append(p.b, '"')
}

func (p *printer) text(name, s string) {
	p.name(name)
	p.quote(s)
}

func (p *printer) optional(name, s string) {
	if s != "" {
		p.text(name, s)
	}
}

func (p *printer) flag(name string, set bool) {
	if set {
		p.name(name)
		p.b = append(p.b, "true"...)
	}
}

func (p *printer) number(name string, n uint64) {
	if n != 0 {
		p.name(name)
		p.b = strconv.AppendUint(p.b, n, 10)
	}
}

func (p *printer) time(name string, t time.Time) {
	p.name(name)
	p.b = append(p.b, '"')
	b, err := t.AppendText(p.b)
	if err != nil {
		p.err = err
		return
	}
	p.b = append(b, '"')
}

func (p *printer) texts(name string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	p.name(name)
	p.b = append(p.b, '{')
	for i, key := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			p.b = append(p.b, ',')
		}
		p.quote(key)
		p.b = append(p.b, ':')
		p.quote(m[key])
	}
	p.b = append(p.b, '}')
}

func array[T any](p *printer, name string, items []T, item func(*printer, *T)) {
	if len(items) == 0 {
		return
	}
	p.name(name)
	p.b = append(p.b, '[')
	for i := range items {
		if i > 0 {
			p.b = append(p.b, ',')
		}
		item(p, &items[i])
	}
	p.b = append(p.b, ']')
}

func (p *printer) keyFields(k resource.Key) {
	p.text("kind", string(k.Kind))
	p.optional("namespace", string(k.Namespace))
	p.text("name", string(k.Name))
}

func (p *printer) owner(o *resource.Owner) {
	p.b = append(p.b, '{')
	p.keyFields(o.Key)
	p.text("uid", string(o.UID))
	p.optional("child", o.Child)
	p.optional("version", o.Version)
	p.flag("controller", o.Controller)
	p.flag("blockOwnerDeletion", o.Block)
	p.b = append(p.b, '}')
}

func (p *printer) condition(c *resource.Condition) {
	p.b = append(p.b, '{')
	p.text("type", c.Type)
	p.text("status", string(c.Status))
	p.text("reason", c.Reason)
	p.optional("message", c.Message)
	p.number("observedGeneration", uint64(c.Observed))
	p.time("lastTransitionTime", c.Since)
	p.b = append(p.b, '}')
}

func (p *printer) wait(w *resource.Wait) {
	p.b = append(p.b, '{')
	p.text("controller", w.Controller)
	p.text("code", w.Code)
	p.optional("message", w.Message)
	array(p, "on", w.On, (*printer).ref)
	if !w.Until.IsZero() {
		p.time("until", w.Until)
	}
	p.optional("class", w.Class)
	p.time("since", w.Since)
	p.b = append(p.b, '}')
}

func (p *printer) ref(r *resource.Ref) {
	p.b = append(p.b, '{')
	if !r.Object.IsZero() {
		p.name("object")
		p.b = append(p.b, '{')
		p.keyFields(r.Object)
		p.b = append(p.b, '}')
	}
	p.optional("command", r.Command)
	p.b = append(p.b, '}')
}
