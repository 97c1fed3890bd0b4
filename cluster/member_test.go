package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// TestOneNodeTakesAll: in batches, within a second.
func TestOneNodeTakesAll(t *testing.T) {
	inTown(t, func(w *town) {
		n := w.start(nil)
		if got := n.Shards(); len(got) != 64 {
			t.Errorf("at once it has %d, want one batch", len(got))
		}
		if took := w.await(time.Second, "even", w.even); took > time.Second {
			t.Errorf("it took %s", took)
		}
		w.advance(100 * time.Millisecond)
		w.agree()
		if !slices.Equal(n.sofar().gained, []int{64, 64, 64, 64}) || n.Standby() != "" || n.Problem() != nil {
			t.Errorf("gained %v, standby %q, problem %v", n.sofar().gained, n.Standby(), n.Problem())
		}
	})
}

// TestNodesDivideTheShards: they come one after the other, and each has its share; what moves is what must.
func TestNodesDivideTheShards(t *testing.T) {
	inTown(t, func(w *town) {
		for n := range 5 {
			w.start(nil)
			w.await(30*time.Second, fmt.Sprintf("even among %d", n+1), w.even)
			w.advance(time.Second)
			w.agree()
		}
		moved := 0
		for _, n := range w.nodes {
			for _, batch := range n.sofar().gained {
				moved += batch
			}
			if n.sofar().lost > 0 {
				t.Errorf("node %s lost %d shards by force", n.id, n.sofar().lost)
			}
		}
		if want := 256 + 128 + 85 + 64 + 51; moved != want {
			t.Errorf("%d assignments, want %d: each new node gets its share and no shard moves besides", moved, want)
		}
	})
}

// TestAtRestThereAreBeatsAndNothingElse: one per interval.
func TestAtRestThereAreBeatsAndNothingElse(t *testing.T) {
	inTown(t, func(w *town) {
		for range 3 {
			w.start(nil)
		}
		w.await(30*time.Second, "even", w.even)
		w.advance(2 * interval)
		type tally struct{ beat, take, give, table int }
		count := func(n *node) tally {
			return tally{n.count("beat"), n.count("take"), n.count("give"), n.count("table")}
		}
		var before []tally
		for _, n := range w.nodes {
			before = append(before, count(n))
		}
		w.advance(100 * interval)
		for i, n := range w.nodes {
			got := count(n)
			if beats := got.beat - before[i].beat; beats < 99 || beats > 101 || got.take != before[i].take || got.give != before[i].give || got.table != before[i].table {
				t.Errorf("node %s in a hundred intervals: %+v after %+v", n.id, got, before[i])
			}
		}
	})
}

// TestTheDeadAreReplaced within a time to live and a second, all of their shards.
func TestTheDeadAreReplaced(t *testing.T) {
	for _, c := range []struct {
		reason     string
		live, dead int
	}{
		{"one standby takes everything", 1, 1},
		{"several divide it", 4, 1},
		{"most die at once", 2, 3},
	} {
		inTown(t, func(w *town) {
			for range c.live + c.dead {
				w.start(nil)
			}
			w.await(60*time.Second, "even", w.even)
			w.advance(7 * time.Second)
			for _, n := range w.nodes[:c.dead] {
				n.set(func(w *wire) { w.away = true })
			}
			whole := func() bool {
				sum := 0
				for _, n := range w.nodes[c.dead:] {
					sum += len(n.Shards())
				}
				return sum == resource.Shards
			}
			w.await(ttl+time.Second, "all shards taken: "+c.reason, whole)
			for _, n := range w.nodes[:c.dead] {
				n.kill()
			}
			w.await(30*time.Second, "even: "+c.reason, w.even)
			w.advance(time.Second)
			w.agree()
		})
	}
}

// TestAStopHandsOver: what is under way is waited for, beats go on meanwhile, and the others have the shards at once.
func TestAStopHandsOver(t *testing.T) {
	inTown(t, func(w *town) {
		a, b := w.start(nil), w.start(nil)
		w.await(30*time.Second, "even", w.even)
		a.delay(8 * time.Second)
		beats := a.count("beat")
		a.cancel()
		w.advance(7 * time.Second)
		if fence, ok := a.Fence(a.Shards()[0]); !ok || fence.Scope == "" || len(a.Shards()) != 128 {
			t.Errorf("what is under way cannot be committed: %v, %d shards", fence, len(a.Shards()))
		}
		if got := a.count("beat") - beats; got < 2 {
			t.Errorf("%d beats in 7 s of a stop", got)
		}
		w.advance(time.Second)
		if err := <-a.ended; err != nil {
			t.Error(err)
		}
		a.dead = true
		w.await(time.Second, "all b's", func() bool { return len(b.Shards()) == resource.Shards })
		if a.sofar().lost > 0 || len(a.Shards()) > 0 || a.count("leave") != 1 {
			t.Errorf("lost %d, has %d, left %d times", a.sofar().lost, len(a.Shards()), a.count("leave"))
		}
	})
}

// TestAStoppingNodeIsDealtNothing: what another leaves behind meanwhile is not left to it.
func TestAStoppingNodeIsDealtNothing(t *testing.T) {
	inTown(t, func(w *town) {
		a, b, c := w.start(func(o *cluster.Options) { o.Grace = time.Minute }), w.start(nil), w.start(nil)
		w.await(30*time.Second, "even", w.even)
		a.delay(time.Hour)
		a.cancel()
		w.advance(interval)
		c.kill()
		w.await(ttl+time.Second, "b has the dead one's", func() bool { return len(a.Shards())+len(b.Shards()) == resource.Shards })
		w.await(time.Minute, "a has ended", func() bool { return len(a.ended) > 0 })
		a.dead = true
		if err := <-a.ended; err != nil {
			t.Error(err)
		}
		w.await(time.Second, "all b's", w.even)
	})
}

// TestAStopDoesNotWaitForEver: what does not end is cut off after the grace.
func TestAStopDoesNotWaitForEver(t *testing.T) {
	inTown(t, func(w *town) {
		a, b := w.start(func(o *cluster.Options) { o.Grace = 2 * time.Second }), w.start(nil)
		w.await(30*time.Second, "even", w.even)
		a.delay(time.Hour)
		a.cancel()
		w.advance(2*time.Second + 50*time.Millisecond)
		if err := <-a.ended; err != nil {
			t.Error(err)
		}
		a.dead = true
		w.await(time.Second, "all b's", func() bool { return len(b.Shards()) == resource.Shards })
	})
}

// TestACordonedNodeGivesUpItsShards, in batches, and takes none until the cordon is gone.
func TestACordonedNodeGivesUpItsShards(t *testing.T) {
	inTown(t, func(w *town) {
		a, b := w.start(nil), w.start(nil)
		w.await(30*time.Second, "even", w.even)
		cordon := func(on bool) {
			if err := w.store.Cordon(context.Background(), string(a.id), on); err != nil {
				t.Fatal(err)
			}
		}
		cordon(true)
		w.await(2*time.Second, "all b's", func() bool { return len(b.Shards()) == resource.Shards })
		w.advance(time.Minute)
		if a.sofar().lost > 0 || a.sofar().releases != 4 || !strings.Contains(a.Standby(), "cordoned") || len(a.Shards()) > 0 || a.Problem() != nil {
			t.Errorf("lost %d, released %d times, has %d; standby %q, problem %v", a.sofar().lost, a.sofar().releases, len(a.Shards()), a.Standby(), a.Problem())
		}
		cordon(false)
		w.await(30*time.Second, "even", w.even)
		w.agree()
	})
}

var errHang = errors.New("3 turns do not return")

// TestANodeInTroubleGivesUpItsShards: to be alive is not to get on. It has them back when it has been well for a while, and for longer each time.
func TestANodeInTroubleGivesUpItsShards(t *testing.T) {
	inTown(t, func(w *town) {
		a, b := w.start(nil), w.start(nil)
		w.await(30*time.Second, "even", w.even)
		a.delay(time.Hour) // what hangs is not waited for
		for round, recovery := range []time.Duration{30 * time.Second, time.Minute} {
			a.suffer(errHang)
			w.advance(29 * time.Second)
			if len(a.Shards()) != 128 {
				t.Fatalf("round %d: it has %d shards before its patience has ended", round, len(a.Shards()))
			}
			w.await(ttl+3*interval, "all b's", func() bool { return len(b.Shards()) == resource.Shards })
			w.advance(time.Minute)
			nodes, _, err := w.store.Members(context.Background())
			if err != nil || nodes[0].Trouble != errHang.Error() || !strings.Contains(a.Standby(), "do not return") {
				t.Errorf("round %d: the others see %+v, error %v; standby %q", round, nodes, err, a.Standby())
			}
			a.suffer(nil)
			w.advance(recovery - time.Second)
			if len(a.Shards()) != 0 {
				t.Errorf("round %d: it has %d shards before it has been well for %s", round, len(a.Shards()), recovery)
			}
			w.await(30*time.Second, "even", w.even)
		}
		if a.sofar().releases != 0 || a.sofar().lost != 256 {
			t.Errorf("released %d times, lost %d", a.sofar().releases, a.sofar().lost)
		}
	})
}

// TestTroubleThatAllHaveMovesNothing: there is nobody who would do better.
func TestTroubleThatAllHaveMovesNothing(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		inTown(t, func(w *town) {
			for range nodes {
				w.start(nil)
			}
			w.await(30*time.Second, "even", w.even)
			gives := 0
			for i, n := range w.nodes {
				gives -= n.count("give")
				w.advance(time.Duration(i) * time.Second)
				n.suffer(errHang)
			}
			w.advance(10 * time.Minute)
			for _, n := range w.nodes {
				gives += n.count("give")
				if n.sofar().lost > 0 || n.Problem() != nil {
					t.Errorf("%d nodes: %s lost %d, problem %v", nodes, n.id, n.sofar().lost, n.Problem())
				}
			}
			if gives != 0 || !w.even() {
				t.Errorf("%d nodes: %d gifts, counts %v", nodes, gives, w.counts())
			}
			w.nodes[0].cancel() // a dead node among them is replaced all the same
			if nodes > 1 {
				w.nodes[0].stop()
				w.await(time.Second, "even among those left", w.even)
			}
		})
	}
}

// TestAPausedNodeTakesNothing: it keeps what it has, and the others leave nothing lying about.
func TestAPausedNodeTakesNothing(t *testing.T) {
	inTown(t, func(w *town) {
		a, b, c := w.start(nil), w.start(nil), w.start(nil)
		w.await(30*time.Second, "even", w.even)
		had := len(a.Shards())
		a.Pause(true)
		w.advance(time.Second)
		c.stop()
		w.await(time.Second, "the rest b's", func() bool { return len(a.Shards())+len(b.Shards()) == resource.Shards })
		w.advance(time.Minute)
		if len(a.Shards()) != had {
			t.Errorf("the paused node has %d shards, and had %d", len(a.Shards()), had)
		}
		a.Pause(false)
		w.await(30*time.Second, "even", w.even)
	})
}

// TestANodeThatComesAndGoesMovesNothing: a share is given to who stays.
func TestANodeThatComesAndGoesMovesNothing(t *testing.T) {
	inTown(t, func(w *town) {
		a := w.start(nil)
		w.await(time.Second, "even", w.even)
		for range 3 {
			b := w.start(nil)
			w.await(2*interval, "noticed", func() bool { s, _ := a.Standing(); return len(s.Nodes) == 2 })
			w.advance(2 * time.Second)
			b.stop()
			w.advance(2 * interval)
		}
		if a.sofar().releases > 0 || len(a.sofar().gained) != 4 {
			t.Errorf("released %d times, gained %v", a.sofar().releases, a.sofar().gained)
		}
	})
}

// TestARefusedCommitIsLookedInto at once, and once per interval.
func TestARefusedCommitIsLookedInto(t *testing.T) {
	inTown(t, func(w *town) {
		a := w.start(nil)
		w.await(30*time.Second, "even", w.even)
		w.advance(interval + time.Second)
		before := a.count("beat")
		fence, _ := a.Fence(17)
		if fence.Scope != store.ShardScope(17) {
			t.Errorf("the fence is %v", fence)
		}
		for range 100 {
			a.Fenced(fence, store.ErrFenced)
		}
		a.Fenced(store.Fence{Scope: "author/x", Epoch: fence.Epoch}, store.ErrFenced)
		a.Fenced(store.Fence{Scope: store.ShardScope(18)}, store.ErrFenced)
		w.advance(100 * time.Millisecond)
		if got := a.count("beat") - before; got != 1 {
			t.Errorf("%d beats, want one", got)
		}
	})
}

// TestARunThatCannotBegin ends with what is wrong; one that may begin later waits.
func TestARunThatCannotBegin(t *testing.T) {
	for _, c := range []struct {
		reason string
		err    error
		ends   bool
	}{
		{"no waiting opens a closed store", store.ErrClosed, true},
		{"a mistake stays one", store.ErrInvalid, true},
		{"a database comes back", store.ErrUnavailable, false},
		{"an answer that was lost is asked for again", store.ErrUnknown, false},
	} {
		inTown(t, func(w *town) {
			n := w.prepare(nil)
			n.refuse = c.err
			n.run()
			if c.ends {
				if err := <-n.ended; !errors.Is(err, c.err) {
					t.Errorf("%s: it ended with %v", c.reason, err)
				}
				n.dead = true
				return
			}
			w.advance(time.Minute)
			if err := n.Problem(); !errors.Is(err, c.err) || !strings.Contains(n.Standby(), "not a member yet") {
				t.Errorf("%s: problem %v, standby %q", c.reason, err, n.Standby())
			}
			if beats := n.count("beat"); beats < 60 || beats > 600 {
				t.Errorf("%s: %d beats in a minute", c.reason, beats)
			}
			n.set(func(w *wire) { w.refuse = nil })
			w.await(5*time.Second, "even", w.even)
		})
	}
}

// TestOptions: what is missing or too small is said.
func TestOptions(t *testing.T) {
	for _, c := range []struct {
		reason string
		o      cluster.Options
		want   string
	}{
		{"without a database there is nothing to be a member of", cluster.Options{Node: "n"}, "needs a Store"},
		{"two nodes without a name would be one", cluster.Options{Store: struct{ store.Sharded }{}}, "a Node"},
		{"it would beat all the time", cluster.Options{Store: struct{ store.Sharded }{}, Node: "n", TTL: time.Millisecond}, "the least is 100ms"},
	} {
		if _, err := cluster.New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.reason, err)
		}
	}
}
