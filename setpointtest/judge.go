package setpointtest

import (
	"fmt"
	"slices"
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
		all = append(all, told{Case: s.Case, End: j.end, wrongs: j.wrongs, boundaries: s.troubled(), stuck: j.stuck})
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
		j.told(was)
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

// took is how long the action that ended has taken.
func (s *step) took(was *resource.Object) time.Duration {
	if was.Action == nil || was.Action.Run != s.ended.Run {
		return 0 // it ended at once
	}
	return s.ended.At.Sub(was.Action.Since)
}

// told notes that people are told of the action under way.
func (j *judge) told(o *resource.Object) {
	delayed := func(c resource.Condition) bool { return c.Type == resource.Delayed && c.Status == resource.True }
	if o.Action == nil || !slices.ContainsFunc(o.Conditions, delayed) {
		return
	}
	if name := decide.ActionName(o.Action.Name); !slices.Contains(j.end.Told, name) {
		j.end.Told = append(j.end.Told, name)
	}
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
		j.end.Runs, j.end.Took = append(j.end.Runs, *s.ended), append(j.end.Took, s.took(was))
		j.undone(was, s, e)
	}
	j.decision(was, is, s, e)
	if e.object != nil && (was.State != is.State || !sameRun(was, is)) {
		switch {
		case j.repeats(was):
		case j.witness.closing > 0 && e.revision >= j.witness.closing:
			j.wrong(JudgedStuck, "it went on only because the plane was started anew: %s", e.cause)
		case j.repeats(is):
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
