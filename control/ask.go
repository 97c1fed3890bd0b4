package control

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/setpointhq/setpoint/internal/legible"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// asked is what an Ask keeps of one object that it has asked.
type asked struct {
	Object  resource.Key           `json:"object"`
	UID     resource.UID           `json:"uid"`
	Outcome resource.ActionOutcome `json:"outcome,omitempty"`
	Message string                 `json:"message,omitempty"`
}

// reply is the payload of an answer: which question, and what became of it.
type reply struct {
	Question string                 `json:"question"`
	From     resource.UID           `json:"from"`
	Outcome  resource.ActionOutcome `json:"outcome"`
	Message  string                 `json:"message,omitempty"`
}

// question names what one step of one run asks: it is the Dedupe of its signals, so that each object is asked once.
func (r *run) question(step string) string {
	return askPrefix + string(r.t.stored.UID) + "/" + strconv.FormatUint(uint64(r.a.Run), 10) + "/" + step
}

const askPrefix = "ask/"

// askLimit bounds how many objects a step asks, and replyLimit what it keeps of what each has answered: that stays with the object until the action ends.
const (
	askLimit   = 500
	replyLimit = 200 // bytes
)

// ask raises the signal of a step on those that it is for: on all, or, when it cannot be raised on one, on none.
func (r *run) ask(s *step, record resource.ActionStep) progress {
	keys := s.asked(r)
	if len(keys) > askLimit {
		r.refusal = fmt.Sprintf("it asks %d objects, and a step can ask %d; divide them among several", len(keys), askLimit)
		keys = nil
	}
	all, before := make([]asked, 0, len(keys)), len(r.t.raised)
	for _, key := range keys {
		if uid := r.askOne(s, key); r.refusal == "" {
			all = append(all, asked{Object: key, UID: uid})
		}
	}
	if r.refusal != "" {
		r.t.raised = r.t.raised[:before]
		return r.refused(record)
	}
	r.keep(&record, all)
	return r.asking(s, r.record(record))
}

// askOne raises the signal of a step on one object, and returns whom it has asked. When it cannot be raised, the step is refused.
func (r *run) askOne(s *step, key resource.Key) resource.UID {
	o, ok := r.t.read(key)
	def, known := r.t.engine.registry.Kind(key.Kind)
	switch {
	case r.refusal != "":
		return ""
	case !ok:
		r.refusal = fmt.Sprintf("there is no %s to ask", key)
		return ""
	case o.UID == r.t.stored.UID:
		r.refusal = "it asks its own object, which does nothing else before the action has ended"
		return ""
	case !known || !decides(&def.Decisions):
		r.refusal = fmt.Sprintf("%s is of a kind without a decision table, so that nobody would answer", key)
		return ""
	}
	signal := store.Signal{
		Object: key, UID: o.UID, Name: s.signal, By: r.t.controller.writer, At: r.t.now, Dedupe: r.question(s.name),
		Why: clip("step " + s.name + " of " + r.a.Name + " of " + r.t.stored.Key.String()),
	}
	if s.about != nil {
		var err error
		if signal.Payload, err = json.Marshal(s.about(r, key)); err != nil {
			r.refusal = fmt.Sprintf("the payload for %s cannot be encoded: %v", key, err)
			return ""
		}
	}
	if refused := r.t.raise(o, signal); refused != "" && r.refusal == "" {
		r.refusal = refused
	}
	return o.UID
}

// asking looks at what has been answered.
func (r *run) asking(s *step, record *resource.ActionStep) progress {
	all := r.kept(record)
	open := 0
	for i := range all {
		q := &all[i]
		if q.Outcome == "" {
			if o, ok := r.t.read(q.Object); !ok || o.UID != q.UID {
				q.Outcome, q.Message = resource.OutcomeFailed, "it is gone"
			}
		}
		switch q.Outcome {
		case resource.OutcomeSucceeded:
		case "":
			open++
			r.wait(s.name, "", resource.Ref{Object: q.Object})
		default:
			r.keep(record, all)
			return r.fail(record, fmt.Sprintf("%s on %s: %s: %s", s.signal, q.Object, q.Outcome, q.Message))
		}
	}
	switch {
	case open > 0 && r.yield != "":
		return held // what others do is no call under way: it can make way
	case open > 0:
		return waiting
	}
	return r.done(record)
}

// answered takes an answer to the step that waits for it. One that nobody waits for is old news.
func (r *run) answered(s store.Signal) {
	r.t.Consume(s)
	var a reply
	if err := json.Unmarshal(s.Payload, &a); err != nil {
		r.t.Event("SignalIgnored", "an answer by %s that cannot be read: %v", s.By, err)
		return
	}
	if r.a == nil {
		return
	}
	for i := range r.a.Steps {
		record := &r.a.Steps[i]
		if record.Phase != resource.StepRunning || a.Question != r.question(record.Name) {
			continue
		}
		all := r.kept(record)
		for j := range all {
			if all[j].UID == a.From {
				all[j].Outcome = a.Outcome
				if a.Outcome != resource.OutcomeSucceeded {
					all[j].Message = legible.Clip(a.Message, replyLimit)
				}
			}
		}
		r.keep(record, all)
	}
}

// answer tells the step that asked for a signal what became of it.
func (r *run) answer(s store.Signal, outcome resource.ActionOutcome, message string) {
	rest, asked := strings.CutPrefix(s.Dedupe, askPrefix)
	if !asked {
		return
	}
	uid, _, _ := strings.Cut(rest, "/")
	o, ok := r.t.snapshot.ByUID(resource.UID(uid))
	if !ok {
		return // nobody waits any more
	}
	payload, err := json.Marshal(reply{Question: s.Dedupe, From: r.t.stored.UID, Outcome: outcome, Message: message})
	if err != nil {
		r.t.fail("answer %s: %w", s.Name, err)
		return
	}
	r.t.raised = append(r.t.raised, store.Signal{
		Object: o.Key, UID: o.UID, Name: AnswerSignal, Payload: payload, By: r.t.controller.writer, At: r.t.now, Dedupe: s.Dedupe + "/" + string(r.t.stored.UID),
	})
}

// unask takes back the signals of a step that nobody has begun to serve.
func (r *run) unask(record *resource.ActionStep) {
	question := r.question(record.Name)
	for _, q := range r.kept(record) {
		o, ok := r.t.read(q.Object)
		if !ok {
			continue
		}
		for _, signal := range r.t.snapshot.Signals(o.UID) {
			read := o.Action != nil && slices.Contains(o.Action.Signals, uint64(signal.ID))
			if signal.Dedupe == question && !read {
				r.t.Fresh(o.Key)
				r.t.Consume(signal)
			}
		}
	}
}

// kept is what a step remembers of those that it has asked.
func (r *run) kept(record *resource.ActionStep) (all []asked) {
	if len(record.Result) == 0 {
		return nil
	}
	if err := json.Unmarshal(record.Result, &all); err != nil {
		r.t.fail("step %s of %s: what it has stored cannot be read: %w", record.Name, r.a.Name, err)
	}
	return all
}

func (r *run) keep(record *resource.ActionStep, all []asked) {
	encoded, err := json.Marshal(all)
	if err != nil {
		r.t.fail("step %s of %s: %w", record.Name, r.a.Name, err)
	}
	record.Result = encoded
}
