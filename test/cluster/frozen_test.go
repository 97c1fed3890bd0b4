package cluster

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/resource"
)

// nameOf finds a name whose shard is a node's.
func (w *town) nameOf(n *node, prefix string) (name string, shard int) {
	w.Helper()
	shards := w.shards()
	for i := range 10_000 {
		name = fmt.Sprintf("%s-%d", prefix, i)
		if shard = resource.Shard("default", resource.Name(name)); shards[shard].node == n.name {
			return name, shard
		}
	}
	w.Fatalf("no name is in a shard of node %s", n.name)
	return "", 0
}

// taken waits until a shard is not a node's any more, and returns whose it is.
func (w *town) taken(shard int, from *node) assignment {
	w.Helper()
	var now assignment
	w.await(fmt.Sprintf("shard %d is another node's", shard), func() (string, bool) {
		now = w.shards()[shard]
		return fmt.Sprint(now), now.node != from.name && now.node != ""
	})
	return now
}

// TestFrozen: a node is stopped by SIGSTOP when a commit of it, and when a call of it, is on its way, for more than three times the time to live. Others have its shards when both arrive: the
// commit is refused by the database, the call by the subsystem, each for its epoch. The node goes on as a member like any other.
func TestFrozen(t *testing.T) {
	t.Run("commit", frozenWithACommit)
	t.Run("call", frozenWithACall)
}

func frozenWithACommit(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2*time.Second)
	proxy := pg.NewProxy(t, w.postgres.Address())
	victim := w.start(launch{database: proxy.URL(w.store)})
	other := w.start(launch{})
	w.divided(victim, other)
	w.serving(victim, other)
	orders := w.kind("orders")
	name, shard := w.nameOf(victim, "late")
	had := w.shards()[shard]

	var once sync.Once
	sent, arrive := make(chan struct{}), make(chan struct{})
	proxy.OnClient(func(_ int, m pg.Message) pg.Action {
		if m.Type() != 'B' || !bytes.Contains(m, []byte(name)) {
			return pg.Pass()
		}
		once.Do(func() { close(sent) })
		return pg.Delay(arrive)
	})
	victim.mark(true) // the wish goes in by the other node
	w.mustApply(orders, name, orderSpec{Value: "v"})
	<-sent
	victim.freeze()
	has := w.taken(shard, victim)
	w.awaitReady("Order", name, 1)
	w.sleepingFor(victim, 3)
	proxy.OnClient(nil)
	close(arrive)
	victim.thaw()

	var refused sighting
	w.await("the late commit is refused", func() (string, bool) {
		for _, s := range victim.sightings() {
			if s.What == "refused" && s.Scope == fmt.Sprintf("shard/%d", shard) {
				refused = s
				return "", true
			}
		}
		return "", false
	})
	if refused.Epoch != had.epoch || !strings.Contains(refused.Error, "epoch "+has.epoch) || !strings.Contains(refused.Error, has.node) {
		t.Errorf("refused %+v; the shard was the node's under epoch %s, and is %s's under %s", refused, had.epoch, has.node, has.epoch)
	}
	t.Logf("shard %d: %s had it under epoch %s, %s has it under %s. The late commit: %s", shard, had.node, had.epoch, has.node, has.epoch, refused.Error)
	w.goesOn(victim, other)
	t.Logf("the node says:\n%s", lastLines(victim.Output(), "shards", 6))
}

func frozenWithACall(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2*time.Second)
	nodes := w.begin(2)
	victim, other := nodes[0], nodes[1]
	orders := w.kind("orders")
	name, shard := w.nameOf(victim, "late")
	had := w.shards()[shard]
	way := victim.subsystems["machines"]
	way.hold(there)
	victim.mark(true)
	w.mustApply(orders, name, orderSpec{Value: "v"})
	w.await("the call is on its way", func() (string, bool) { return "", way.holds(there, "default/"+name) })
	victim.freeze()
	has := w.taken(shard, victim)
	w.awaitReady("Order", name, 1)
	w.sleepingFor(victim, 3)
	way.release()
	var refused refusal
	w.await("the late call is refused", func() (string, bool) {
		for _, r := range w.refusals("machines") {
			if r.Key == "default/"+name {
				refused = r
				return "", true
			}
		}
		return "", false
	})
	victim.thaw()
	if refused.Scope != fmt.Sprintf("shard/%d", shard) || refused.Epoch != had.epoch || !strings.Contains(refused.Message, "epoch "+had.epoch+" is over: "+has.epoch+" was seen") {
		t.Errorf("refused %+v; the shard was the node's under epoch %s, and is %s's under %s", refused, had.epoch, has.node, has.epoch)
	}
	t.Logf("shard %d: %s had it under epoch %s, %s has it under %s. The subsystem says: %s", shard, had.node, had.epoch, has.node, has.epoch, refused.Message)
	if n := w.effects("machines")["default/"+name]; n != 1 {
		t.Errorf("the order had %d effects, want 1", n)
	}
	w.goesOn(victim, other)
}

// sleepingFor waits until the database says that a node has been silent for so many times its time to live.
func (w *town) sleepingFor(n *node, times int) {
	w.Helper()
	w.await(fmt.Sprintf("node %s has been silent for %d times its time to live", n.name, times), func() (string, bool) {
		silent := w.number(fmt.Sprintf("SELECT (extract(epoch FROM clock_timestamp() - seen) * 1000)::int FROM setpoint.node WHERE name = '%s'", n.name))
		return fmt.Sprint(silent), silent > times*int(w.ttl.Milliseconds())
	})
}

// goesOn checks that nodes share the work again, that new work is done, and what holds always.
func (w *town) goesOn(nodes ...*node) {
	w.Helper()
	w.divided(nodes...)
	orders := w.kind("orders")
	for i := range 20 {
		w.mustApply(orders, fmt.Sprintf("after-%d", i), orderSpec{Value: "v"})
	}
	w.awaitReady("Order", "after-%", 20)
	w.rest()
	w.once()
	w.rising()
	w.legal()
	w.owned()
}
