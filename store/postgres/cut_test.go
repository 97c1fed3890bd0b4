package postgres

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/store"
)

// moment is something that a committer does, seen by the proxy.
type moment int

const (
	never moment = iota
	connecting
	asking  // what became of the group in doubt
	sending // a group
)

// way is one way of cutting a committer's connection around its call.
type way struct {
	name, reason string
	// from is who sends the message at which it is cut, at the type of that message.
	from pg.Direction
	at   byte
	// do makes the action; late is closed at the moment of the next connection at which what was held is to arrive.
	do   func(rng *rand.Rand, m pg.Message, late <-chan struct{}) pg.Action
	late moment
}

func cutNow(*rand.Rand, pg.Message, <-chan struct{}) pg.Action { return pg.Cut() }

func cutInside(rng *rand.Rand, m pg.Message, _ <-chan struct{}) pg.Action {
	return pg.CutWithin(1 + rng.IntN(len(m)-1))
}

func cutLate(_ *rand.Rand, _ pg.Message, late <-chan struct{}) pg.Action {
	return pg.CutThenDeliver(late)
}

// ways are all of them. The call is four messages: bind (B), describe, execute (E) and sync (S), which commits; its answer ends with "ready" (Z).
var ways = []way{
	{"before", "nothing of the call arrives", pg.ToServer, 'B', cutNow, never},
	{"within", "the call arrives in part", pg.ToServer, 'B', cutInside, never},
	{"unexecuted", "all but its execution arrives", pg.ToServer, 'E', cutNow, never},
	{"uncommitted", "it is executed, has the counter's lock, and is not committed", pg.ToServer, 'S', cutNow, never},
	{"torn end", "the message that commits arrives in part", pg.ToServer, 'S', cutInside, never},
	{"delivered", "it commits, and nobody hears of it", pg.ToServer, 'S', func(*rand.Rand, pg.Message, <-chan struct{}) pg.Action { return pg.DeliverAndCut() }, never},
	{"late beside the next session", "the call arrives while its outcome is looked up", pg.ToServer, 'B', cutLate, connecting},
	{"late behind the look-up", "the call arrives when it has been sent again", pg.ToServer, 'B', cutLate, sending},
	{"committed during the look-up", "the group holds the lock that the look-up waits for, and commits then", pg.ToServer, 'S', cutLate, asking},
	{"no answer", "it is committed, and nothing of the answer arrives", pg.ToClient, '2', cutNow, never},
	{"half an answer", "the verdicts arrive in part", pg.ToClient, 'D', cutInside, never},
	{"unconfirmed", "the verdicts arrive, and the word that they are committed does not", pg.ToClient, 'Z', cutNow, never},
}

// cutter cuts the connections of one committer, a number of times, at random.
type cutter struct {
	mu  sync.Mutex
	rng *rand.Rand
	// left is how many cuts are still to be made; enough is closed after the last one. row is how many were made one after the other.
	left   int
	row    int
	enough chan struct{}
	made   map[string]int
	// committers are the connections for commits; current is the newest one, plan how its call under way is to be cut.
	committers map[int]bool
	plan       map[int]way
	held       map[moment][]chan struct{}
}

func newCutter(seed uint64, cuts int) *cutter {
	return &cutter{rng: rand.New(rand.NewPCG(seed, 0)), left: cuts, enough: make(chan struct{}), made: map[string]int{},
		committers: map[int]bool{}, plan: map[int]way{}, held: map[moment][]chan struct{}{}}
}

func isGroup(m pg.Message) bool {
	return m.Type() == 'B' && bytes.HasPrefix(m[5:], []byte("\x00"+commitStatement+"\x00"))
}

// client is the hook for what clients send.
func (c *cutter) client(connection int, m pg.Message) pg.Action {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case m.Type() == 0 && bytes.Contains(m, []byte("setpoint commits")):
		c.committers[connection] = true
		c.release(connecting)
	case strings.Contains(m.SQL(), "resolve_v1"):
		c.release(asking)
	case c.committers[connection] && isGroup(m):
		c.release(sending)
		if c.left == 0 || c.row == mostDoubts || c.rng.IntN(3) != 0 {
			c.row = 0
		} else {
			c.row++
			c.plan[connection] = ways[c.rng.IntN(len(ways))]
		}
	}
	return c.decide(connection, pg.ToServer, m)
}

// server is the hook for what the server sends.
func (c *cutter) server(connection int, m pg.Message) pg.Action {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.decide(connection, pg.ToClient, m)
}

func (c *cutter) decide(connection int, from pg.Direction, m pg.Message) pg.Action {
	w, planned := c.plan[connection]
	if !planned || w.from != from || w.at != m.Type() {
		return pg.Pass()
	}
	delete(c.plan, connection)
	c.made[w.name]++
	if c.left--; c.left == 0 {
		close(c.enough)
	}
	late := make(chan struct{})
	if w.late != never {
		c.held[w.late] = append(c.held[w.late], late)
	}
	return w.do(c.rng, m, late)
}

// release lets arrive what was held until a moment.
func (c *cutter) release(m moment) {
	for _, late := range c.held[m] {
		close(late)
	}
	c.held[m] = nil
}

func TestCommitsCut(t *testing.T) {
	cuts := 40
	if soak() {
		cuts = 200
	}
	seed := seeded(t)
	url := newDatabase(t)
	proxy := pg.NewProxy(t, pg.Shared(t).Address())
	cutter := newCutter(seed, cuts)
	proxy.OnClient(cutter.client)
	proxy.OnServer(cutter.server)
	heard := newOutcomes(t)
	engine := open(t, func(o *Options) { o.URL, o.Logger = proxy.URL(url), slog.New(heard) })
	other := open(t, func(o *Options) { o.URL, o.Name = url, "other" })
	watchers := map[string]*watcher{"the engine": watch(t, engine), "another process": watch(t, other)}

	crowd := gather(t, engine, 16, seed)
	testkit.Wait(t, fmt.Sprintf("%d connections are cut", cuts), func() bool { return isDone(cutter.enough) })
	crowd.moreAcknowledged(t, 50)
	crowd.disperse()
	proxy.OnClient(nil)
	proxy.OnServer(nil)
	for name, w := range watchers {
		w.arrives(t, name, other)
	}
	sum := crowd.audit(t, other)
	if sum.unknown+sum.unavailable > 0 || crowd.unread.Load() > 0 {
		t.Errorf("%s; %d reads failed: the database was there all the time", sum, crowd.unread.Load())
	}
	var each []string
	for _, name := range slices.Sorted(maps.Keys(cutter.made)) {
		each = append(each, fmt.Sprintf("%s %d", name, cutter.made[name]))
	}
	t.Logf("%d cuts (%s); of their transactions %d had committed, %d were sent again", cuts, strings.Join(each, ", "), heard.committed.Load(), heard.again.Load())
	if heard.groups.Load() == 0 || heard.committed.Load() == 0 || heard.again.Load() == 0 {
		t.Errorf("%d groups were in doubt, %d transactions of them had committed, %d had not: the test did not do its work", heard.groups.Load(), heard.committed.Load(), heard.again.Load())
	}
}

// TestAnswerOvertaken loses an answer so late that the feed is beyond the group already.
func TestAnswerOvertaken(t *testing.T) {
	url := newDatabase(t)
	proxy := pg.NewProxy(t, pg.Shared(t).Address())
	heard := newOutcomes(t)
	engine := open(t, func(o *Options) { o.URL, o.Logger = proxy.URL(url), slog.New(heard) })
	other := open(t, func(o *Options) { o.URL, o.Name = url, "other" })
	target := crowdObject("target")
	first, err := engine.Commit(t.Context(), store.Transaction{Objects: []store.ObjectWrite{{Object: target}}})
	if err != nil {
		t.Fatal(err)
	}

	holding, release := make(chan struct{}), make(chan struct{})
	armed := map[int]bool{}
	var mu sync.Mutex
	proxy.OnClient(func(connection int, m pg.Message) pg.Action {
		mu.Lock()
		defer mu.Unlock()
		armed[connection] = armed[connection] || isGroup(m)
		return pg.Pass()
	})
	proxy.OnServer(func(connection int, m pg.Message) pg.Action {
		mu.Lock()
		held := armed[connection] && !isDone(holding)
		if held {
			close(holding)
		}
		mu.Unlock()
		if !held {
			return pg.Pass()
		}
		<-release
		return pg.Cut()
	})
	var receipt store.Receipt
	raised := make(chan error, 1)
	go func() {
		var err error
		receipt, err = engine.Commit(t.Context(), store.Transaction{Raise: []store.Signal{{Object: target.Key, UID: target.UID, Name: "Poke"}}})
		raised <- err
	}()
	<-holding
	last, err := other.Commit(t.Context(), store.Transaction{Objects: []store.ObjectWrite{{Object: crowdObject("beyond")}}})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Wait(t, fmt.Sprintf("the engine's feed is at revision %d", last.Revision), func() bool { return engine.Revision() >= last.Revision })
	close(release)
	if err := <-raised; err != nil {
		t.Fatal(err)
	}
	if receipt.Revision != first.Revision+1 || last.Revision != first.Revision+2 || other.Revision() != last.Revision {
		t.Errorf("the signal has revision %d, the commit beyond it %d, and the last one is %d; want %d, %d and the same", receipt.Revision, last.Revision, other.Revision(), first.Revision+1, first.Revision+2)
	}
	if heard.committed.Load() != 1 || heard.again.Load() != 0 {
		t.Errorf("%d transactions in doubt had committed, %d were sent again; want 1 and 0", heard.committed.Load(), heard.again.Load())
	}
}

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
