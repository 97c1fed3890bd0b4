package setpointtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// End is how a case ended, hours after its faults were over, and the way there: what an author's property is about. In keys and requests the object is called "it".
type End struct {
	// Object is its last form; Gone says that it was deleted.
	Object *resource.Object
	Gone   bool
	// Path are the transitions, in order.
	Path []Move
	// Runs are the actions that ended, in order.
	Runs []resource.ActionEnd
	// Took is how long each of Runs took, and Told are the actions during which people were told that it takes long.
	Took []time.Duration
	Told []decide.ActionName
	// Raised are the signals of the case, in the order in which they were to be raised, Standing those that stand now, whoever raised them.
	Raised   []Raised
	Standing []lifecycle.SignalName
	// Calls are those that reached an adapter for the object, in order.
	Calls []Made
	// Effects is what there is for the object outside: the request by adapter and natural key, in the adapters that can tell ([Outside]).
	Effects map[command.AdapterName]map[string]json.RawMessage
	// Beside are the objects whose names are that of the case's object, a point, and something, in their last form: parts, mostly. Those that are gone are not among them.
	Beside []*resource.Object
	// Outside are the adapters of the case's world that can tell, and Name is how the case's object is called there. What they know of other names is of other cases.
	Outside map[command.AdapterName]Outside
	Name    resource.Name
}

// Part is the object beside that of the case, of a kind, whose name ends in a point and this; nil when there is none.
func (e *End) Part(kind resource.KindID, name string) *resource.Object {
	for _, o := range e.Beside {
		if o.Kind == kind && o.Name == e.Name+"."+resource.Name(name) {
			return o
		}
	}
	return nil
}

// Move is a transition.
type Move struct {
	From, To lifecycle.State
	Reason   string
}

// Raised is a signal that a case raises.
type Raised struct {
	Name lifecycle.SignalName
	// State is the one that the object was in, and Beside are the signals of the table that stood then.
	State  lifecycle.State
	Beside []lifecycle.SignalName
	// Refused says that the table forbade it.
	Refused bool
}

// Made is a call as an adapter got it.
type Made struct {
	Adapter command.AdapterName
	Key     string
	// Request is nil when absence was asked for.
	Request json.RawMessage
	// Result is what a case injected, "" for the usual answer, whose outcome is Outcome.
	Result  Result
	Outcome command.Outcome
	// Changed reports whether something outside was another after the call, in adapters that can tell.
	Changed bool
	// Boundary counts the commits of the driver before the call; see [Order].
	Boundary int
	// Action is the one under way, and Undo says that it was being undone.
	Action decide.ActionName
	Undo   bool

	nth    int
	run    resource.Revision
	before string
	raw    json.RawMessage
	slot   command.Slot
}

// Outside is an adapter, or what is behind it, that can tell what there is outside. [Subsystem] is one.
type Outside interface {
	// Effects is what is there now: the request by natural key.
	Effects() map[string]json.RawMessage
	// Ledger is every effect there ever was, in order.
	Ledger() []LedgerEntry
}

// Status decodes the object's status.
func (e *End) Status(into any) error {
	if len(e.Object.Status) == 0 {
		return nil
	}
	return json.Unmarshal(e.Object.Status, into)
}

// Ended lists how the runs of an action ended.
func (e *End) Ended(name decide.ActionName) (outcomes []resource.ActionOutcome) {
	for _, r := range e.Runs {
		if r.Name == string(name) {
			outcomes = append(outcomes, r.Outcome)
		}
	}
	return outcomes
}

// Changes lists the calls that changed something outside, in order.
func (e *End) Changes() []Made {
	return slices.DeleteFunc(slices.Clone(e.Calls), func(m Made) bool { return !m.Changed })
}

// moments are in a status where it says when something was: each world has its own time.
var moments = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[^"]*"`)

// digest is everything that a slip could change and that does not depend on the order of what is at the same time.
func (e *End) digest() string {
	var b strings.Builder
	fmt.Fprintf(&b, "state %s gone %t standing %v\n", e.Object.State, e.Gone, e.Standing)
	for _, r := range e.Raised {
		if r.Refused {
			fmt.Fprintf(&b, "%s refused in %s beside %v\n", r.Name, r.State, r.Beside)
		}
	}
	if a := e.Object.Action; a != nil {
		fmt.Fprintf(&b, "halted %s %s %s\n", a.Name, a.Phase, a.Halt)
	}
	fmt.Fprintf(&b, "status %s\n", moments.ReplaceAll(e.Object.Status, []byte(`"moment"`)))
	for _, m := range e.Path {
		fmt.Fprintf(&b, "%s to %s: %s\n", m.From, m.To, m.Reason)
	}
	for _, r := range e.Runs {
		fmt.Fprintf(&b, "%s %s\n", r.Name, r.Outcome)
	}
	for _, m := range e.Changes() {
		fmt.Fprintf(&b, "%s %s is made %s\n", m.Adapter, m.Key, m.Request)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Effects)) {
		for _, key := range slices.Sorted(maps.Keys(e.Effects[name])) {
			fmt.Fprintf(&b, "%s has %s: %s\n", name, key, e.Effects[name][key])
		}
	}
	return b.String()
}
