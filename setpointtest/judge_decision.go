package setpointtest

import (
	"maps"
	"slices"

	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

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
