package control_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
	"github.com/setpointhq/setpoint/store"
)

// family drives a box by the letters of its value: a part for each lower-case letter, held for each upper-case one. "b>a" says that b needs a.
func family(turn *setpoint.Turn, b *thing) setpoint.Outcome {
	for word := range strings.FieldsSeq(b.Spec.Value) {
		name, needs, _ := strings.Cut(word, ">")
		if lower := strings.ToLower(name); lower != name {
			parts.Hold(turn, lower)
			continue
		}
		var opts []control.ChildOption
		if needs != "" {
			opts = append(opts, setpoint.Needs(strings.Split(needs, "+")...))
		}
		parts.Child(turn, name, spec{Count: b.Spec.Count}, opts...)
	}
	return turn.Rollup()
}

// drivePart makes its effect in the shop under its own name.
func drivePart(turn *setpoint.Turn, p *thing) setpoint.Outcome {
	return shop.Ensure(turn, string(p.Name), &p.Spec).Outcome()
}

func familySetup() (setpointtest.Setup, *setpointtest.Subsystem) {
	sub := setpointtest.NewSubsystem()
	return setup(sub, boxes.Driver("box", family), parts.Driver("part", drivePart)), sub
}

func TestChildrenFollowTheirDeclaration(t *testing.T) {
	s, sub := familySetup()
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		steps := []struct {
			reason string
			spec   spec
			want   []string
			ready  bool
		}{
			{"what is declared is made", spec{Value: "a b", Count: 1}, []string{"b.a", "b.b"}, true},
			{"what is no longer declared is deleted", spec{Value: "a", Count: 1}, []string{"b.a"}, true},
			{"what is held is neither deleted nor made, and the object is not at rest meanwhile", spec{Value: "A C", Count: 1}, []string{"b.a"}, false},
			{"a held child is not changed either", spec{Value: "A b", Count: 2}, []string{"b.a", "b.b"}, false},
			{"a new spec reaches every child", spec{Value: "a b", Count: 3}, []string{"b.a", "b.b"}, true},
			{"nothing declared, nothing left", spec{Value: ""}, nil, true},
		}
		for _, step := range steps {
			w.Apply(boxes.Definition, "b", step.spec)
			w.Advance(time.Second)
			if got := sub.Keys(); !slices.Equal(got, step.want) {
				t.Errorf("%s: the shop has %v, want %v", step.reason, got, step.want)
			}
			o := must(w, boxes.Definition, "b")
			if o.Ready() != step.ready {
				t.Errorf("%s: ready %t: %s", step.reason, o.Ready(), waits(o))
			}
			if step.spec.Count == 3 {
				for key, have := range sub.Effects() {
					if string(have) != `{"count":3}` {
						t.Errorf("%s: %s is %s", step.reason, key, have)
					}
				}
			}
		}
	})
}

// removals are the names of the parts in the order in which they were removed from the shop.
func removals(sub *setpointtest.Subsystem) []string {
	var out []string
	for _, e := range sub.Ledger() {
		if e.Request == nil {
			out = append(out, strings.TrimPrefix(e.Key, "b."))
		}
	}
	return out
}

// TestNeedsOrderRemoval: on the way down what needs goes before what is needed, also when it is no longer declared; a ring goes together.
func TestNeedsOrderRemoval(t *testing.T) {
	cases := []struct {
		name, reason string
		value, then  string // "" deletes the box
		want         string
	}{
		{"deletion of the parent", "c needs b, b needs a", "a b>a c>b", "", "c b a"},
		{"scale-down", "the order was stored with the children", "a b>a c>b x", "x", "c b a"},
		{"several", "both a and b outlive what needs them", "a b c>a+b", "", "c *"},
		{"a ring", "no order is right, and waiting for ever would be worse", "a>b b>a", "", "*"},
		{"a ring on scale-down", "as above, beside one that stays", "a>b b>a x", "x", "*"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, sub := familySetup()
			setpointtest.Run(t, s, func(w *setpointtest.World) {
				w.Apply(boxes.Definition, "b", spec{Value: c.value})
				w.Converge(time.Minute)
				if c.then == "" {
					w.Delete(boxes.Definition, "b")
				} else {
					w.Apply(boxes.Definition, "b", spec{Value: c.then})
				}
				w.Converge(time.Minute)
				want := strings.Fields(c.want)
				got := removals(sub)
				if last := len(want) - 1; want[last] == "*" { // the rest, in any order
					want = append(want[:last], slices.Sorted(slices.Values(got[min(last, len(got)):]))...)
					slices.Sort(got[min(last, len(got)):])
				}
				if !slices.Equal(got, want) || len(got) != len(strings.Fields(c.value))-len(strings.Fields(c.then)) {
					t.Errorf("%s: removed %v, want %v", c.reason, got, want)
				}
				if c.then == "" && !gone(w, boxes.Definition, "b") {
					t.Errorf("%s: the parent is still there", c.reason)
				}
			})
		})
	}
}

// TestWhatIsNeededByOneThatStaysIsKept: the contradiction is shown, not resolved by deleting something in use.
func TestWhatIsNeededByOneThatStaysIsKept(t *testing.T) {
	s, sub := familySetup()
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		w.Apply(boxes.Definition, "b", spec{Value: "a b>a"})
		w.Converge(time.Minute)
		w.Apply(boxes.Definition, "b", spec{Value: "b>a"})
		w.Advance(time.Minute)
		if got := sub.Keys(); !slices.Equal(got, []string{"b.a", "b.b"}) {
			t.Errorf("the shop has %v, want both", got)
		}
		wantText(t, "the wait", waits(must(w, boxes.Definition, "b")), "Pruning", "b.a is needed by Part b.b")
	})
}

// TestATakenNameIsRefusedAndGoesOnWhenItIsFree: an object of somebody else is never taken over.
func TestATakenNameIsRefusedAndGoesOnWhenItIsFree(t *testing.T) {
	s, _ := familySetup()
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		w.Apply(parts.Definition, "b.a", spec{Value: "mine"})
		w.Apply(boxes.Definition, "b", spec{Value: "a"})
		w.Advance(time.Minute)
		wantText(t, "the wait", waits(must(w, boxes.Definition, "b")), "name Part.test.example/default/b.a is taken", "does not own", "delete or rename")
		if o := must(w, parts.Definition, "b.a"); string(o.Spec) != `{"value":"mine"}` || len(o.Owners) > 0 {
			t.Errorf("the other object was touched: %s, owners %v", o.Spec, o.Owners)
		}
		w.Delete(parts.Definition, "b.a")
		w.Advance(time.Minute)
		if o := must(w, boxes.Definition, "b"); !o.Ready() {
			t.Errorf("the name is free, and nobody told the parent: %s", waits(o))
		}
	})
}

func TestAChildThatSomebodyDeletesIsMadeAnew(t *testing.T) {
	s, sub := familySetup()
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		w.Apply(boxes.Definition, "b", spec{Value: "a"})
		w.Converge(time.Minute)
		first := must(w, parts.Definition, "b.a").UID
		w.Delete(parts.Definition, "b.a")
		w.Converge(time.Minute)
		second := must(w, parts.Definition, "b.a")
		if second.UID == first || second.Deleting() {
			t.Errorf("the child is %s, deleting %t: want another one than %s", second.UID, second.Deleting(), first)
		}
		if got := len(sub.Ledger()); got != 3 || !must(w, boxes.Definition, "b").Ready() {
			t.Errorf("%d effects, want made, removed, made: %+v", got, sub.Ledger())
		}
	})
}

// TestTheSpellingOfASpecIsNoChange: a child whose spec somebody stored in another spelling is left alone; another meaning is put right.
func TestTheSpellingOfASpecIsNoChange(t *testing.T) {
	s, _ := familySetup()
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		w.Apply(boxes.Definition, "b", spec{Value: "a", Count: 5})
		w.Converge(time.Minute)
		before := must(w, parts.Definition, "b.a")
		respelt := before.Clone()
		respelt.Spec = json.RawMessage(` { "count" : 5 } `)
		if _, err := w.Plane.Store().Commit(w.T.Context(), store.Transaction{
			Writer: store.Writer{Name: "test"}, Objects: []store.ObjectWrite{{Expect: before.Revision, Object: respelt}},
		}); err != nil {
			t.Fatal(err)
		}
		w.Converge(time.Minute)
		touch(w, boxes.Definition, "b", "look")
		if o := must(w, parts.Definition, "b.a"); o.Generation != 1 || string(o.Spec) != string(respelt.Spec) {
			t.Errorf("generation %d, spec %s: want it as it was spelt", o.Generation, o.Spec)
		}
		w.Apply(parts.Definition, "b.a", spec{Count: 6})
		w.Converge(time.Minute)
		if o := must(w, parts.Definition, "b.a"); !resource.SameJSON(o.Spec, json.RawMessage(`{"count":5}`)) {
			t.Errorf("spec %s: drift was not put right", o.Spec)
		}
	})
}

// TestFurtherControllersPruneTheirOwnChildrenOnly: each declares, holds and rolls up without harm to the other's.
func TestFurtherControllersPruneTheirOwnChildrenOnly(t *testing.T) {
	other := boxes.Controller("audit", func(turn *setpoint.Turn, b *thing) setpoint.Outcome {
		if b.Spec.Count > 0 {
			parts.Child(turn, "a", spec{Value: "audit"})
			parts.Child(turn, "b", spec{Value: "audit"}, setpoint.Needs("a"))
		}
		return turn.Rollup()
	})
	s, sub := familySetup()
	s.Controllers = append(s.Controllers, other)
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		expect := func(reason string, want ...string) {
			t.Helper()
			w.Converge(time.Minute)
			if got := sub.Keys(); !slices.Equal(got, want) {
				t.Errorf("%s: the shop has %v, want %v", reason, got, want)
			}
		}
		w.Apply(boxes.Definition, "b", spec{Value: "a", Count: 1})
		expect("both declare a child a", "b.a", "b.audit.a", "b.audit.b")
		effects := len(sub.Ledger())
		w.Advance(time.Hour)
		if got := len(sub.Ledger()); got != effects {
			t.Errorf("they undo each other's children: %d effects in an hour", got-effects)
		}
		w.Apply(boxes.Definition, "b", spec{Value: "a"})
		expect("one gives up its own", "b.a")
		w.Apply(boxes.Definition, "b", spec{Count: 1})
		expect("and the other", "b.audit.a", "b.audit.b")
		w.Delete(boxes.Definition, "b")
		expect("all go with the parent")
		if !gone(w, boxes.Definition, "b") {
			t.Errorf("the parent is still there")
		}
	})
}

// TestWhatAClientHangsOnAnObjectIsNotPruned: it was never declared. It goes with its owner.
func TestWhatAClientHangsOnAnObjectIsNotPruned(t *testing.T) {
	s, sub := familySetup()
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		w.Apply(boxes.Definition, "b", spec{Value: "a"})
		w.Apply(parts.Definition, "guest", spec{})
		w.Converge(time.Minute)
		owner := must(w, boxes.Definition, "b")
		change(w, parts.Definition, "guest", func(o *resource.Object) {
			o.Owners = []resource.Owner{{Key: owner.Key, UID: owner.UID, Version: "v1"}}
		})
		w.Apply(boxes.Definition, "b", spec{Value: "c"})
		w.Converge(time.Minute)
		if got := sub.Keys(); !slices.Equal(got, []string{"b.c", "guest"}) {
			t.Errorf("the shop has %v, want the guest to stay", got)
		}
		w.Delete(boxes.Definition, "b")
		w.Converge(time.Minute)
		if got := sub.Keys(); len(got) > 0 {
			t.Errorf("the shop has %v after the owner is gone", got)
		}
	})
}

// TestARefusedChildIsShownByItsParent: the parent says which and why, and retrying the child heals both.
func TestARefusedChildIsShownByItsParent(t *testing.T) {
	s, _ := familySetup()
	refuse := flag(true)
	s.Adapters["shop"] = adapter(func(_ context.Context, c command.Call) command.Result {
		if refuse.Load() {
			return command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: "out of stock"}
		}
		return ok
	})
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		w.Apply(boxes.Definition, "b", spec{Value: "a"})
		w.Advance(time.Minute)
		o := must(w, boxes.Definition, "b")
		wantText(t, "the parent's wait", waits(o), "ChildFailed", "b.a", "out of stock")
		x, _ := w.Plane.Explain(o.Key)
		if len(x.Chain) != 3 || x.Chain[2].Command != "shop/b.a" || x.Hint != "setpoint signal part b.a Retry" {
			t.Errorf("the chain is %+v with the hint %q, want it to lead to the command of the child", x.Chain, x.Hint)
		}
		refuse.Store(false)
		signal(w, parts.Definition, "b.a", "Retry")
		w.Converge(time.Minute)
		if o := must(w, boxes.Definition, "b"); !o.Ready() {
			t.Errorf("after the retry: %s", waits(o))
		}
	})
}

// TestAChildThatNobodyDrivesIsReady: it has no setpoint but its spec.
func TestAChildThatNobodyDrivesIsReady(t *testing.T) {
	driver := boxes.Driver("box", func(turn *setpoint.Turn, b *thing) setpoint.Outcome {
		notes.Child(turn, "memo", spec{Value: b.Spec.Value})
		return turn.Rollup()
	})
	setpointtest.Run(t, setup(nil, driver), func(w *setpointtest.World) {
		w.Apply(boxes.Definition, "b", spec{Value: "x"})
		w.Settle()
		if o := must(w, boxes.Definition, "b"); !o.Ready() {
			t.Errorf("waits for %s", waits(o))
		}
		w.Delete(boxes.Definition, "b")
		w.Settle()
		if !gone(w, boxes.Definition, "b") || !gone(w, notes.Definition, "b.memo") {
			t.Errorf("deletion left something behind")
		}
	})
}
