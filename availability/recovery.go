package availability

import "slices"

// Recovery describes the outages that were recovered from in a window, by their whole lengths, also when they began before it. Without any
// all its spans are zero and mean nothing.
type Recovery struct {
	// Count is how many there were.
	Count int `json:"count"`
	// Mean is the mean time to recovery (MTTR). P50 and P99 are percentiles by nearest rank: the shortest length that at least so
	// many in a hundred do not exceed, so each is a length that occurred.
	Mean Span `json:"mean"`
	P50  Span `json:"p50"`
	P99  Span `json:"p99"`
	// Longest is the longest of them.
	Longest Span `json:"longest"`
	// Between is the mean up time per recovered outage: the mean time between failures (MTBF).
	Between Span `json:"between"`
}

// recoveryOf describes outages of objects that were up for so long in the window.
func recoveryOf(lengths []Span, up Span) Recovery {
	n := len(lengths)
	if n == 0 {
		return Recovery{}
	}
	slices.SortFunc(lengths, Span.Compare)
	var sum Span
	for _, l := range lengths {
		sum = sum.Add(l)
	}
	rank := func(percent int) Span { return lengths[(n*percent+99)/100-1] }
	return Recovery{Count: n, Mean: sum.over(n), P50: rank(50), P99: rank(99), Longest: lengths[n-1], Between: up.over(n)}
}

// recovered are the lengths of the outages that were recovered from.
func recovered(lengths []Span, outages []Outage) []Span {
	for _, o := range outages {
		if o.Outcome == Recovered {
			lengths = append(lengths, o.Length)
		}
	}
	return lengths
}
