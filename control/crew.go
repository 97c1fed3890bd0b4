package control

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// crew is the workers of one queue. It watches the calls they make into code that is not ours: one that does not return in time is reported and
// its worker replaced, up to as many as there were at first. When such a call returns after all, one worker too many ends.
type crew struct {
	engine *Engine
	name   string // "controller gateway", "adapter dns"
	size   int
	work   func()

	mu       sync.Mutex
	overdue  map[*watch]struct{}
	replaced int // workers in overdue calls that have a replacement
	surplus  int // workers that are to end
}

func newCrew(e *Engine, name string, size int) *crew {
	return &crew{engine: e, name: name, size: size, overdue: map[*watch]struct{}{}}
}

// start begins the work. It is called once, before anything is watched.
func (c *crew) start(work func()) {
	c.work = work
	for range c.size {
		c.engine.spawn(work)
	}
}

// watch is one call under way.
type watch struct {
	who      string
	about    fmt.Stringer
	since    time.Time
	returned bool
	replaced bool
}

// watch expects a call by who, about something, to return within a limit. The caller calls end when it has.
func (c *crew) watch(limit time.Duration, who string, about fmt.Stringer) (end func()) {
	w := &watch{who: who, about: about, since: time.Now()}
	alarm := time.AfterFunc(limit, func() { c.late(w, limit) })
	return func() {
		if !alarm.Stop() {
			c.returned(w)
		}
	}
}

// late reports a call, and replaces its worker while the bound allows it. The worker is still counted by [Engine.spawn] meanwhile, so that
// a replacement cannot be started behind the back of a stop that has ended.
func (c *crew) late(w *watch, limit time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.returned {
		return
	}
	c.overdue[w] = struct{}{}
	if w.replaced = c.replaced < c.size; w.replaced {
		c.replaced++
		c.engine.spawn(c.work)
	}
	c.engine.log.Error("a call does not return in time", "crew", c.name, "call", w.who, "about", w.about.String(), "limit", limit, "worker replaced", w.replaced)
}

func (c *crew) returned(w *watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.returned = true
	delete(c.overdue, w)
	if w.replaced {
		c.replaced--
		c.surplus++
	}
}

// dismissed reports whether the worker that asks is one too many, and has to end.
func (c *crew) dismissed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.surplus == 0 {
		return false
	}
	c.surplus--
	return true
}

// stuck counts the calls that are overdue.
func (c *crew) stuck() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.overdue)
}

// trouble describes the longest overdue call, nil when there is none.
func (c *crew) trouble() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.overdue) == 0 {
		return nil
	}
	var all []*watch
	for w := range c.overdue {
		all = append(all, w)
	}
	longest := slices.MinFunc(all, func(a, b *watch) int { return a.since.Compare(b.since) })
	return fmt.Errorf("%s: %d calls do not return; the longest, %s for %s, has been running for %s",
		c.name, len(all), longest.who, longest.about, time.Since(longest.since).Round(time.Second))
}

// exhausted reports whether so many calls are overdue that workers are missing.
func (c *crew) exhausted() bool { return c.stuck() > c.size }
