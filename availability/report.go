package availability

import (
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// Report is the availability of one object over one window. Up, Down and Uncounted together are the window's length.
type Report struct {
	Object resource.Key `json:"object"`
	UID    resource.UID `json:"uid,omitempty"`
	Window Window       `json:"window"`
	// Availability is Up over Up and Down.
	Availability Ratio `json:"availability"`
	Up           Span  `json:"up"`
	Down         Span  `json:"down"`
	// Uncounted is the time that is neither: before the creation, before the first healthy state, from the deletion on, in ignored
	// states. Unknown is the part of it of which the history does not tell enough.
	Uncounted Span `json:"uncounted"`
	Unknown   Span `json:"unknown"`
	// Outages are those of the window, oldest first; Longest is the greatest length among them, whether ended or not.
	Outages  []Outage `json:"outages"`
	Longest  Span     `json:"longest"`
	Recovery Recovery `json:"recovery"`
	// Caveats are about the whole of the known life, not only the window.
	Caveats Caveats `json:"caveats,omitzero"`
}

// Report is the availability of the object over a window. What happens after the window's end does not change it.
func (l Life) Report(w Window) Report {
	r := Report{Object: l.Key, UID: l.UID, Window: w, Caveats: l.Caveats, Outages: l.Outages(w)}
	l.stretches(w, func(s Standing, from, to int64) {
		length := Of(time.Duration(to - from))
		switch s {
		case Up:
			r.Up = r.Up.Add(length)
		case Down:
			r.Down = r.Down.Add(length)
		case Unknown:
			r.Unknown = r.Unknown.Add(length)
			fallthrough
		default:
			r.Uncounted = r.Uncounted.Add(length)
		}
	})
	r.Availability = RatioOf(r.Up, r.Down)
	for _, o := range r.Outages {
		if o.Length.Compare(r.Longest) > 0 {
			r.Longest = o.Length
		}
	}
	r.Recovery = recoveryOf(recovered(nil, r.Outages), r.Up)
	return r
}

// stretches visits the parts of the window in order, by their offsets from its beginning in nanoseconds. None is empty; together they are
// the window.
func (l Life) stretches(w Window, visit func(s Standing, from, to int64)) {
	standing, from := l.Before, int64(0)
	for _, m := range l.Moments {
		if at := w.offset(m.At); at > from {
			visit(standing, from, at)
			from = at
		}
		standing = m.Standing
	}
	if end := w.span(); end > from {
		visit(standing, from, end)
	}
}
