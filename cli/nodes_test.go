package cli_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/api/nodesapi"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// cluster is a made-up one of three nodes, for scripts: whoever is drained loses some shards with every look, to the others. A lonely one is on a database of one process.
type cluster struct {
	pause store.Pause
	mu    sync.Mutex
	nodes []store.Node
	alone bool
}

func newCluster() *cluster {
	now := time.Now().Add(30 * time.Second) // the database's clock is ahead, so that a slow test shows the same ages
	return &cluster{nodes: []store.Node{
		{ID: "edge-1#x", Name: "edge-1", Version: "1.2.3", Address: "http://10.0.0.1:7433", Member: true, Shards: 128, Joined: now.Add(-time.Hour), Seen: now, Skew: 3 * time.Millisecond},
		{ID: "edge-2#y", Name: "edge-2", Version: "1.2.3", Address: "http://10.0.0.2:7433", Member: true, Shards: 128, Joined: now.Add(-time.Hour), Seen: now, Skew: -2 * time.Second},
		{ID: "edge-2#w", Name: "edge-2", Version: "1.2.2", Joined: now.Add(-2 * time.Hour), Seen: now.Add(-time.Hour), Expires: now.Add(-time.Hour)},
		// Two have died: one long ago, and one just now. The last one was started again.
		{ID: "edge-3#v", Name: "edge-3", Version: "1.2.3", Joined: now.Add(-2 * time.Hour), Seen: now.Add(-90 * time.Minute), Expires: now.Add(-89 * time.Minute)},
		{ID: "edge-4#u", Name: "edge-4", Version: "1.2.3", Address: "http://10.0.0.4:7433", Joined: now.Add(-time.Hour), Seen: now.Add(-5 * time.Minute), Expires: now.Add(-4 * time.Minute)},
		{ID: "edge-1#t", Name: "edge-1", Version: "1.2.3", Joined: now.Add(-2 * time.Hour), Seen: now.Add(-59 * time.Minute), Expires: now.Add(-58 * time.Minute)},
	}}
}

func (c *cluster) Roster(context.Context) nodesapi.Roster {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := nodesapi.Roster{Self: c.nodes[0], Info: store.Info{Engine: "postgres", Shared: true}, At: time.Now(), Pause: c.pause, Waiting: 1200}
	if c.alone {
		r.Info, r.Nodes = store.Info{Engine: "sqlite"}, c.nodes[:1]
		return r
	}
	for i := range 2 {
		if moved := min(c.nodes[i].Shards, 60); c.nodes[i].Draining {
			c.nodes[i].Shards -= moved
			c.nodes[1-i].Shards += moved
		}
	}
	r.Nodes = append(r.Nodes, c.nodes...)
	for shard := range resource.Shards {
		holder := c.nodes[0]
		if shard >= holder.Shards {
			holder = c.nodes[1]
		}
		r.Assigned = append(r.Assigned, store.Assignment{Shard: shard, Node: holder.ID, Epoch: resource.Epoch{Incarnation: 1, Counter: uint64(1 + shard%2)}, Since: time.Now().Add(-time.Hour)})
	}
	return r
}

func (c *cluster) Leases(context.Context) ([]nodesapi.Lease, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alone {
		return []nodesapi.Lease{{Scope: "plane", Holder: "edge-1#x", Epoch: "1.7", Held: true}}, nil
	}
	return []nodesapi.Lease{{Scope: "author/import", Epoch: "1.4", Expires: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)}}, nil
}

func (c *cluster) Pause(_ context.Context, by string, length time.Duration) (store.Pause, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pause = store.Pause{}
	if length > 0 {
		began := time.Date(2036, 11, 22, 3, 0, 0, 0, time.UTC)
		c.pause = store.Pause{By: by, Since: began, Until: began.Add(length), Left: length}
	}
	return c.pause, nil
}

func (c *cluster) Drain(_ context.Context, name string, drain bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alone {
		return nodesapi.ErrAlone
	}
	known := false
	for i := range c.nodes[:2] {
		if c.nodes[i].Name == name {
			known, c.nodes[i].Draining = true, drain
		}
	}
	if !known {
		return fmt.Errorf("cordon %q: %w", name, store.ErrNotFound)
	}
	return nil
}

func (c *cluster) Facts(ctx context.Context) nodesapi.Facts {
	f := nodesapi.Facts{Roster: c.Roster(ctx), Now: time.Now()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alone {
		return f
	}
	f.Database = &nodesapi.Database{Blockers: []nodesapi.Blocker{{
		PID: 4711, Role: "ada", Application: "psql", Address: "10.0.0.9", State: "idle in transaction", Waits: "Client/ClientRead", Busy: 40 * time.Second, Waiting: 2,
	}}}
	return f
}
