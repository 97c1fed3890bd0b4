package cluster_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// stands reports whether an owner says that the take-up has to wait.
func stands(o cluster.Owner) bool {
	until, _ := o.TakeUpPaused()
	return time.Until(until) > 0
}

// pause asks for one, or for its end.
func (w *town) pause(length time.Duration) {
	w.t.Helper()
	if _, err := w.store.Pause(context.Background(), "ada", length); err != nil {
		w.t.Fatal(err)
	}
}

// TestAPauseIsKnownBeforeAnythingIsGained: a node that starts waits until it has heard of the pause, or that there is none.
func TestAPauseIsKnownBeforeAnythingIsGained(t *testing.T) {
	inTown(t, func(w *town) {
		a := w.prepare(nil)
		if !stands(a) {
			t.Error("a node that has not asked yet goes on")
		}
		a.run()
		if stands(a) || len(a.Shards()) == 0 {
			t.Errorf("there is no pause, and it stands still: %t, with %d shards", stands(a), len(a.Shards()))
		}
		w.pause(time.Hour)
		b := w.start(nil)
		if !stands(b) {
			t.Error("a node that starts in a pause goes on")
		}
		w.await(30*time.Second, "shards move all the same", w.even)
	})
}

// TestAPauseIsHeardOfAtOnce: by the next beat, which a pause calls for; at rest it costs no statement.
func TestAPauseIsHeardOfAtOnce(t *testing.T) {
	inTown(t, func(w *town) {
		a, b := w.start(nil), w.start(nil)
		w.await(30*time.Second, "even", w.even)
		beats := a.count("beat")
		w.advance(10 * time.Minute)
		calm := a.count("beat") - beats
		w.pause(time.Hour)
		w.advance(100 * time.Millisecond)
		if !stands(a) || !stands(b) {
			t.Errorf("they stand still: %t and %t, want both", stands(a), stands(b))
		}
		beats = a.count("beat")
		w.advance(10 * time.Minute)
		if during := a.count("beat") - beats; during > calm+1 {
			t.Errorf("%d beats in ten minutes of a pause, %d without one", during, calm)
		}
		_, changed := a.TakeUpPaused()
		w.pause(0)
		w.advance(100 * time.Millisecond)
		select {
		case <-changed:
		default:
			t.Error("who waits is not told of the end")
		}
		if stands(a) || stands(b) {
			t.Errorf("it was ended, and they stand still: %t and %t", stands(a), stands(b))
		}
	})
}

// TestAPauseEndsWhileTheDatabaseIsAway: what it said before is kept until then, and not longer.
func TestAPauseEndsWhileTheDatabaseIsAway(t *testing.T) {
	inTown(t, func(w *town) {
		a := w.start(nil)
		w.pause(10 * time.Minute)
		w.advance(time.Second)
		a.set(func(n *wire) { n.away = true })
		w.advance(9 * time.Minute)
		if !stands(a) {
			t.Error("it forgets the pause with the database")
		}
		w.advance(2 * time.Minute)
		if stands(a) {
			t.Error("the pause outlives its end")
		}
		a.set(func(n *wire) { n.away = false })
		w.await(time.Minute, "it is a member again", func() bool { return a.Problem() == nil })
	})
}

// idle is work that there is none of.
type idle struct{ gained chan struct{} }

func (i idle) Gained([]store.Assignment, resource.Revision) { close(i.gained) }
func (i idle) Release(context.Context, []int) error         { return nil }
func (i idle) Lost([]int)                                   {}

// failing is a store whose pauses cannot be read at first.
type failing struct {
	store.Sharded
	times int32
	asked atomic.Int32
}

func (f *failing) Paused(ctx context.Context) (store.Pause, error) {
	if f.asked.Add(1) <= f.times {
		return store.Pause{}, store.ErrUnavailable
	}
	return f.Sharded.Paused(ctx)
}

// TestOneProcessLearnsOfAPause: it asks when it begins, when something has changed, and at the end; nothing in between.
func TestOneProcessLearnsOfAPause(t *testing.T) {
	path := filepath.Join(t.TempDir(), "setpoint.db")
	synctest.Test(t, func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		f := &failing{Sharded: st, times: 3}
		solo, err := cluster.NewSolo(cluster.SoloOptions{Store: f, Holder: "h"})
		if err != nil {
			t.Fatal(err)
		}
		if !stands(solo) {
			t.Error("a process that has not asked yet goes on")
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- solo.Run(ctx, idle{make(chan struct{})}) }()
		after := func(d time.Duration, paused bool, asked int32, why string) {
			t.Helper()
			<-time.After(d)
			synctest.Wait()
			if stands(solo) != paused || f.asked.Load() != asked {
				t.Errorf("%s: it stands still: %t, and has asked %d times; want %t, %d", why, stands(solo), f.asked.Load(), paused, asked)
			}
		}
		after(time.Minute, false, 4, "it asks until it has an answer")
		if _, err := st.Pause(ctx, "ada", time.Hour); err != nil {
			t.Fatal(err)
		}
		after(time.Second, true, 5, "it was told of the pause")
		after(58*time.Minute, true, 5, "it knows until when")
		after(2*time.Minute, false, 6, "the time is over")
		after(24*time.Hour, false, 6, "and nothing happens")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
}
