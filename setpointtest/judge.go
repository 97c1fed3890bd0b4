package setpointtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Judgement is what a finding is against.
type Judgement string

// The judgements of every fuzz run.
const (
	// JudgedTransition: only transitions of the lifecycle, by an action of the table from where it leads to where it leads, to a state listed as Moved, or by deletion.
	JudgedTransition Judgement = "transition"
	// JudgedDecision: what begins, and what is ignored, is what the table says about what stood.
	JudgedDecision Judgement = "decision"
	// JudgedSignals: an action reads what the table makes it read, and its end consumes that and nothing else; what the table ignores is consumed at once, and all others
	// stand. What stands is what the object shows.
	JudgedSignals Judgement = "signals"
	// JudgedStuck: at the end nothing is under way but what waits for an operator, with a reason, and no signal stands that the table would serve.
	JudgedStuck Judgement = "stuck"
	// JudgedRestless: what has come to its end stays there.
	JudgedRestless Judgement = "restless"
	// JudgedTokens: a token has at most one effect.
	JudgedTokens Judgement = "tokens"
	// JudgedUndo: after an action that failed, was canceled or made way, what the steps with an undo did outside is not there any more.
	JudgedUndo Judgement = "undo"
	// JudgedProperty: what the author's Check says.
	JudgedProperty Judgement = "property"
)

// wrong is something that a case shows.
type wrong struct {
	Judgement
	message string
}

// judge goes through what was seen of one subject.
type judge struct {
	*subject
	witness *witness
	life    lifecycle.Table
	table   decide.Table
	calm    time.Time // from when on nothing happens any more
	end     End
	stuck   []int
	wrongs  []wrong
}

func (j *judge) wrong(what Judgement, format string, args ...any) {
	w := wrong{what, j.plain(fmt.Sprintf(format, args...))}
	if !slices.Contains(j.wrongs, w) {
		j.wrongs = append(j.wrongs, w)
	}
}

// told judges all subjects.
func (w *witness) told() (all []told) {
	doubled := w.doubled()
	for _, s := range w.all() {
		j := &judge{subject: s, witness: w, life: w.program.def.Lifecycle, table: w.program.def.Decisions}
		slices.SortStableFunc(s.entries, func(a, b sighting) int { return int(int64(a.revision) - int64(b.revision)) })
		j.calm = s.entries[0].at.Add(w.program.horizon * 3 / 4)
		j.walk()
		j.atEnd()
		for token := range s.tokens {
			if n := doubled[token]; n > 1 {
				j.wrong(JudgedTokens, "a token had %d effects", n)
			}
		}
		j.finish()
		if check := w.program.check; check != nil {
			if err := check(s.Case, j.end); err != nil {
				j.wrong(JudgedProperty, "%s", err)
			}
		}
		all = append(all, told{Case: s.Case, End: j.end, wrongs: j.wrongs, boundaries: s.written(), stuck: j.stuck})
	}
	return all
}

// doubled counts the effects of each token, in all adapters that can tell.
func (w *witness) doubled() map[command.Token]int {
	count := map[command.Token]int{}
	for _, o := range w.outside {
		for _, e := range o.Ledger() {
			count[e.Token]++
		}
	}
	return count
}

// walk goes through the commits, in order.
func (j *judge) walk() {
	was := j.entries[0].object
	n, closed := 0, false
	for i := range j.entries {
		e := &j.entries[i]
		if !closed && j.witness.closing > 0 && e.revision >= j.witness.closing {
			closed = true
			j.shown(was)
		}
		if e.trespass != "" {
			j.wrong(JudgedTransition, "%s", e.trespass)
		}
		if i > 0 && e.byDriver {
			j.commit(was, e)
		}
		if e.object == nil {
			continue
		}
		if e.byDriver {
			if n++; e.object.Action != nil && e.object.Action.Halt == resource.HaltStuck {
				j.stuck = append(j.stuck, n)
			}
		}
		if i > 0 {
			j.move(was, e)
		}
		was = e.object
	}
	if !closed {
		j.shown(was)
	}
	j.end.Object = was
}

// shown judges which signals the object showed when all was quiet, before the last plane had a look at it.
func (j *judge) shown(o *resource.Object) {
	if o.Deleting() && len(o.Finalizers) == 0 || j.fails(o) || j.wild {
		return // it is gone, or cannot show anything
	}
	var shows, stand []string
	for _, s := range o.Signals {
		shows = append(shows, string(s.Name))
	}
	for _, x := range j.signals {
		if (x.Revision < j.witness.closing) && (x.consumed == 0 || x.consumed >= j.witness.closing) && x.Live(j.calm) {
			stand = append(stand, string(x.Name))
		}
	}
	slices.Sort(shows)
	slices.Sort(stand)
	if !slices.Equal(shows, stand) {
		j.wrong(JudgedSignals, "it shows %v, and %v stand", shows, stand)
	}
}

// step is what one commit of the driver did about actions: one that was under way ended, or one began, or neither; or one began and ended.
type step struct {
	began *resource.Action // nil when it has ended at once
	run   resource.Revision
	name  string // of the one that began, "" when none did
	ended *resource.ActionEnd
	read  []uint64 // by the one that ended
	steps []resource.ActionStep
}

func stepOf(was, is *resource.Object) (s step) {
	var before resource.Revision
	if was.Action != nil {
		before = was.Action.Run
	}
	if a := is.Action; a != nil && a.Run != before {
		s.began, s.run, s.name = a, a.Run, a.Name
	}
	if last := is.Last; last != nil && (was.Last == nil || was.Last.Run != last.Run) {
		s.ended = last
		if last.Run != before {
			s.run, s.name = last.Run, last.Name
		} else {
			s.read, s.steps = was.Action.Signals, was.Action.Steps
		}
	}
	return s
}

// madeWay reports whether the action that ended leaves its signals standing, for the table to be asked about again.
func (s *step) madeWay() bool { return s.ended != nil && s.ended.Outcome == resource.OutcomePreempted }

// serves reports whether the end of an action is to consume a signal.
func (s *step) serves(id store.SignalID) bool {
	return !s.madeWay() && slices.Contains(s.read, uint64(id))
}

// commit judges one commit of the driver.
func (j *judge) commit(was *resource.Object, e *sighting) {
	is := e.object
	if is == nil {
		is = was
	}
	s := stepOf(was, is)
	if s.ended != nil {
		j.end.Runs = append(j.end.Runs, *s.ended)
		j.undone(was, s, e)
	}
	j.decision(was, is, s, e)
	if e.object != nil && (was.State != is.State || !sameRun(was, is)) {
		switch {
		case j.witness.closing > 0 && e.revision >= j.witness.closing:
			j.wrong(JudgedStuck, "it went on only because the plane was started anew: %s", e.cause)
		case !e.at.Before(j.calm) && is.Action != nil:
			j.wrong(JudgedRestless, "long after its faults it is still at %s", is.Action.Name)
		}
	}
}

func sameRun(a, b *resource.Object) bool {
	if a.Action == nil || b.Action == nil {
		return a.Action == b.Action
	}
	return a.Action.Run == b.Action.Run && a.Action.Phase == b.Action.Phase
}

// move judges a transition.
func (j *judge) move(was *resource.Object, e *sighting) {
	is := e.object
	if e.gone != "" && e.gone != is.State {
		j.end.Path = append(j.end.Path, Move{is.State, e.gone, e.reason})
	}
	if was.State == is.State {
		return
	}
	m := Move{was.State, is.State, e.reason}
	j.end.Path = append(j.end.Path, m)
	switch {
	case !j.life.Allows(m.From, m.To):
		j.wrong(JudgedTransition, "%s to %s is not in the lifecycle", m.From, m.To)
	case !e.byDriver:
		j.wrong(JudgedTransition, "%s to %s was not made by the driver", m.From, m.To)
	case is.Deleting() && m.To == j.life.Deleting():
	case !j.explained(was, is):
		j.wrong(JudgedTransition, "%s to %s (%s): no action of the table leads there, and it is not listed as Moved", m.From, m.To, m.Reason)
	}
}

// explained reports whether the table leads an object on like this.
func (j *judge) explained(was, is *resource.Object) bool {
	s := stepOf(was, is)
	if s.began != nil {
		if a, _ := j.table.Action(decide.ActionName(s.name)); a.Via == is.State {
			return true
		}
	}
	if s.ended != nil {
		a, _ := j.table.Action(decide.ActionName(s.ended.Name))
		to := a.Else
		if s.ended.Outcome == resource.OutcomeSucceeded {
			to = a.To
		}
		if to == is.State {
			return true
		}
	}
	rule, _ := j.life.Rule(is.State)
	return slices.Contains(j.table.Moved, is.State) || rule.Parent != "" && slices.Contains(j.table.Moved, rule.Parent)
}

// decision judges what a commit began and consumed.
func (j *judge) decision(was, is *resource.Object, s step, e *sighting) {
	over := j.consumption(s, e)
	if s.name == "" && len(over) == 0 {
		return
	}
	standing := slices.DeleteFunc(j.standing(e), func(x *seenSignal) bool {
		return slices.Contains(s.read, uint64(x.ID)) && slices.Contains(e.consumed, x.ID)
	})
	state := is.State
	if s.name != "" {
		state = was.State
	}
	for {
		d := decide.Fire(j.life, j.table, state, namesOf(standing), func(g decide.GuardName) bool { return e.guards[g] })
		read := func(x *seenSignal) bool { return slices.Contains(d.Read, x.Name) }
		switch {
		case d.Verb == decide.Ignore:
			for _, x := range standing {
				if read(x) && !slices.Contains(over, x.ID) {
					j.wrong(JudgedDecision, "in %q with %v the table ignores %s, which was not consumed", state, namesOf(standing), x.Name)
				}
			}
			over = slices.DeleteFunc(over, func(id store.SignalID) bool { return read(j.signals[id]) })
			standing = slices.DeleteFunc(standing, read)
			continue
		case s.name != "" && (d.Verb != decide.Do || string(d.Do) != s.name):
			j.wrong(JudgedDecision, "in %q with %v the action %s began, where the table says: %s", state, namesOf(standing), s.name, d.Because)
		case s.name != "":
			j.reading(s, standing, d, &over)
		}
		break
	}
	for _, id := range over {
		j.wrong(JudgedSignals, "in %q the signal %s was consumed, which no action had read and the table does not ignore", state, j.signals[id].Name)
	}
}

// reading judges which signals an action that began has read.
func (j *judge) reading(s step, standing []*seenSignal, d decide.Decision, over *[]store.SignalID) {
	var want []uint64
	for _, x := range standing {
		if slices.Contains(d.Read, x.Name) {
			want = append(want, uint64(x.ID))
		}
	}
	slices.Sort(want)
	if s.began == nil { // it has ended at once
		for _, id := range want {
			if j.signals[store.SignalID(id)].consumed == 0 && s.ended.Outcome != resource.OutcomePreempted {
				j.wrong(JudgedSignals, "%s ended as %s and left %s, which it had read", s.name, s.ended.Outcome, j.signals[store.SignalID(id)].Name)
			}
		}
		*over = slices.DeleteFunc(*over, func(id store.SignalID) bool { return slices.Contains(want, uint64(id)) })
		return
	}
	if have := slices.Sorted(slices.Values(s.began.Signals)); !slices.Equal(have, want) {
		j.wrong(JudgedSignals, "%s began and read %d signals, where the table makes it read %v, which are %d", s.name, len(have), d.Read, len(want))
	}
}

// consumption judges the signals that the end of an action consumes, and returns those that something else has consumed.
func (j *judge) consumption(s step, e *sighting) (over []store.SignalID) {
	for _, id := range s.read {
		x := j.signals[store.SignalID(id)]
		if x != nil && !s.madeWay() && (x.consumed == 0 || x.consumed > e.revision) {
			j.wrong(JudgedSignals, "%s ended as %s and left %s, which it had read", s.ended.Name, s.ended.Outcome, x.Name)
		}
	}
	for _, id := range e.consumed {
		x := j.signals[id]
		if !s.serves(id) && !general(x.Name) && x.Live(e.at) {
			over = append(over, id)
		}
	}
	return over
}

// standing lists the signals of the table that a commit was computed with, oldest first.
func (j *judge) standing(e *sighting) (all []*seenSignal) {
	for _, id := range slices.Sorted(maps.Keys(j.signals)) {
		x := j.signals[id]
		if !general(x.Name) && x.Revision <= e.seen && (x.consumed == 0 || x.consumed > e.seen) && x.Live(e.at) {
			all = append(all, x)
		}
	}
	return all
}

func namesOf(signals []*seenSignal) (names []lifecycle.SignalName) {
	for _, x := range signals {
		if !slices.Contains(names, x.Name) {
			names = append(names, x.Name)
		}
	}
	return names
}

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
	case j.wild:
		j.wrong(JudgedRestless, "it was written %d times: it goes round without end", mostCommits)
	case j.end.Gone:
	case a != nil && (a.Halt == "" || a.Halted == ""):
		j.wrong(JudgedStuck, "%s is still %s in %q: %s", a.Name, a.Phase, o.State, waitsOf(o))
	case a != nil:
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
	object := j.end.Object.Clone()
	object.Status = j.plainJSON(object.Status)
	j.end.Object = object
}
