package codec

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// actions prints what attributes say of actions. They are written with every step of one.
func (p *printer) actions(a *resource.Attributes) {
	if a.Action != nil {
		p.name("action")
		p.action(a.Action)
	}
	if a.Last != nil {
		p.name("lastAction")
		p.actionEnd(a.Last)
	}
	array(p, "signals", a.Signals, (*printer).standing)
}

func (p *printer) action(a *resource.Action) {
	p.b = append(p.b, '{')
	p.text("name", a.Name)
	p.required("run", uint64(a.Run))
	p.optional("from", string(a.From))
	p.time("since", a.Since)
	if !a.Deadline.IsZero() {
		p.time("deadline", a.Deadline)
	}
	p.text("phase", string(a.Phase))
	p.optional("halt", string(a.Halt))
	p.optional("halted", a.Halted)
	if !a.Paused.IsZero() {
		p.time("paused", a.Paused)
	}
	p.optional("end", string(a.End))
	p.optional("message", a.Message)
	array(p, "signals", a.Signals, func(p *printer, n *uint64) { p.b = strconv.AppendUint(p.b, *n, 10) })
	p.optional("plan", a.Plan)
	array(p, "steps", a.Steps, (*printer).step)
	p.b = append(p.b, '}')
}

func (p *printer) step(s *resource.ActionStep) {
	p.b = append(p.b, '{')
	p.text("name", s.Name)
	p.text("phase", string(s.Phase))
	p.time("since", s.Since)
	p.optional("adapter", s.Adapter)
	p.optional("key", s.Key)
	p.optional("destination", s.Destination)
	if len(s.Result) > 0 {
		p.name("result")
		p.raw(s.Result)
	}
	p.b = append(p.b, '}')
}

func (p *printer) actionEnd(e *resource.ActionEnd) {
	p.b = append(p.b, '{')
	p.text("name", e.Name)
	p.required("run", uint64(e.Run))
	p.text("outcome", string(e.Outcome))
	p.optional("message", e.Message)
	p.time("at", e.At)
	p.number("failures", e.Failures)
	p.b = append(p.b, '}')
}

func (p *printer) standing(s *resource.StandingSignal) {
	p.b = append(p.b, '{')
	p.text("name", string(s.Name))
	p.optional("by", s.By)
	p.time("at", s.At)
	p.optional("why", s.Why)
	p.optional("note", s.Note)
	p.b = append(p.b, '}')
}

func (p *printer) required(name string, n uint64) {
	p.name(name)
	p.b = strconv.AppendUint(p.b, n, 10)
}

// raw appends JSON that somebody else made. What has space to lose or letters to escape, or is no JSON, is left to encoding/json.
func (p *printer) raw(text json.RawMessage) {
	if dense(text) && json.Valid(text) {
		p.b = append(p.b, text...)
		return
	}
	compacted, err := json.Marshal(text)
	if err != nil {
		p.err = err
	}
	p.b = append(p.b, compacted...)
}

// dense reports whether encoding/json would copy JSON as it is.
func dense(text []byte) bool {
	inText, escaped := false, false
	for _, c := range text {
		switch {
		case c > '~' || c == '<' || c == '>' || c == '&':
			return false
		case escaped:
			escaped = false
		case inText:
			escaped, inText = c == '\\', c != '"'
		case c <= ' ':
			return false
		default:
			inText = c == '"'
		}
	}
	return true
}

// actions reads what attributes say of actions.
func (c *cursor) actions(field string, a *resource.Attributes) {
	switch {
	case field == "action" && a.Action == nil:
		a.Action = &resource.Action{}
		c.object(func(f string) { c.action(f, a.Action) })
	case field == "lastAction" && a.Last == nil:
		a.Last = &resource.ActionEnd{}
		c.object(func(f string) { c.actionEnd(f, a.Last) })
	case field == "signals":
		items(c, &a.Signals, func(s *resource.StandingSignal) { c.object(func(f string) { c.standing(f, s) }) })
	default:
		c.odd = true
	}
}

func (c *cursor) action(field string, a *resource.Action) {
	switch field {
	case "name":
		a.Name = c.text()
	case "run":
		a.Run = resource.Revision(c.number())
	case "from":
		a.From = lifecycle.State(c.text())
	case "since":
		a.Since = c.time()
	case "deadline":
		a.Deadline = c.time()
	case "phase":
		a.Phase = resource.ActionPhase(c.text())
	case "halt":
		a.Halt = resource.ActionHalt(c.text())
	case "halted":
		a.Halted = c.text()
	case "paused":
		a.Paused = c.time()
	case "message":
		a.Message = c.text()
	case "end":
		a.End = resource.ActionOutcome(c.text())
	case "signals":
		items(c, &a.Signals, func(n *uint64) { *n = c.number() })
	case "plan":
		a.Plan = c.text()
	case "steps":
		items(c, &a.Steps, func(s *resource.ActionStep) { c.object(func(f string) { c.step(f, s) }) })
	default:
		c.odd = true
	}
}

func (c *cursor) step(field string, s *resource.ActionStep) {
	switch field {
	case "name":
		s.Name = c.text()
	case "phase":
		s.Phase = resource.StepPhase(c.text())
	case "since":
		s.Since = c.time()
	case "adapter":
		s.Adapter = c.text()
	case "key":
		s.Key = c.text()
	case "destination":
		s.Destination = c.text()
	case "result":
		s.Result = c.raw()
	default:
		c.odd = true
	}
}

func (c *cursor) actionEnd(field string, e *resource.ActionEnd) {
	switch field {
	case "name":
		e.Name = c.text()
	case "run":
		e.Run = resource.Revision(c.number())
	case "outcome":
		e.Outcome = resource.ActionOutcome(c.text())
	case "message":
		e.Message = c.text()
	case "at":
		e.At = c.time()
	case "failures":
		e.Failures = c.number()
	default:
		c.odd = true
	}
}

func (c *cursor) standing(field string, s *resource.StandingSignal) {
	switch field {
	case "name":
		s.Name = lifecycle.SignalName(c.text())
	case "by":
		s.By = c.text()
	case "at":
		s.At = c.time()
	case "why":
		s.Why = c.text()
	case "note":
		s.Note = c.text()
	default:
		c.odd = true
	}
}

// raw reads a value as it stands, up to the comma or brace that follows it. Space around it is odd.
func (c *cursor) raw() json.RawMessage {
	n := c.valueLength()
	value := c.s[c.i : c.i+n]
	text := json.RawMessage(value)
	if !json.Valid(text) || len(strings.TrimSpace(value)) != n {
		c.odd = true
		return nil
	}
	c.i += n
	return text
}

func (c *cursor) valueLength() int {
	depth := 0
	for i := c.i; i < len(c.s); i++ {
		switch c.s[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i - c.i
			}
			depth--
		case ',':
			if depth == 0 {
				return i - c.i
			}
		case '"':
			i = c.textEnd(i)
		}
	}
	return len(c.s) - c.i
}

// textEnd is the place of the quote that ends the text which begins at a place, the last place when none does.
func (c *cursor) textEnd(begin int) int {
	for i := begin + 1; i < len(c.s); i++ {
		n := strings.IndexAny(c.s[i:], `"\`)
		if n < 0 {
			break
		}
		if i += n; c.s[i] == '"' {
			return i
		}
		i++
	}
	return len(c.s) - 1
}
