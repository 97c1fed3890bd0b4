package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/lease"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// calm is the least time from one beat to the next, whatever happens.
const calm = 50 * time.Millisecond

// loop is a run of a [Member]. All of it belongs to one goroutine, which alone speaks to the database, one call at a time: so what it does and what it learns are in one order. Only a Release is
// waited for elsewhere.
type loop struct {
	m      *Member
	work   Work
	ctx    context.Context // of calls to the store: it outlives the stop
	moves  <-chan struct{}
	random *rand.Rand

	roster  roster
	version uint64
	joined  bool // a beat has been answered
	// highest are the highest epochs that this node has had. An assignment at one of them that it does not own is one that it means to be rid of.
	highest [resource.Shards]resource.Epoch
	fitness fitness
	fits    []store.NodeID // the fit nodes, unchanged since
	since   time.Time
	waiting [resource.Shards]time.Time // since when a shard has been open, zero when it is not
	quiet   time.Time                  // nothing is moved to others before, because they did not take what was open

	sent     time.Time // when the last beat was sent
	next     time.Time // when the next one is due
	failures int       // of beats, in a row
	said     string    // the failure that the log knows
	takeAt   time.Time // nothing is taken before
	back     time.Time // until then others take what falls to this node: see [loop.away]
	refusals int       // of takes, in a row
	more     bool      // there is more to take
	owing    bool      // something is to be given up, and is not yet
	giveAt   time.Time // it is not tried before
	balks    int       // of gifts, in a row

	stopping  bool
	releases  sync.WaitGroup
	released  chan []store.Assignment
	releasing int
	hurry     context.Context // of releases; ends when the run cannot go on
}

// Run joins, keeps the membership, and takes and gives shards until ctx ends. Then it waits until nothing of them is under way, for at most Options.Grace, and leaves, so that others take
// them at once. It returns nil after that, or why it could not leave: then the shards wait until the time to live has passed. By itself it ends, with an error, when the store was closed, and when its very first
// beat is refused for good. It may be called once.
func (m *Member) Run(ctx context.Context, work Work) error {
	background := context.WithoutCancel(ctx)
	hurry, cancel := context.WithCancel(background)
	defer cancel()
	l := &loop{
		m: m, work: work, ctx: background, moves: m.o.Store.Moves(), random: rand.New(rand.NewPCG(m.o.Seed, 0xc105)),
		fitness:  fitness{patience: m.o.Patience, recovery: m.o.Recovery},
		released: make(chan []store.Assignment, 2), hurry: hurry,
	}
	defer l.releases.Wait()
	stop := ctx.Done()
	for {
		if err := l.step(); err != nil {
			cancel()
			return l.end(err)
		}
		if l.stopping && l.releasing == 0 {
			return l.leave()
		}
		if l.wait(stop) {
			stop = nil
			l.stop()
		}
	}
}

// step beats when it is time to, and does what follows from what is known.
func (l *loop) step() error {
	if !time.Now().Before(l.next) && !(l.stopping && l.releasing == 0) {
		if err := l.beat(); err != nil {
			return err
		}
	}
	l.more, l.owing = false, false
	if l.joined && l.failures == 0 {
		l.decide()
	}
	l.publish()
	return nil
}

// wait returns when there is something to do, true when that is to stop.
func (l *loop) wait(stop <-chan struct{}) bool {
	until := l.next
	if l.more && l.takeAt.Before(until) {
		until = l.takeAt
	}
	if l.owing && l.giveAt.Before(until) {
		until = l.giveAt
	}
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.moves:
		l.soon()
	case <-l.m.poked:
		l.soon()
	case given := <-l.released:
		l.releasing--
		l.drop(given)
	case <-stop:
		return true
	}
	return false
}

// soon brings the next beat forward. A database that does not answer is not asked more often for that.
func (l *loop) soon() {
	if soon := l.sent.Add(calm); l.failures == 0 && soon.Before(l.next) {
		l.next = soon
	}
}

// decide does what follows from the roster.
func (l *loop) decide() {
	if l.stopping {
		return // to leave gives everything up at once, and the others then know that it is not this node's share
	}
	l.giveBack()
	switch {
	case l.roster.node(l.m.o.Node).Draining:
		l.release(l.mine(), l.m.o.Ramp.Move)
	case l.hopeless():
		l.abandon()
	case l.m.pausing():
	default:
		l.level()
		l.take()
	}
}

// stop begins nothing more, and lets go of everything.
func (l *loop) stop() {
	l.stopping = true
	if mine := l.mine(); len(mine) > 0 {
		l.letGo(mine)
	}
}

// leave ends the membership.
func (l *loop) leave() error {
	l.disown("the node has left")
	if !l.joined {
		return nil
	}
	_, err := l.ask(func(ctx context.Context) (struct{}, error) {
		return struct{}{}, l.m.o.Store.Leave(ctx, l.m.o.Node)
	})
	if err != nil && !errors.Is(err, store.ErrClosed) {
		return fmt.Errorf("node %s cannot leave; its shards wait until %s have passed since its last beat: %w", l.m.o.Name, l.m.o.TTL, err)
	}
	l.m.o.Logger.Info("the node has left", "node", l.m.o.Name)
	return nil
}

// end is for what no waiting can mend.
func (l *loop) end(why error) error {
	if lost := l.disown("the node has ended"); len(lost) > 0 {
		l.work.Lost(lost)
	}
	l.publish()
	return fmt.Errorf("node %s ends: %w", l.m.o.Name, why)
}

// disown ends trust and ownership.
func (l *loop) disown(why string) (shards []int) {
	l.m.trust.Void(errors.New(why))
	shards = numbers(l.mine())
	l.drop(l.mine())
	return shards
}

// ask makes a call to the store that may take half an interval, so that no beat is late for it.
func (l *loop) ask(f func(context.Context) (struct{}, error)) (struct{}, error) {
	return lease.Bounded(l.ctx, lease.Interval(l.m.o.TTL)/2, f)
}

// mine are the shards that this node owns.
func (l *loop) mine() (mine []store.Assignment) {
	for i := range l.m.owned {
		if e := l.m.owned[i].Load(); e != nil {
			mine = append(mine, store.Assignment{Shard: i, Node: l.m.o.Node, Epoch: *e})
		}
	}
	return mine
}

// drop ends the ownership of shards, of those that are still owned under the same epoch.
func (l *loop) drop(shards []store.Assignment) {
	for _, a := range shards {
		if e := l.m.owned[a.Shard].Load(); e != nil && *e == a.Epoch {
			l.m.owned[a.Shard].Store(nil)
		}
	}
	l.m.tell()
}

// publish makes known what was found.
func (l *loop) publish() {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	l.m.outlook.ill = l.illness(l.m.paused)
	l.m.outlook.draining = l.roster.node(l.m.o.Node).Draining
}

// numbers are the shards of assignments.
func numbers(all []store.Assignment) []int {
	shards := make([]int, 0, len(all))
	for _, a := range all {
		shards = append(shards, a.Shard)
	}
	slices.Sort(shards)
	return shards
}
