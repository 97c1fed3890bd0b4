package setpointtest

import (
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// Fuzzing is a kind with a decision table, to be tried in every state, with every signal, against everything that can go wrong (P8). Kind and Decider are
// required; Setup is, when an adapter is called. See [Fuzz] and [Survivors].
type Fuzzing[S, T any] struct {
	Kind control.Kind[S, T]
	// Decider is the code beside the kind's table. Its name is Name, "fuzzed" when that is empty.
	Decider control.Decider[S, T]
	Name    string
	// Setup makes what else the plane consists of, anew for every world: the adapters, and further kinds and controllers. The zero Policy is one for this purpose.
	Setup func() Setup
	// Object is what the object of a case is like in its state; nil is zero values. Variants says how many different ones there are in each state, 1 when 0: answers
	// of guards, ways of a Choose.
	Object   func(Case) (S, T)
	Variants int
	// Beside makes further objects that are there from the beginning: children, owners. Their names are that of the case's object, a point, and something.
	Beside func(c Case, o *resource.Object) []*resource.Object
	// Found makes what there is outside from the beginning, in the adapters that can tell: what is not known of by the plane, and was there before.
	Found func(c Case, o *resource.Object, outside map[command.AdapterName]Outside)
	// Payload is what a signal says. In its JSON the case's object is called "it", and what is beside it "it.…".
	Payload func(Case, lifecycle.SignalName) []byte

	// Check is the author's property: what must be so at the end of every case, and must have been so on the way. It says in a sentence what is not. It is called
	// by one goroutine at a time. [Survivors] calls the other functions of this structure by several, for different worlds.
	Check func(Case, End) error
	// Claims are properties of the table; they are proved, not tried.
	Claims []decide.Claim
	// MayFail allows the driver to end in an error, as one does that does not accept some specs.
	MayFail bool
	// MayRepeat allows actions that only the driver itself, its clock or a sensor asks for to fail without end, with the pauses of the engine between them: the object is never given up.
	MayRepeat bool

	// Cases is the most that are tried beside Stories; 0 is 2,000. Beyond it they are a sample, by Seed. Depth is how many things go wrong in one case, 0 is 2.
	Cases, Depth int
	// Horizon is how long, in virtual time, after its beginning a case must have come to its end: 0 is six hours, and less than four cannot be. The last quarter must be calm.
	Horizon time.Duration
	Seed    uint64
	// Only tells these cases and no others.
	Only []Case
	// Stories are told before all others, and to every mutant: what the author knows to be telling.
	Stories []Case
	// Sample is for [Survivors]: every so manieth mutant is judged, other ones for another Seed. 0 is all.
	Sample int

	checking *sync.Mutex // what the programs of a survey have in common
}

// Fuzz tries the kind, thousands of cases in few worlds of virtual time: an object for each. First every situation that can be, in which nothing goes wrong
// ([decide.Situations]); then each kind of them with every call of an adapter ending in every way ([Results]), and at every boundary of a step an operator's signal, another signal of
// the table, deletion, or a crash of the plane; then several at once. What is wrong is a finding, with the smallest case that shows it. The test is failed only when the fuzzing itself
// cannot be done; [Report.Require] turns findings into failures.
func Fuzz[S, T any](t *testing.T, f Fuzzing[S, T]) *Report {
	t.Helper()
	p := f.program(f.Kind, f.Decider)
	x := &explorer{program: p, most: f.most(), depth: f.depth(), variants: max(1, f.Variants), stories: f.Stories, report: &Report{Seed: f.Seed}}
	if err := x.explore(t, f.Only); err != nil {
		t.Fatalf("fuzz %s: %v", f.Kind.ID(), err)
	}
	x.report.Findings = x.findings(t)
	return x.report
}

func (f Fuzzing[S, T]) most() int {
	if f.Cases <= 0 {
		return 2000
	}
	return f.Cases
}

func (f Fuzzing[S, T]) depth() int {
	if f.Depth <= 0 {
		return 2
	}
	return f.Depth
}

// program strips off the types, for a kind and a decider that may be mutants.
func (f Fuzzing[S, T]) program(kind control.Kind[S, T], d control.Decider[S, T]) *program {
	p := &program{
		def: kind.Definition, undoes: d.Undoes(), setup: f.Setup, beside: f.Beside, found: f.Found, payload: f.Payload, claims: f.Claims,
		mayFail: f.MayFail, mayRepeat: f.MayRepeat, horizon: max(f.Horizon, 4*time.Hour), seed: f.Seed,
	}
	if f.Horizon == 0 {
		p.horizon = 6 * time.Hour
	}
	if p.setup == nil {
		p.setup = func() Setup { return Setup{} }
	}
	if f.Check != nil {
		one := &sync.Mutex{}
		if f.checking != nil {
			one = f.checking
		}
		p.check = func(c Case, e End) error {
			one.Lock()
			defer one.Unlock()
			return f.Check(c, e)
		}
	}
	name := f.Name
	if name == "" {
		name = "fuzzed"
	}
	p.writer, p.holder = "controller/"+name, resource.Finalizer(name)
	p.controller = func(w *witness) control.Controller { return kind.Decider(name, overheard(d, w), control.Workers(256)) }
	p.object = func(c Case) (any, any) {
		var spec S
		var status T
		if f.Object != nil {
			spec, status = f.Object(c)
		}
		return &spec, &status
	}
	return p
}

// overheard is a decider whose guards tell the witness what they answer.
func overheard[S, T any](d control.Decider[S, T], w *witness) control.Decider[S, T] {
	guards := d.Guards
	d.Guards = map[decide.GuardName]func(*control.Turn, *resource.Typed[S, T]) bool{}
	for name, guard := range guards {
		if guard == nil {
			continue
		}
		d.Guards[name] = func(t *control.Turn, o *resource.Typed[S, T]) bool {
			holds := guard(t, o)
			w.answered(t.Meta().Key, name, holds)
			return holds
		}
	}
	return d
}
