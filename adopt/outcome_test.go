package adopt_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/adopt"
)

func TestOutcomesSayWhenToLookAgain(t *testing.T) {
	for _, tt := range []struct {
		reason  string
		outcome func() adopt.Outcome
		turns   int32 // within an hour and a second, with a foreign change every ten minutes
	}{
		{"at rest: one look, and one for each change", adopt.Done, 1 + 6},
		{"parked: the same", func() adopt.Outcome { return adopt.Await("NotPacked", "nobody has packed it") }, 1 + 6},
		{"parked for good: the same", func() adopt.Outcome { return adopt.Fail(adopt.Terminal(errBroken)) }, 1 + 6},
		{
			"after 24 minutes: changes do not postpone it, so it looks at 24 and 48 besides",
			func() adopt.Outcome { return adopt.After(24*time.Minute, "Cooling", "it is hot") }, 1 + 6 + 2,
		},
		{
			"at rest until a time: each change sets it anew, ten minutes before it is up",
			func() adopt.Outcome { return adopt.Done().Again(time.Now().Add(11*time.Minute), "Expires") }, 1 + 6,
		},
		{
			"throttled: as long as it is said to last, unless something changes",
			func() adopt.Outcome {
				return adopt.Fail(adopt.Throttled(errBroken, time.Now().Add(4*time.Minute)))
			}, 1 + 6 + 6*2,
		},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf()
				s.put("a", parcel{})
				var turns atomic.Int32
				_, stop := run(t, options{Source: s, Interval: time.Second, Reconcile: func(context.Context, *step) adopt.Outcome {
					turns.Add(1)
					return tt.outcome()
				}})
				defer stop()
				for range 6 {
					time.Sleep(10*time.Minute - time.Second)
					s.put("a", parcel{})
					time.Sleep(time.Second)
				}
				time.Sleep(time.Second)
				if got := turns.Load(); got != tt.turns {
					t.Errorf("%d turns, want %d", got, tt.turns)
				}
			})
		})
	}
}

func TestAnEventFromElsewhereWakesARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.put("a", parcel{})
		var paid atomic.Bool
		c, stop := run(t, options{Source: s, Interval: time.Hour, Reconcile: func(ctx context.Context, st *step) adopt.Outcome {
			if !paid.Load() {
				return adopt.Await("Unpaid", "the bank has not called")
			}
			return send(ctx, st)
		}})
		defer stop()
		time.Sleep(time.Second)
		paid.Store(true)
		c.Wake("a")
		synctest.Wait()
		if got := s.get("a"); got.State != "sent" {
			t.Errorf("after Wake: %+v", got)
		}
		s.put("b", parcel{})
		c.Look()
		synctest.Wait()
		if got := s.get("b"); got.State != "sent" {
			t.Errorf("after Look, long before the interval is over: %+v", got)
		}
	})
}

func TestARowThatGoesAwayIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.put("failing", parcel{})
		s.put("during", parcel{})
		c, stop := run(t, options{Source: s, Interval: time.Second, Reconcile: func(ctx context.Context, st *step) adopt.Outcome {
			if st.ID() == "during" {
				s.remove("during")
				return send(ctx, st)
			}
			return adopt.Fail(errBroken)
		}})
		defer stop()
		time.Sleep(time.Minute)
		s.remove("failing")
		time.Sleep(10 * time.Minute)
		if st := c.Stats().Queue; st.Entries != 0 {
			t.Errorf("%d rows are remembered and none exists", st.Entries)
		}
		for _, id := range []string{"failing", "during"} {
			if why, ok := c.Explain(id); ok {
				t.Errorf("row %s is explained: %+v", id, why)
			}
		}
	})
}

func TestAStopWaitsForTheWorkUnderWay(t *testing.T) {
	for _, tt := range []struct {
		reason string
		takes  time.Duration
		state  string
	}{
		{"within the grace period a turn may finish", 5 * time.Second, "sent"},
		{"after it the turn's context ends", time.Minute, ""},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf()
				s.put("a", parcel{})
				begun := make(chan struct{})
				var returned atomic.Bool
				_, stop := run(t, options{Source: s, Timeout: time.Hour, Interval: time.Second, Reconcile: func(ctx context.Context, st *step) adopt.Outcome {
					defer returned.Store(true)
					close(begun)
					select {
					case <-time.After(tt.takes):
						return send(ctx, st)
					case <-ctx.Done():
						return adopt.Fail(ctx.Err())
					}
				}})
				<-begun
				s.put("late", parcel{})
				stop()
				if !returned.Load() {
					t.Error("Run returned before the turn did")
				}
				if got := s.get("a").State; got != tt.state {
					t.Errorf("state %q, want %q", got, tt.state)
				}
				if got := s.get("late").State; got != "" {
					t.Errorf("a turn began after the stop: %q", got)
				}
			})
		})
	}
}

func TestAThrottleWithoutAnEndIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.put("a", parcel{})
		c, stop := run(t, options{Source: s, Interval: time.Second, Reconcile: func(ctx context.Context, st *step) adopt.Outcome {
			if st.Attempts() < 3 {
				return adopt.Fail(adopt.Throttled(errBroken, time.Time{}))
			}
			return send(ctx, st)
		}})
		defer stop()
		time.Sleep(time.Hour)
		if got := s.get("a").State; got != "sent" {
			t.Errorf("state %q: the row was parked for ever; %+v", got, c.Stats())
		}
	})
}
