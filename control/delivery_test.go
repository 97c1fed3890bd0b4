package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/setpointtest"
)

// TestWhatFollowsFromAResult: how a command goes on after each end of its first attempt, when the second succeeds.
func TestWhatFollowsFromAResult(t *testing.T) {
	cases := []struct {
		name, reason string
		first        command.Result
		least, most  time.Duration // until the second attempt
		wait         string
		sameToken    bool
	}{
		{"failed", "half done: the same token finishes it", command.Result{Outcome: command.OutcomeFailed, Message: "half-way"}, 10 * time.Millisecond, 100 * time.Millisecond, "CommandRetrying", true},
		{"refused for now", "nothing was done, and repeating can help", command.Result{Outcome: command.OutcomeRefused, Class: command.Retry, Message: "busy"}, 10 * time.Millisecond, 100 * time.Millisecond, "CommandRetrying", true},
		{"throttled", "not before the moment that was named", command.Result{Outcome: command.OutcomeRefused, Class: command.Throttled, Message: "slowly", RetryAfter: time.Minute}, time.Minute, time.Minute + 100*time.Millisecond, "CommandRetrying", true},
		{"unknown", "the same token again, never a guess", command.Result{Outcome: command.OutcomeUnknown, Message: "no answer"}, 10 * time.Millisecond, 100 * time.Millisecond, "CommandRetrying", true},
		{"no outcome", "an unset outcome says nothing, so it is unknown", command.Result{}, 10 * time.Millisecond, 100 * time.Millisecond, "CommandRetrying", true},
		{"accepted", "it is asked about again when the subsystem said", command.Result{Outcome: command.OutcomeAccepted, Handle: "job-1", RetryAfter: time.Minute}, time.Minute, time.Minute, "CommandPending", true},
		{"stale", "something newer has been there: a new intent, under our epoch", command.Result{Outcome: command.OutcomeRefused, Class: command.Stale, Message: "old"}, 0, time.Millisecond, "", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			type seen struct {
				command.Call
				at time.Time
			}
			var calls log[seen]
			shopkeeper := adapter(func(_ context.Context, call command.Call) command.Result {
				if calls.add(seen{call, time.Now()}); calls.len() == 1 {
					return c.first
				}
				return ok
			})
			setpointtest.Run(t, setup(shopkeeper, asker()), func(w *setpointtest.World) {
				w.Apply(nt, "n", spec{Value: "x"})
				w.Settle()
				if c.wait != "" {
					wantText(t, c.reason, waits(must(w, nt, "n")), c.wait, c.first.Message)
				}
				w.Converge(10 * time.Minute)
				all := calls.list()
				if len(all) != 2 {
					t.Fatalf("%s: %d calls, want 2", c.reason, len(all))
				}
				if gap := all[1].at.Sub(all[0].at); gap < c.least || gap > c.most {
					t.Errorf("%s: the second attempt came after %s, want %s to %s", c.reason, gap, c.least, c.most)
				}
				if same := all[0].Token == all[1].Token; same != c.sameToken || !same && all[1].Intent <= all[0].Intent {
					t.Errorf("%s: tokens %s and %s, intents %d and %d", c.reason, all[0].Token, all[1].Token, all[0].Intent, all[1].Intent)
				}
				if all[1].Handle != c.first.Handle {
					t.Errorf("%s: the handle is %q, want %q", c.reason, all[1].Handle, c.first.Handle)
				}
			})
		})
	}
}

var nt = notes.Definition

// TestWhatGivesNoHintIsAskedAboutEverMoreRarely: a subsystem that does not say when to come again is not asked ten times a second for an hour.
func TestWhatGivesNoHintIsAskedAboutEverMoreRarely(t *testing.T) {
	for _, c := range []struct {
		reason string
		says   command.Result
	}{
		{"work that was accepted", command.Result{Outcome: command.OutcomeAccepted, Handle: "job"}},
		{"being throttled costs no attempt, and must not be repeated as if each were the first", command.Result{Outcome: command.OutcomeRefused, Class: command.Throttled, Message: "slowly"}},
	} {
		var begun time.Time
		var calls log[time.Time]
		shopkeeper := adapter(func(context.Context, command.Call) command.Result {
			if calls.add(time.Now()); time.Since(begun) < time.Hour {
				return c.says
			}
			return ok
		})
		setpointtest.Run(t, setup(shopkeeper, asker()), func(w *setpointtest.World) {
			begun = time.Now()
			w.Apply(nt, "n", spec{Value: "x"})
			w.Converge(2 * time.Hour)
			all := calls.list()
			if last := all[len(all)-1].Sub(all[len(all)-2]); len(all) > 200 || last > 30*time.Second {
				t.Errorf("%s: %d calls, the last after %s: want ever fewer, but not fewer than the cap allows", c.reason, len(all), last)
			}
		})
	}
}

// oracle is an adapter that can be asked what became of a token.
type oracle struct {
	adapter
	known map[command.Token]command.Result
	asked *log[command.Token]
}

func (o oracle) LookUp(_ context.Context, c command.Call) (command.Result, bool, error) {
	if o.asked.add(c.Token); o.asked.len() == 1 {
		return command.Result{}, false, fmt.Errorf("nobody there")
	}
	r, known := o.known[c.Token]
	return r, known, nil
}

// TestAnUnknownEndIsLookedUpBeforeItIsRepeated: and only then; what the look-up says counts.
func TestAnUnknownEndIsLookedUpBeforeItIsRepeated(t *testing.T) {
	var sends, asked log[command.Token]
	known := map[command.Token]command.Result{}
	shopkeeper := oracle{known: known, asked: &asked, adapter: func(_ context.Context, c command.Call) command.Result {
		sends.add(c.Token)
		known[c.Token] = command.Result{Outcome: command.OutcomeDone, Body: []byte(`{"count":42}`)} // done, and the answer is lost
		return command.Result{Outcome: command.OutcomeUnknown, Message: "no answer"}
	}}
	setpointtest.Run(t, setup(shopkeeper, asker()), func(w *setpointtest.World) {
		w.Apply(nt, "n", spec{Value: "x"})
		w.Converge(time.Minute)
		if sends.len() != 1 || asked.len() != 2 {
			t.Errorf("sent %d times and looked up %d times, want once, and until somebody answered", sends.len(), asked.len())
		}
		if o := must(w, nt, "n"); string(o.Status) != `{"runs":42}` {
			t.Errorf("status %s, want the answer that was looked up", o.Status)
		}
	})
}

// forgetful is a subsystem that does everything it is told, again and again, and can only be asked whether it has done it.
type forgetful struct {
	mu    sync.Mutex
	did   []command.Token
	takes time.Duration
}

func (f *forgetful) Do(_ context.Context, c command.Call) command.Result {
	<-time.After(f.takes)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, c.Token)
	return ok
}

func (f *forgetful) LookUp(_ context.Context, c command.Call) (command.Result, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return ok, slices.Contains(f.did, c.Token), nil
}

// TestWhatMayHaveBeenSentIsLookedUpBeforeItIsSentAgain: the process died, or its commit failed, between the effect and the record of it. A subsystem that
// can only be asked must not be told twice.
func TestWhatMayHaveBeenSentIsLookedUpBeforeItIsSentAgain(t *testing.T) {
	f := &forgetful{takes: 500 * time.Millisecond}
	setpointtest.Run(t, setup(f, asker()), func(w *setpointtest.World) {
		w.Apply(nt, "n", spec{Value: "x"})
		w.Advance(100 * time.Millisecond)
		w.Restart() // the call ends after the process is dead
		w.Converge(time.Minute)
		if len(f.did) != 1 {
			t.Errorf("the effect was had %d times: %v", len(f.did), f.did)
		}
		w.Apply(nt, "n", spec{Value: "x", Count: 1})
		w.Converge(time.Minute)
		if len(f.did) != 2 {
			t.Errorf("a new wish was not sent: %v", f.did)
		}
	})
}

// TestAUnitOfOrderIsNeverConcurrent: nor are more calls than the policy allows; units go beside each other.
func TestAUnitOfOrderIsNeverConcurrent(t *testing.T) {
	var mu sync.Mutex
	var order []string
	running, most, inUnit := 0, 0, map[string]int{}
	shopkeeper := adapter(func(_ context.Context, c command.Call) command.Result {
		unit := c.Key[:1]
		mu.Lock()
		running++
		inUnit[unit]++
		most = max(most, running)
		if inUnit[unit] > 1 {
			t.Errorf("unit %s has %d calls at once", unit, inUnit[unit])
		}
		order = append(order, c.Key)
		mu.Unlock()
		<-time.After(time.Second)
		mu.Lock()
		defer mu.Unlock()
		running--
		inUnit[unit]--
		return ok
	})
	byLetter := setpoint.Endpoint[spec, spec]{Adapter: "shop", Unit: func(key string) string { return key[:1] }}
	driver := notes.Driver("note", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
		return byLetter.Ensure(turn, n.Spec.Value, &spec{}).Outcome()
	})
	s := setup(shopkeeper, driver)
	s.Policy = setpoint.Policy{Concurrency: 3}
	setpointtest.Run(t, s, func(w *setpointtest.World) {
		for i := range 30 {
			w.Apply(nt, fmt.Sprintf("n%02d", i), spec{Value: fmt.Sprintf("%c%02d", 'a'+i%5, i)})
		}
		w.Converge(time.Hour)
		if most != 3 {
			t.Errorf("%d calls at once, want as many as the policy allows, 3", most)
		}
		for unit := range 5 {
			var mine []string
			for _, key := range order {
				if key[0] == byte('a'+unit) {
					mine = append(mine, key)
				}
			}
			if len(mine) != 6 || !slices.IsSorted(mine) {
				t.Errorf("unit %c went in the order %v, want that of the wishes", 'a'+unit, mine)
			}
		}
	})
}

// TestAnAnswerThatIsTooLargeIsRefused: it is told and paused; sending again would bring it again.
func TestAnAnswerThatIsTooLargeIsRefused(t *testing.T) {
	var calls log[string]
	shopkeeper := adapter(func(_ context.Context, c command.Call) command.Result {
		calls.add(c.Key)
		return command.Result{Outcome: command.OutcomeDone, Body: []byte(`"` + strings.Repeat("x", 3<<20) + `"`)}
	})
	setpointtest.Run(t, setup(shopkeeper, asker()), func(w *setpointtest.World) {
		w.Apply(nt, "n", spec{Value: "x"})
		w.Advance(time.Hour)
		wantText(t, "the wait", waits(must(w, nt, "n")), "Refused", "shop/x", "more than the store takes")
		if calls.len() != 1 {
			t.Errorf("%d calls, want 1", calls.len())
		}
	})
}

// TestAnEndlessMessageIsCut: what a subsystem says is cut before it is stored.
func TestAnEndlessMessageIsCut(t *testing.T) {
	shopkeeper := adapter(func(context.Context, command.Call) command.Result {
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: strings.Repeat("no and \xff no ", 1<<16)}
	})
	setpointtest.Run(t, setup(shopkeeper, asker()), func(w *setpointtest.World) {
		w.Apply(nt, "n", spec{Value: "x"})
		w.Advance(time.Minute)
		o := must(w, nt, "n")
		wantText(t, "the wait", waits(o), "Refused", "no and")
		if len(waits(o)) > 8192 {
			t.Errorf("the message has %d bytes", len(waits(o)))
		}
	})
}

// TestRetriesSendTheStoredBytes: whatever happened, each attempt of a token carries the same request, also after a restart.
func TestRetriesSendTheStoredBytes(t *testing.T) {
	var calls log[command.Call]
	shopkeeper := adapter(func(_ context.Context, c command.Call) command.Result {
		if calls.add(c); calls.len() < 6 {
			return command.Result{Outcome: command.OutcomeUnknown, Message: "no answer"}
		}
		return ok
	})
	setpointtest.Run(t, setup(shopkeeper, asker()), func(w *setpointtest.World) {
		w.Apply(nt, "n", spec{Value: "x", Count: 3})
		w.Advance(200 * time.Millisecond)
		w.Restart()
		w.Converge(time.Hour)
		all := calls.list()
		for i, c := range all {
			if c.Token != all[0].Token || !bytes.Equal(c.Request, all[0].Request) || c.Intent != all[0].Intent {
				t.Errorf("call %d is %s %s, the first was %s %s", i, c.Token, c.Request, all[0].Token, all[0].Request)
			}
			if i > 0 && c.Epoch.Compare(all[i-1].Epoch) < 0 {
				t.Errorf("the epoch fell from %s to %s", all[i-1].Epoch, c.Epoch)
			}
		}
		if all[0].Epoch == all[len(all)-1].Epoch || !json.Valid(all[0].Request) {
			t.Errorf("the restarted plane sends under the epoch %s of the dead one", all[0].Epoch)
		}
	})
}

// TestAResultAndWhatFollowsFromItAreOneCommit: the worker that has the result runs the owner's next turn with it.
func TestAResultAndWhatFollowsFromItAreOneCommit(t *testing.T) {
	shopkeeper := adapter(func(_ context.Context, c command.Call) command.Result {
		<-time.After(10 * time.Millisecond) // so that the turn that asked is over
		return command.Result{Outcome: command.OutcomeDone, Body: c.Request}
	})
	setpointtest.Run(t, setup(shopkeeper, asker()), func(w *setpointtest.World) {
		w.Apply(nt, "n", spec{Value: "x", Count: 3})
		w.Converge(time.Minute)
		all := w.Commits()
		if len(all) != 3 {
			t.Fatalf("%d commits, want the client's, the wish, and the result with what follows from it", len(all))
		}
		last := all[2]
		if len(last.Commands) != 1 || last.Commands[0].Command.Phase != command.Done || len(last.Objects) != 1 || !last.Objects[0].Object.Ready() {
			t.Errorf("the last commit is %+v", last)
		}
		if string(must(w, nt, "n").Status) != `{"runs":3}` || w.Turns() != 2 {
			t.Errorf("status %s after %d turns, want two", must(w, nt, "n").Status, w.Turns())
		}
	})
}
