package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/setpointhq/setpoint/lease"
	"github.com/setpointhq/setpoint/store"
)

// Options configure a [Member]. Store and Node are required; every other zero value takes the default named beside it.
type Options struct {
	Store store.Sharded
	// Node names this run of this process. It must differ from that of every other process, and of every earlier run of this one.
	Node store.NodeID
	// Name is the node's for people, and what it is cordoned by. Default: "host/pid".
	Name string
	// Version of the program, and the address of its doors, for people.
	Version, Address string
	// TTL is how long the shards of a node that died wait for another one. It should be the same for all nodes. Default [lease.DefaultTTL], the least [lease.LeastTTL].
	TTL time.Duration
	// Logger hears what changes: joined, gained, lost, given, no answer. Default: nothing is said.
	Logger *slog.Logger
	// Seed starts the generator of jitter: a seam for simulation.
	Seed uint64
	// Health says whether the work moves, as opposed to the process being alive. It is asked before each beat and must not block: a node that hangs in it is as good as dead. Default: all is well.
	Health func() error
	// Patience is how long Health must complain, while beats are answered, before the node calls itself in trouble. Default: three TTL.
	Patience time.Duration
	// Recovery is for how long Health must then be content before the node takes shards again. It doubles with each time, up to sixteenfold. Default: Patience.
	Recovery time.Duration
	// Grace bounds how long a Release is waited for, and with it a stop. It should be longer than the time in which who works ends by himself. Default 12 s.
	Grace time.Duration
	Ramp  Ramp
}

// Ramp is the pace at which shards change hands: what is taken over all at once may be more than a node can begin with.
type Ramp struct {
	// Batch is how many shards are taken at once, and Every the time from one batch to the next. Default 64 and 250 ms: all 256 within 750 ms, so that the last shard of a node that
	// died, like the first, is taken within its time to live and a second.
	Batch int
	Every time.Duration
	// Move is how many shards at once are given up so that others have as many. They belong to nobody for a moment. Default 32.
	Move int
	// Settle is for how long the same nodes must have been there before shards are moved among them, so that a node that comes and goes moves nothing. Default: the time from beat to beat.
	Settle time.Duration
}

func (o Options) withDefaults() (Options, error) {
	if o.Store == nil || o.Node == "" {
		return o, errors.New("cluster: a Member needs a Store and a Node")
	}
	orDefault(&o.TTL, lease.DefaultTTL)
	if o.TTL < lease.LeastTTL {
		return o, fmt.Errorf("cluster: the time to live of a node is %s; the least is %s", o.TTL, lease.LeastTTL)
	}
	if o.Name == "" {
		o.Name = store.ProcessName()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Health == nil {
		o.Health = func() error { return nil }
	}
	orDefault(&o.Patience, 3*o.TTL)
	orDefault(&o.Recovery, o.Patience)
	orDefault(&o.Grace, 12*time.Second)
	orDefault(&o.Ramp.Batch, 64)
	orDefault(&o.Ramp.Every, 250*time.Millisecond)
	orDefault(&o.Ramp.Move, 32)
	orDefault(&o.Ramp.Settle, lease.Interval(o.TTL))
	return o, nil
}

// orDefault replaces zero.
func orDefault[N int | time.Duration](n *N, value N) {
	if *n == 0 {
		*n = value
	}
}
