package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ttl      = 10 * time.Second
	interval = 3 * time.Second
)

// town is several nodes on one database, in virtual time. It looks all the time whether two of them believe in the same shard.
type town struct {
	t     judge
	store *sqlite.Store
	nodes []*node // all that ever were

	mu     sync.Mutex
	gained map[store.Fence]store.NodeID // by whoever, ever
	seen   []*node                      // nodes, for those who look from other goroutines
}

// judge is a test of either kind.
type judge interface {
	Helper()
	Error(...any)
	Errorf(string, ...any)
	Fatal(...any)
	Fatalf(string, ...any)
}

// node is a member, the wire to its database, and its work.
type node struct {
	*cluster.Member
	*wire
	town   *town
	id     store.NodeID
	cancel context.CancelFunc
	ended  chan error
	dead   bool

	mu sync.Mutex
	tale
	highest [resource.Shards]resource.Epoch
	linger  time.Duration // how long what is under way takes
	health  error
}

// tale is what a node was told so far.
type tale struct {
	working  map[int]resource.Epoch
	gained   []int // how many at a time
	lost     int
	releases int
}

// sofar is a copy of the tale.
func (n *node) sofar() tale {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.tale
	t.working, t.gained = maps.Clone(t.working), slices.Clone(t.gained)
	return t
}

// inTown runs f in virtual time.
func inTown(t *testing.T, f func(*town)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "setpoint.db")
	synctest.Test(t, func(t *testing.T) { runTown(t, path, f) })
}

func runTown(t judge, path string, f func(*town)) {
	st, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	w := &town{t: t, store: st, gained: map[store.Fence]store.NodeID{}}
	defer func() {
		for _, n := range w.nodes {
			n.stop()
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	f(w)
}

// start runs a further node.
func (w *town) start(change func(*cluster.Options)) *node {
	n := w.prepare(change)
	n.run()
	return n
}

func (w *town) prepare(change func(*cluster.Options)) *node {
	w.t.Helper()
	id := store.NodeID(fmt.Sprintf("n%02d", len(w.nodes)))
	n := &node{town: w, id: id, wire: newWire(w), ended: make(chan error, 1), tale: tale{working: map[int]resource.Epoch{}}}
	o := cluster.Options{Store: n.wire, Node: id, Name: string(id), TTL: ttl, Seed: uint64(len(w.nodes)) + 1, Health: n.well}
	if change != nil {
		change(&o)
	}
	m, err := cluster.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	n.Member = m
	w.nodes = append(w.nodes, n)
	w.mu.Lock()
	w.seen = slices.Clone(w.nodes)
	w.mu.Unlock()
	return n
}

func (n *node) run() {
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	go func() { n.ended <- n.Run(ctx, n) }()
	synctest.Wait()
}

// stop asks the node to leave, and waits until it has.
func (n *node) stop() {
	if n.dead {
		return
	}
	n.dead = true
	n.cancel()
	if err := <-n.ended; err != nil {
		n.town.t.Errorf("node %s ended with: %v", n.id, err)
	}
}

// kill cuts the node off from the database for ever, and ends it.
func (n *node) kill() {
	n.dead = true
	n.set(func(w *wire) { w.away = true })
	n.cancel()
	if err := <-n.ended; err == nil {
		n.town.t.Errorf("node %s was cut off and says that it has left", n.id)
	}
}

func (n *node) well() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.health
}

func (n *node) suffer(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.health = err
}

// delay sets how long what is under way takes.
func (n *node) delay(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.linger = d
}

// assignments is how many there have been that were worked on.
func (w *town) assignments() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.gained)
}

// Gained, Release and Lost are the node's work.
func (n *node) Gained(shards []store.Assignment, _ resource.Revision) {
	n.town.look()
	n.town.mu.Lock()
	for _, a := range shards {
		fence := store.Fence{Scope: store.ShardScope(a.Shard), Epoch: a.Epoch}
		if other, ok := n.town.gained[fence]; ok {
			n.town.t.Errorf("node %s gains shard %d at epoch %s, which was node %s's", n.id, a.Shard, a.Epoch, other)
		}
		n.town.gained[fence] = n.id
	}
	n.town.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gained = append(n.gained, len(shards))
	for _, a := range shards {
		if had, ok := n.working[a.Shard]; ok {
			n.town.t.Errorf("node %s gains shard %d at %s while it works on it at %s", n.id, a.Shard, a.Epoch, had)
		}
		if a.Epoch.Compare(n.highest[a.Shard]) <= 0 {
			n.town.t.Errorf("node %s gains shard %d at %s, and had it at %s", n.id, a.Shard, a.Epoch, n.highest[a.Shard])
		}
		n.working[a.Shard], n.highest[a.Shard] = a.Epoch, a.Epoch
	}
}

func (n *node) Release(ctx context.Context, shards []int) error {
	n.mu.Lock()
	linger := n.linger
	n.releases++
	for _, i := range shards {
		delete(n.working, i)
	}
	n.mu.Unlock()
	if linger == 0 {
		return nil
	}
	timer := time.NewTimer(linger)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (n *node) Lost(shards []int) {
	n.town.look()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost += len(shards)
	for _, i := range shards {
		delete(n.working, i)
	}
}

// advance lets time pass, and looks around meanwhile.
func (w *town) advance(d time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(time.Until(end), 50*time.Millisecond))
		synctest.Wait()
		w.look()
	}
}

// await lets time pass until something holds, and returns how long that was; no longer than limit.
func (w *town) await(limit time.Duration, what string, holds func() bool) time.Duration {
	w.t.Helper()
	begun := time.Now()
	for !holds() {
		if time.Since(begun) > limit {
			w.t.Fatalf("after %s: not %s; counts %v", limit, what, w.counts())
		}
		w.advance(50 * time.Millisecond)
	}
	return time.Since(begun)
}

// look checks that at most one node owns each shard with certainty. It is called all the time, and whenever a node does something.
func (w *town) look() {
	w.mu.Lock()
	nodes := w.seen
	w.mu.Unlock()
	for shard := range resource.Shards {
		var first *node
		for _, n := range nodes {
			if _, ok := n.Epoch(shard); !ok {
				continue
			}
			if first != nil && bothTrust(first, n, shard) {
				w.t.Errorf("nodes %s and %s own shard %d at the same time", first.id, n.id, shard)
				return
			}
			first = n
		}
	}
}

// bothTrust is certain though the nodes go on meanwhile: who trusts a shard before and after at one epoch has trusted it all the time.
func bothTrust(a, b *node, shard int) bool {
	before, _ := a.Epoch(shard)
	first, _ := a.Trusted(shard)
	other, _ := b.Trusted(shard)
	again, _ := a.Trusted(shard)
	after, _ := a.Epoch(shard)
	return first && other && again && before == after
}

// counts is how many shards each node owns that lives.
func (w *town) counts() (counts []int) {
	for _, n := range w.nodes {
		if !n.dead {
			counts = append(counts, len(n.Shards()))
		}
	}
	return counts
}

// even reports whether all shards are owned, by nodes that live, and as evenly as can be.
func (w *town) even() bool {
	counts, sum := w.counts(), 0
	for _, c := range counts {
		sum += c
	}
	return sum == resource.Shards && slices.Max(counts)-slices.Min(counts) <= 1
}

// agree checks that what the nodes own and work on is what the database says.
func (w *town) agree() {
	w.t.Helper()
	_, assigned, err := w.store.Members(context.Background())
	if err != nil || len(assigned) != resource.Shards {
		w.t.Fatalf("the database has %d assignments, error %v", len(assigned), err)
	}
	for _, a := range assigned {
		i := slices.IndexFunc(w.nodes, func(n *node) bool { return n.id == a.Node && !n.dead })
		if i < 0 {
			w.t.Fatalf("shard %d is node %s's, which does not live", a.Shard, a.Node)
		}
		n := w.nodes[i]
		n.mu.Lock()
		working := n.working[a.Shard]
		n.mu.Unlock()
		epoch, ok := n.Epoch(a.Shard)
		if trusted, _ := n.Trusted(a.Shard); !ok || !trusted || epoch != a.Epoch || working != a.Epoch {
			w.t.Errorf("shard %d is node %s's at %s; it owns it: %v, at %s, works on it at %s, trusts it: %v", a.Shard, a.Node, a.Epoch, ok, epoch, working, trusted)
		}
	}
}

// wire is the way to the database, which can be disturbed.
type wire struct {
	store.Sharded
	town *town

	mu     sync.Mutex
	away   bool      // nothing gets through, and nobody says so
	refuse error     // what every call is answered with
	frozen time.Time // what arrives is done, and answered then, whatever the caller's time limit
	late   time.Time // what arrives is done then, and answered
	lose   map[string]int
	calls  map[string]int
	limit  map[string]error      // of one operation only
	answer func(*store.Standing) // changes the answer to a beat
}

func newWire(w *town) *wire {
	return &wire{Sharded: w.store, town: w, calls: map[string]int{}, lose: map[string]int{}, limit: map[string]error{}}
}

func (w *wire) set(f func(*wire)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w)
}

func (w *wire) count(op string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[op]
}

var errLost = fmt.Errorf("%w: %w", store.ErrUnknown, io.ErrUnexpectedEOF)

// pass makes a call as far as the faults let it.
func (w *wire) pass(ctx context.Context, op string, call func(context.Context) error) error {
	w.town.look()
	w.mu.Lock()
	w.calls[op]++
	away, refuse, frozen, late := w.away, errors.Join(w.refuse, w.limit[op]), w.frozen, w.late
	lose := w.lose[op] > 0
	if lose {
		w.lose[op]--
	}
	w.mu.Unlock()
	switch {
	case away:
		<-ctx.Done()
		return context.Cause(ctx)
	case refuse != nil:
		return refuse
	case time.Until(late) > 0:
		time.Sleep(time.Until(late))
		return call(context.WithoutCancel(ctx))
	}
	err := call(context.WithoutCancel(ctx))
	if rest := time.Until(frozen); rest > 0 {
		time.Sleep(rest)
	}
	if err == nil && lose {
		return errLost
	}
	return err
}

func (w *wire) Beat(ctx context.Context, b store.Beat) (s store.Standing, err error) {
	err = w.pass(ctx, "beat", func(ctx context.Context) (err error) {
		s, err = w.Sharded.Beat(ctx, b)
		return err
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && w.answer != nil {
		w.answer(&s)
	}
	if s.Shards != nil {
		w.calls["table"]++
	}
	return s, err
}

func (w *wire) Take(ctx context.Context, id store.NodeID, shards []int) (taken []store.Assignment, at resource.Revision, err error) {
	err = w.pass(ctx, "take", func(ctx context.Context) (err error) {
		taken, at, err = w.Sharded.Take(ctx, id, shards)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return taken, at, nil
}

func (w *wire) Give(ctx context.Context, given []store.Assignment) error {
	return w.pass(ctx, "give", func(ctx context.Context) error { return w.Sharded.Give(ctx, given) })
}

func (w *wire) Leave(ctx context.Context, id store.NodeID) error {
	return w.pass(ctx, "leave", func(ctx context.Context) error { return w.Sharded.Leave(ctx, id) })
}

// assigned counts the shards that are a node's, by the database.
func (w *town) assigned(n *node) (count int) {
	w.t.Helper()
	s, err := w.store.Beat(context.Background(), store.Beat{Node: "observer", Name: "observer", TTL: ttl, Trouble: "it only looks"})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, a := range s.Shards {
		if a.Node == n.id {
			count++
		}
	}
	return count
}
