package cluster_test

import (
	"context"
	"errors"
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
			w.await(3*ttl, "a knows", func() bool { return a.lost == len(had) })
			w.await(30*time.Second, "even", w.even)
			w.advance(time.Second)
			w.agree()
		})
	}
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

// TestAnOutageForAllMovesNothing: when it is over, everything is as it was, at the same epochs.
func TestAnOutageForAllMovesNothing(t *testing.T) {
	inTown(t, func(w *town) {
		for range 3 {
			w.start(nil)
		}
		w.await(30*time.Second, "even", w.even)
		w.advance(time.Second)
		refuse := func(err error) {
			for _, n := range w.nodes {
				n.set(func(w *wire) { w.refuse = err })
			}
		}
		var lost int
		gained := len(w.nodes[0].gained)
		refuse(store.ErrUnavailable)
		w.advance(5 * time.Second)
		refuse(nil)
		w.advance(time.Minute)
		for _, n := range w.nodes {
			lost += n.lost
		}
		if lost > 0 || len(w.nodes[0].gained) != gained || !w.even() {
			t.Errorf("lost %d, gained %v, counts %v", lost, w.nodes[0].gained, w.counts())
		}
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
		if a.lost+b.lost > 0 {
			t.Errorf("lost by force: %d and %d", a.lost, b.lost)
		}
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
			if b.releases > 0 || a.count("take") > takes+100 {
				t.Errorf("%s: b gave %d times to who cannot take; it tried %d times", c.reason, b.releases, a.count("take")-takes)
			}
			a.set(func(w *wire) { w.limit["take"] = nil })
			w.await(20*ttl, "even", w.even)
		})
	}
}

// TestAClosedStoreEndsTheRun: everything is lost, and said so.
func TestAClosedStoreEndsTheRun(t *testing.T) {
	inTown(t, func(w *town) {
		a := w.start(nil)
		w.await(time.Second, "even", w.even)
		a.linger = time.Hour
		if err := w.store.Cordon(context.Background(), string(a.id), true); err != nil { // so that a release is under way
			t.Fatal(err)
		}
		w.advance(time.Second)
		a.set(func(w *wire) { w.refuse = store.ErrClosed })
		if err := <-a.ended; !errors.Is(err, store.ErrClosed) {
			t.Errorf("it ended with %v", err)
		}
		a.dead = true
		if _, ok := a.Fence(0); ok || a.lost == 0 || len(a.Shards()) > 0 {
			t.Errorf("owned: %v, lost %d", ok, a.lost)
		}
	})
}
