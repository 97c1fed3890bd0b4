package view

import (
	"sync/atomic"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// cut is one consistent state of the view: a sequence number, the revision it stands for, and who is looking at it.
//
// A version that is replaced while somebody looks is put on the list of the newest cut that needs it. When that
// cut closes, each version on its list goes to the next older open cut that needs it, or is freed. As a snapshot can
// only be opened at the present, the cuts that need a replaced version only ever become fewer, and a version is kept exactly
// as long as an open snapshot can see it.
type cut struct {
	sequence sequence
	revision resource.Revision
	// refs counts open snapshots. It changes under the view's read lock, and is therefore still under its write lock.
	refs atomic.Int64
	// overtaken is when a later cut took this one's place; zero for the present. Written under the write lock.
	overtaken time.Time
	garbage   []garbage
}

// clock knows the present cut and the past ones that somebody still looks at.
type clock struct {
	present *cut
	// past holds the overtaken cuts that are open or not yet swept, oldest first.
	past []*cut
	// writing stamps the versions of the step under way.
	writing sequence
	// kept counts the old versions, over all tables.
	kept int
}

func newClock() clock { return clock{present: &cut{}, writing: 1} }

// keeper returns the newest open cut that sees a version born then, nil when none does.
func (c *clock) keeper(born sequence) *cut {
	if c.present.refs.Load() > 0 {
		return c.present
	}
	if older := c.older(len(c.past)); older != nil && older.sequence >= born {
		return older
	}
	return nil
}

// older returns the newest open cut among the first n past ones.
func (c *clock) older(n int) *cut {
	for i := n - 1; i >= 0; i-- {
		if c.past[i].refs.Load() > 0 {
			return c.past[i]
		}
	}
	return nil
}

// advance makes what was written the present. Nobody looking, the cut is used again.
func (c *clock) advance(r resource.Revision) {
	if c.present.refs.Load() > 0 {
		c.present.overtaken = time.Now()
		c.past = append(c.past, c.present)
		c.present = &cut{}
	}
	c.present.sequence, c.present.revision = c.writing, r
	c.writing++
}

// sweep frees, or hands on to an older cut, at most limit versions of closed cuts. It reports whether there are more.
func (c *clock) sweep(limit int) (more bool) {
	for i := len(c.past) - 1; i >= 0; i-- {
		closed := c.past[i]
		if closed.refs.Load() > 0 {
			continue
		}
		limit = closed.drain(c.older(i), limit)
		if len(closed.garbage) > 0 {
			return true
		}
		c.past = append(c.past[:i], c.past[i+1:]...)
	}
	clear(c.past[len(c.past):cap(c.past)])
	return false
}

// drain empties the list of a closed cut, as far as the limit goes, and returns what is left of the limit.
func (c *cut) drain(older *cut, limit int) int {
	for len(c.garbage) > 0 && limit > 0 {
		last := len(c.garbage) - 1
		w := c.garbage[last]
		c.garbage[last] = nil
		c.garbage = c.garbage[:last]
		if older != nil && older.sequence >= w.since() {
			older.garbage = append(older.garbage, w)
		} else {
			w.reclaim()
		}
		limit--
	}
	return limit
}
