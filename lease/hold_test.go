package lease_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/lease"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

func hold(t *testing.T, st lease.Leases, holder string) *lease.Held {
	t.Helper()
	h, err := lease.Hold(context.Background(), st, "import", lease.Options{Holder: holder, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func release(t *testing.T, h *lease.Held) {
	t.Helper()
	if err := h.Release(context.Background()); err != nil {
		t.Error(err)
	}
}

// commits reports whether a transaction with a fence is accepted.
func commits(t *testing.T, st store.Store, f store.Fence) bool {
	t.Helper()
	_, err := st.Commit(context.Background(), store.Transaction{Writer: store.Writer{Name: "import"}, Fences: []store.Fence{f}})
	if err != nil && !errors.Is(err, store.ErrFenced) {
		t.Fatal(err)
	}
	return err == nil
}

// TestALeaseIsKept for as long as it is wanted, by one renewal per interval; then the next has it at once, and the first can write nothing.
func TestALeaseIsKept(t *testing.T) {
	onStore(t, func(t *testing.T, st *disturbed) {
		first := hold(t, st, "first")
		second := make(chan *lease.Held)
		go func() { second <- hold(t, st.Store, "second") }() // counted apart
		advance(100 * lease.Interval(ttl))
		if now, _ := first.Trusted(); !now || first.Problem() != nil || first.Err() != nil || closed(first.Lost()) || !commits(t, st, first.Fence()) {
			t.Errorf("trusted %v, problem %v, error %v", now, first.Problem(), first.Err())
		}
		if asked := st.attempts(); asked < 100 || asked > 102 {
			t.Errorf("asked %d times in a hundred intervals", asked)
		}
		release(t, first)
		begun := time.Now()
		next := <-second
		if wait := time.Since(begun); wait > time.Second {
			t.Errorf("the next one waits %s", wait)
		}
		if now, _ := first.Trusted(); now || commits(t, st, first.Fence()) || !commits(t, st, next.Fence()) || next.Epoch().Compare(first.Epoch()) <= 0 {
			t.Errorf("after the release: first trusted %v, epochs %s and %s", now, first.Epoch(), next.Epoch())
		}
		if err := first.Problem(); !errors.Is(err, lease.ErrReleased) {
			t.Errorf("problem %v", err)
		}
		release(t, first) // no harm
		release(t, next)
	})
}

// TestTheLeaseOfTheDead is free when its time has passed, and not before.
func TestTheLeaseOfTheDead(t *testing.T) {
	onStore(t, func(t *testing.T, st *disturbed) {
		if _, err := st.Store.Acquire(context.Background(), lease.Scope("import"), "dead", ttl); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		release(t, hold(t, st, "next"))
		if wait := time.Since(begun); wait < ttl || wait > ttl+time.Second {
			t.Errorf("it took %s", wait)
		}
	})
}

// TestALossIsNoticed at the next renewal, and never mended silently.
func TestALossIsNoticed(t *testing.T) {
	for _, c := range []struct {
		reason string
		lose   func(*testing.T, *disturbed, store.Lease)
		want   error
		text   string
	}{
		{"another has it", func(t *testing.T, st *disturbed, l store.Lease) { steal(t, st, l) }, store.ErrFenced, `"thief" has it until`},
		{"another had it, and what that did is not known here", func(t *testing.T, st *disturbed, l store.Lease) {
			if err := st.Release(context.Background(), steal(t, st, l)); err != nil {
				t.Fatal(err)
			}
		}, store.ErrFenced, "somebody had it in between"},
		{"the database is another one since it was restored", func(_ *testing.T, st *disturbed, _ store.Lease) {
			st.answerWith(func(l store.Lease) (store.Lease, error) {
				l.Epoch = resource.Epoch{Incarnation: l.Epoch.Incarnation + 1, Counter: 1}
				return l, nil
			})
		}, store.ErrFenced, "it was at 2.1"},
		{"nothing can be renewed in a store that was closed", func(_ *testing.T, st *disturbed, _ store.Lease) {
			st.failWith(func(context.Context) error { return store.ErrClosed })
		}, store.ErrClosed, "store closed"},
	} {
		onStore(t, func(t *testing.T, st *disturbed) {
			h := hold(t, st, "first")
			c.lose(t, st, store.Lease{Scope: lease.Scope("import"), Holder: "first", Epoch: h.Epoch()})
			begun := time.Now()
			<-h.Lost()
			if wait := time.Since(begun); wait > lease.Interval(ttl) {
				t.Errorf("%s: noticed after %s", c.reason, wait)
			}
			now, _ := h.Trusted()
			if err := h.Err(); now || !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || h.Problem() == nil {
				t.Errorf("%s: trusted %v, error %v, problem %v", c.reason, now, err, h.Problem())
			}
			asked := st.attempts()
			advance(time.Minute)
			if st.attempts() != asked {
				t.Errorf("%s: it goes on asking", c.reason)
			}
			release(t, h)
			if _, err := st.Store.Acquire(context.Background(), lease.Scope("import"), "third", ttl); (err != nil) != strings.Contains(c.text, "thief") {
				t.Errorf("%s: a third asks and gets error %v; what came back at another epoch has to be given up", c.reason, err)
			}
		})
	}
}

// steal gives a lease to another, as if its holder had been believed dead.
func steal(t *testing.T, st *disturbed, l store.Lease) store.Lease {
	t.Helper()
	if err := st.Release(context.Background(), l); err != nil {
		t.Fatal(err)
	}
	stolen, err := st.Store.Acquire(context.Background(), l.Scope, "thief", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return stolen
}

// TestAnOutageIsNoLoss: trust ends in time, attempts are few, and afterwards it is the same lease.
func TestAnOutageIsNoLoss(t *testing.T) {
	for _, c := range []struct {
		reason string
		fault  func(context.Context) error
		want   string
	}{
		{"the database is away", func(context.Context) error { return store.ErrUnavailable }, "unavailable"},
		{"answers are lost", func(context.Context) error { return store.ErrUnknown }, "outcome unknown"},
		{"it hangs", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, "no answer within 3s"},
		{"what no waiting mends at first may be mended for who has the lease", func(context.Context) error { return errors.New("no permission") }, "no permission"},
	} {
		onStore(t, func(t *testing.T, st *disturbed) {
			h := hold(t, st, "first")
			begun := time.Now()
			st.failWith(c.fault)
			advance(ttl - lease.Margin(ttl) - time.Millisecond)
			if now, _ := h.Trusted(); !now || h.Problem() == nil || !strings.Contains(h.Problem().Error(), "go on for now") {
				t.Errorf("%s: trusted %v after %s, problem %v", c.reason, now, time.Since(begun), h.Problem())
			}
			advance(time.Millisecond)
			if now, _ := h.Trusted(); now {
				t.Errorf("%s: trusted after %s", c.reason, time.Since(begun))
			}
			advance(9 * ttl)
			if err := h.Problem(); err == nil || !strings.Contains(err.Error(), c.want) || h.Err() != nil {
				t.Errorf("%s: problem %v, error %v", c.reason, err, h.Err())
			}
			if asked := st.attempts(); asked < 10 || asked > 1000 {
				t.Errorf("%s: asked %d times in %s", c.reason, asked, time.Since(begun))
			}
			_, changed := h.Trusted()
			st.failWith(nil)
			<-changed
			if now, _ := h.Trusted(); !now || h.Problem() != nil || !commits(t, st, h.Fence()) {
				t.Errorf("%s: afterwards trusted %v, problem %v", c.reason, now, h.Problem())
			}
			release(t, h)
		})
	}
}

// TestALateAnswerIsWorthLess: trust counts from when it was asked for.
func TestALateAnswerIsWorthLess(t *testing.T) {
	onStore(t, func(t *testing.T, st *disturbed) {
		st.answerWith(func(l store.Lease) (store.Lease, error) { time.Sleep(ttl / 2); return l, nil }) // as a machine that was stopped
		begun := time.Now()
		h := hold(t, st, "first")
		st.failWith(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		advance(time.Until(begun.Add(ttl-lease.Margin(ttl))) - time.Millisecond)
		if now, _ := h.Trusted(); !now {
			t.Error("not trusted before its time")
		}
		advance(time.Millisecond)
		if now, _ := h.Trusted(); now {
			t.Error("trusted after its time")
		}
		st.failWith(nil)
		st.answerWith(nil)
		release(t, h)
	})
}

// TestWhoCannotHold is told why.
func TestWhoCannotHold(t *testing.T) {
	onStore(t, func(t *testing.T, st *disturbed) {
		held := hold(t, st.Store, "first")
		short, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, c := range []struct {
			reason, name string
			ctx          context.Context
			o            lease.Options
			fault        error
			want         []error
		}{
			{"a lease is about something", "", context.Background(), lease.Options{}, nil, []error{store.ErrInvalid}},
			{"it would be renewed all the time", "x", context.Background(), lease.Options{TTL: time.Millisecond}, nil, []error{store.ErrInvalid}},
			{"nothing opens a closed store", "x", context.Background(), lease.Options{}, store.ErrClosed, []error{store.ErrClosed}},
			{"waiting ends with who waits, and says for what", "import", short, lease.Options{}, nil, []error{context.DeadlineExceeded, store.ErrHeld}},
		} {
			st.failWith(func(context.Context) error { return c.fault })
			_, err := lease.Hold(c.ctx, st, c.name, c.o)
			for _, want := range c.want {
				if !errors.Is(err, want) {
					t.Errorf("%s: %v is not %v", c.reason, err, want)
				}
			}
		}
		release(t, held)
	})
}
