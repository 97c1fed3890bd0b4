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

// TestAFrozenNode learns what it has lost in the same moment in which it can be sure of anything again.
func TestAFrozenNode(t *testing.T) {
	for _, c := range []struct {
		reason string
		freeze func(*wire, time.Time)
	}{
		{"a beat was answered long ago, and is read now", func(w *wire, until time.Time) { w.frozen = until }},
		{"a beat that was sent long ago arrives now", func(w *wire, until time.Time) { w.late = until }},
	} {
		inTown(t, func(w *town) {
			a, b := w.start(nil), w.start(nil)
			w.await(30*time.Second, "even", w.even)
			had := a.Shards()
			a.set(func(wire *wire) { c.freeze(wire, time.Now().Add(3*ttl)) })
			w.await(2*ttl, "all b's: "+c.reason, func() bool { return len(b.Shards()) == resource.Shards })
			if len(a.Shards()) != len(had) {
				t.Errorf("%s: a frozen node does nothing, and has %d shards", c.reason, len(a.Shards()))
			}
			for _, i := range had {
				if now, _ := a.Trusted(i); now {
					t.Fatalf("%s: it still trusts shard %d", c.reason, i)
				}
			}
			w.await(3*ttl, "a knows", func() bool { return a.sofar().lost == len(had) })
			w.await(30*time.Second, "even", w.even)
			w.advance(time.Second)
			w.agree()
		})
	}
}

// TestASilentNodeIsDealtNothing: of the shards of a node that died, those that fall to another one that is frozen, and that is a member still, are taken by who lives. So they are others' within the time
// to live of the dead one and a second, and not of the frozen one; and what was taken is not moved back and forth until that one lapses.
func TestASilentNodeIsDealtNothing(t *testing.T) {
	for _, after := range []time.Duration{0, interval, ttl / 2, ttl - interval, ttl - 10*time.Millisecond} {
		inTown(t, func(w *town) {
			dead, frozen, b, c := w.start(nil), w.start(nil), w.start(nil), w.start(nil)
			w.await(60*time.Second, "even", w.even)
			w.advance(7 * time.Second)
			dead.set(func(w *wire) { w.away = true })
			w.advance(after)
			frozen.set(func(wire *wire) { wire.frozen = time.Now().Add(3 * ttl) })
			had, releases := len(frozen.Shards()), b.sofar().releases+c.sofar().releases
			w.await(ttl+time.Second-after, fmt.Sprintf("the living have what the dead one had, the other being frozen %v later", after), func() bool {
				return len(b.Shards())+len(c.Shards()) >= resource.Shards-had
			})
			w.await(2*ttl, "the living have all", func() bool { return len(b.Shards())+len(c.Shards()) == resource.Shards })
			if n := b.sofar().releases + c.sofar().releases - releases; n > 0 {
				t.Errorf("frozen %v later: the living gave something up %d times while the frozen one could take nothing", after, n)
			}
			dead.kill()
			w.await(6*ttl, "even", w.even)
			w.advance(time.Second)
			w.agree()
		})
	}
}

// TestWhoWasAwayIsNotWaitedFor: a node that was cut off from the database takes nothing for a moment when it is back, since the others might have been too. They were not, and take what is open without it.
func TestWhoWasAwayIsNotWaitedFor(t *testing.T) {
	inTown(t, func(w *town) {
		dead, cut, b, c := w.start(nil), w.start(nil), w.start(nil), w.start(nil)
		w.await(60*time.Second, "even", w.even)
		w.advance(7 * time.Second)
		dead.set(func(w *wire) { w.away = true })
		cut.set(func(w *wire) { w.away = true })
		w.advance(ttl - time.Second/2)
		cut.set(func(w *wire) { w.away = false })
		w.await(time.Second*3/2, "the others have what the dead one had", func() bool { return w.assigned(dead) == 0 })
		if n := len(b.Shards()) + len(c.Shards()); n < resource.Shards*3/4 {
			t.Errorf("those who were never away have %d shards", n)
		}
		dead.kill()
		w.await(6*ttl, "even", w.even)
		w.advance(time.Second)
		w.agree()
	})
}

// TestAnOutageMovesNothing: nobody's time has passed as long as nobody is there to take.
func TestAnOutageMovesNothing(t *testing.T) {
	inTown(t, func(w *town) {
		a, b := w.start(nil), w.start(func(o *cluster.Options) { o.Ramp.Settle = time.Second })
		w.await(30*time.Second, "even", w.even)
		w.advance(time.Second)
		had := a.Shards()
		epoch, _ := a.Epoch(had[0])
		for _, n := range w.nodes {
			n.suffer(errors.New("commits have been failing")) // as they would
			n.set(func(w *wire) { w.refuse = store.ErrUnavailable })
		}
		before := a.count("beat")
		w.advance(10 * ttl)
		if beats := a.count("beat") - before; beats < 100 || beats > 1000 {
			t.Errorf("%d beats in an outage of %s", beats, 10*ttl)
		}
		if now, _ := a.Trusted(had[0]); now || !slices.Equal(a.Shards(), had) {
			t.Errorf("trusted: %v, %d shards; commits are fenced and may be made again when the database is back", now, len(a.Shards()))
		}
		if err := a.Problem(); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "no call to a subsystem is begun") {
			t.Errorf("problem %v", err)
		}
		_, changed := a.Trusted(had[0])
		a.set(func(w *wire) { w.refuse = nil })
		<-changed
		w.advance(50 * time.Millisecond)
		if now, _ := a.Trusted(had[0]); !now {
			t.Errorf("told that trust has changed, it is not there")
		}
		w.await(2*ttl, "a has what b cannot renew", func() bool { return len(a.Shards()) == resource.Shards })
		b.set(func(w *wire) { w.refuse = nil })
		for _, n := range w.nodes {
			n.suffer(nil)
		}
		w.await(time.Minute, "even", w.even)
		if now, _ := a.Epoch(had[0]); slices.Contains(a.Shards(), had[0]) && now != epoch {
			t.Errorf("the epoch of a shard that nobody took has risen from %s to %s", epoch, now)
		}
	})
}

// TestAnOutageForAllMovesNothing: however long it was, when it is over everything is as it was, at the same epochs. Who is answered first does not take what is the others', and complaints
// that come from the outage are nobody's trouble.
func TestAnOutageForAllMovesNothing(t *testing.T) {
	for _, outage := range []time.Duration{5 * time.Second, ttl, 10 * ttl} {
		inTown(t, func(w *town) {
			for range 3 {
				w.start(nil)
			}
			w.await(30*time.Second, "even", w.even)
			w.advance(time.Second)
			gained := w.assignments()
			for _, n := range w.nodes {
				n.suffer(errors.New("commits have been failing"))
				n.set(func(w *wire) { w.refuse = store.ErrUnavailable })
			}
			w.advance(outage)
			for _, n := range w.nodes {
				n.set(func(w *wire) { w.refuse = nil })
			}
			w.advance(ttl) // everybody is back, waits for the others, and hears that they have waited
			for _, n := range w.nodes {
				if s, _ := n.Standing(); len(s.Nodes) != 3 || s.Nodes[0].Trouble+s.Nodes[1].Trouble+s.Nodes[2].Trouble != "" || n.Problem() != nil {
					t.Errorf("after %s: node %s sees %+v, problem %v", outage, n.id, s.Nodes, n.Problem())
				}
				n.suffer(nil)
			}
			w.advance(time.Minute)
			for _, n := range w.nodes {
				if n.sofar().lost > 0 {
					t.Errorf("after %s: node %s has lost %d", outage, n.id, n.sofar().lost)
				}
			}
			if w.assignments() != gained || !w.even() {
				t.Errorf("after %s: %d assignments more, counts %v", outage, w.assignments()-gained, w.counts())
			}
			w.agree()
		})
	}
}

// TestAMemberDoesNotGiveUp, whatever its beats are answered with, as long as the store is open.
func TestAMemberDoesNotGiveUp(t *testing.T) {
	inTown(t, func(w *town) {
		a := w.start(nil)
		w.await(time.Second, "even", w.even)
		a.set(func(w *wire) { w.refuse = errors.New("no permission") })
		w.advance(ttl)
		if len(a.ended) > 0 || a.Problem() == nil || !strings.Contains(a.Problem().Error(), "no permission") {
			t.Fatalf("it has ended: %v; problem %v", len(a.ended) > 0, a.Problem())
		}
		a.set(func(w *wire) { w.refuse = nil })
		w.advance(2 * time.Second)
		w.agree()
	})
}

// TestAnswersThatAreLost are made good: what was taken is worked on, what was given is not.
func TestAnswersThatAreLost(t *testing.T) {
	inTown(t, func(w *town) {
		a := w.prepare(nil)
		a.lose["take"], a.lose["beat"] = 3, 2
		a.run()
		w.await(10*time.Second, "even", w.even)
		b := w.prepare(nil)
		a.set(func(w *wire) { w.lose["give"] = 3 })
		b.lose["take"] = 2
		b.run()
		w.await(time.Minute, "even", w.even)
		w.advance(time.Second)
		w.agree()
		if a.sofar().lost+b.sofar().lost > 0 {
			t.Errorf("lost by force: %d and %d", a.sofar().lost, b.sofar().lost)
		}
	})
}

// TestAGiftThatFails is repeated, and the shards are not worked on meanwhile, though the database says that they are this node's.
func TestAGiftThatFails(t *testing.T) {
	inTown(t, func(w *town) {
		a := w.start(nil)
		w.await(time.Second, "even", w.even)
		a.set(func(w *wire) { w.limit["give"] = store.ErrUnavailable })
		b := w.start(nil)
		w.await(2*interval, "the first batch released", func() bool { return len(a.Shards()) == resource.Shards-32 })
		w.advance(ttl)
		if gives := a.count("give"); len(a.Shards()) != resource.Shards-32 || len(b.Shards()) != 0 || gives < 3 || gives > 2*int(ttl/time.Second)*20 {
			t.Errorf("counts %v after %d attempts to give", w.counts(), gives)
		}
		a.set(func(w *wire) { delete(w.limit, "give") })
		w.await(2*interval, "even", w.even)
		w.advance(time.Second)
		w.agree()
	})
}

// TestANodeThatCannotTake leaves its share to the others, after a time to live, and says so.
func TestANodeThatCannotTake(t *testing.T) {
	for _, c := range []struct {
		reason  string
		err     error
		problem bool
	}{
		{"something is wrong with it", errors.New("no permission"), true},
		{"a process of another kind has the work, and it waits", store.ErrHeld, false},
	} {
		inTown(t, func(w *town) {
			a := w.prepare(nil)
			a.limit["take"] = c.err
			a.run()
			b := w.start(nil)
			w.await(ttl+2*interval, "b has all: "+c.reason, func() bool { return len(b.Shards()) == resource.Shards })
			if err := a.Problem(); (err != nil) != c.problem || !strings.Contains(a.Standby(), c.err.Error()) {
				t.Errorf("%s: problem %v, standby %q", c.reason, err, a.Standby())
			}
			takes := a.count("take")
			w.advance(5 * ttl)
			if b.sofar().releases > 0 || a.count("take") > takes+100 {
				t.Errorf("%s: b gave %d times to who cannot take; it tried %d times", c.reason, b.sofar().releases, a.count("take")-takes)
			}
			a.set(func(w *wire) { w.limit["take"] = nil })
			w.await(20*ttl, "even", w.even)
		})
	}
}

// TestARestoredDatabase has other epochs: what was owned is lost, what comes under a higher epoch is worked on anew, and what comes under a lower one is given up.
func TestARestoredDatabase(t *testing.T) {
	for _, c := range []struct {
		reason string
		epoch  resource.Epoch
		works  bool
	}{
		{"a new incarnation is above all that was", resource.Epoch{Incarnation: 2, Counter: 1}, true},
		{"somebody has put the clock back, and subsystems would refuse", resource.Epoch{Incarnation: 1, Counter: 0}, false},
	} {
		inTown(t, func(w *town) {
			a := w.start(nil)
			w.await(time.Second, "even", w.even)
			w.advance(time.Second)
			a.set(func(w *wire) {
				w.answer = func(s *store.Standing) {
					s.Version, s.Shards = 1000, nil
					for i := range resource.Shards {
						s.Shards = append(s.Shards, store.Assignment{Shard: i, Node: a.id, Epoch: c.epoch})
					}
				}
			})
			w.await(2*interval, "noticed", func() bool { return a.sofar().lost == resource.Shards })
			if epoch, ok := a.Epoch(9); ok != c.works || ok && epoch != c.epoch || len(a.sofar().working) > 0 != c.works || (a.count("give") > 0) == c.works {
				t.Errorf("%s: owned %v at %s, works on %d, gave %d times", c.reason, ok, epoch, len(a.sofar().working), a.count("give"))
			}
		})
	}
}

// TestAClosedStoreEndsTheRun: everything is lost, and said so.
func TestAClosedStoreEndsTheRun(t *testing.T) {
	inTown(t, func(w *town) {
		a := w.start(nil)
		w.await(time.Second, "even", w.even)
		a.delay(time.Hour)
		if err := w.store.Cordon(context.Background(), string(a.id), true); err != nil { // so that a release is under way
			t.Fatal(err)
		}
		w.advance(time.Second)
		a.set(func(w *wire) { w.refuse = store.ErrClosed })
		if err := <-a.ended; !errors.Is(err, store.ErrClosed) {
			t.Errorf("it ended with %v", err)
		}
		a.dead = true
		if _, ok := a.Fence(0); ok || a.sofar().lost == 0 || len(a.Shards()) > 0 {
			t.Errorf("owned: %v, lost %d", ok, a.sofar().lost)
		}
	})
}
