package control

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/queue"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// stuck counts the turns of one controller that have overstayed their deadline.
type stuck struct {
	mu   sync.Mutex
	keys map[resource.Key]bool // true: the worker was replaced
}

// enter notes a stuck turn, and reports whether its worker may be replaced: as many as there are workers, and no more.
func (s *stuck) enter(key resource.Key, bound int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys = map[resource.Key]bool{}
	}
	s.keys[key] = len(s.keys) < bound
	return s.keys[key]
}

// leave forgets a stuck turn that returned after all, and reports whether its worker was replaced.
func (s *stuck) leave(key resource.Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	replaced := s.keys[key]
	delete(s.keys, key)
	return replaced
}

func (s *stuck) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys)
}

// health remembers how commits have been going.
type health struct {
	mu       sync.Mutex
	failing  time.Time // since when no commit has succeeded
	lastFail error
	fenced   bool
}

func (h *health) committed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrRule) || errors.Is(err, store.ErrTooLarge):
		h.failing, h.lastFail = time.Time{}, nil
	default:
		if h.failing.IsZero() {
			h.failing = time.Now()
		}
		h.lastFail = err
		h.fenced = h.fenced || errors.Is(err, store.ErrFenced)
	}
}

// feedPatience is how far the view may fall behind before the engine calls itself not ready.
const feedPatience = 10 * time.Second

// commitPatience is how long commits may fail before the engine calls itself not ready, and then not alive.
const commitPatience = 30 * time.Second

// Working says whether the engine is doing its work, as opposed to merely running: the view loaded and following, commits
// succeeding, workers moving. The error lists all that is wrong; nil is well.
func (e *Engine) Working() error {
	var problems []error
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
	for _, l := range e.loops {
		if n := l.stuck.count(); n > 0 {
			problems = append(problems, fmt.Errorf("controller %s: %d turns do not return", l.name, n))
		}
	}
	return errors.Join(problems...)
}

// Alive says whether restarting the process would help: workers that cannot be replaced any more, a lease that was lost, or commits that have
// failed for long. A process that waits for its database is alive.
func (e *Engine) Alive() error {
	var problems []error
	for _, l := range e.loops {
		if n := l.stuck.count(); n > l.workers {
			problems = append(problems, fmt.Errorf("controller %s: %d turns do not return, more than can be replaced", l.name, n))
		}
	}
	e.health.mu.Lock()
	defer e.health.mu.Unlock()
	if e.health.fenced {
		problems = append(problems, errors.New("another process has taken the lease"))
	}
	if f := e.health.failing; !f.IsZero() && time.Since(f) > commitPatience && errors.Is(e.health.lastFail, store.ErrClosed) {
		problems = append(problems, errors.New("the store is closed"))
	}
	return errors.Join(problems...)
}

// ControllerStats describes one controller at work.
type ControllerStats struct {
	Controller string
	Kind       resource.KindID
	Queue      queue.Stats
	Stuck      int
}

// Controllers reports every controller's queue.
func (e *Engine) Controllers() []ControllerStats {
	out := make([]ControllerStats, 0, len(e.loops))
	for _, l := range e.loops {
		out = append(out, ControllerStats{Controller: l.name, Kind: l.kind.ID(), Queue: l.queue.Stats(), Stuck: l.stuck.count()})
	}
	return out
}

// AdapterStats describes one adapter's deliveries.
type AdapterStats struct {
	Adapter string
	Queue   queue.Stats
}

// Adapters reports every adapter's queue of units.
func (e *Engine) Adapters() []AdapterStats {
	out := make([]AdapterStats, 0, len(e.dispatchers))
	for _, d := range e.dispatchers {
		out = append(out, AdapterStats{Adapter: string(d.name), Queue: d.queue.Stats()})
	}
	return out
}
