package availability

import (
	"cmp"
	"slices"
)

// steps are the times in a period at which the number of objects that are up, or down, changes: ascending, with the period's first
// instant and its last. Times are offsets from its beginning in nanoseconds; they lie apart from the rest, as every size of window
// runs through all of them.
type steps struct {
	at   []int64
	rest []step
	// chunk is how far windows slide at a time before worst asks whether to look at them.
	chunk int64
}

// perChunk is how many steps a chunk has on average: asking must be cheap beside looking.
const perChunk = 32

// step is what holds from a step to the next.
type step struct {
	// up and down are the numbers of objects.
	up, down int64
	// upTo and downTo are the time up and down of all objects from the beginning of the period to here.
	upTo, downTo Span
	// opens: the worst window may begin here; closes: it may end here. See worst.
	opens, closes bool
}

// event is a change of the two numbers by one object.
type event struct {
	at       int64
	up, down int32
}

// stepsOf merges the lives of all objects within a period.
func stepsOf(lives []Life, w Window) steps {
	events := eventsOf(lives, w)
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	merged := steps{at: make([]int64, 1, len(events)+2), rest: make([]step, 1, len(events)+2)}
	merged.rest[0].opens = true
	for i := 0; i < len(events); {
		at, up, down := events[i].at, int64(0), int64(0)
		for ; i < len(events) && events[i].at == at; i++ {
			up, down = up+int64(events[i].up), down+int64(events[i].down)
		}
		merged.append(at, up, down)
	}
	merged.append(w.span(), 0, 0)
	merged.rest[len(merged.rest)-1].closes = true
	merged.chunk = max(1, w.span()/int64(1+len(merged.at)/perChunk))
	return merged
}

// append adds a step by which the numbers change so.
func (s *steps) append(at, up, down int64) {
	n := len(s.at) - 1
	last := &s.rest[n]
	if at == s.at[n] {
		last.up, last.down = last.up+up, last.down+down
		return
	}
	u, d := s.integrals(n, at)
	s.at = append(s.at, at)
	s.rest = append(s.rest, step{
		up: last.up + up, down: last.down + down, upTo: u, downTo: d,
		opens: up <= 0 || down >= 0, closes: up >= 0 || down <= 0,
	})
}

// integrals are the time up and down from the beginning of the period to an offset between step i and the next.
func (s *steps) integrals(i int, at int64) (up, down Span) {
	p := &s.rest[i]
	return p.upTo.Add(times(p.up, at-s.at[i])), p.downTo.Add(times(p.down, at-s.at[i]))
}

// eventsOf lists the changes of all objects, each object's in order.
func eventsOf(lives []Life, w Window) []event {
	n := 0
	for i := range lives {
		n += len(lives[i].Moments) + 1
	}
	events := make([]event, 0, n)
	for i := range lives {
		var before event
		lives[i].stretches(w, func(s Standing, from, _ int64) {
			now := event{up: count(s == Up), down: count(s == Down)}
			if now.up != before.up || now.down != before.down {
				events = append(events, event{from, now.up - before.up, now.down - before.down})
			}
			before = now
		})
	}
	return events
}

func count(yes bool) int32 {
	if yes {
		return 1
	}
	return 0
}

// interval is one window within the period, with the time up and down of all objects in it.
type interval struct {
	from     int64
	up, down Span
	ratio    Ratio
}

// worst is the window of a size with the lowest ratio, the earliest of several; without a ratio when no object has time that counts.
//
// It is exact, though it looks at few windows. While a window slides and neither of its ends passes a step, its up time and its counted
// time change evenly, so their ratio only rises, only falls, or stays: the lowest is where an end meets a step, or the period's. And
// of those it is only where the ratio stops falling. Where the window begins, a step by which more are up and fewer are down makes it
// fall more, or rise less, whatever the ratio; so it is passed over. Where the window ends, the opposite.
//
// Nor does it look where that is hopeless: it slides by chunks, and passes over those whose windows are all above the lowest so far.
func (s *steps) worst(size int64) interval {
	var worst interval
	last := s.at[len(s.at)-1] - size
	c := chunk{size: size, firstEnd: s.upTo(0, size)}
	for {
		c.to = c.from + min(s.chunk, last-c.from)
		c.lastBegin, c.lastEnd = s.upTo(c.firstBegin, c.to), s.upTo(c.firstEnd, c.to+size)
		if !s.above(c, worst.ratio) {
			s.look(c, &worst)
		}
		if c.to == last {
			return worst
		}
		c.from, c.firstBegin, c.firstEnd = c.to, c.lastBegin, c.lastEnd
	}
}

// chunk are the windows of a size that begin between two offsets.
type chunk struct {
	size, from, to int64
	// The steps at or before the first and the last beginning, and the first and the last end.
	firstBegin, lastBegin, firstEnd, lastEnd int
}

// above tells for certain that all windows of a chunk have a higher ratio than the given one. None of them has less up time than the part
// common to all, nor more down time than all of them together.
func (s *steps) above(c chunk, ratio Ratio) bool {
	if !ratio.known || c.to-c.from >= c.size {
		return false
	}
	upFrom, _ := s.integrals(c.lastBegin, c.to)
	upTo, _ := s.integrals(c.firstEnd, c.from+c.size)
	_, downFrom := s.integrals(c.firstBegin, c.from)
	_, downTo := s.integrals(c.lastEnd, c.to+c.size)
	least := RatioOf(upTo.minus(upFrom), downTo.minus(downFrom))
	return least.known && least.value > ratio.value*(1+1e-12) // the factor covers what rounding may do
}

// look finds the lowest window of a chunk.
func (s *steps) look(c chunk, worst *interval) {
	for i, j := c.firstBegin, c.firstEnd; i <= c.lastBegin; i++ {
		if at, from := s.at[i], &s.rest[i]; from.opens && at >= c.from {
			j = s.upTo(j, at+c.size)
			up, down := s.integrals(j, at+c.size)
			worst.lower(at, up.minus(from.upTo), down.minus(from.downTo))
		}
	}
	for i, j := c.firstBegin, c.firstEnd; j <= c.lastEnd; j++ {
		if at, to := s.at[j]-c.size, &s.rest[j]; to.closes && at >= c.from {
			i = s.upTo(i, at)
			up, down := s.integrals(i, at)
			worst.lower(at, to.upTo.minus(up), to.downTo.minus(down))
		}
	}
}

// upTo is the last step, from step i on, that is not after an offset.
func (s *steps) upTo(i int, at int64) int {
	for i+1 < len(s.at) && s.at[i+1] <= at {
		i++
	}
	return i
}

// lower takes another window if its ratio is lower, or as low and it is earlier.
func (v *interval) lower(from int64, up, down Span) {
	r := RatioOf(up, down)
	if c := r.Compare(v.ratio); c < 0 || c == 0 && r.known && from < v.from {
		*v = interval{from, up, down, r}
	}
}
