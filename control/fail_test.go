package control_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// TestFailDiscardsEverythingStaged: a turn that stages one of everything and fails leaves the news of its failure, and nothing else.
func TestFailDiscardsEverythingStaged(t *testing.T) {
	var calls log[string]
	driver := boxes.Driver("box", func(turn *setpoint.Turn, b *thing) setpoint.Outcome {
		parts.Child(turn, "a", spec{})
		shop.Ensure(turn, "x", &spec{})
		turn.Transition("Made", "Soon")
		turn.SetCondition("Odd", resource.True, "Yes", "")
		turn.Event("Remark", "something")
		for _, s := range turn.Signals() {
			turn.Consume(s)
		}
		turn.Raise(notes.Key("default", "other"), "Poke", nil)
		b.Status.Seen = "everything"
		return setpoint.Fail(setpoint.Terminal(errors.New("after all, no")))
	})
	s := setup(adapter(func(_ context.Context, c command.Call) command.Result { calls.add(c.Key); return ok }), driver)
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		w.Apply(notes.Definition, "other", spec{})
		w.Apply(boxes.Definition, "b", spec{})
		w.Settle()
		signal(w, boxes.Definition, "b", "Go")
		o := must(w, boxes.Definition, "b")
		if o.State != "Making" || len(o.Status) > 2 || condition(o, "Odd") != "" {
			t.Errorf("state %s, status %s, Odd %q: want them as they were", o.State, o.Status, condition(o, "Odd"))
		}
		if !gone(w, parts.Definition, "b.a") || len(commands(w, o)) > 0 || calls.len() > 0 {
			t.Errorf("a child or an effect was made")
		}
		if got := signals(w, o); len(got) != 1 || got[0] != "Go" {
			t.Errorf("signals %v, want Go still there", got)
		}
		if got := signals(w, must(w, notes.Definition, "other")); len(got) > 0 {
			t.Errorf("signals %v were raised", got)
		}
		if got := events(w, o.Key); len(got) > 0 {
			t.Errorf("events %v were recorded", got)
		}
		if got := condition(o, resource.Ready); got != "False Failed: after all, no" {
			t.Errorf("Ready is %q, want the failure", got)
		}
	})
}

// TestTurnsThatTheRulesForbid: what an author must not do fails the turn, terminally, in words that say what to do.
func TestTurnsThatTheRulesForbid(t *testing.T) {
	cases := []struct {
		name, reason string
		turn         func(*setpoint.Turn, *thing) setpoint.Outcome
		driver       bool
		want         []string
	}{
		{"transition by a further controller", "only the driver moves the object",
			func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
				turn.Transition("Made", "Mine")
				return setpoint.Done()
			},
			false, []string{"transition to Made", "is not the driver", "raise a signal"}},
		{"transition that the table lacks", "the table is the law",
			func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
				turn.Transition("Left", "Bye")
				return setpoint.Done()
			},
			true, []string{"from Making to Left", "not in the lifecycle", "[Made Leaving]"}},
		{"the engine's condition", "Ready follows from the outcome",
			func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
				turn.SetCondition(resource.Ready, resource.True, "X", "")
				return setpoint.Done()
			}, true, []string{"condition Ready is set by the engine"}},
		{"a signal to nobody", "a signal needs an object",
			func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
				turn.Raise(notes.Key("default", "nobody"), "Poke", nil)
				return setpoint.Done()
			}, true, []string{"raise Poke", "no such object"}},
		{"the same child twice", "the second would overwrite the first in every turn",
			func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
				parts.Child(turn, "a", spec{Count: 1})
				parts.Child(turn, "a", spec{Count: 2})
				return turn.Rollup()
			}, true, []string{"declared twice"}},
		{"the same effect twice", "two wishes for one key would replace each other for ever",
			func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
				shop.Ensure(turn, "x", &spec{Count: 1})
				return shop.Ensure(turn, "x", &spec{Count: 2}).Outcome()
			}, true, []string{"shop/x", "ensured twice"}},
		{"an adapter that is not there", "nobody would ever deliver it",
			func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
				return setpoint.Endpoint[spec, spec]{Adapter: "shpo"}.Ensure(turn, "x", &spec{}).Outcome()
			}, true, []string{`no adapter "shpo"`, "give it to the plane"}},
		{"a kind that is not there", "nobody would ever delete it",
			func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
				strangers.Child(turn, "a", spec{})
				return turn.Rollup()
			}, true, []string{"not registered", "give it to the plane"}},
		{"a child with an impossible name", "the child's rules are asked before anything is stored",
			func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
				parts.Child(turn, "No Such Name", spec{})
				return turn.Rollup()
			}, true, []string{"metadata.name"}},
		{"a wait without a code", "a wait that cannot be queried is no wait",
			func(*setpoint.Turn, *thing) setpoint.Outcome { return setpoint.Await("", "hm") }, true, []string{"code", "required"}},
		{"more than the store takes", "repeating it cannot help, so it is told and not repeated",
			func(turn *setpoint.Turn, _ *thing) setpoint.Outcome {
				turn.Raise(turn.Meta().Key, "Big", []byte(`"`+strings.Repeat("x", 1<<17)+`"`))
				return setpoint.Done()
			}, true, []string{"too large"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			driver := boxes.Driver("box", done)
			other := boxes.Controller("other", c.turn)
			if c.driver {
				driver, other = boxes.Driver("box", c.turn), boxes.Controller("other", done)
			}
			setpointtest.Run(t, setup(setpointtest.NewSubsystem(), driver, other), func(w *setpointtest.World) {
				w.Apply(boxes.Definition, "b", spec{})
				w.Settle()
				o := must(w, boxes.Definition, "b")
				wantText(t, c.reason, waits(o), c.want...)
				if len(o.Waits) != 1 || o.Waits[0].Class != "Terminal" {
					t.Errorf("%s: waits %+v, want one, terminal", c.reason, o.Waits)
				}
				turns, commits := w.Turns(), len(w.Commits())
				w.Advance(50 * time.Second)
				if w.Turns() != turns || len(w.Commits()) != commits {
					t.Errorf("%s: it is repeated", c.reason)
				}
			})
		})
	}
}

var strangers = setpoint.MustDefine(setpoint.KindOptions[spec, status]{Group: group, Version: "v1", Kind: "Stranger"})

// TestAMessageOfAnySizeIsCutAndKeepsItsClass: a long error must not turn into an object that the rules refuse.
func TestAMessageOfAnySizeIsCutAndKeepsItsClass(t *testing.T) {
	driver := notes.Driver("note", func(*setpoint.Turn, *thing) setpoint.Outcome {
		return setpoint.Fail(errors.New(strings.Repeat("far too long, \xff", 10_000)))
	})
	setpointtest.Run(t, setup(nil, driver), func(w *setpointtest.World) {
		w.Apply(notes.Definition, "n", spec{})
		w.Settle()
		o := must(w, notes.Definition, "n")
		if len(o.Waits) != 1 || o.Waits[0].Class != "Retry" || len(o.Waits[0].Message) > 8192 || !strings.HasPrefix(o.Waits[0].Message, "far too long") {
			t.Errorf("waits %+v, want one of class Retry with the beginning of the message", o.Waits)
		}
	})
}
