package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/queue"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/view"
)

// Config assembles an [Engine]. Store, Registry, NewUID and Owner are required.
type Config struct {
	Store       store.Store
	Registry    *resource.Registry
	Controllers []Controller
	Adapters    []AdapterConfig
	// Owner says which shards the engine works on.
	Owner  cluster.Owner
	Logger *slog.Logger
	Meter  Meter
	// NewUID makes identifiers, Seed starts the generators of jitter: seams for simulation.
	NewUID func() resource.UID
	Seed   uint64
	// Grace bounds how long a stop waits for turns and calls under way. The default is 10 s.
	Grace time.Duration
}

// AdapterConfig registers an adapter under the name that endpoints use.
type AdapterConfig struct {
	Name    command.AdapterName
	Adapter command.Adapter
	Policy  command.Policy
}

// Engine runs controllers and delivers commands over one store. Make it with [New], run it with [Engine.Run].
type Engine struct {
	store    store.Store
	registry *resource.Registry
	view     *view.View
	log      *slog.Logger
	meter    Meter
	newUID   func() resource.UID
	config   Config

	loops       map[string]*loop
	byKind      map[resource.KindID][]*loop
	dispatchers map[command.AdapterName]*dispatcher
	subs        *subscriptions
	owner       cluster.Owner
	shards      *shards
	working     context.Context // until a stop is asked for; set before anything works
	gaining     sync.WaitGroup  // what takes up shards
	takeUp      takeUp
	outage      outage
	doubt       doubt
	sight       sight

	ready    chan struct{}
	stopping chan struct{} // closed when nothing new is to be begun
	health   health
	workers  sync.WaitGroup
}

// New checks how the parts fit together. It starts nothing.
func New(c Config) (*Engine, error) {
	if c.Store == nil || c.Registry == nil || c.NewUID == nil || c.Owner == nil {
		return nil, errors.New("engine: Store, Registry, NewUID and Owner are required")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	if c.Grace <= 0 {
		c.Grace = 10 * time.Second
	}
	e := &Engine{
		store: c.Store, registry: c.Registry, view: view.New(), log: c.Logger, meter: c.Meter, newUID: c.NewUID, config: c,
		loops: map[string]*loop{}, byKind: map[resource.KindID][]*loop{}, dispatchers: map[command.AdapterName]*dispatcher{},
		subs: newSubscriptions(), ready: make(chan struct{}), stopping: make(chan struct{}), shards: newShards(),
	}
	random := rand.New(rand.NewPCG(c.Seed, 0x5e7))
	err := errors.Join(e.addControllers(random), e.addAdapters(random), e.checkAdapters())
	e.owner = c.Owner
	e.outage.random = rand.New(rand.NewPCG(random.Uint64(), random.Uint64()))
	e.doubt.asking, e.sight.asking = make(chan struct{}, 1), make(chan struct{}, 1)
	return e, err
}

func (e *Engine) addControllers(random *rand.Rand) error {
	var problems []error
	for i := range e.config.Controllers {
		c := &e.config.Controllers[i]
		kind := c.kind.ID()
		switch _, known := e.registry.Kind(kind); {
		case c.name == "":
			problems = append(problems, fmt.Errorf("controller of %s: a name is required", kind))
		case e.loops[c.name] != nil:
			problems = append(problems, fmt.Errorf("controller %s: the name is used twice", c.name))
		case !known:
			problems = append(problems, fmt.Errorf("controller %s: its kind %s is not registered", c.name, kind))
		case c.err != nil:
			problems = append(problems, fmt.Errorf("controller %s: %w", c.name, c.err))
		case c.driver && e.driver(kind) != nil:
			problems = append(problems, fmt.Errorf("controller %s: %s has a driver already, %s", c.name, kind, e.driver(kind).name))
		default:
			l := newLoop(e, c, rand.New(rand.NewPCG(random.Uint64(), random.Uint64())))
			e.loops[c.name] = l
			e.byKind[kind] = append(e.byKind[kind], l)
		}
	}
	return errors.Join(problems...)
}

func (e *Engine) addAdapters(random *rand.Rand) error {
	var problems []error
	for _, a := range e.config.Adapters {
		switch {
		case a.Name == "" || a.Adapter == nil:
			problems = append(problems, errors.New("adapter: a name and an Adapter are required"))
		case e.dispatchers[a.Name] != nil:
			problems = append(problems, fmt.Errorf("adapter %s: the name is used twice", a.Name))
		default:
			e.dispatchers[a.Name] = newDispatcher(e, a, rand.New(rand.NewPCG(random.Uint64(), random.Uint64())))
		}
	}
	return errors.Join(problems...)
}

// checkAdapters reports steps of actions that nobody could deliver.
func (e *Engine) checkAdapters() error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(e.loops)) {
		for _, a := range e.loops[name].adapters {
			if e.dispatchers[a] == nil {
				problems = append(problems, fmt.Errorf("controller %s: a step of an action calls adapter %q, which there is none of; give it to the plane", name, a))
			}
		}
	}
	return errors.Join(problems...)
}

// driver returns the controller that drives a kind, nil when there is none.
func (e *Engine) driver(kind resource.KindID) *Controller {
	for _, l := range e.byKind[kind] {
		if l.driver {
			return l.Controller
		}
	}
	return nil
}

// holds returns the finalizers that a new object of a kind begins with: its driver's, so that it goes through its last
// states before it is gone.
func (e *Engine) holds(def *resource.Definition) []resource.Finalizer {
	if d := e.driver(def.ID()); d != nil {
		return []resource.Finalizer{resource.Finalizer(d.name)}
	}
	return nil
}

// Holds is what [Engine] itself puts on new objects; doors put the same on those that clients create. It is empty for a kind without a driver.
func (e *Engine) Holds(def *resource.Definition) []resource.Finalizer { return e.holds(def) }

// Holder reports whether a finalizer is one of this engine's controllers, which takes it away itself.
func (e *Engine) Holder(f resource.Finalizer) bool { return e.loops[string(f)] != nil }

// View is the engine's replica of the store. Doors read from it.
func (e *Engine) View() *view.View { return e.view }

// Ready is closed when everything that existed before has been loaded.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// Run loads what exists, works on what its owner gives it until ctx ends, then lets turns and calls under way finish, for at most
// Config.Grace, and gives up what it owns. While others have everything, or the store cannot be reached, it waits, with a view that is kept current, which [Engine.Standby] and
// [Engine.Working] tell. It returns nil after a stop that was asked for, or why what it owned could not be given up and has to run out. It ends by itself, with an
// error, when the store was closed and when it is not the owner any more (store.ErrFenced): the only safe thing to do then is nothing. It may be called once.
func (e *Engine) Run(ctx context.Context) error {
	// Calls, the feed and the ownership outlive ctx, so that what is under way can finish.
	observers, cancelObservers := context.WithCancel(ctx)
	defer cancelObservers()
	calls, cancelCalls := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelCalls()
	background, cancelBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelBackground()
	owning, disown := context.WithCancel(context.WithoutCancel(ctx))
	defer disown()

	e.working = observers
	e.start(observers, calls)
	e.gaining.Go(func() { e.enlistEverywhere(observers) })
	var fed, owned error
	var both sync.WaitGroup
	feedEnded, ownerEnded := make(chan struct{}), make(chan struct{})
	both.Go(func() {
		defer close(feedEnded)
		fed = e.feed(background)
	})
	both.Go(func() {
		defer close(ownerEnded)
		owned = e.own(owning)
	})
	select {
	case <-ctx.Done():
	case <-feedEnded:
	case <-ownerEnded:
	}
	cancelObservers()
	disown() // nothing more is taken, and what is idle is given up at once
	e.stop(cancelCalls)
	<-ownerEnded
	e.gaining.Wait()
	cancelBackground()
	both.Wait()
	return errors.Join(owned, fed)
}

// own runs the owner until ctx ends.
func (e *Engine) own(ctx context.Context) error {
	err := e.owner.Run(ctx, work{e})
	if err == nil {
		return nil
	}
	err = fmt.Errorf("engine: %w", err)
	if ctx.Err() == nil {
		e.health.lose(err)
	}
	return err
}

// Standby says why there is nothing to do here, "" when there is something: others do the work, and this process would take over.
func (e *Engine) Standby() string { return e.owner.Standby() }

// start runs the workers of every loop and dispatcher, and the observers. Turns wait for the view to be loaded by having no
// work before; calls may outlive a stop for the grace period, observers do not.
func (e *Engine) start(observers, calls context.Context) {
	for _, l := range e.loops {
		l.crew.start(func() { l.work(calls) })
	}
	for _, d := range e.dispatchers {
		d.crew.start(func() { d.work(calls) })
		if o, ok := d.adapter.(command.Observer); ok {
			e.spawn(func() { d.observe(observers, o) })
		}
	}
}

// spawn starts a goroutine that [Engine.stop] waits for.
func (e *Engine) spawn(f func()) {
	e.workers.Add(1)
	go func() {
		defer e.workers.Done()
		f()
	}()
}

// stop closes the queues, so that no work begins, waits for what is under way, and cancels the calls that take too long.
func (e *Engine) stop(cancelCalls context.CancelFunc) {
	close(e.stopping)
	for _, l := range e.loops {
		l.queue.Close()
	}
	for _, d := range e.dispatchers {
		d.queue.Close()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.workers.Wait()
	}()
	grace := time.NewTimer(e.config.Grace)
	defer grace.Stop()
	select {
	case <-done:
		return
	case <-grace.C:
	}
	e.log.Warn("stopping: calls are cut off after the grace period", "grace", e.config.Grace)
	cancelCalls()
	// A turn that ignores everything cannot be waited for: its goroutine ends with the process.
	last := time.NewTimer(time.Second)
	defer last.Stop()
	select {
	case <-done:
	case <-last.C:
		e.log.Error("stopping: a turn does not return; it is left behind")
	}
}

// tenant shares a controller's workers fairly between namespaces.
func tenant(k resource.Key) resource.Namespace { return k.Namespace }

func queueOptions(name string, base, limit time.Duration, random *rand.Rand) queue.Options[resource.Key] {
	return queue.Options[resource.Key]{Name: name, Base: base, Cap: limit, Random: random, Tenant: tenant}
}
