package view

import (
	"maps"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// Health says how current a view is. Being alive is not being current: a view may show an old cut, faithfully, for hours.
type Health struct {
	Revision resource.Revision
	// Ready: it has been loaded.
	Ready bool
	// Following: the feed is open. A view that follows and knows of no later commit is current.
	Following bool
	// Committed is when the last applied commit was made, by the database's clock; zero when none was applied since the last load.
	Committed time.Time
	// Applied is when the view changed last, by this machine's clock.
	Applied time.Time
	// Head is the highest revision known to exist: applied, or announced by [View.Announce].
	Head resource.Revision
	// Behind is for how long a commit has been known that the view does not show; 0 when none is.
	Behind time.Duration
	// Err is why the view does not follow, nil when it does; Since is when it stopped following, Failures how often it has tried in vain since.
	Err      error
	Since    time.Time
	Failures int
	// Rescans counts the loads after the first.
	Rescans int
}

// Stats says what a view holds.
type Stats struct {
	Revision resource.Revision
	// Objects, Commands, Signals and Timers count the rows of the newest cut.
	Objects, Commands, Signals, Timers int
	// Kinds counts the objects of each kind.
	Kinds map[resource.KindID]int
	// Versions counts the replaced versions that open snapshots keep. Cuts counts the past cuts that are held open, Oldest is the revision of
	// the oldest, and OldestAge the time since it was overtaken: a snapshot that somebody forgot to close shows here.
	Versions  int
	Cuts      int
	Oldest    resource.Revision
	OldestAge time.Duration
	// Waiters counts the calls of [View.WaitFor] under way.
	Waiters int
}

// Health returns how current the view is.
func (v *View) Health() Health {
	h := v.health.get(time.Now())
	h.Ready = v.Ready()
	return h
}

// Announce says that a commit with this revision exists: a receipt has shown it, or a lease renewal. It makes a feed that has
// silently stopped visible in [Health.Behind].
func (v *View) Announce(r resource.Revision) { v.health.announce(r, time.Now()) }

// Stats counts what the view holds.
func (v *View) Stats() Stats {
	v.mu.RLock()
	defer v.mu.RUnlock()
	s := Stats{
		Revision: v.clock.present.revision,
		Objects:  v.objects.live, Commands: v.commands.live, Signals: v.signals.live, Timers: v.timers.live,
		Kinds:    maps.Clone(v.kinds),
		Versions: v.clock.kept,
		Waiters:  v.waiting.count(),
	}
	for _, past := range v.clock.past {
		if past.refs.Load() == 0 {
			continue
		}
		if s.Cuts == 0 {
			s.Oldest, s.OldestAge = past.revision, time.Since(past.overtaken)
		}
		s.Cuts++
	}
	return s
}

// health is what the applier notes for others.
type health struct {
	mu    sync.Mutex
	state Health
	// first is the earliest commit that was announced and is not applied, last the latest.
	first, last announced
}

type announced struct {
	revision resource.Revision
	at       time.Time
}

func (h *health) get(now time.Time) Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.state
	s.Head = max(s.Revision, h.last.revision)
	if h.first.revision > s.Revision {
		s.Behind = now.Sub(h.first.at)
	}
	return s
}

func (h *health) announce(r resource.Revision, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r <= max(h.state.Revision, h.last.revision) {
		return
	}
	h.last = announced{r, now}
	if h.first.revision <= h.state.Revision {
		h.first = h.last
	}
}

func (h *health) applied(r resource.Revision, committed, now time.Time, restored bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if restored {
		h.first, h.last = announced{}, announced{} // of a history that is gone
	}
	h.state.Revision, h.state.Committed, h.state.Applied = r, committed, now
	if h.first.revision <= r {
		h.first = h.last
	}
}

func (h *health) following() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Following, h.state.Err, h.state.Since, h.state.Failures = true, nil, time.Time{}, 0
}

func (h *health) failed(err error, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state.Err == nil {
		h.state.Since = now
	}
	h.state.Following, h.state.Err = false, err
	h.state.Failures++
}

// stopped notes that nobody follows the feed any more, keeping the reason when there is one.
func (h *health) stopped(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Following = false
	if h.state.Err == nil {
		h.state.Err, h.state.Since = ErrStopped, now
	}
}

func (h *health) rescanned() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Rescans++
}
