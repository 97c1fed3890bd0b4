package cluster

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/setpointhq/setpoint/lease"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Member is one node of several that divide the shards of a database. Make it with [New], run it with [Member.Run]; everything else may be called concurrently, at any time.
type Member struct {
	o     Options
	brake *brake
	trust *lease.Trust
	// owned are the epochs of the shards that are this node's, as far as it knows. Only the goroutine of Run writes.
	owned [resource.Shards]atomic.Pointer[resource.Epoch]
	poked chan struct{}
	skew  atomic.Int64 // see Skew

	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, when trust or ownership may have changed
	paused  bool
	fenced  map[int]time.Time // when a refusal was last looked into
	outlook outlook
}

// outlook is what the loop last found, for people.
type outlook struct {
	standing store.Standing
	at       time.Time // zero before the first answer
	ill      string    // what keeps this node from its work
	draining bool
	taking   error // why nothing could be taken
}

var _ Owner = (*Member)(nil)

// New checks the options. It asks nothing of the store.
func New(o Options) (*Member, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Member{
		brake: newBrake(o.Logger.With("node", o.Name)), o: o, trust: lease.NewTrust(fmt.Sprintf("membership of node %s", o.Name), o.TTL),
		poked: make(chan struct{}, 1), changed: make(chan struct{}), fenced: map[int]time.Time{},
	}, nil
}

// Epoch returns the epoch of a shard, and whether it is this node's, as far as it knows. It takes no lock.
func (m *Member) Epoch(shard int) (resource.Epoch, bool) {
	if e := m.owned[shard].Load(); e != nil {
		return *e, true
	}
	return resource.Epoch{}, false
}

// Fence is Epoch as the condition of a commit.
func (m *Member) Fence(shard int) (store.Fence, bool) {
	epoch, ok := m.Epoch(shard)
	return store.Fence{Scope: scopes[shard], Epoch: epoch}, ok
}

// scopes are those of the shards' fences.
var scopes = func() (all [resource.Shards]store.Scope) {
	for i := range all {
		all[i] = store.ShardScope(i)
	}
	return all
}()

// Trusted reports whether a shard is this node's and nobody else can have taken it yet. Who begins a call asks this first and the epoch after it: an epoch that was read earlier may be that of a former stay.
func (m *Member) Trusted(shard int) (now bool, changed <-chan struct{}) {
	m.mu.Lock()
	changed = m.changed
	m.mu.Unlock()
	// In this order: a beat takes away what was lost before it renews trust, so that new trust is never seen with old ownership.
	return m.trust.Certain() && m.owned[shard].Load() != nil, changed
}

// tell wakes who waits for a change.
func (m *Member) tell() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.changed)
	m.changed = make(chan struct{})
}

// Await returns true as soon as the membership is certain, and false when ctx ends or stop is closed before.
func (m *Member) Await(ctx context.Context, stop <-chan struct{}) bool {
	return m.trust.Await(ctx, stop)
}

// Fenced notes that a commit with a fence has been refused: another node may have the shard, which the next beat shows. It is looked into once per interval and shard, as the refusal may have been for
// another condition of the same commit.
func (m *Member) Fenced(f store.Fence, _ error) {
	for shard := range scopes {
		if scopes[shard] != f.Scope {
			continue
		}
		if epoch, ok := m.Epoch(shard); !ok || epoch != f.Epoch {
			return // known already
		}
		m.mu.Lock()
		recent := time.Since(m.fenced[shard]) < lease.Interval(m.o.TTL)
		if !recent {
			m.fenced[shard] = time.Now()
		}
		m.mu.Unlock()
		if !recent {
			m.poke()
		}
		return
	}
}

// poke asks for a beat soon.
func (m *Member) poke() {
	select {
	case m.poked <- struct{}{}:
	default: // asked already
	}
}

// Shards are those of this node, as far as it knows, in order.
func (m *Member) Shards() (mine []int) {
	for i := range m.owned {
		if m.owned[i].Load() != nil {
			mine = append(mine, i)
		}
	}
	return mine
}

// Pause stops the taking of shards, or lets it go on: an operator's brake while a takeover does harm. The node keeps what it has, and the others, who hear of it as trouble, take the rest.
func (m *Member) Pause(on bool) {
	m.mu.Lock()
	m.paused = on
	m.mu.Unlock()
	m.poke()
}

func (m *Member) pausing() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.paused
}

// TakeUpPaused says until when what was gained waits to be taken up, which every beat tells. It has nothing to do with [Member.Pause], which stops this node from taking shards.
func (m *Member) TakeUpPaused() (until time.Time, changed <-chan struct{}) { return m.brake.holds() }

// Standing is what the last beat that was answered has brought, all assignments included, and when it was sent; the time is zero before. The caller must not change it.
func (m *Member) Standing() (store.Standing, time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.outlook.standing, m.outlook.at
}

// tolerable is how far a clock may be off before it is corrected, and how far a correction before it is renewed: what is measured includes the time of a message.
const tolerable = time.Second

// Skew is by how much this process's clock is ahead of the database's, 0 when that is less than a second.
func (m *Member) Skew() time.Duration { return time.Duration(m.skew.Load()) }

// measure takes note of how far the clock was ahead at the last beat.
func (m *Member) measure(ahead time.Duration) {
	if off := ahead - m.Skew(); off.Abs() < tolerable {
		return
	}
	if ahead.Abs() < tolerable {
		ahead = 0
	}
	m.skew.Store(int64(ahead))
	m.o.Logger.Warn("the clock of this node and that of the database differ; moments are stored by the database's", "node", m.o.Name, "ahead", ahead)
}

// Works is the name of the node that has a shard, as far as this one knows; "" when nobody has.
func (m *Member) Works(shard int) string {
	if m.owned[shard].Load() != nil {
		return m.o.Name
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.outlook.standing.Shards {
		if a.Shard != shard {
			continue
		}
		for _, n := range m.outlook.standing.Nodes {
			if n.ID == a.Node && n.ID != m.o.Node {
				return n.Name
			}
		}
	}
	return ""
}

// Problem describes what is wrong between this node and the database, nil when nothing is.
func (m *Member) Problem() error {
	if err := m.trust.Problem(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.outlook.taking; err != nil && !standsBy(err) {
		return fmt.Errorf("node %s cannot take shards: %w", m.o.Name, err)
	}
	return nil
}

// Standby says why this node has no shards, "" when it has some.
func (m *Member) Standby() string {
	has := len(m.Shards()) > 0
	m.mu.Lock()
	defer m.mu.Unlock()
	switch o := m.outlook; {
	case has:
		return ""
	case o.at.IsZero():
		return "the node is not a member yet"
	case o.draining:
		return fmt.Sprintf("node %s is cordoned: it has given up its shards and takes none", m.o.Name)
	case o.ill != "":
		return "the node takes no shards: " + o.ill
	case o.taking != nil:
		return "the node cannot take shards: " + o.taking.Error()
	default:
		return fmt.Sprintf("all shards that fall to this node are still others'; there are %d nodes", len(o.standing.Nodes))
	}
}
