package control

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/queue"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// health remembers how commits have been going.
type health struct {
	mu       sync.Mutex
	failing  time.Time // since when no commit has succeeded
	lastFail error
	lost     error // why the owner cannot go on
}

// committed notes how a commit ended, and reports since when it had been otherwise: began is set by the first that fails, and ended, with the time for which they
// had been failing, by the first that succeeds again.
func (h *health) committed(err error) (began bool, ended time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrRule) || errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrFenced):
		if !h.failing.IsZero() {
			ended = max(time.Since(h.failing), 1)
		}
		h.failing, h.lastFail = time.Time{}, nil
	default:
		if began = h.failing.IsZero(); began {
			h.failing = time.Now()
		}
		h.lastFail = err
	}
	return began, ended
}

// failingFor is how long no commit has succeeded, 0 when the last one has.
func (h *health) failingFor() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing.IsZero() {
		return 0
	}
	return time.Since(h.failing)
}

func (h *health) lose(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = why
}

// feedPatience is how far the view may fall behind before the engine calls itself not ready.
const feedPatience = 10 * time.Second

// commitPatience is how long commits may fail before the engine calls itself not ready, and then not alive.
const commitPatience = 30 * time.Second

// Working says whether the engine is doing its work, as opposed to merely running: the lease held and renewed, the view loaded and following, commits
// succeeding, workers moving. The error lists all that is wrong; nil is well.
func (e *Engine) Working() error {
	var problems []error
	if err := e.owner.Problem(); err != nil {
		problems = append(problems, err)
	}
	select {
	case <-e.ready:
	default:
		problems = append(problems, errors.New("the view is still being loaded"))
	}
	if h := e.view.Health(); h.Err != nil {
		problems = append(problems, fmt.Errorf("the feed has been lost since %s: %w", h.Since.Format(time.RFC3339), h.Err))
	} else if h.Behind > feedPatience {
		problems = append(problems, fmt.Errorf("the feed is %s behind", h.Behind.Round(time.Second)))
	}
	e.health.mu.Lock()
	if !e.health.failing.IsZero() {
		problems = append(problems, fmt.Errorf("commits have been failing for %s: %w", time.Since(e.health.failing).Round(time.Second), e.health.lastFail))
	}
	e.health.mu.Unlock()
	for _, c := range e.crews() {
		if err := c.trouble(); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// Moving says whether the work moves, as opposed to the process being alive: an error says why what this process has would be better off with another one.
func (e *Engine) Moving() error {
	var problems []error
	for _, c := range e.crews() {
		if c.exhausted() {
			problems = append(problems, c.trouble())
		}
	}
	if failing := e.health.failingFor(); failing > commitPatience {
		problems = append(problems, fmt.Errorf("commits have been failing for %s", failing.Round(time.Second)))
	}
	if h := e.view.Health(); e.view.Ready() && h.Err != nil {
		problems = append(problems, fmt.Errorf("the feed has been lost since %s: %w", h.Since.Format(time.RFC3339), h.Err))
	} else if h.Behind > feedPatience {
		problems = append(problems, fmt.Errorf("the feed is %s behind", h.Behind.Round(time.Second)))
	}
	return errors.Join(problems...)
}

// crews returns all that have workers, by name.
func (e *Engine) crews() []*crew {
	var all []*crew
	for _, name := range slices.Sorted(maps.Keys(e.loops)) {
		all = append(all, e.loops[name].crew)
	}
	for _, name := range slices.Sorted(maps.Keys(e.dispatchers)) {
		all = append(all, e.dispatchers[name].crew)
	}
	return all
}

// Alive says whether restarting the process would help: workers that cannot be replaced any more, a lease that was lost, or commits that have
// failed for long. A process that waits for its database, or for the lease, is alive.
func (e *Engine) Alive() error {
	var problems []error
	for _, c := range e.crews() {
		if c.exhausted() {
			problems = append(problems, fmt.Errorf("%s: %d calls do not return, more than can be replaced", c.name, c.stuck()))
		}
	}
	e.health.mu.Lock()
	defer e.health.mu.Unlock()
	if e.health.lost != nil {
		problems = append(problems, e.health.lost)
	}
	if f := e.health.failing; !f.IsZero() && time.Since(f) > commitPatience && errors.Is(e.health.lastFail, store.ErrClosed) {
		problems = append(problems, errors.New("the store is closed"))
	}
	return errors.Join(problems...)
}

// ControllerStats describes one controller at work. Stuck counts its turns that have overstayed their deadline.
type ControllerStats struct {
	Controller string
	Kind       resource.KindID
	Queue      queue.Stats
	Stuck      int
}

// Controllers reports every controller's queue, by name.
func (e *Engine) Controllers() []ControllerStats {
	out := make([]ControllerStats, 0, len(e.loops))
	for _, name := range slices.Sorted(maps.Keys(e.loops)) {
		l := e.loops[name]
		out = append(out, ControllerStats{Controller: l.name, Kind: l.kind.ID(), Queue: l.queue.Stats(), Stuck: l.crew.stuck()})
	}
	return out
}

// AdapterStats describes one adapter's deliveries. Stuck counts the calls that ignore their deadline, and the turns that a result was committed
// with and that overstay theirs.
type AdapterStats struct {
	Adapter string
	Queue   queue.Stats
	Stuck   int
	// Overlap is nil while every unit of order is of one shard, as far as this process has seen, or when the adapter bears it ([command.Overlapping]).
	Overlap *Overlap
}

// Adapters reports every adapter's queue of units, by name.
func (e *Engine) Adapters() []AdapterStats {
	out := make([]AdapterStats, 0, len(e.dispatchers))
	for _, name := range slices.Sorted(maps.Keys(e.dispatchers)) {
		d := e.dispatchers[name]
		out = append(out, AdapterStats{Adapter: string(d.name), Queue: d.queue.Stats(), Stuck: d.crew.stuck(), Overlap: d.overlaps.seen()})
	}
	return out
}
