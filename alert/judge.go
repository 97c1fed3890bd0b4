package alert

import (
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// The sources that [Judge] speaks for.
const (
	// Budget: the object is in a state for longer than the budget of that state.
	Budget Source = "Budget"
	// Failure: a controller has given up, and waits for somebody to change something.
	Failure Source = "Failure"
)

// terminal is the class of a wait that no repetition will end. The word is that of package command.
const terminal = "Terminal"

// Judge finds what is worth a human's attention on an object: a controller that has failed for good, or else the condition [resource.Late]. The cause of
// being late is the reason of the Ready condition, so that all objects that are late for one reason are one group. In a state that the table does not
// call healthy the severity is Critical, otherwise Warning. It finds nothing on an object that needs no help.
func Judge(o *resource.Object, table lifecycle.Table) (Trouble, bool) {
	t := Trouble{Object: o.Key, State: o.State, Severity: Warning}
	if rule, ok := table.Rule(o.State); ok && !rule.Healthy {
		t.Severity = Critical
	}
	for _, w := range o.Waits {
		if w.Class == terminal {
			t.Source, t.Cause, t.Message, t.Since = Failure, code(w.Code, "Failed"), w.Controller+": "+w.Message, w.Since
			return t, true
		}
	}
	late, ok := o.Condition(resource.Late)
	if !ok || late.Status != resource.True {
		return Trouble{}, false
	}
	t.Source, t.Cause, t.Message, t.Since = Budget, code(late.Reason, "Late"), late.Message, late.Since
	if ready, ok := o.Condition(resource.Ready); ok && ready.Status == resource.False {
		t.Cause = code(ready.Reason, t.Cause)
		t.Message += ": " + ready.Message
	}
	return t, true
}

// code is s when it is one, otherwise the fallback.
func code(s string, fallback Cause) Cause {
	if camelCase(s) {
		return Cause(s)
	}
	return fallback
}
