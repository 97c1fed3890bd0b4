package availability

import (
	"fmt"
	"strings"

	"github.com/setpointhq/setpoint/internal/legible"
	"github.com/setpointhq/setpoint/lifecycle"
)

// Groups are groups in the order of their names.
type Groups []Group

// String is a table with one line per group, and beneath it the worst objects.
func (g Groups) String() string {
	rows := [][]string{{"GROUP", "OBJECTS", "UPTIME", "UP", "DOWN", "UNKNOWN", "OUTAGES", "OPEN", "MTTR", "P50", "P99", "MTBF"}}
	worst := [][]string{{"WORST", "AVAILABILITY", "DOWN", "OUTAGES"}}
	for _, x := range g {
		rows = append(rows, append([]string{
			x.Name, fmt.Sprint(x.Objects), x.Uptime.String(), x.Up.String(), x.Down.String(), x.Unknown.String(), fmt.Sprint(x.Outages),
			fmt.Sprint(x.Open),
		}, x.Recovery.cells()...))
		for _, o := range x.Worst {
			worst = append(worst, []string{o.Object.String(), o.Availability.String(), o.Down.String(), fmt.Sprint(o.Outages)})
		}
	}
	if len(worst) == 1 {
		return legible.Columns(rows)
	}
	return legible.Columns(rows) + "\n" + legible.Columns(worst)
}

// cells are mean, percentiles and MTBF, or dashes.
func (r Recovery) cells() []string {
	if r.Count == 0 {
		return []string{"-", "-", "-", "-"}
	}
	return []string{r.Mean.String(), r.P50.String(), r.P99.String(), r.Between.String()}
}

// String is a sentence with the figures, a table of the outages, and the caveats, each if there are any.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s from %s to %s (up %s, down %s, uncounted %s, unknown %s of it)\n", r.Object, r.Availability,
		stamp(r.Window.From), stamp(r.Window.To), r.Up, r.Down, r.Uncounted, r.Unknown)
	if n := r.Recovery.Count; n > 0 {
		c := r.Recovery.cells()
		fmt.Fprintf(&b, "recovered %d×: MTTR %s, p50 %s, p99 %s, MTBF %s\n", n, c[0], c[1], c[2], c[3])
	}
	if len(r.Outages) > 0 {
		rows := [][]string{{"START", "LENGTH", "OUTCOME", "PATH", "REASON", "CAUSE"}}
		for _, o := range r.Outages {
			rows = append(rows, o.cells())
		}
		b.WriteString(legible.Columns(rows))
	}
	b.WriteString(r.Caveats.String())
	return b.String()
}

func (o Outage) cells() []string {
	length := o.Length.String()
	if o.Truncated {
		length = "≥" + length
	}
	return []string{stamp(o.Start), length, string(o.Outcome), path(o.Path), legible.Dash(o.Reason), legible.Dash(o.Cause)}
}

// path draws the states of an outage: "Unavailable→Promoting".
func path(states []lifecycle.State) string {
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = string(s)
	}
	return strings.Join(names, "→")
}

// String is one line per caveat, none for a complete history.
func (c Caveats) String() string {
	var b strings.Builder
	for _, l := range []struct {
		n    int
		text string
	}{
		{c.Cut, "histories that do not reach back to the creation; what was before is unknown"},
		{c.Clamped, "changes with an earlier time than the one before; taken as simultaneous"},
		{c.Missing, "holes where a change is missing; the time around them is unknown"},
		{c.Strange, "stretches in a state that the lifecycle does not have; they are unknown"},
	} {
		if l.n > 0 {
			fmt.Fprintf(&b, "note: %s: %d\n", l.text, l.n)
		}
	}
	return b.String()
}

// String is a table with one line per size of window.
func (c Curve) String() string {
	rows := [][]string{{"WINDOW", "UPTIME", "DOWN", "WORST FROM", "TO"}}
	for _, p := range c.Points {
		row := []string{p.Size.String(), p.Uptime.String(), p.Down.String(), "-", "-"}
		if _, known := p.Uptime.Value(); known {
			row[3], row[4] = stamp(p.Worst.From), stamp(p.Worst.To)
		}
		rows = append(rows, row)
	}
	return legible.Columns(rows)
}
