package resource

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
)

// Action is an action under way on an object: which, how far, and why it does not go on when it does not. It is the persisted cursor: whoever
// takes over goes on from here. There is at most one per object.
type Action struct {
	Name string `json:"name"`
	// Run tells the runs of an action apart: the revision that it was decided on.
	Run Revision `json:"run"`
	// From is the state that the object was in.
	From  lifecycle.State `json:"from,omitempty"`
	Since time.Time       `json:"since"`
	// Deadline is when it is given up and unwound, zero for never.
	Deadline time.Time `json:"deadline,omitzero"`
	// Phase says which way it goes.
	Phase ActionPhase `json:"phase"`
	// Halt is why it stands still, "" while it moves; Halted says so in a sentence.
	Halt   ActionHalt `json:"halt,omitempty"`
	Halted string     `json:"halted,omitempty"`
	// Paused is when an operator's pause began, zero when there is none: its limits wait as long as it does.
	Paused time.Time `json:"paused,omitzero"`
	// End is how it will have ended when it is unwound, and Message the sentence for it.
	End     ActionOutcome `json:"end,omitempty"`
	Message string        `json:"message,omitempty"`
	// Signals are the identities of the signals it read, which its end consumes.
	Signals []uint64 `json:"signals,omitempty"`
	// Plan is the signature of its steps when it began: a run whose remaining steps have changed since does not go on.
	Plan string `json:"plan,omitempty"`
	// Steps are those that have begun, in the order in which they did.
	Steps []ActionStep `json:"steps,omitempty"`
}

// ActionPhase says which way an action goes.
type ActionPhase string

// An action runs its steps, or undoes those it has done, the last one first.
const (
	ActionRunning   ActionPhase = "Running"
	ActionUnwinding ActionPhase = "Unwinding"
)

// ActionHalt is why an action stands still.
type ActionHalt string

const (
	// HaltPaused: an operator asked for it, and ends it with the signal Resume.
	HaltPaused ActionHalt = "Paused"
	// HaltStuck: a step cannot go on, and neither can it be undone. The signals Retry, Cancel and Abandon are for that.
	HaltStuck ActionHalt = "Stuck"
	// HaltParked: the program's definition of the remaining steps is another one than when the action began. It goes on when that program is back; the
	// signals Cancel and Abandon are for when it will not be.
	HaltParked ActionHalt = "Parked"
)

// ActionStep is a step of an action that has begun.
type ActionStep struct {
	Name  string    `json:"name"`
	Phase StepPhase `json:"phase"`
	Since time.Time `json:"since"`
	// Adapter and Key are the slot of its command, "" for a step without one; Destination is where it went.
	Adapter     string `json:"adapter,omitempty"`
	Key         string `json:"key,omitempty"`
	Destination string `json:"destination,omitempty"`
	// Result is the answer of its command, JSON; of a branch it is the name of the way taken.
	Result json.RawMessage `json:"result,omitempty"`
}

// StepPhase says how far a step is.
type StepPhase string

// The phases of a step. One that failed may have had an effect, and is undone like one that was done; one that was refused has had none.
const (
	StepRunning StepPhase = "Running"
	StepDone    StepPhase = "Done"
	StepFailed  StepPhase = "Failed"
	StepRefused StepPhase = "Refused"
	StepUndoing StepPhase = "Undoing"
	StepUndone  StepPhase = "Undone"
)

// ActionOutcome is how an action ended.
type ActionOutcome string

const (
	// OutcomeSucceeded: all steps are done.
	OutcomeSucceeded ActionOutcome = "Succeeded"
	// OutcomeFailed: a step was refused, or took too long; what was done has been undone.
	OutcomeFailed ActionOutcome = "Failed"
	// OutcomeCanceled: an operator, or the deletion of the object, ended it; what was done has been undone.
	OutcomeCanceled ActionOutcome = "Canceled"
	// OutcomePreempted: it made way for a signal, and will be decided on again; what was done has been undone.
	OutcomePreempted ActionOutcome = "Preempted"
	// OutcomeAbandoned: an operator ended it as it was, and answers for what is left outside.
	OutcomeAbandoned ActionOutcome = "Abandoned"
)

// ActionEnd is how the last action of an object ended.
type ActionEnd struct {
	Name    string        `json:"name"`
	Run     Revision      `json:"run"`
	Outcome ActionOutcome `json:"outcome"`
	Message string        `json:"message,omitempty"`
	At      time.Time     `json:"at"`
	// Failures counts the actions in a row that have failed, up to this one: what nobody has asked for waits ever longer before it is tried again.
	Failures uint64 `json:"failures,omitempty"`
}

// StandingSignal is a signal that stands on an object, as the object shows it.
type StandingSignal struct {
	Name lifecycle.SignalName `json:"name"`
	By   string               `json:"by,omitempty"`
	At   time.Time            `json:"at"`
	// Why is what the one who raised it said.
	Why string `json:"why,omitempty"`
	// Note says what becomes of it: read by an action, or deferred, and why.
	Note string `json:"note,omitempty"`
}

// Clone returns a copy that can be changed; results are shared, and replaced, never edited.
func (a *Action) Clone() *Action {
	if a == nil {
		return nil
	}
	c := *a
	c.Signals, c.Steps = slices.Clone(a.Signals), slices.Clone(a.Steps)
	return &c
}

// Step returns the step of a name, nil when it has not begun.
func (a *Action) Step(name string) *ActionStep {
	if i := slices.IndexFunc(a.Steps, func(s ActionStep) bool { return s.Name == name }); i >= 0 {
		return &a.Steps[i]
	}
	return nil
}

// Equal reports whether two actions say the same. Both may be nil.
func (a *Action) Equal(b *Action) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Name == b.Name && a.Run == b.Run && a.From == b.From && a.Since.Equal(b.Since) && a.Deadline.Equal(b.Deadline) && a.Paused.Equal(b.Paused) && a.Phase == b.Phase &&
		a.Halt == b.Halt && a.Halted == b.Halted && a.Message == b.Message && a.End == b.End && a.Plan == b.Plan && slices.Equal(a.Signals, b.Signals) &&
		slices.EqualFunc(a.Steps, b.Steps, func(x, y ActionStep) bool {
			return x.Name == y.Name && x.Phase == y.Phase && x.Since.Equal(y.Since) && x.Adapter == y.Adapter && x.Key == y.Key && x.Destination == y.Destination && string(x.Result) == string(y.Result)
		})
}
