package control_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/setpointtest"
)

// watched is an adapter whose observer does what a test says.
type watched struct {
	adapter
	observe func(context.Context, command.Desk) error
}

func (w watched) Observe(ctx context.Context, d command.Desk) error { return w.observe(ctx, d) }

// TestALossIsRepairedUnderAHigherIntent: or the subsystem would answer that it has done that already.
func TestALossIsRepairedUnderAHigherIntent(t *testing.T) {
	sub := setpointtest.NewSubsystem()
	setpointtest.Run(t, setup(sub, asker()), func(w *setpointtest.World) {
		w.Apply(nt, "n", spec{Value: "x"})
		w.Converge(time.Minute)
		sub.Lose("x", "it broke")
		w.Settle()
		all := sub.Ledger()
		if len(all) != 2 || all[1].Intent <= all[0].Intent || all[1].Token == all[0].Token {
			t.Errorf("the ledger is %+v, want a repair at once, with another token", all)
		}
	})
}

// TestCrashLoopsBackOff: the pause before each repair in quick succession grows to the cap; one that held for long is repaired at once.
func TestCrashLoopsBackOff(t *testing.T) {
	sub := setpointtest.NewSubsystem()
	crash := flag(true)
	var at log[time.Time]
	sub.Answer = func(string, []byte, int) ([]byte, error) {
		if at.add(time.Now()); crash.Load() {
			time.AfterFunc(time.Millisecond, func() { sub.Lose("x", "it crashed") })
		}
		return []byte(`{}`), nil
	}
	s := setup(sub, asker())
	s.Policy = setpoint.Policy{Base: 100 * time.Millisecond, Cap: 10 * time.Second}
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		w.Apply(nt, "n", spec{Value: "x"})
		w.Advance(2 * time.Minute)
		crash.Store(false)
		w.Advance(time.Minute)
		all := at.list()
		if len(all) > 25 {
			t.Errorf("%d starts in two minutes, want ever fewer", len(all))
		}
		for i := 2; i < len(all); i++ {
			gap, before := all[i].Sub(all[i-1]), all[i-1].Sub(all[i-2])
			if gap < min(before, 10*time.Second) || gap > 10*time.Second+10*time.Millisecond {
				t.Errorf("pause %d is %s after one of %s", i, gap, before)
			}
		}
		w.Advance(10 * time.Minute)
		lost := time.Now()
		sub.Lose("x", "once more, after long")
		w.Settle()
		if all := at.list(); !all[len(all)-1].Equal(lost) {
			t.Errorf("a loss after long is repaired at %s, want at once, %s", all[len(all)-1], lost)
		}
	})
}

// TestALossBeforeItsAcknowledgementIsNotLost: the observer is quicker than the answer; the news must not be lost, nor kept for another token.
func TestALossBeforeItsAcknowledgementIsNotLost(t *testing.T) {
	var desk command.Desk
	var tokens log[command.Token]
	shopkeeper := watched{
		adapter: func(ctx context.Context, c command.Call) command.Result {
			if tokens.add(c.Token); tokens.len() == 1 {
				if err := desk.Lost(ctx, []command.Loss{{Key: c.Key, Token: c.Token, Reason: "died at once"}}); err != nil {
					return command.Result{Outcome: command.OutcomeUnknown, Message: err.Error()}
				}
			}
			return ok
		},
		observe: func(ctx context.Context, d command.Desk) error {
			desk = d
			<-ctx.Done()
			return ctx.Err()
		},
	}
	setpointtest.Run(t, setup(shopkeeper, asker()), func(w *setpointtest.World) {
		w.Apply(nt, "n", spec{Value: "x"})
		w.Converge(time.Minute)
		all := tokens.list()
		if len(all) != 2 || all[0] == all[1] {
			t.Errorf("tokens %v, want the effect and its repair", all)
		}
	})
}

// TestOldNewsIsIgnored: a loss of a token that is not the current one, or of something nobody expects.
func TestOldNewsIsIgnored(t *testing.T) {
	var desk command.Desk
	var tokens log[command.Token]
	shopkeeper := watched{
		adapter: func(_ context.Context, c command.Call) command.Result { tokens.add(c.Token); return ok },
		observe: func(ctx context.Context, d command.Desk) error {
			desk = d
			<-ctx.Done()
			return ctx.Err()
		},
	}
	setpointtest.Run(t, setup(shopkeeper, asker()), func(w *setpointtest.World) {
		w.Apply(nt, "n", spec{Value: "x", Count: 1})
		w.Converge(time.Minute)
		w.Apply(nt, "n", spec{Value: "x", Count: 2})
		w.Converge(time.Minute)
		commits := len(w.Commits())
		for _, token := range []command.Token{tokens.list()[0], "never", ""} {
			if err := desk.Lost(w.T.Context(), []command.Loss{{Key: "x", Token: token, Reason: "old"}}); err != nil {
				t.Error(err)
			}
		}
		w.Advance(time.Minute)
		if tokens.len() != 2 || len(w.Commits()) != commits {
			t.Errorf("old news led to %d calls and %d commits", tokens.len()-2, len(w.Commits())-commits)
		}
		expected := desk.Expected("")
		if len(expected) != 1 || expected[0].Token != tokens.list()[1] || len(desk.Expected("elsewhere")) != 0 {
			t.Errorf("expected is %+v, want the current wish", expected)
		}
	})
}

// TestAnObserverThatEndsIsStartedAgain: it is started again, with growing pauses, whether it returns or panics.
func TestAnObserverThatEndsIsStartedAgain(t *testing.T) {
	var at log[time.Time]
	shopkeeper := watched{
		adapter: func(context.Context, command.Call) command.Result { return ok },
		observe: func(context.Context, command.Desk) error {
			at.add(time.Now())
			if at.len()%2 == 0 {
				panic("cannot see")
			}
			return errors.New("lost the connection")
		},
	}
	s := setup(shopkeeper, asker())
	s.Policy = setpoint.Policy{Cap: 10 * time.Second}
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		w.Advance(10 * time.Minute)
		if n := at.len(); n < 30 || n > 400 {
			t.Errorf("started %d times in ten minutes, want some, at growing pauses", n)
		}
	})
}

// TestManyLossesAtOnceAreAllRepaired: a subsystem that has lost everything; what changed meanwhile does not hold up the rest.
func TestManyLossesAtOnceAreAllRepaired(t *testing.T) {
	sub := setpointtest.NewSubsystem()
	setpointtest.Run(t, setup(sub, asker()), func(w *setpointtest.World) {
		const many = 200
		name := func(i int) string { return "n" + string(rune('a'+i/26)) + string(rune('a'+i%26)) }
		for i := range many {
			w.Apply(nt, name(i), spec{Value: name(i)})
		}
		w.Converge(time.Minute)
		for i := range many {
			sub.Lose(name(i), "amnesia")
			if i%3 == 0 {
				w.Apply(nt, name(i), spec{Value: name(i), Count: i + 1})
			}
		}
		w.Converge(time.Minute)
		if got := len(sub.Keys()); got != many {
			t.Errorf("%d effects are there, want %d", got, many)
		}
	})
}
