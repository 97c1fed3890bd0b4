package control

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/setpointhq/setpoint/resource"
)

// together brings several steps forward at the same time.
func (r *run) together(s *step) progress {
	worst := finished
	for _, c := range s.steps {
		switch p := r.forward(c); {
		case p == failed:
			return failed
		case p == waiting, p == held && worst == finished:
			worst = p
		}
	}
	return worst
}

// first brings several steps forward until one of them is done, and undoes the others.
func (r *run) first(s *step) progress {
	if record := r.a.Step(s.name); record != nil {
		return r.lose(s, r.text(record))
	}
	worst, down := held, 0
	for _, c := range s.steps {
		switch p := r.forward(c); p {
		case finished:
			r.done(r.record(resource.ActionStep{Name: s.name, Since: r.t.now, Result: quoted(c.name)}))
			return r.lose(s, c.name)
		case failed:
			down++
		case waiting:
			worst = waiting
		}
	}
	if down == len(s.steps) {
		return failed
	}
	return worst
}

// lose undoes the steps of a First that another has won.
func (r *run) lose(s *step, winner string) progress {
	var losers []string
	for _, c := range s.steps {
		if c.name != winner {
			losers = append(losers, r.plan.family(c)...)
		}
	}
	for i := len(r.a.Steps) - 1; i >= 0; i-- {
		if !slices.Contains(losers, r.a.Steps[i].Name) {
			continue
		}
		if p := r.undo(&r.a.Steps[i]); p != finished {
			return p
		}
	}
	return finished
}

// way takes one of the ways of a Choose, and notes which.
func (r *run) way(s *step, record resource.ActionStep) progress {
	way := s.choose(r)
	if _, known := s.ways[way]; !known && r.refusal == "" {
		r.refusal = fmt.Sprintf("there is no way %q", way)
	}
	if r.refusal != "" {
		return r.refused(record)
	}
	record.Result = quoted(way)
	r.done(r.record(record))
	return r.sequence(s.ways[way])
}

func quoted(s string) json.RawMessage { return json.RawMessage(strconv.Quote(s)) }

// text is the answer of a step that answers with a word.
func (r *run) text(record *resource.ActionStep) (s string) {
	if err := json.Unmarshal(record.Result, &s); err != nil {
		r.t.fail("step %s of %s: what it has stored is no text: %w", record.Name, r.a.Name, err)
	}
	return s
}
