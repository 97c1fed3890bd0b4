package adopt_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/setpointhq/setpoint/adopt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type (
	step       = adopt.Step[string, parcel]
	options    = adopt.Options[string, parcel]
	controller = adopt.Controller[string, parcel]
)

// run starts a controller in a bubble of virtual time. stop ends it and waits for it.
func run(t *testing.T, o options) (c *controller, stop func()) {
	t.Helper()
	if o.Name == "" {
		o.Name = "test"
	}
	o.Seed = 7
	c, err := adopt.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	return c, func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// send is a compare: what is new is sent.
func send(ctx context.Context, s *step) adopt.Outcome {
	if s.Row.State == "sent" {
		return adopt.Done()
	}
	s.Row.State = "sent"
	if err := s.Save(ctx); err != nil {
		return adopt.Fail(err)
	}
	return adopt.Done()
}

func TestRowsThatExistAndRowsThatChangeAreWorkedOn(t *testing.T) {
	for _, tt := range []struct {
		reason   string
		waits    bool
		interval time.Duration
	}{
		{"a table that is asked what has changed", false, time.Second},
		{"a source that waits until there is something", true, 0},
		{"a source that forgot to wait is asked once a second", false, 0},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf()
				s.waits = tt.waits
				s.put("before", parcel{})
				c, stop := run(t, options{Source: s, Reconcile: send, Interval: tt.interval})
				defer stop()
				<-c.Loaded()
				s.put("inserted", parcel{})
				time.Sleep(3 * time.Second)
				s.put("before", parcel{Note: "changed by hand", State: "new"})
				time.Sleep(3 * time.Second)
				for _, id := range []string{"before", "inserted"} {
					if got := s.get(id); got.State != "sent" {
						t.Errorf("row %s: %+v", id, got)
					}
				}
				if got := s.get("before"); got.Note != "changed by hand" {
					t.Errorf("the change made by hand is lost: %+v", got)
				}
			})
		})
	}
}

func TestAnIdleTableCostsNoWorkPerRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		for i := range 500 {
			s.put(strings.Repeat("x", i+1), parcel{})
		}
		c, stop := run(t, options{Source: s, Reconcile: send, Interval: time.Second})
		defer stop()
		time.Sleep(10*time.Second + time.Millisecond)
		loads, saves, asked := s.count("load"), s.count("save"), s.count("changes")
		if loads != 500 || saves != 500 {
			t.Fatalf("%d loads and %d saves for 500 rows", loads, saves)
		}
		if got := c.Stats().Echoes; got != 500 {
			t.Errorf("%d own saves recognised of 500", got)
		}
		time.Sleep(100 * time.Second)
		if got := s.count("changes") - asked; got != 100 {
			t.Errorf("asked %d times in 100 intervals", got)
		}
		if s.count("load") != loads || s.count("save") != saves || s.count("scan") != 1 {
			t.Errorf("an idle table was read: %v", s.asked)
		}
		if st := c.Stats().Queue; st.Entries != 0 {
			t.Errorf("the queue remembers %d rows at rest", st.Entries)
		}
	})
}

func TestOwnSavesWakeNobodyAndForeignOnesDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.put("a", parcel{})
		var turns atomic.Int32
		_, stop := run(t, options{Source: s, Interval: time.Second, Reconcile: func(ctx context.Context, st *step) adopt.Outcome {
			turns.Add(1)
			if st.Row.Note == "touch me" {
				s.put("b", parcel{}) // somebody writes elsewhere
			}
			return send(ctx, st)
		}})
		defer stop()
		time.Sleep(5 * time.Second)
		if got := turns.Load(); got != 1 {
			t.Fatalf("%d turns for one row and its own save", got)
		}
		s.put("a", parcel{Note: "touch me"})
		time.Sleep(5 * time.Second)
		if got := turns.Load(); got != 3 {
			t.Errorf("%d turns after a foreign change of a, which made b: 3 are needed", got)
		}
	})
}

func TestASourceWithoutVersionsCostsOneTurnMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.mute = true
		s.put("a", parcel{})
		c, stop := run(t, options{Source: s, Interval: time.Second, Reconcile: send})
		defer stop()
		time.Sleep(10 * time.Second)
		if got := c.Stats().Turns; got != 2 {
			t.Errorf("%d turns: one for the row and one for the change that may be anybody's", got)
		}
	})
}

func TestAChangeDuringATurnIsSeen(t *testing.T) {
	for _, tt := range []struct {
		reason string
		save   bool
		turns  uint64
	}{
		{"the turn saves: it conflicts and compares again within the same turn, having seen all there is", true, 1},
		{"the turn only reads: another one follows it", false, 2},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf()
				s.put("a", parcel{State: "new"})
				first := true
				var last parcel
				c, stop := run(t, options{Source: s, Interval: time.Second, Reconcile: func(ctx context.Context, st *step) adopt.Outcome {
					if first {
						first = false
						s.put("a", parcel{State: "new", Note: "in between"})
						time.Sleep(2 * time.Second) // long enough for the change to be reported
					}
					last = st.Row
					if !tt.save {
						return adopt.Done()
					}
					return send(ctx, st)
				}})
				time.Sleep(10 * time.Second)
				stop()
				if last.Note != "in between" {
					t.Errorf("the last step saw %+v", last)
				}
				if got := c.Stats().Turns; got != tt.turns {
					t.Errorf("%d turns", got)
				}
				if got := s.get("a"); got.Note != "in between" {
					t.Errorf("the foreign write is lost: %+v", got)
				}
			})
		})
	}
}

func TestFailuresStayWithTheirRow(t *testing.T) {
	for _, tt := range []struct {
		reason string
		fault  func(ctx context.Context) adopt.Outcome
		kind   string
	}{
		{"an error", func(context.Context) adopt.Outcome { return adopt.Fail(errBroken) }, "fail"},
		{"a panic", func(context.Context) adopt.Outcome { panic("nil map") }, "fail"},
		{"no outcome at all", func(context.Context) adopt.Outcome { return adopt.Outcome{} }, "fail"},
		{"a call that ends with its context", func(ctx context.Context) adopt.Outcome { <-ctx.Done(); return adopt.Fail(ctx.Err()) }, "fail"},
		{"what can never succeed", func(context.Context) adopt.Outcome { return adopt.Fail(adopt.Terminal(errBroken)) }, "fail"},
		{"a throttle without an end", func(context.Context) adopt.Outcome { return adopt.Fail(adopt.Throttled(errBroken, time.Time{})) }, "fail"},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf()
				s.put("bad", parcel{})
				c, stop := run(t, options{Source: s, Interval: time.Second, Workers: 1, Timeout: 10 * time.Second,
					Reconcile: func(ctx context.Context, st *step) adopt.Outcome {
						if st.ID() == "bad" && st.Row.Note != "mended" {
							return tt.fault(ctx)
						}
						return send(ctx, st)
					}})
				defer stop()
				for _, id := range []string{"a", "b", "c"} {
					s.put(id, parcel{})
				}
				time.Sleep(time.Minute)
				for _, id := range []string{"a", "b", "c"} {
					if got := s.get(id); got.State != "sent" {
						t.Errorf("row %s was stopped: %+v", id, got)
					}
				}
				why, ok := c.Explain("bad")
				if !ok || why.Outcome.Kind() != tt.kind || why.Outcome.Message() == "" {
					t.Errorf("explanation: %+v", why)
				}
				s.put("bad", parcel{Note: "mended"})
				time.Sleep(time.Minute)
				if got := s.get("bad"); got.State != "sent" {
					t.Errorf("a change of the row did not end the failure: %+v", got)
				}
				if _, ok := c.Explain("bad"); ok {
					t.Error("a row at rest has an explanation")
				}
			})
		})
	}
}

func TestABackoffGrowsAndIsNotShortenedByWhatTheTurnHasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.put("a", parcel{})
		c, stop := run(t, options{Source: s, Interval: time.Second, Base: time.Minute, Cap: time.Hour,
			Reconcile: func(ctx context.Context, st *step) adopt.Outcome {
				st.Row.Note += "." // bookkeeping that it writes itself
				if err := st.Save(ctx); err != nil {
					return adopt.Fail(err)
				}
				return adopt.Fail(errBroken)
			}})
		defer stop()
		time.Sleep(24 * time.Hour)
		// Unhindered by a backoff it would fail 86,400 times; waiting for an hour each time, 24.
		if got := c.Stats().Failures; got < 24 || got > 24*8 {
			t.Errorf("%d failures in a day at a cap of an hour", got)
		}
		if why, _ := c.Explain("a"); why.Attempts != int(c.Stats().Failures) {
			t.Errorf("%d attempts after %d failures", why.Attempts, c.Stats().Failures)
		}
	})
}

func TestAWorkerThatHangsIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.put("hangs", parcel{})
		release := make(chan struct{})
		c, stop := run(t, options{Source: s, Interval: time.Second, Workers: 1, Timeout: 10 * time.Second,
			Reconcile: func(ctx context.Context, st *step) adopt.Outcome {
				if st.ID() == "hangs" && st.Row.State == "" {
					<-release // not ctx
				}
				return send(ctx, st)
			}})
		time.Sleep(5 * time.Second)
		s.put("a", parcel{})
		time.Sleep(30 * time.Second)
		if got := s.get("a"); got.State != "sent" {
			t.Errorf("the only worker hangs and nobody takes its place: %+v", got)
		}
		if why, ok := c.Explain("hangs"); !ok || !why.Working {
			t.Errorf("explanation of the row that hangs: %+v", why)
		}
		close(release)
		time.Sleep(5 * time.Second)
		if got := s.get("hangs"); got.State != "sent" {
			t.Errorf("the row that hung: %+v", got)
		}
		stop()
	})
}

func TestNothingIsForgottenWhenTheSourceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.put("a", parcel{})
		s.failing(func(operation, _ string) error {
			if operation == "changes" {
				panic("a bug in the source")
			}
			return errBroken
		})
		c, stop := run(t, options{Source: s, Interval: time.Second, Reconcile: send})
		defer stop()
		time.Sleep(time.Minute)
		if err := c.Stats().Source; !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "scan") {
			t.Errorf("the source is down and the controller says %v", err)
		}
		s.failing(func(operation, _ string) error {
			if operation == "changes" {
				panic("a bug in the source")
			}
			return nil
		})
		time.Sleep(time.Minute)
		if err := c.Stats().Source; err == nil || !strings.Contains(err.Error(), "panic in the source: a bug") {
			t.Errorf("the source panics and the controller says %v", err)
		}
		s.put("b", parcel{})
		s.failing(nil)
		time.Sleep(time.Minute)
		if err := c.Stats().Source; err != nil {
			t.Errorf("the source is well and the controller says %v", err)
		}
		if s.get("a").State != "sent" || s.get("b").State != "sent" {
			t.Errorf("rows: %+v", s.rows)
		}
	})
}

func TestAGapIsScannedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		c, stop := run(t, options{Source: s, Interval: time.Minute, Reconcile: send})
		defer stop()
		<-c.Loaded()
		time.Sleep(time.Second)
		s.put("a", parcel{})
		s.mu.Lock()
		s.cut = len(s.log)
		s.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if s.get("a").State != "sent" || c.Stats().Scans != 2 {
			t.Errorf("row %+v after %d scans", s.get("a"), c.Stats().Scans)
		}
	})
}

func TestASourceThatNamesNoPositionIsNotAskedInALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stuckSource{newShelf()}
		s.put("a", parcel{})
		c, stop := run(t, options{Source: s, Reconcile: send})
		defer stop()
		time.Sleep(time.Hour)
		if got := s.count("changes"); got > 60*60 {
			t.Errorf("asked %d times in an hour", got)
		}
		if err := c.Stats().Source; err == nil || !strings.Contains(err.Error(), "Batch.Next") {
			t.Errorf("the error is %v", err)
		}
	})
}

// stuckSource forgets to set Batch.Next.
type stuckSource struct{ *shelf }

func (s *stuckSource) Changes(ctx context.Context, _ adopt.Cursor) (adopt.Batch[string], error) {
	batch, err := s.shelf.Changes(ctx, "0")
	batch.Next = ""
	return batch, err
}

func (s *stuckSource) Scan(ctx context.Context, visit func(string)) (adopt.Cursor, error) {
	_, err := s.shelf.Scan(ctx, visit)
	return "", err
}
