package setpointtest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// undone judges what an action has left outside.
func (j *judge) undone(was *resource.Object, s step, e *sighting) {
	if s.ended.Outcome == resource.OutcomeSucceeded || s.ended.Outcome == resource.OutcomeAbandoned || was.Action == nil {
		return
	}
	for _, record := range s.steps {
		if record.Key == "" || !slices.Contains(j.witness.program.undoes[decide.ActionName(s.ended.Name)], record.Name) {
			continue
		}
		before, asked, made, undone := j.before(s.ended, record)
		left := e.left[record.Name]
		if made && left != before && !(undone && left == asked) {
			j.wrong(JudgedUndo, "%s ended as %s, and what its step %s did is still there: %s has %s, where there was %s before",
				s.ended.Name, s.ended.Outcome, record.Name, record.Key, nothing(left), nothing(before))
		}
	}
}

func nothing(content string) string {
	if content == "" {
		return "nothing"
	}
	return content
}

// before is what there was outside before a step, and what its undo asked for, if that was something else than the step did.
func (j *judge) before(run *resource.ActionEnd, record resource.ActionStep) (before, asked string, made, undone bool) {
	var did string
	for _, m := range j.calls {
		if m.slot != (command.Slot{Adapter: command.AdapterName(record.Adapter), Key: record.Key}) || m.run != run.Run {
			continue
		}
		switch {
		case !made:
			before, did, made = m.before, string(m.raw), true
		case m.Undo && string(m.raw) != did:
			asked, undone = string(m.raw), true
		}
	}
	return before, asked, made, undone
}

// atEnd judges where it all ended.
func (j *judge) atEnd() {
	o := j.end.Object
	j.end.Gone = o.Deleting() && len(o.Finalizers) == 0
	standing := []*seenSignal{}
	for _, id := range slices.Sorted(maps.Keys(j.signals)) {
		if x := j.signals[id]; x.consumed == 0 && !j.end.Gone && x.Live(j.entries[0].at.Add(j.witness.program.horizon)) {
			standing = append(standing, x)
		}
	}
	j.end.Standing = namesOf(standing)
	switch a := o.Action; {
	case j.repeats(o):
	case j.wild:
		j.wrong(JudgedRestless, "it was written more than %d times, and more often than pauses between attempts allow: it goes round without end", commitsAtOnce)
	case j.end.Gone:
	case a != nil && (a.Halt == "" || a.Halted == ""):
		j.wrong(JudgedStuck, "%s is still %s in %q: %s", a.Name, a.Phase, o.State, waitsOf(o))
	case a != nil:
	case o.Deleting() && j.kept():
	case o.Deleting():
		j.wrong(JudgedStuck, "it is being deleted, and does not go: %s", waitsOf(o))
	case j.fails(o) && !j.witness.program.mayFail:
		j.wrong(JudgedStuck, "its driver fails in %q: %s", o.State, waitsOf(o))
	default:
		j.unserved(o, standing)
	}
}

// fails reports whether the driver's last turn failed.
func (j *judge) fails(o *resource.Object) bool {
	return slices.ContainsFunc(o.Waits, func(w resource.Wait) bool {
		return w.Controller == string(j.witness.program.holder) && w.Code == "Error"
	})
}

// repeats reports whether the object tries again and again what always fails, and may.
func (j *judge) repeats(o *resource.Object) bool {
	return j.witness.program.mayRepeat && o.Last != nil && o.Last.Outcome == resource.OutcomeFailed && o.Last.Failures >= manyFailures
}

// manyFailures is so many that the pauses between them have become long.
const manyFailures = 8

// kept reports whether something outside was not taken away because a case says that this is refused for good.
func (j *judge) kept() bool {
	return slices.ContainsFunc(j.calls, func(m Made) bool { return m.Request == nil && m.Result == ResultRefused })
}

// unserved judges an object at rest.
func (j *judge) unserved(o *resource.Object, standing []*seenSignal) {
	for _, x := range standing {
		if general(x.Name) {
			j.wrong(JudgedStuck, "the signal %s has not been consumed", x.Name)
		}
	}
	names := slices.DeleteFunc(namesOf(standing), general)
	d := decide.Fire(j.life, j.table, o.State, names, func(g decide.GuardName) bool { return j.guards[g] })
	switch rule, _ := j.life.Rule(o.State); {
	case d.Verb == decide.Do || d.Verb == decide.Ignore:
		j.wrong(JudgedStuck, "it rests in %q with %v, where the table says: %s", o.State, names, d.Because)
	case d.Verb == "" && slices.ContainsFunc(j.table.Actions, func(a decide.Action) bool { return a.Via == o.State }) && !rule.Stable && !j.rests(o.State):
		j.wrong(JudgedStuck, "it rests in %q, where only actions bring it, and no action is under way", o.State)
	}
}

// rests reports whether the table is ever asked in a state.
func (j *judge) rests(s lifecycle.State) bool {
	return slices.Contains(j.witness.program.resting, s)
}

func waitsOf(o *resource.Object) string {
	if len(o.Waits) == 0 {
		return "it does not say why"
	}
	var all []string
	for _, w := range o.Waits {
		all = append(all, w.Code+": "+w.Message)
	}
	return strings.Join(all, "; ")
}

// finish completes the end.
func (j *judge) finish() {
	j.end.Raised = j.raises
	j.end.Calls = slices.Clone(j.calls)
	j.end.Effects = map[command.AdapterName]map[string]json.RawMessage{}
	for _, m := range j.calls {
		if content := j.witness.content(m.Adapter, m.slot.Key); content != "" {
			if j.end.Effects[m.Adapter] == nil {
				j.end.Effects[m.Adapter] = map[string]json.RawMessage{}
			}
			j.end.Effects[m.Adapter][m.Key] = j.plainJSON(json.RawMessage(content))
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(j.parts), resource.Key.Compare) {
		j.end.Beside = append(j.end.Beside, j.parts[key])
	}
	j.end.Name, j.end.Outside = j.key.Name, j.witness.outside
	object := j.end.Object.Clone()
	object.Status = j.plainJSON(object.Status)
	j.end.Object = object
}
