package adopt

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/setpointhq/setpoint/queue"
)

// Controller runs one Reconcile function over one source. Make it with [New], then call [Controller.Run].
type Controller[ID comparable, Row any] struct {
	options Options[ID, Row]
	queue   *queue.Queue[ID]
	memory  *memory[ID]
	look    chan struct{} // holds a token when Changes is to be asked without waiting
	loaded  chan struct{}
	started atomic.Bool
	workers sync.WaitGroup
	spares  chan struct{} // a token for each worker that stands in for one that does not return
	counts  counts
	ill     atomic.Pointer[error] // why the source cannot be followed; nil: it can
}

type counts struct{ turns, failures, conflicts, echoes, scans atomic.Uint64 }

// New checks the options and makes a controller. Every problem is reported at once.
func New[ID comparable, Row any](o Options[ID, Row]) (*Controller[ID, Row], error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if kind := reflect.TypeFor[Row]().Kind(); kind == reflect.Pointer || kind == reflect.Map || kind == reflect.Interface {
		return nil, fmt.Errorf("controller %q: adopt: a row cannot be a %s, because a step needs its own copy; use the struct", o.Name, kind)
	}
	o = o.withDefaults()
	return &Controller[ID, Row]{
		options: o, queue: queue.New(o.queue()), memory: newMemory[ID](),
		look: make(chan struct{}, 1), loaded: make(chan struct{}), spares: make(chan struct{}, o.Workers),
	}, nil
}

// Run scans the table, follows its changes and works on its rows until ctx ends. Then no new turn begins, and those under way
// may finish for the grace period before their contexts end; Run waits for all of them, and returns nil. It may be called once.
func (c *Controller[ID, Row]) Run(ctx context.Context) error {
	if !c.started.CompareAndSwap(false, true) {
		return fmt.Errorf("controller %s: Run was called before; make a new controller", c.options.Name)
	}
	turns, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	stop := context.AfterFunc(ctx, c.queue.Close)
	defer stop()
	for range c.options.Workers {
		c.workers.Go(func() { c.work(turns) })
	}
	c.follow(ctx)
	c.queue.Close()
	grace := time.AfterFunc(c.options.Grace, func() {
		for _, e := range c.queue.InProgress() {
			c.options.Logger.Warn("the grace period is over: a turn is abandoned", "controller", c.options.Name, "row", e.Key, "since", e.Since)
		}
		abandon()
	})
	defer grace.Stop()
	c.workers.Wait()
	return nil
}

// Loaded is closed when every row that existed at the start has been queued.
func (c *Controller[ID, Row]) Loaded() <-chan struct{} { return c.loaded }

// Wake asks for a turn of a row because something happened that is not in the table: an event of a subsystem, a call in this
// process. It does not wait for a failure backoff to be over.
func (c *Controller[ID, Row]) Wake(id ID) { c.queue.Add(id, queue.Wake{Change: true}) }

// Look asks the source for changes now, without waiting for the interval to be over: for a notification that names no row. It
// does not interrupt a call of Changes that waits by itself.
func (c *Controller[ID, Row]) Look() {
	select {
	case c.look <- struct{}{}:
	default: // it will look anyway
	}
}

// Stats describes a controller. Counts rise for ever.
type Stats struct {
	Queue     queue.Stats
	Turns     uint64
	Failures  uint64 // turns that ended with Fail, panics included
	Conflicts uint64 // steps that were run again because the row had changed
	Echoes    uint64 // changes that a turn had made or seen itself, and that woke nobody
	Scans     uint64
	Source    error // why the source cannot be followed at present; nil: it is
}

// Stats counts what the controller has done and holds.
func (c *Controller[ID, Row]) Stats() Stats {
	s := Stats{
		Queue: c.queue.Stats(), Turns: c.counts.turns.Load(), Failures: c.counts.failures.Load(),
		Conflicts: c.counts.conflicts.Load(), Echoes: c.counts.echoes.Load(), Scans: c.counts.scans.Load(),
	}
	if ill := c.ill.Load(); ill != nil {
		s.Source = *ill
	}
	return s
}

// Explanation is why a row is where it is.
type Explanation struct {
	Outcome  Outcome   // of the last turn; the zero Outcome if it was Done, or there was none in this process
	Since    time.Time // when it began to end like this
	Next     time.Time // when the next turn is due; zero: when something changes
	Attempts int       // failed turns since the last one that was Done
	Working  bool      // a turn is in progress
}

// Explain answers why a row is where it is. It is false for a row at rest.
func (c *Controller[ID, Row]) Explain(id ID) (Explanation, bool) {
	entry, queued := c.queue.Inspect(id)
	standing, stands := c.memory.standing(id)
	return Explanation{
		Outcome: standing.outcome, Since: standing.since,
		Next: entry.Due, Attempts: entry.Attempts, Working: entry.State == queue.Working,
	}, queued || stands
}

// healthy notes whether the source can be followed, and logs when that changes.
func (c *Controller[ID, Row]) healthy(err error) {
	was := c.ill.Load()
	if err == nil {
		if was != nil {
			c.ill.Store(nil)
			c.options.Logger.Info("the source can be followed again", "controller", c.options.Name)
		}
		return
	}
	c.ill.Store(&err)
	if was == nil || (*was).Error() != err.Error() {
		c.options.Logger.Error("the source cannot be followed; trying again", "controller", c.options.Name, "error", err)
	}
}
