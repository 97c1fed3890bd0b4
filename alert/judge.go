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
	// Halt: an action stands still, and only an operator can end that.
	Halt Source = "Halt"
	// Delay: a step of an action takes longer than its author wants people not to know of.
	Delay Source = "Delay"
)

// judged are the sources of which [Judge] speaks, in the order in which it asks them.
var judged = [...]Source{Halt, Failure, Budget, Delay}

// The causes of a [Halt].
const (
	// ActionStuck: a step of the action cannot go on, and neither can it be undone.
	ActionStuck Cause = "ActionStuck"
	// ActionParked: the program has other steps than the action began with.
	ActionParked Cause = "ActionParked"
)

// halts are the halts that wait for an operator. A pause is one that an operator has asked for.
var halts = map[resource.ActionHalt]Cause{resource.HaltStuck: ActionStuck, resource.HaltParked: ActionParked}

// A wait of the class terminal is one that no repetition will end; one of the code exhausted has been repeated for as long as its policy allows. The words are
// those of packages command and control.
const (
	terminal  = "Terminal"
	exhausted = "Exhausted"
)

// Judge finds what is worth a human's attention on an object: an action that stands still until an operator decides, or else a controller that has failed for
// good, or else the condition [resource.Late], or [resource.Delayed]. The cause of being late is the reason of the Ready condition, so that all objects that are late for one
// reason are one group. A halted action is [Critical]; the others are in a state that the table does not call healthy, and otherwise [Warning]. It
// finds nothing on an object that needs no help.
func Judge(o *resource.Object, table lifecycle.Table) (Trouble, bool) {
	t := Trouble{Object: o.Key, State: o.State, Severity: Warning}
	if rule, ok := table.Rule(o.State); ok && !rule.Healthy {
		t.Severity = Critical
	}
	for _, source := range judged {
		if findings[source](o, &t) {
			t.Source = source
			return t, true
		}
	}
	return Trouble{}, false
}

// findings fill in cause, message and beginning, and report whether there is anything to tell.
var findings = map[Source]func(*resource.Object, *Trouble) bool{Halt: halted, Failure: failed, Budget: late, Delay: delayed}

func halted(o *resource.Object, t *Trouble) bool {
	a := o.Action
	if a == nil || halts[a.Halt] == "" {
		return false
	}
	t.Severity, t.Cause, t.Message, t.Since = Critical, halts[a.Halt], a.Name, a.Since
	if a.Halted != "" {
		t.Message += ": " + a.Halted
	}
	for _, s := range a.Steps { // it stands still since the last thing that moved
		t.Since = later(t.Since, s.Since)
	}
	return true
}

func failed(o *resource.Object, t *Trouble) bool {
	for _, w := range o.Waits {
		if w.Class == terminal || w.Code == exhausted {
			t.Cause, t.Message, t.Since = code(w.Code, "Failed"), w.Controller+": "+w.Message, w.Since
			return true
		}
	}
	return false
}

func late(o *resource.Object, t *Trouble) bool {
	c, ok := o.Condition(resource.Late)
	if !ok || c.Status != resource.True {
		return false
	}
	t.Cause, t.Message, t.Since = code(c.Reason, "Late"), c.Message, c.Since
	if ready, ok := o.Condition(resource.Ready); ok && ready.Status == resource.False {
		t.Cause = code(ready.Reason, t.Cause)
		t.Message += ": " + ready.Message
	}
	return true
}

func delayed(o *resource.Object, t *Trouble) bool {
	c, ok := o.Condition(resource.Delayed)
	if !ok || c.Status != resource.True {
		return false
	}
	t.Cause, t.Message, t.Since = code(c.Reason, "Delayed"), c.Message, c.Since
	return true
}

// code is s when it is one, otherwise the fallback.
func code(s string, fallback Cause) Cause {
	if camelCase(s) {
		return Cause(s)
	}
	return fallback
}
