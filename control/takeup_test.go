package control_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// tally counts turns by object.
type tally struct {
	mu    sync.Mutex
	turns map[resource.Name]int
}

func (y *tally) turn(name resource.Name) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.turns == nil {
		y.turns = map[resource.Name]int{}
	}
	y.turns[name]++
}

// objects is how many had a turn, most the most that one had.
func (y *tally) objects() (objects, most int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, n := range y.turns {
		most = max(most, n)
	}
	return len(y.turns), most
}

func (y *tally) of(name resource.Name) int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.turns[name]
}

// looker is a controller that changes nothing, and takes its time; a looker alone sees to it that nothing but the take-up and the test gives it turns.
func (y *tally) looker(takes time.Duration, options ...control.ControllerOption) setpoint.Controller {
	return notes.Controller("looker", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		if takes > 0 {
			<-time.After(takes)
		}
		y.turn(n.Name)
		return setpoint.Done()
	}, options...)
}

// backlog stores objects that no engine has seen.
func (b *bench) backlog(n int) {
	b.t.Helper()
	for i := range n {
		b.create(nt, resource.Name(fmt.Sprintf("old-%04d", i)))
	}
}

func (b *bench) sharded() store.Sharded {
	b.t.Helper()
	s, ok := b.store.Store.(store.Sharded)
	if !ok {
		b.t.Fatalf("the store is a %T, which knows of no pauses", b.store.Store)
	}
	return s
}

func (b *bench) pause(length time.Duration) {
	b.t.Helper()
	if _, err := b.sharded().Pause(b.t.Context(), "ada", length); err != nil {
		b.t.Fatal(err)
	}
}

// owners are both sorts, on a store that knows of pauses.
var owners = map[string]func(*bench, string) cluster.Owner{
	"alone": func(b *bench, holder string) cluster.Owner {
		owner, err := cluster.NewSolo(cluster.SoloOptions{Store: b.store.Store, Holder: holder})
		if err != nil {
			b.t.Fatal(err)
		}
		return owner
	},
	"member": func(b *bench, holder string) cluster.Owner {
		owner, err := cluster.New(cluster.Options{Store: b.sharded(), Node: store.NodeID(holder), Name: holder})
		if err != nil {
			b.t.Fatal(err)
		}
		return owner
	},
}

// ask changes what is asked for of an object.
func (b *bench) ask(name resource.Name) {
	b.t.Helper()
	o, err := b.store.Object(b.t.Context(), nt.Key("default", name))
	if err != nil {
		b.t.Fatal(err)
	}
	next := o.Clone()
	next.Spec, next.Generation = []byte(`{"value":"other"}`), o.Generation+1
	b.put(store.ObjectWrite{Object: next, Expect: o.Revision})
}

// onceAgain ends the engine in order, and runs another one.
func (b *bench) onceAgain(owner cluster.Owner) {
	b.t.Helper()
	b.cancel()
	if err := <-b.ended; err != nil {
		b.t.Fatalf("the engine ended with: %v", err)
	}
	b.engine = b.with(owner)
	b.run()
}

// TestAPausedTakeUp: what was there before waits, over a restart; what changes is served; when somebody says so, everything has its turn, once.
func TestAPausedTakeUp(t *testing.T) {
	const old = 1500
	for name, owner := range owners {
		t.Run(name, func(t *testing.T) {
			var turns tally
			runBench(t, control.Config{Controllers: []setpoint.Controller{turns.looker(0)}}, func(b *bench) {
				b.backlog(old)
				b.pause(2 * time.Hour)
				b.engine = b.with(owner(b, "one"))
				b.run()
				b.advance(10 * time.Minute)
				if n, _ := turns.objects(); n != 0 || b.engine.TakeUp().Waiting != old || b.engine.TakeUp().Paused <= 0 {
					t.Errorf("%d objects had a turn, and the take-up is %+v; want %d waiting", n, b.engine.TakeUp(), old)
				}
				b.label(nt, "old-0007")
				b.create(nt, "new")
				b.advance(time.Second)
				if n, _ := turns.objects(); n != 2 || turns.of("old-0007") != 1 || turns.of("new") != 1 {
					t.Errorf("%d objects had a turn, %d and %d those that were changed and made; want these two, at once", n, turns.of("old-0007"), turns.of("new"))
				}
				b.onceAgain(owner(b, "two"))
				b.advance(10 * time.Minute)
				if n, _ := turns.objects(); n != 2 || b.engine.TakeUp().Waiting != old+1 {
					t.Errorf("after a restart %d objects had a turn, and %d wait; want the two, and %d", n, b.engine.TakeUp().Waiting, old+1)
				}
				b.pause(0)
				b.advance(time.Minute)
				if n, most := turns.objects(); n != old+1 || most != 2 || b.engine.TakeUp() != (control.TakeUp{}) {
					t.Errorf("%d objects had a turn, at most %d, and the take-up is %+v; want all %d, and the two of before twice", n, most, b.engine.TakeUp(), old+1)
				}
			})
		})
	}
}

// TestAForgottenPauseEnds: by itself, when its time has passed, and not before.
func TestAForgottenPauseEnds(t *testing.T) {
	for name, owner := range owners {
		t.Run(name, func(t *testing.T) {
			var turns tally
			runBench(t, control.Config{Controllers: []setpoint.Controller{turns.looker(0)}}, func(b *bench) {
				b.backlog(20)
				b.pause(30 * time.Minute)
				b.engine = b.with(owner(b, "one"))
				b.run()
				b.advance(29 * time.Minute)
				if n, _ := turns.objects(); n != 0 {
					t.Errorf("%d objects had a turn before the end", n)
				}
				b.advance(2 * time.Minute)
				if n, most := turns.objects(); n != 20 || most != 1 {
					t.Errorf("%d objects had a turn, at most %d; want all 20 once", n, most)
				}
			})
		})
	}
}

// TestAPauseInTheMidst: what is in the queue already is run, the rest waits where it is, and nothing has a second turn for that.
func TestAPauseInTheMidst(t *testing.T) {
	const old = 3000
	for name, owner := range owners {
		t.Run(name, func(t *testing.T) {
			var turns tally
			runBench(t, control.Config{Controllers: []setpoint.Controller{turns.looker(10*time.Millisecond, setpoint.Workers(4))}}, func(b *bench) {
				b.backlog(old)
				b.engine = b.with(owner(b, "one"))
				b.run()
				b.advance(time.Second)
				b.pause(time.Hour)
				b.advance(time.Minute)
				n, _ := turns.objects()
				left := b.engine.TakeUp().Waiting
				if n == 0 || left == 0 || n+left != old || left < old-2048 {
					t.Errorf("%d objects had a turn, and %d wait; want some of both, %d together", n, left, old)
				}
				b.advance(10 * time.Minute)
				if still, _ := turns.objects(); still != n || b.engine.TakeUp().Waiting != left {
					t.Errorf("it goes on while it is paused: from %d to %d", n, still)
				}
				b.pause(0)
				b.advance(time.Minute)
				if n, most := turns.objects(); n != old || most != 1 || b.engine.TakeUp().Waiting != 0 {
					t.Errorf("%d objects had a turn, at most %d, and %d wait; want all %d once", n, most, b.engine.TakeUp().Waiting, old)
				}
			})
		})
	}
}

// TestAPauseDoesNotHoldControllersThatRunEverywhere: they keep others alive.
func TestAPauseDoesNotHoldControllersThatRunEverywhere(t *testing.T) {
	for name, owner := range owners {
		t.Run(name, func(t *testing.T) {
			var turns tally
			runBench(t, control.Config{Controllers: []setpoint.Controller{turns.looker(0, setpoint.Everywhere())}}, func(b *bench) {
				b.backlog(20)
				b.pause(time.Hour)
				b.engine = b.with(owner(b, "one"))
				b.run()
				b.advance(time.Minute)
				if n, most := turns.objects(); n != 20 || most != 1 {
					t.Errorf("%d objects had a turn, at most %d; want all 20, once", n, most)
				}
			})
		})
	}
}

// TestWhatSomebodyWaitsForIsNotPaused: what was asked for while nobody had the shard has woken nobody, and the take-up that would find it stands still.
func TestWhatSomebodyWaitsForIsNotPaused(t *testing.T) {
	var turns tally
	driver := notes.Driver("driver", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		turns.turn(n.Name)
		return setpoint.Done()
	})
	runBench(t, control.Config{Controllers: []setpoint.Controller{driver}}, func(b *bench) {
		b.backlog(10)
		b.engine = b.with(owners["member"](b, "one"))
		b.run()
		b.advance(time.Minute)
		before := map[resource.Name]int{}
		for i := range 10 {
			name := resource.Name(fmt.Sprintf("old-%04d", i))
			if before[name] = turns.of(name); before[name] == 0 {
				b.t.Fatalf("%s had no turn", name)
			}
		}
		b.pause(time.Hour)
		if err := b.sharded().Cordon(b.t.Context(), "one", true); err != nil {
			b.t.Fatal(err)
		}
		b.advance(time.Minute)
		b.ask("old-0003")
		b.label(nt, "old-0004")
		b.advance(time.Minute)
		if err := b.sharded().Cordon(b.t.Context(), "one", false); err != nil {
			b.t.Fatal(err)
		}
		b.advance(time.Minute)
		for name, n := range before {
			if more := turns.of(name) - n; (more > 0) != (name == "old-0003") {
				b.t.Errorf("%s had %d more turns; want some for what was asked for, and none for the rest", name, more)
			}
		}
		b.pause(0)
		b.advance(time.Minute)
		for name, n := range before {
			if turns.of(name) == n {
				b.t.Errorf("%s had no turn after the pause", name)
			}
		}
	})
}

// TestWhatIsLostDuringAPauseIsNotTakenUp: and what comes back is taken up once.
func TestWhatIsLostDuringAPauseIsNotTakenUp(t *testing.T) {
	var turns tally
	runBench(t, control.Config{Controllers: []setpoint.Controller{turns.looker(0)}}, func(b *bench) {
		b.backlog(50)
		b.pause(time.Hour)
		b.engine = b.with(owners["member"](b, "one"))
		b.run()
		b.advance(time.Minute)
		for _, drain := range []bool{true, false, true} {
			if err := b.sharded().Cordon(b.t.Context(), "one", drain); err != nil {
				t.Fatal(err)
			}
			b.advance(time.Minute)
			want := map[bool]int{true: 0, false: 50}[drain]
			if left := b.engine.TakeUp().Waiting; left != want {
				t.Errorf("draining %t, %d objects wait, want %d", drain, left, want)
			}
		}
		b.pause(0)
		b.advance(time.Minute)
		if n, _ := turns.objects(); n != 0 {
			t.Errorf("%d objects of shards that are nobody's had a turn", n)
		}
		if err := b.sharded().Cordon(b.t.Context(), "one", false); err != nil {
			t.Fatal(err)
		}
		b.advance(time.Minute)
		if n, most := turns.objects(); n != 50 || most != 1 {
			t.Errorf("%d objects had a turn, at most %d; want all 50 once", n, most)
		}
	})
}

// TestAPauseLeavesNoCommandInDoubt: a call that the former process had under way is asked about, and its result is worked on.
func TestAPauseLeavesNoCommandInDoubt(t *testing.T) {
	for name, owner := range owners {
		t.Run(name, func(t *testing.T) {
			var calls log[command.Call]
			config := control.Config{
				Controllers: []setpoint.Controller{asker()},
				Adapters: []control.AdapterConfig{{Name: "shop", Adapter: adapter(func(ctx context.Context, c command.Call) command.Result {
					if calls.add(c); calls.len() == 1 {
						<-ctx.Done()
						return command.Result{Outcome: command.OutcomeUnknown, Message: "no answer"}
					}
					return command.Result{Outcome: command.OutcomeDone, Body: c.Request}
				})}},
			}
			runBench(t, config, func(b *bench) {
				b.engine = b.with(owner(b, "one"))
				b.run()
				b.create(nt, "n")
				b.advance(time.Second)
				b.pause(time.Hour)
				b.onceAgain(owner(b, "two"))
				b.advance(time.Minute)
				got := calls.list()
				if len(got) < 2 || got[len(got)-1].Token != got[0].Token || !b.ready("n") {
					t.Errorf("%d calls, ready %t; want the same token again, and what follows from its result", len(got), b.ready("n"))
				}
			})
		})
	}
}
