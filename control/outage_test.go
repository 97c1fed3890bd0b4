package control_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// failing is a commit's fate: all of them end like this.
func failing(cause error) func(store.Transaction) error {
	return func(store.Transaction) error { return &store.CommitError{Err: cause, Detail: "injected"} }
}

// TestCommitsThatFailAreRepeated: the commit is repeated with backoff, health tells since when, and all is well when the store is.
func TestCommitsThatFailAreRepeated(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		err          error
	}{
		{"unavailable", "nothing was written", store.ErrUnavailable},
		{"unknown", "nothing more is decided until it is known what became of the first", store.ErrUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			driver := notes.Driver("note", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
				n.Status.Runs = 1
				return setpoint.Done()
			})
			runSlow(t, driver, func(b *bench) {
				var commits log[time.Time]
				b.store.refuseWith(func(tx store.Transaction) error { commits.add(time.Now()); return failing(c.err)(tx) })
				b.create(nt, "n")
				b.advance(time.Minute)
				wantText(t, c.reason, fmt.Sprint(b.engine.Working()), "commits have been failing", c.err.Error())
				if n := commits.len(); n < 10 || n > 60 {
					t.Errorf("%s: %d commits in a minute", c.reason, n)
				}
				if err := b.engine.Alive(); err != nil {
					t.Errorf("%s: a restart would not help, but liveness says %v", c.reason, err)
				}
				b.store.refuseWith(nil)
				b.advance(5 * time.Second)
				if !b.ready("n") || b.engine.Working() != nil {
					t.Errorf("%s: ready %t, health %v", c.reason, b.ready("n"), b.engine.Working())
				}
			})
		})
	}
}

// TestAnOutageWithThousandsOfKeys: the load on a database that is away is that of the workers, not of the keys; it is told once; and
// a few seconds after it is back everything is done.
func TestAnOutageWithThousandsOfKeys(t *testing.T) {
	const keys, workers = 2000, 8
	said := newLines()
	driver := notes.Driver("note", func(_ *setpoint.Turn, n *thing) setpoint.Outcome {
		n.Status.Runs = 1
		return setpoint.Done()
	}, setpoint.Workers(workers))
	runBench(t, control.Config{Controllers: []setpoint.Controller{driver}, Logger: slog.New(said)}, func(b *bench) {
		b.run()
		var commits log[time.Time]
		b.store.refuseWith(func(tx store.Transaction) error { commits.add(time.Now()); return failing(store.ErrUnavailable)(tx) })
		for i := range keys {
			b.create(nt, resource.Name(fmt.Sprint("n", i)))
		}
		b.advance(time.Minute)
		if n := commits.len(); n < workers*10 || n > workers*60 {
			t.Errorf("%d commits in a minute by %d workers", n, workers)
		}
		b.store.refuseWith(nil)
		b.advance(6 * time.Second)
		for i := range keys {
			if name := fmt.Sprint("n", i); !b.ready(resource.Name(name)) {
				t.Fatalf("%s is not ready a few seconds after the database is back", name)
			}
		}
		if said.count("commits fail") != 1 || said.count("commits succeed again") != 1 || said.len() > 4 {
			t.Errorf("the log has %d lines, want one when it began and one when it was over: %q", said.len(), said.list())
		}
	})
}

// TestATroubleOfItsOwnHoldsUpNobody: a key whose commits fail while others succeed waits in the queue, and not in a worker.
func TestATroubleOfItsOwnHoldsUpNobody(t *testing.T) {
	const bad = "bad"
	driver := notes.Driver("note", func(_ *setpoint.Turn, n *thing) setpoint.Outcome {
		n.Status.Runs = 1
		return setpoint.Done()
	}, setpoint.Workers(2))
	runSlow(t, driver, func(b *bench) {
		b.store.refuseWith(func(tx store.Transaction) error {
			if len(tx.Objects) > 0 && tx.Objects[0].Object.Labels["bad"] != "" {
				return failing(store.ErrUnavailable)(tx)
			}
			return nil
		})
		for i := range 4 {
			b.createAs(nt, resource.Name(fmt.Sprint(bad, i)), func(o *resource.Object) { o.Labels = map[string]string{"bad": "yes"} })
		}
		for i := range 60 {
			name := resource.Name(fmt.Sprint("n", i))
			b.create(nt, name)
			b.advance(time.Second)
			if i > 40 && !b.ready(name) {
				t.Errorf("%s has to wait for the bad ones", name)
			}
		}
		if got := b.engine.Controllers()[0].Queue.Failures; got < 8 {
			t.Errorf("%d failures are counted for what fails by itself", got)
		}
	})
}

// TestWhatWasDoneIsNotDoneAgain: the database goes away between a call and the commit of its result. There is nobody to be asked, so the result
// is kept until it can be committed: no token is sent twice, no attempt is counted twice, and nothing new is begun meanwhile.
func TestWhatWasDoneIsNotDoneAgain(t *testing.T) {
	const keys, workers = 40, 4
	for _, c := range []struct {
		name, reason string
		before       error
		after        error
	}{
		{"unavailable", "the result was not written", store.ErrUnavailable, nil},
		{"unknown", "it was not written, and nobody knows", store.ErrUnknown, nil},
		{"written", "it was written, and nobody knows", nil, store.ErrUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			var calls log[command.Token]
			config := control.Config{
				Controllers: []setpoint.Controller{asker()},
				Adapters: []control.AdapterConfig{{Name: "shop", Policy: setpoint.Policy{Concurrency: workers},
					Adapter: adapter(func(_ context.Context, c command.Call) command.Result {
						calls.add(c.Token)
						<-time.After(time.Second)
						return ok
					})}},
			}
			runBench(t, config, func(b *bench) {
				for i := range keys {
					b.create(nt, resource.Name(fmt.Sprint("n", i)))
				}
				b.run()
				b.advance(time.Second / 2)
				if c.before != nil {
					b.store.refuseWith(failing(c.before))
				} else {
					b.store.loseWith(failing(c.after))
				}
				b.advance(5 * time.Minute)
				if n := calls.len(); n != workers {
					t.Errorf("%s: %d calls, want the %d that were under way", c.reason, n, workers)
				}
				b.store.refuseWith(nil)
				b.store.loseWith(nil)
				b.advance(time.Minute)
				times := map[command.Token]int{}
				for _, token := range calls.list() {
					if times[token]++; times[token] > 1 {
						t.Errorf("%s: token %s was sent %d times", c.reason, token, times[token])
					}
				}
				if len(times) != keys {
					t.Errorf("%s: %d commands were sent, want %d", c.reason, len(times), keys)
				}
				s := b.engine.View().Snapshot()
				defer s.Close()
				for i := range keys {
					o, _ := s.Get(nt.Key("default", resource.Name(fmt.Sprint("n", i))))
					if all := s.Commands(o.UID); !o.Ready() || len(all) != 1 || all[0].Attempt != 1 {
						t.Fatalf("%s: %s is ready %t, commands %+v; want one, done at the first attempt", c.reason, o.Key, o.Ready(), all)
					}
				}
			})
		})
	}
}

// TestAResultThatCannotBeCommittedHoldsUpNobody: while other commits succeed it is that command's own trouble. It is sent again later, with the same token.
func TestAResultThatCannotBeCommittedHoldsUpNobody(t *testing.T) {
	var bad log[command.Token]
	config := control.Config{
		Controllers: []setpoint.Controller{asker()},
		Adapters: []control.AdapterConfig{{Name: "shop", Policy: setpoint.Policy{Concurrency: 1},
			Adapter: adapter(func(_ context.Context, c command.Call) command.Result {
				if c.Key == "bad" {
					bad.add(c.Token)
				}
				return ok
			})}},
	}
	runBench(t, config, func(b *bench) {
		b.store.refuseWith(func(tx store.Transaction) error {
			for _, w := range tx.Commands {
				if w.Command.Key == "bad" && w.Command.Phase == command.Done {
					return failing(store.ErrUnavailable)(tx)
				}
			}
			return nil
		})
		b.run()
		b.create(nt, "bad")
		b.advance(time.Second)
		for i := range 60 {
			b.create(nt, resource.Name(fmt.Sprint("n", i)))
			b.advance(time.Second)
		}
		for i := range 30 {
			if name := fmt.Sprint("n", i); !b.ready(resource.Name(name)) {
				t.Errorf("%s waits for the only worker, which waits for the bad one", name)
			}
		}
		b.store.refuseWith(nil)
		b.advance(time.Minute)
		all := bad.list()
		if len(all) < 2 || len(slices.Compact(all)) != 1 || !b.ready("bad") {
			t.Errorf("the bad one was sent with %v, want the same token more than once, and then ready", all)
		}
	})
}

// TestAnUnknownCommitIsLookedForFirst: a signal has no version to protect it. A turn that raised it must not run again before the view shows
// whether it is there.
func TestAnUnknownCommitIsLookedForFirst(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		made         bool
	}{
		{"made", "it was made, and the view is behind", true},
		{"not made", "it was not, so it is made now", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			driver := notes.Driver("note", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
				if n.Labels["touched"] != "" && len(turn.Signals()) == 0 {
					turn.Raise(turn.Meta().Key, "Hello", nil)
				}
				return setpoint.Done()
			})
			runSlow(t, driver, func(b *bench) {
				b.create(nt, "n")
				b.advance(time.Second)
				var raised log[int]
				fault := func(tx store.Transaction) error {
					if len(tx.Raise) == 0 {
						return nil
					}
					if raised.add(len(tx.Raise)); raised.len() > 1 {
						return nil
					}
					b.store.stall(10 * time.Second)
					if c.made {
						return nil
					}
					return failing(store.ErrUnknown)(tx)
				}
				b.store.refuseWith(fault)
				if c.made {
					b.store.loseWith(func(tx store.Transaction) error {
						if len(tx.Raise) > 0 {
							return failing(store.ErrUnknown)(tx)
						}
						return nil
					})
				}
				b.label(nt, "n")
				b.advance(time.Minute)
				s := b.engine.View().Snapshot()
				defer s.Close()
				o, _ := s.Get(nt.Key("default", "n"))
				if got := s.Signals(o.UID); len(got) != 1 {
					t.Errorf("%s: %d signals, want one: %+v", c.reason, len(got), got)
				}
				if want := map[bool]int{true: 1, false: 2}[c.made]; raised.len() != want {
					t.Errorf("%s: raised %d times, want %d", c.reason, raised.len(), want)
				}
			})
		})
	}
}

// TestTheFeedIsOpenedAgain: whatever the feed says, the engine scans or watches again, and works on.
func TestTheFeedIsOpenedAgain(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		errs         []error
		rescans      int
	}{
		{"a lost stream", "the commits are still there: go on where it was left", []error{errors.New("connection lost")}, 0},
		{"unavailable", "the database is away for a while", []error{store.ErrUnavailable, store.ErrUnavailable, store.ErrUnavailable}, 0},
		{"compacted", "the commits in between are gone: scan", []error{store.ErrCompacted}, 1},
		{"compacted at the start", "the same, learnt when it is opened again", []error{errors.New("connection lost"), store.ErrCompacted}, 1},
		{"future", "the revisions mean something else: scan, and trust no row", []error{errors.New("connection lost"), store.ErrFuture}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			runSlow(t, notes.Driver("note", done), func(b *bench) {
				b.create(nt, "before")
				b.advance(time.Second)
				b.store.breakFeed(c.errs...)
				b.create(nt, "meanwhile")
				b.advance(20 * time.Second)
				b.create(nt, "after")
				b.advance(time.Second)
				for _, name := range []resource.Name{"before", "meanwhile", "after"} {
					if !b.ready(name) {
						t.Errorf("%s: %s is not ready", c.reason, name)
					}
				}
				if got := b.engine.View().Health().Rescans; got != c.rescans || b.engine.Working() != nil {
					t.Errorf("%s: %d rescans, want %d; health %v", c.reason, got, c.rescans, b.engine.Working())
				}
			})
		})
	}
}
