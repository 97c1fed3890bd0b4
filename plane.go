package setpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/view"
)

// Config assembles a [Plane]. Store is required; everything else has a usable zero value.
type Config struct {
	// Store is the database. The plane does not close it.
	Store       store.Store
	Kinds       []*Definition
	Controllers []Controller
	Adapters    []Adapter
	// Logger receives what people should know. Nil discards it.
	Logger *slog.Logger
	// Meter receives what the plane counts; package telemetry has one for Prometheus. Nil counts nothing.
	Meter control.Meter
	// Name tells this process from others, in leases and in messages. It need not be unique. Default: the host's name and the process number.
	Name string
	// Version of the program, and the address of its doors, are shown to people beside the Name.
	Version, Address string
	// LeaseTTL is how long the lease of a process that died, or its membership where several processes share a store, keeps others from its work. It should be the same for all. Default 10 s,
	// the least 100 ms.
	LeaseTTL time.Duration
	// Grace bounds how long a stop waits for turns and calls under way. Default 10 s.
	Grace time.Duration
	// NewUID and Seed replace the sources of identifiers and jitter, for simulation. Nil and 0 are random.
	NewUID func() resource.UID
	Seed   uint64
}

// Plane is an assembled control plane: kinds, controllers and adapters over one store, with what doors need to read
// and write. Make it with [New]; [Plane.Run] does its work until its context ends.
type Plane struct {
	config   Config
	store    store.Store
	registry *resource.Registry
	engine   *control.Engine
	owner    cluster.Owner
	member   *cluster.Member // nil when the store is not shared
	run      store.NodeID
}

// New checks the parts, and registers the kinds' rules with the store. Every problem is reported at once.
func New(ctx context.Context, c Config) (*Plane, error) {
	if c.Store == nil {
		return nil, errors.New("setpoint: Config.Store is required; open one with sqlite.Open or postgres.Open")
	}
	if c.NewUID == nil {
		c.NewUID = resource.NewUID
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Name == "" {
		c.Name = store.ProcessName()
	}
	p := &Plane{config: c, store: c.Store, registry: &resource.Registry{}}
	if err := p.registry.Register(c.Kinds...); err != nil {
		return nil, fmt.Errorf("setpoint: %w", err)
	}
	if err := p.own(); err != nil {
		return nil, fmt.Errorf("setpoint: %w", err)
	}
	var err error
	if p.engine, err = control.New(control.Config{
		Store: c.Store, Registry: p.registry, Controllers: c.Controllers, Adapters: c.Adapters,
		Logger: c.Logger, Meter: c.Meter, NewUID: c.NewUID, Seed: c.Seed, Grace: c.Grace, Owner: p.owner,
	}); err != nil {
		return nil, fmt.Errorf("setpoint: %w", err)
	}
	rules := make([]store.Rules, len(c.Kinds))
	for i, d := range c.Kinds {
		rules[i] = store.Rules{Kind: d.ID(), Lifecycle: d.Lifecycle}
	}
	if err := c.Store.Register(ctx, rules); err != nil {
		return nil, fmt.Errorf("setpoint: register kinds with the store: %w", err)
	}
	return p, nil
}

// own makes the owner: on a store that several processes share, a member of the cluster that they are, and otherwise one that has everything.
func (p *Plane) own() (err error) {
	c := &p.config
	// What works has ended by itself by then, or been cut off.
	grace := c.Grace + 2*time.Second
	if c.Grace <= 0 {
		grace = 0
	}
	run := c.Name + "#" + string(c.NewUID()) // a name may come again, and each run is another holder
	p.run = store.NodeID(run)
	shared, sharded := c.Store.(store.Sharded)
	if !sharded || !c.Store.Info().Shared {
		p.owner, err = cluster.NewSolo(cluster.SoloOptions{Store: c.Store, Holder: run, TTL: c.LeaseTTL, Logger: c.Logger, Seed: c.Seed, Grace: grace})
		return err
	}
	p.member, err = cluster.New(cluster.Options{
		Store: shared, Node: store.NodeID(run), Name: c.Name, Version: c.Version, Address: c.Address, TTL: c.LeaseTTL,
		Logger: c.Logger, Seed: c.Seed, Grace: grace, Health: func() error { return p.engine.Moving() },
	})
	p.owner = p.member
	return err
}

// Run works until ctx ends, then stops gracefully: no new turn or call begins, those under way may finish for the grace
// period, and the lease is given up, or the node leaves its cluster. It returns nil after such a stop. It ends by itself, with an error, when the store is closed
// (store.ErrClosed) and when another process has taken the lease (store.ErrFenced). It may be called once.
func (p *Plane) Run(ctx context.Context) error { return p.engine.Run(ctx) }

// Loaded is closed when the view holds everything that existed before the plane ran.
func (p *Plane) Loaded() <-chan struct{} { return p.engine.Ready() }

// Registry holds the kinds.
func (p *Plane) Registry() *resource.Registry { return p.registry }

// View is the in-memory replica that reads are served from.
func (p *Plane) View() *view.View { return p.engine.View() }

// Store is the database.
func (p *Plane) Store() store.Store { return p.store }

// Explain answers why an object is where it is.
func (p *Plane) Explain(key Key) (control.Explanation, bool) {
	x, found := p.engine.Explain(key)
	if found && p.member != nil {
		x.Node = p.member.Works(resource.Shard(key.Namespace, key.Name))
	}
	return x, found
}

// History returns what happened to an object, oldest first. It reads the database.
func (p *Plane) History(ctx context.Context, q store.HistoryQuery) ([]Entry, error) {
	return p.store.History(ctx, q)
}

// Live says whether restarting the process would help: an error names why it would.
func (p *Plane) Live() error { return p.engine.Alive() }

// Ready says whether the plane does its work: the view loaded and following, commits succeeding, workers moving.
func (p *Plane) Ready() error { return p.engine.Working() }

// Standby says why this process does no work though it could, "" when it does: others do it. One that stands by has loaded what exists, serves requests and takes over when it is needed.
func (p *Plane) Standby() string { return p.engine.Standby() }

// charge is the shard whose owner does what is done once for all processes that share a store.
const charge = 0

// InCharge reports whether this process is the one, of all that share its store, that does what is to be done once: telling people, for instance; and otherwise what is closed when that may have
// changed. Of several nodes at most one is: a node that is cut off from the database ceases to be by its own clock, before another can begin. So who does something again and again asks each time. (The clock of a machine that sleeps stands still, and what is on its way is not called back.) A process that
// has its store for itself stays in charge while the store does not answer, as nobody else could be.
func (p *Plane) InCharge() (now bool, changed <-chan struct{}) {
	now, changed = p.owner.Trusted(charge)
	if p.member == nil {
		_, now = p.owner.Fence(charge)
	}
	return now, changed
}

// Member is this process as a node of a cluster, nil when its store is not shared.
func (p *Plane) Member() *cluster.Member { return p.member }

// Node is this process as others know it: which run of which program, and how many shards it has, as far as it knows itself.
func (p *Plane) Node() store.Node {
	n := store.Node{ID: p.run, Name: p.config.Name, Version: p.config.Version, Address: p.config.Address}
	for shard := range resource.Shards {
		if _, mine := p.owner.Fence(shard); mine {
			n.Shards++
		}
	}
	return n
}

// Fence is the condition that this process's commits about a shard have to carry, false when the shard is another's.
func (p *Plane) Fence(shard int) (store.Fence, bool) { return p.owner.Fence(shard) }

// Controllers reports the queues of the controllers.
func (p *Plane) Controllers() []control.ControllerStats { return p.engine.Controllers() }

// TakeUp says how far this process is with what it has gained.
func (p *Plane) TakeUp() control.TakeUp { return p.engine.TakeUp() }

// Adapters reports the queues of the adapters.
func (p *Plane) Adapters() []control.AdapterStats { return p.engine.Adapters() }
