package availability

import (
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// Outcome says how an outage ended, as far as the window's end.
type Outcome string

const (
	// Open: not yet.
	Open Outcome = "open"
	// Recovered: the object became healthy.
	Recovered Outcome = "recovered"
	// Gone: the object was given up, its deletion being asked for, or done. Nobody recovered anything, so it is no time to recovery.
	Gone Outcome = "gone"
)

// Outage is one time an object was down, from the first unhealthy state to the recovery. Time in it that does not count (an
// ignored state, a hole in the history) neither ends the outage nor adds to its length.
type Outage struct {
	// Start is when it began, also if that was before the window.
	Start time.Time `json:"start"`
	// End is the recovery, or the last moment down before the object was given up; zero while the outage is open.
	End     time.Time `json:"end,omitzero"`
	Outcome Outcome   `json:"outcome"`
	// Truncated: it had begun already when the history begins or resumes, so its length is at least what it says.
	Truncated bool `json:"truncated,omitempty"`
	// Length is the down time of the outage from its start, up to the window's end; Down the part of it within the window.
	Length Span `json:"length"`
	Down   Span `json:"down"`
	// Path are the unhealthy states it went through.
	Path []lifecycle.State `json:"path"`
	// Reason, Cause and Revision are those of the transition that began it.
	Reason   string            `json:"reason,omitempty"`
	Cause    string            `json:"cause,omitempty"`
	Revision resource.Revision `json:"revision,omitempty"`
}

// Outages are those of the window, oldest first: each that was down within it, or recovered after its beginning and up to its end. So
// of two windows that meet exactly one has the recovery, and an outage over their border is in both.
func (l Life) Outages(w Window) []Outage {
	f := finder{window: w, found: []Outage{}}
	for i, m := range l.Moments {
		if m.At.After(w.To) {
			break
		}
		f.moment(m, l.end(i, w), l.unseen(i))
		if m.Standing == Up && l.lasts(i) {
			f.close(Recovered, m.At)
		}
	}
	f.close(Open, time.Time{})
	return f.found
}

// end is when the stretch after moment i ends, at the latest the window's end.
func (l Life) end(i int, w Window) time.Time {
	if i+1 < len(l.Moments) && l.Moments[i+1].At.Before(w.To) {
		return l.Moments[i+1].At
	}
	return w.To
}

// lasts tells whether any time passes between moment i and the next. What takes no time ends no outage.
func (l Life) lasts(i int) bool {
	return i+1 == len(l.Moments) || l.Moments[i+1].At.After(l.Moments[i].At)
}

// unseen tells whether what was before moment i is not known.
func (l Life) unseen(i int) bool {
	if i == 0 {
		return l.Before == Unknown
	}
	return l.Moments[i-1].Standing == Unknown
}

// finder walks through a life and collects outages.
type finder struct {
	window  Window
	current *Outage
	// last is the end of the last time down.
	last  time.Time
	found []Outage
}

func (f *finder) moment(m Moment, end time.Time, unseen bool) {
	switch m.Standing {
	case Down:
		if m.At.Before(f.window.To) {
			f.down(m, end, unseen)
		}
	case Ending, Absent, Pending:
		f.close(Gone, f.last)
	}
}

func (f *finder) down(m Moment, end time.Time, unseen bool) {
	if f.current == nil {
		f.current = &Outage{Start: m.At, Truncated: unseen, Reason: m.Reason, Cause: m.Cause, Revision: m.Revision}
	}
	o := f.current
	o.Path = append(o.Path, m.State)
	o.Length = o.Length.Add(Of(end.Sub(m.At)))
	o.Down = o.Down.Add(Of(time.Duration(f.window.offset(end) - f.window.offset(m.At))))
	f.last = end
}

// close ends the outage that there is, and keeps it if it belongs to the window. One without any length is none.
func (f *finder) close(how Outcome, end time.Time) {
	o := f.current
	f.current = nil
	if o == nil || o.Length.IsZero() {
		return
	}
	o.Outcome, o.End = how, end
	if !o.Down.IsZero() || how == Recovered && end.After(f.window.From) {
		f.found = append(f.found, *o)
	}
}
