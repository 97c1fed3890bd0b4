package availability

import (
	"slices"
	"time"
)

// Curve is the windowed user-uptime of many objects over a period (Hauer et al., Meaningful Availability, NSDI 2020, section 5): for
// every size of window the worst that there was. Two services with the same uptime over a month differ in it: many short outages cost
// little in any one hour, a single long one makes an hour in which nothing worked.
type Curve struct {
	Period Window  `json:"period"`
	Points []Point `json:"points"`
}

// Point is one size of window, and the worst window of at least that size. Sizes ascend, and so, or stay, do the uptimes.
type Point struct {
	Size Span `json:"size"`
	// Uptime is the user-uptime in the worst window; no data when no time of any object counts.
	Uptime Ratio `json:"uptime"`
	// Worst is that window, the earliest of several that are equally bad; empty without data. It is larger than Size when no window of
	// just this size is as bad as one of a larger size that was looked at.
	Worst Window `json:"worst,omitzero"`
	// Up and Down are the times of all objects in it.
	Up   Span `json:"up"`
	Down Span `json:"down"`
}

// Sizes are the sizes of window that a curve has by default: from one minute on, each twice the one before, and the whole period last.
func Sizes(period time.Duration) []time.Duration {
	var sizes []time.Duration
	for size := time.Minute; size < period; size *= 2 {
		sizes = append(sizes, size)
		if size > period/2 {
			break
		}
	}
	if period > 0 {
		sizes = append(sizes, period)
	}
	return sizes
}

// CurveOf computes the curve of a period, for the given sizes of window, or those of [Sizes] when there are none. Windows lie within the
// period wholly; sizes below one nanosecond, or above the period, have no window and are left out. An empty period has no points.
//
// # Why it never falls
//
// A window of k times a size consists of k windows of that size, and its uptime is their mean, weighted by the time that counts in each;
// a mean is not below the least of its terms, so the worst large window is not worse than the worst small one (section 5.2 of the paper,
// for whole multiples). Windows in which no time counts have no weight. The default sizes are such multiples, but for the period.
//
// Between sizes of which one is not a multiple of the other it can fail: of three hours with an outage in the first and in the last, every
// window of two hours has at most one hour of outage in it, the whole has two. So a point stands for windows of at least its
// size: where a larger size has a worse window, the point shows that one. The last point is the plain user-uptime of the period.
func CurveOf(lives []Life, period Window, sizes ...time.Duration) Curve {
	if len(sizes) == 0 {
		sizes = Sizes(period.Length().Duration())
	}
	sizes = slices.DeleteFunc(slices.Clone(sizes), func(d time.Duration) bool { return d <= 0 || int64(d) > period.span() })
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	c := Curve{Period: period, Points: make([]Point, len(sizes))}
	if len(sizes) == 0 {
		return c
	}
	all := stepsOf(lives, period)
	for i, size := range slices.Backward(sizes) {
		c.Points[i] = pointOf(period, size, all.worst(int64(size)))
		if i+1 < len(sizes) && c.Points[i+1].Uptime.Compare(c.Points[i].Uptime) < 0 {
			c.Points[i] = c.Points[i+1]
			c.Points[i].Size = Of(size)
		}
	}
	return c
}

func pointOf(period Window, size time.Duration, v interval) Point {
	p := Point{Size: Of(size), Uptime: v.ratio, Up: v.up, Down: v.down}
	if v.ratio.known {
		p.Worst = Window{period.at(v.from), period.at(v.from + int64(size))}
	}
	return p
}
