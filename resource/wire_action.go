package resource

// This file is the wire form of what an object says about its actions and signals. Of an action it has what people and programs ask for; its results,
// the slots of its commands and its plan stay with the engine, and a client cannot send them back.

var (
	actionFields     = []string{"name", "run", "phase", "halt", "message", "end", "from", "since", "deadline", "steps"}
	stepFields       = []string{"name", "phase", "since"}
	lastActionFields = []string{"name", "run", "outcome", "message", "at", "failures"}
	signalFields     = []string{"name", "by", "at", "why", "note"}
)

// actionOf writes the action under way, the last one and the signals, those that there are.
func (w *writer) actionOf(o *Object) {
	if a := o.Action; a != nil {
		w.open("action")
		w.text("name", a.Name)
		w.count("run", uint64(a.Run))
		w.text("phase", string(a.Phase))
		w.text("halt", string(a.Halt))
		w.text("message", a.Message)
		w.text("end", string(a.End))
		w.text("from", string(a.From))
		w.exact("since", a.Since)
		w.exact("deadline", a.Deadline)
		if len(a.Steps) > 0 {
			w.list("steps")
			for i := range a.Steps {
				w.step(&a.Steps[i])
			}
			w.endList()
		}
		w.shut()
	}
	if e := o.Last; e != nil {
		w.open("lastAction")
		w.text("name", e.Name)
		w.count("run", uint64(e.Run))
		w.text("outcome", string(e.Outcome))
		w.text("message", e.Message)
		w.exact("at", e.At)
		w.count("failures", e.Failures)
		w.shut()
	}
	if len(o.Signals) > 0 {
		w.list("signals")
		for i := range o.Signals {
			w.signal(&o.Signals[i])
		}
		w.endList()
	}
}

func (w *writer) step(s *ActionStep) {
	w.item()
	w.text("name", s.Name)
	w.text("phase", string(s.Phase))
	w.exact("since", s.Since)
	w.shut()
}

func (w *writer) signal(s *StandingSignal) {
	w.item()
	w.text("name", string(s.Name))
	w.text("by", s.By)
	w.exact("at", s.At)
	w.text("why", s.Why)
	w.text("note", s.Note)
	w.shut()
}

func (r *reader) action(n *node) {
	var a Action
	r.object(n, actionFields, func(field string, v *node) {
		switch field {
		case "name":
			readText(r, v, &a.Name)
		case "run":
			readCount(r, v, &a.Run)
		case "phase":
			readText(r, v, &a.Phase)
		case "halt":
			readText(r, v, &a.Halt)
		case "message":
			readText(r, v, &a.Message)
		case "end":
			readText(r, v, &a.End)
		case "from":
			readText(r, v, &a.From)
		case "since":
			r.time(v, &a.Since)
		case "deadline":
			r.time(v, &a.Deadline)
		case "steps":
			r.list(v, func(item *node) { a.Steps = append(a.Steps, r.step(item)) })
		}
	})
	r.o.Action = &a
}

func (r *reader) step(n *node) (s ActionStep) {
	r.object(n, stepFields, func(field string, v *node) {
		switch field {
		case "name":
			readText(r, v, &s.Name)
		case "phase":
			readText(r, v, &s.Phase)
		case "since":
			r.time(v, &s.Since)
		}
	})
	return s
}

func (r *reader) lastAction(n *node) {
	var e ActionEnd
	r.object(n, lastActionFields, func(field string, v *node) {
		switch field {
		case "name":
			readText(r, v, &e.Name)
		case "run":
			readCount(r, v, &e.Run)
		case "outcome":
			readText(r, v, &e.Outcome)
		case "message":
			readText(r, v, &e.Message)
		case "at":
			r.time(v, &e.At)
		case "failures":
			readCount(r, v, &e.Failures)
		}
	})
	r.o.Last = &e
}

func (r *reader) signal(n *node) {
	var s StandingSignal
	r.object(n, signalFields, func(field string, v *node) {
		switch field {
		case "name":
			readText(r, v, &s.Name)
		case "by":
			readText(r, v, &s.By)
		case "at":
			r.time(v, &s.At)
		case "why":
			readText(r, v, &s.Why)
		case "note":
			readText(r, v, &s.Note)
		}
	})
	r.o.Signals = append(r.o.Signals, s)
}

func actionSchema() map[string]any {
	return object(map[string]any{
		"name": of("string"), "run": described(integer(), "The revision it was decided on."),
		"phase": enum(string(ActionRunning), string(ActionUnwinding)), "halt": enum(string(HaltPaused), string(HaltStuck), string(HaltParked)),
		"message": of("string"), "end": outcomes("How it will have ended when it is unwound."), "from": of("string"), "since": moment(), "deadline": moment(),
		"steps": listBy("name", object(map[string]any{
			"name": of("string"), "since": moment(),
			"phase": enum(string(StepRunning), string(StepDone), string(StepFailed), string(StepRefused), string(StepUndoing), string(StepUndone)),
		}, "name")),
	}, "name")
}

func lastActionSchema() map[string]any {
	return object(map[string]any{"name": of("string"), "run": integer(), "outcome": outcomes(""), "message": of("string"), "at": moment(), "failures": integer()}, "name")
}

func outcomes(about string) map[string]any {
	return described(enum(string(OutcomeSucceeded), string(OutcomeFailed), string(OutcomeCanceled), string(OutcomePreempted), string(OutcomeAbandoned)), about)
}

func signalSchema() map[string]any {
	item := object(map[string]any{
		"name": of("string"), "by": of("string"), "at": moment(), "why": of("string"),
		"note": described(of("string"), "What becomes of it: read by an action, or deferred, and why."),
	}, "name")
	return map[string]any{"type": "array", "items": item}
}
