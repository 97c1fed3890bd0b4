package adopt

import (
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
)

// Outcome is what a step says about its row: where it stands, and what happens next. It is the same type that a turn over
// Setpoint's own store returns, so that who has written one controller can write the other.
type Outcome = control.Outcome

// Token is the idempotency token of one intended effect: 32 lower-case hex digits.
type Token = command.Token

// The outcomes, and the classes of errors.
var (
	// Done: the row is as it should be. Done().Again(t, code) looks again at a time.
	Done = control.Done
	// After: look again later. While an After with the same code waits it keeps its time, whatever else wakes the
	// row; a new process begins with a scan, and so looks at once.
	After = control.After
	// Await: parked until the row changes or [Controller.Wake] is called. References to objects mean nothing here.
	Await = control.Await
	// Fail: the step failed; the error's class says what follows. What was saved stays saved.
	Fail = control.Fail
	// Terminal marks an error that repeating cannot mend: the row is parked until it changes.
	Terminal = control.Terminal
	// Throttled marks an error that lasts until a known moment.
	Throttled = control.Throttled
)
