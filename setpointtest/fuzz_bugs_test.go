package setpointtest_test

import (
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

type pump = setpoint.Resource[pumpSpec, pumpStatus]

// forgetful is a subsystem that does again what it has done under the same token.
type forgetful struct {
	mu      sync.Mutex
	effects map[string]json.RawMessage
	ledger  []setpointtest.LedgerEntry
}

func (f *forgetful) Do(_ context.Context, c command.Call) command.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.effects[c.Key] = c.Request
	if c.Request == nil {
		delete(f.effects, c.Key)
	}
	f.ledger = append(f.ledger, setpointtest.LedgerEntry{Key: c.Key, Token: c.Token, Intent: c.Intent, Request: c.Request})
	return command.Result{Outcome: command.OutcomeDone, Body: []byte("{}")}
}

func (f *forgetful) Effects() map[string]json.RawMessage {
	f.mu.Lock()
	defer f.mu.Unlock()
	effects := map[string]json.RawMessage{}
	for k, v := range f.effects {
		effects[k] = v
	}
	return effects
}

func (f *forgetful) Ledger() []setpointtest.LedgerEntry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ledger)
}

// mending replaces the steps of Mend.
func mending(f *fuzzing, steps ...pumpStep) { f.Decider.Actions["Mend"] = pumpAction{Steps: steps} }

func TestFuzzFindsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		reason string
		bug    func(*fuzzing)
		want   setpointtest.Judgement
		says   string
		in     string // the smallest case
	}{
		{
			"a compare moves the object where only actions lead",
			func(f *fuzzing) {
				f.Decider.Compare = func(t *setpoint.Turn, p *pump) setpoint.Outcome {
					if p.State == "Running" && p.Status.Moves > 0 {
						t.Transition("Broken", "Tired")
					}
					return setpoint.Done()
				}
			},
			setpointtest.JudgedTransition, "only an action", "in Running; variant 2",
		},
		{
			"a compare consumes a signal that is the table's",
			func(f *fuzzing) {
				f.Decider.Compare = func(t *setpoint.Turn, p *pump) setpoint.Outcome {
					for _, s := range t.Signals() {
						if p.State == "Running" && s.Name == needsMove {
							t.Consume(s)
						}
					}
					return setpoint.Done()
				}
			},
			setpointtest.JudgedSignals, "NeedsMove was consumed", "in Running; with NeedsMove",
		},
		{
			"a step waits for what never comes",
			func(f *fuzzing) { mending(f, setpoint.Wait("rust", func(*pumpRun) bool { return false })) },
			setpointtest.JudgedStuck, "Mend is still Running", "in Broken; with NeedsMend",
		},
		{
			"a step waits for time to pass, and does not ask to be woken",
			func(f *fuzzing) {
				mending(f, setpoint.Wait("dry", func(r *pumpRun) bool { return r.Turn().Now().Sub(r.Object.StateSince) > time.Hour }))
			},
			setpointtest.JudgedStuck, "only because the plane was started anew", "in Broken; with NeedsMend",
		},
		{
			"an action asks for itself when it ends",
			func(f *fuzzing) {
				move := f.Decider.Actions["Move"]
				move.Finish = func(r *pumpRun) {
					r.Turn().Raise(r.Turn().Meta().Key, needsMove, nil, setpoint.About(fmt.Sprint(r.Turn().Revision())))
				}
				f.Decider.Actions["Move"] = move
			},
			setpointtest.JudgedRestless, "without end", "in New; with NeedsMove",
		},
		{
			"a subsystem forgets its tokens",
			func(f *fuzzing) {
				f.Setup = func() setpointtest.Setup {
					return setpointtest.Setup{Adapters: map[command.AdapterName]command.Adapter{"yard": &forgetful{effects: map[string]json.RawMessage{}}}}
				}
			},
			setpointtest.JudgedTokens, "2 effects", "in New; call yard default/it.Build.casing #1 half-way",
		},
		{
			"an undo asks again for what is to be undone",
			func(f *fuzzing) {
				again := func(*pumpRun) *part { return &part{Is: "seal"} }
				mending(f, setpoint.Call("seal", yard, again).Undo(again), needs("paint"))
			},
			setpointtest.JudgedUndo, "its step seal did is still there", "in Broken; with NeedsMend; after 1 delete",
		},
		{
			"the end of an action forgets to count",
			func(f *fuzzing) {
				move := f.Decider.Actions["Move"]
				move.Finish = nil
				f.Decider.Actions["Move"] = move
				f.Check = counted
			},
			setpointtest.JudgedProperty, "moved 1 times", "in Running; with NeedsMove",
		},
		{
			"an undo panics",
			func(f *fuzzing) {
				mending(f, setpoint.Call("seal", yard, func(*pumpRun) *part { return &part{Is: "seal"} }).Undo(func(r *pumpRun) *part {
					panic("nobody thought of this")
				}), needs("paint"))
			},
			setpointtest.JudgedStuck, "panic", "in Broken; with NeedsMend; after 1 delete",
		},
	} {
		t.Run(c.reason, func(t *testing.T) {
			f := pumps()
			f.Cases = 300
			c.bug(&f)
			found := setpointtest.Fuzz(t, f).Findings
			n := slices.IndexFunc(found, func(f setpointtest.Finding) bool { return f.Judgement == c.want && strings.Contains(f.Message, c.says) })
			if n < 0 {
				t.Fatalf("no finding is of the judgement %q and says %q: %v", c.want, c.says, found)
			}
			if got := found[n].Case.String(); got != c.in {
				t.Errorf("the smallest case is said to be %q, want %q; all: %v", got, c.in, found)
			}
		})
	}
}
