package setpointtest

import (
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// past knows when, in virtual time, the commits of a world were made, and wakes those inside who wait for the next. The database outside dates
// them by its own clock, which has nothing to do with that of the bubble. It belongs to the bubble.
type past struct {
	mu    sync.Mutex
	spans []span
	// moved is closed and replaced whenever there is a new commit.
	moved chan struct{}
}

// span is the commits of one virtual moment. Virtual time stands still during a commit, so the moment is exact, and every commit between two
// spans' last ones belongs to the later.
type span struct {
	last resource.Revision
	at   time.Time
	// begun is when, in real time, the first of them was handed to the database.
	begun time.Time
}

func newPast() *past { return &past{moved: make(chan struct{})} }

// newest returns the newest commit that is known, and a channel that is closed when there is a newer one.
func (p *past) newest() (resource.Revision, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.head(), p.moved
}

func (p *past) head() resource.Revision {
	if len(p.spans) == 0 {
		return 0
	}
	return p.spans[len(p.spans)-1].last
}

// note says that there are commits up to a revision, of now, and when the database was asked for the one that is at it.
func (p *past) note(rev resource.Revision, begun time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, head := time.Now(), p.head()
	if n := len(p.spans); n > 0 && p.spans[n-1].at.Equal(now) {
		s := &p.spans[n-1]
		s.last = max(s.last, rev)
		if begun.Before(s.begun) {
			s.begun = begun
		}
	} else if rev > head {
		p.spans = append(p.spans, span{last: rev, at: now, begun: begun})
	}
	if rev > head {
		close(p.moved)
		p.moved = make(chan struct{})
	}
}

// at returns the virtual moment of a commit.
func (p *past) at(rev resource.Revision) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := sort.Search(len(p.spans), func(i int) bool { return p.spans[i].last >= rev })
	if i == len(p.spans) {
		return time.Now()
	}
	return p.spans[i].at
}

// before returns the newest revision that is older than a virtual moment, 0 when none is.
func (p *past) before(moment time.Time) resource.Revision {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := sort.Search(len(p.spans), func(i int) bool { return !p.spans[i].at.Before(moment) })
	if i == 0 {
		return 0
	}
	return p.spans[i-1].last
}

// begun returns a moment of real time after every commit that was made before a virtual moment, and before every later one. It is zero when
// there is none later.
func (p *past) begun(at time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.IndexFunc(p.spans, func(s span) bool { return !s.at.Before(at) }); i >= 0 {
		return p.spans[i].begun
	}
	return time.Time{}
}
