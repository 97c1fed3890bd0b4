package control

import (
	"errors"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// Outcome is what a turn says about its object: where it stands, and what happens next. It is the one
// return value of a controller; there is no error beside it that could say something else. The zero
// Outcome is not valid: use the constructors.
type Outcome struct {
	kind    outcomeKind
	code    string
	message string
	on      []resource.Ref
	until   time.Time
	delay   time.Duration
	class   command.Class
}

type outcomeKind uint8

const (
	outcomeInvalid outcomeKind = iota
	outcomeDone
	outcomeAfter
	outcomeAwait
	outcomeFail
)

func (k outcomeKind) String() string {
	return [...]string{"invalid", "done", "after", "await", "fail"}[k]
}

// Done says that the object is at its setpoint: wake me when something changes. Everything the object is
// to have has been declared: effects that were ensured before, and were not mentioned in this turn, are withdrawn.
func Done() Outcome { return Outcome{kind: outcomeDone} }

// Again makes a turn that is Done look again at a time, though nothing may have changed: to renew, to
// expire. The zero time changes nothing, and neither does an outcome that is not Done: it says itself when to look again. The code
// (CamelCase) is shown as what the object waits for.
func (o Outcome) Again(at time.Time, code string) Outcome {
	if o.kind == outcomeDone && !at.IsZero() {
		o.until, o.code = at, code
	}
	return o
}

// After says that the object is not at its setpoint and that only time will tell: look again later. The
// timer is stored. While one with the same code is armed it keeps its time, so neither a restart nor another
// wake-up postpones it. The least delay is 100 ms.
func After(d time.Duration, code, message string) Outcome {
	return Outcome{kind: outcomeAfter, delay: d, code: code, message: message}
}

// Await parks the object until something changes: the object itself, its children, a command, a signal, what the turn read, or what on names.
func Await(code, message string, on ...resource.Ref) Outcome {
	return Outcome{kind: outcomeAwait, code: code, message: message, on: on}
}

// Fail drops everything the turn has staged and records the error. Its class decides what follows: an
// error made by [Terminal] parks the object until it, or something the turn read, is changed; one made by [Throttled] waits for the named
// moment; any other is repeated with exponential backoff and full jitter.
func Fail(err error) Outcome {
	if err == nil {
		err = errors.New("the controller failed without saying why")
	}
	o := Outcome{kind: outcomeFail, code: "Error", message: err.Error(), class: command.Retry}
	var c *classified
	if errors.As(err, &c) {
		o.class, o.until = c.class, c.until
	}
	return o
}

// AtRest reports whether the object is at its setpoint.
func (o Outcome) AtRest() bool { return o.kind == outcomeDone }

// Terminal reports whether repeating cannot help: something refused the request itself.
func (o Outcome) Terminal() bool { return o.class == command.Terminal }

// Kind names what happens next: "done", "after", "await" or "fail"; "invalid" is the zero Outcome.
func (o Outcome) Kind() string { return o.kind.String() }

// Class says what a failure asks for; "" for every other outcome.
func (o Outcome) Class() command.Class { return o.class }

// Code is the word (CamelCase) for what the object waits for, "" for an object at rest.
func (o Outcome) Code() string { return o.code }

// Due is when to look again though nothing may have changed, for a turn that ends now: the end of After's delay, the time of
// Again, or the moment that [Throttled] named. The zero time: not before something changes, or a backoff is over.
func (o Outcome) Due(now time.Time) time.Time {
	if o.kind == outcomeAfter {
		return now.Add(o.delay)
	}
	return o.until
}

// Message is the sentence for people, "" for an object at rest.
func (o Outcome) Message() string { return o.message }

func (o Outcome) String() string {
	if o.code == "" {
		return o.kind.String()
	}
	return fmt.Sprintf("%s %s: %s", o.kind, o.code, o.message)
}

// classified is an error that knows what to do about it.
type classified struct {
	err   error
	class command.Class
	until time.Time
}

func (c *classified) Error() string { return c.err.Error() }
func (c *classified) Unwrap() error { return c.err }

// Terminal marks an error that repeating cannot mend. The object is parked until it changes.
func Terminal(err error) error { return &classified{err: err, class: command.Terminal} }

// Throttled marks an error that will last until a moment that is known. One that has passed, or the zero time, is no such moment: the
// turn is then repeated with backoff, as after any other error.
func Throttled(err error, until time.Time) error {
	if until.IsZero() {
		return err
	}
	return &classified{err: err, class: command.Throttled, until: until}
}
