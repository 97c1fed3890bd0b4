package availability

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"pgregory.net/rapid"
)

// histories draws a life that the lifecycle allows, in units of time up to about 40, sometimes with its beginning forgotten.
func histories(unit time.Duration) *rapid.Generator[History] {
	return rapid.Custom(func(t *rapid.T) History {
		h := History{Key: key("any"), UID: "any"}
		now, state := rapid.IntRange(-5, 10).Draw(t, "created"), database.Initial()
		add := func(c Change) {
			c.At = t0.Add(time.Duration(now) * unit)
			h.Changes = append(h.Changes, c)
			now += rapid.IntRange(-1, 6).Draw(t, "stays")
		}
		add(Change{Type: Created, To: state})
		for range rapid.IntRange(0, 8).Draw(t, "transitions") {
			r, _ := database.Rule(state)
			if r.Final {
				add(Change{Type: Removed, From: state})
				break
			}
			next := rapid.SampledFrom(r.To).Draw(t, "next")
			add(Change{Type: Transition, From: state, To: next})
			state = next
		}
		h.Changes = h.Changes[rapid.IntRange(0, min(2, len(h.Changes)-1)).Draw(t, "forgotten"):]
		return h
	})
}

func policies() *rapid.Generator[Policy] {
	return rapid.SampledFrom([]Policy{{}, {FromCreation: true}, {Ignore: lifecycle.To("Suspended")}, {Ignore: lifecycle.To("Available")}})
}

func lives(unit time.Duration) *rapid.Generator[[]Life] {
	return rapid.Custom(func(t *rapid.T) []Life {
		r := rules(t, policies().Draw(t, "policy"))
		drawn := rapid.SliceOfN(histories(unit), 0, 4).Draw(t, "histories")
		all := make([]Life, len(drawn))
		for i, h := range drawn {
			all[i] = NewLife(h, r)
		}
		return all
	})
}

func spanOf(t *rapid.T, from, to int, label string) (int, int) {
	a := rapid.IntRange(from, to).Draw(t, label+" from")
	return a, rapid.IntRange(a, to).Draw(t, label+" to")
}

// standingAt finds the standing of an instant by looking for the last moment that is not after it.
func standingAt(l Life, when time.Time) Standing {
	s := l.Before
	for _, m := range l.Moments {
		if !m.At.After(when) {
			s = m.Standing
		}
	}
	return s
}

// TestReportsCountEveryInstant: a report says of a window what one finds by asking for each minute of it.
func TestReportsCountEveryInstant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := NewLife(histories(time.Minute).Draw(t, "history"), rules(t, policies().Draw(t, "policy")))
		from, to := spanOf(t, -8, 45, "window")
		w := window(from, to)
		counts := map[Standing]int{}
		for m := from; m < to; m++ {
			counts[standingAt(l, minute(m))]++
		}
		r := l.Report(w)
		if r.Up != minutes(counts[Up]) || r.Down != minutes(counts[Down]) || r.Unknown != minutes(counts[Unknown]) {
			t.Fatalf("by minutes %v, by report\n%s", counts, r)
		}
		if r.Up.Add(r.Down).Add(r.Uncounted) != w.Length() {
			t.Fatalf("up, down and uncounted are not the window:\n%s", r)
		}
		var down Span
		for _, o := range r.Outages {
			down = down.Add(o.Down)
			if o.Down.Compare(o.Length) > 0 || (o.Outcome == Open) != o.End.IsZero() || o.Start.After(w.To) {
				t.Fatalf("impossible outage %+v", o)
			}
		}
		if down != r.Down {
			t.Fatalf("outages of %s in\n%s", down, r)
		}
	})
}

// TestReportsAddUp: what two windows that meet say together is what the whole says.
func TestReportsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := NewLife(histories(time.Minute).Draw(t, "history"), rules(t, policies().Draw(t, "policy")))
		from, to := spanOf(t, -8, 45, "window")
		middle := rapid.IntRange(from, to).Draw(t, "middle")
		a, b, whole := l.Report(window(from, middle)), l.Report(window(middle, to)), l.Report(window(from, to))
		if a.Up.Add(b.Up) != whole.Up || a.Down.Add(b.Down) != whole.Down || a.Uncounted.Add(b.Uncounted) != whole.Uncounted || a.Unknown.Add(b.Unknown) != whole.Unknown {
			t.Fatalf("%s%s together are not\n%s", a, b, whole)
		}
		if a.Recovery.Count+b.Recovery.Count != whole.Recovery.Count {
			t.Fatalf("%d and %d recoveries, %d in all:\n%s%s%s", a.Recovery.Count, b.Recovery.Count, whole.Recovery.Count, a, b, whole)
		}
		var parts, all Span
		for _, length := range recovered(recovered(nil, a.Outages), b.Outages) {
			parts = parts.Add(length)
		}
		for _, length := range recovered(nil, whole.Outages) {
			all = all.Add(length)
		}
		if parts != all {
			t.Fatalf("recoveries of %s and of %s", parts, all)
		}
	})
}

// TestWorstWindowsAreExact compares with every window on a grid four times as fine as the histories: none is worse than the one found, and
// one is as bad. The times of the windows are counted quarter by quarter.
func TestWorstWindowsAreExact(t *testing.T) {
	const quarter = time.Minute / 4
	rapid.Check(t, func(t *rapid.T) {
		all := lives(time.Minute).Draw(t, "lives")
		from, to := spanOf(t, -8, 45, "period")
		size := rapid.IntRange(1, 53).Draw(t, "size")
		up, down := []int64{0}, []int64{0} // sums from the beginning, per quarter
		for when := minute(from); when.Before(minute(to)); when = when.Add(quarter) {
			u, d := up[len(up)-1], down[len(down)-1]
			for _, l := range all {
				switch standingAt(l, when) {
				case Up:
					u++
				case Down:
					d++
				}
			}
			up, down = append(up, u), append(down, d)
		}
		var worst Ratio
		first := 0
		for i := 0; i+4*size < len(up); i++ {
			r := RatioOf(times(up[i+4*size]-up[i], int64(quarter)), times(down[i+4*size]-down[i], int64(quarter)))
			if r.Compare(worst) < 0 {
				worst, first = r, i
			}
		}
		c := CurveOf(all, window(from, to), time.Duration(size)*time.Minute)
		if size > to-from {
			if len(c.Points) != 0 {
				t.Fatalf("a window larger than the period:\n%s", c)
			}
			return
		}
		p := c.Points[0]
		if p.Uptime != worst {
			t.Fatalf("on the grid the worst is %s, %d quarters after the beginning; got\n%s", worst, first, c)
		}
		if _, known := worst.Value(); known && groupOf(t, all, p.Worst).Uptime != worst {
			t.Fatalf("the worst window has another uptime than the curve says:\n%s", c)
		}
	})
}

// TestChunksHideNothing: whatever chunks the windows slide by, the worst is the one that is found by looking at all of them. The lives are
// dense: a few objects that go up and down dozens of times.
func TestChunksHideNothing(t *testing.T) {
	const span = 300
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		all := make([]Life, 1+random.IntN(4))
		for i := range all {
			lines, states := []at{{random.IntN(span / 2), "Available"}}, []lifecycle.State{"Unavailable", "Available"}
			for now := lines[0].minute + 1; now < span; now += 1 + random.IntN(30) {
				lines = append(lines, at{now, states[len(lines)%2]})
			}
			all[i] = NewLife(script("any", lines...), rules(t, Policy{}))
		}
		steps := stepsOf(all, window(0, span))
		for range 20 {
			size := int64(1+random.IntN(60)) * int64(time.Minute)
			steps.chunk = span * int64(time.Minute)
			want := steps.worst(size)
			steps.chunk = 1 + random.Int64N(2*size)
			if got := steps.worst(size); got != want {
				t.Fatalf("windows of %s, in chunks of %s: %+v; in one chunk %+v", Of(time.Duration(size)), Of(time.Duration(steps.chunk)), got, want)
			}
		}
	})
}

// groupOf is the group of all objects over a window: the same figures by another way.
func groupOf(t *rapid.T, all []Life, w Window) Group {
	reports := make([]Report, len(all))
	for i, l := range all {
		reports[i] = l.Report(w)
	}
	groups, err := GroupBy(reports, ByAll, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) == 0 {
		return Group{}
	}
	return groups[0]
}

// TestCurvesNeverFall: also for sizes that are no multiples of each other, and the last point is the uptime of the whole period. For
// multiples the worst windows themselves never get worse, nothing being put right: each size asked for alone shows it.
func TestCurvesNeverFall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := lives(time.Minute).Draw(t, "lives")
		from, to := spanOf(t, -8, 45, "period")
		period := window(from, to)
		sizes := []time.Duration{period.Length().Duration()}
		for range rapid.IntRange(0, 5).Draw(t, "sizes") {
			sizes = append(sizes, time.Duration(rapid.IntRange(1, 50*60).Draw(t, "size"))*time.Second)
		}
		c := CurveOf(all, period, sizes...)
		for i := range c.Points[min(1, len(c.Points)):] {
			if c.Points[i].Uptime.Compare(c.Points[i+1].Uptime) > 0 || c.Points[i].Size.Compare(c.Points[i+1].Size) >= 0 {
				t.Fatalf("the curve falls:\n%s", c)
			}
		}
		if n := len(c.Points); n > 0 && c.Points[n-1].Uptime != groupOf(t, all, period).Uptime {
			t.Fatalf("the last point is not the uptime of the period:\n%s", c)
		}
		multiple(t, all, period)
	})
}

func multiple(t *rapid.T, all []Life, period Window) {
	size := rapid.IntRange(1, 20).Draw(t, "small")
	k := rapid.IntRange(1, 10).Draw(t, "times")
	small := CurveOf(all, period, time.Duration(size)*time.Minute)
	large := CurveOf(all, period, time.Duration(k*size)*time.Minute)
	if len(large.Points) == 0 {
		return
	}
	if a, b := small.Points[0].Uptime, large.Points[0].Uptime; b.Compare(a) < 0 && !near(a, b) {
		t.Fatalf("%d times the size is worse:\n%s%s", k, small, large)
	}
}

// near: equal but for the last binary digits, which quotients of larger numbers round otherwise.
func near(a, b Ratio) bool {
	x, known := a.Value()
	y, also := b.Value()
	return known == also && math.Abs(x-y) < 1e-12
}

// TestScale: minutes or fortnights, the ratios and the percentiles are the same.
func TestScale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := histories(time.Minute).Draw(t, "history")
		r := rules(t, policies().Draw(t, "policy"))
		from, to := spanOf(t, -8, 45, "window")
		factor := rapid.IntRange(2, 20_000).Draw(t, "factor")
		larger := func(when time.Time) time.Time { return t0.Add(when.Sub(t0) * time.Duration(factor)) }
		long := History{Key: h.Key, UID: h.UID}
		for _, c := range h.Changes {
			c.At = larger(c.At)
			long.Changes = append(long.Changes, c)
		}
		w, big := window(from, to), Window{larger(minute(from)), larger(minute(to))}
		one, two := NewLife(h, r), NewLife(long, r)
		a, b := one.Report(w), two.Report(big)
		scaled := func(s Span) Span { return times(int64(factor), int64(s.Duration())) }
		if a.Availability != b.Availability || scaled(a.Up) != b.Up || scaled(a.Recovery.P50) != b.Recovery.P50 || scaled(a.Recovery.P99) != b.Recovery.P99 || len(a.Outages) != len(b.Outages) {
			t.Fatalf("times %d:\n%s\n%s", factor, a, b)
		}
		size := time.Duration(rapid.IntRange(1, 30).Draw(t, "size")) * time.Minute
		c, d := CurveOf([]Life{one}, w, size), CurveOf([]Life{two}, big, size*time.Duration(factor))
		if len(c.Points) != len(d.Points) || len(c.Points) > 0 && c.Points[0].Uptime != d.Points[0].Uptime {
			t.Fatalf("times %d:\n%s\n%s", factor, c, d)
		}
	})
}

// TestManyAreAsOne: copies of an object weigh as many times, also beyond what a duration holds, and change no ratio.
func TestManyAreAsOne(t *testing.T) {
	const year = 365 * 24 * time.Hour
	h := script("one", at{0, "Available"}, at{60, "Unavailable"}, at{120, "Available"})
	l := NewLife(h, rules(t, Policy{}))
	w := Window{t0, t0.Add(30 * year)}
	many := make([]Life, 1000)
	reports := make([]Report, len(many))
	for i := range many {
		many[i] = l
		many[i].Key = key(fmt.Sprint("n", i))
		reports[i] = many[i].Report(w)
	}
	groups, err := GroupBy(reports, ByAll, 1)
	if err != nil {
		t.Fatal(err)
	}
	// 1,000 × 30 years less 1,000 hours.
	if g := groups[0]; g.Up != times(1000, int64(30*year-time.Hour)) || g.Down != Of(1000*time.Hour) || !near(g.Uptime, reports[0].Availability) {
		t.Errorf("got %s up, %s down, %s", g.Up, g.Down, g.Uptime)
	}
	one, all := CurveOf([]Life{l}, w), CurveOf(many, w)
	for i := range one.Points {
		if !near(one.Points[i].Uptime, all.Points[i].Uptime) || one.Points[i].Worst != all.Points[i].Worst {
			t.Errorf("point %d: %+v and %+v", i, one.Points[i], all.Points[i])
		}
	}
}
