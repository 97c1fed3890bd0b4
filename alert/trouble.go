package alert

import (
	"errors"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/internal/legible"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// maxMessage is how much of a message is kept, in bytes.
const maxMessage = 1024

// maxCode is how long a source or a cause may be, in bytes.
const maxCode = 100

// Source names who found a trouble: "Budget", "Failure". An object has at most one trouble per source.
type Source string

// Cause is a code in CamelCase that says why: "NoCapacity". Objects are grouped by it, so it must not hold anything of one object.
type Cause string

// Severity says how soon somebody has to look. The empty one stands for [Warning].
type Severity string

// The severities, rising.
const (
	// Info: worth knowing.
	Info Severity = "info"
	// Warning: look today.
	Warning Severity = "warning"
	// Critical: look now.
	Critical Severity = "critical"
)

// severities in the order in which they rise.
var severities = [...]Severity{Info, Warning, Critical}

// rank is the place among the severities, -1 of one that is not known.
func (s Severity) rank() int {
	for i, known := range severities {
		if s == known {
			return i
		}
	}
	return -1
}

// ErrTrouble: a trouble is malformed, so it was not taken. Correct the field that the message names.
var ErrTrouble = errors.New("malformed trouble")

// Trouble is one thing that is wrong with one object.
type Trouble struct {
	// Object is who has it. Its kind is one part of the group that it falls into.
	Object resource.Key
	// Source is who found it. A later trouble of the same object and source takes its place.
	Source Source
	// State is the object's state, empty for kinds without a lifecycle.
	State lifecycle.State
	// Cause is why, as a code in CamelCase.
	Cause Cause
	// Message is for people, and may be about this object. Above 1 KiB it is cut.
	Message string
	// Severity is Warning when empty.
	Severity Severity
	// Since is when it began. It must be set.
	Since time.Time
}

// key is the group that the trouble falls into.
func (t *Trouble) key() Key { return Key{Kind: t.Object.Kind, State: t.State, Cause: t.Cause} }

// prepare fills in what was left out, and reports what is wrong.
func (t *Trouble) prepare() error {
	if t.Severity == "" {
		t.Severity = Warning
	}
	wrong := ""
	switch {
	case t.Object.Kind == "" || t.Object.Name == "":
		wrong = "the object needs a kind and a name"
	case !camelCase(string(t.Source)):
		wrong = fmt.Sprintf("source %.40q must be a code in CamelCase, at most %d characters", t.Source, maxCode)
	case !camelCase(string(t.Cause)):
		wrong = fmt.Sprintf("cause %.40q must be a code in CamelCase, at most %d characters; what is particular to the object belongs into the message", t.Cause, maxCode)
	case t.Severity.rank() < 0:
		wrong = fmt.Sprintf("severity %.40q must be one of %q", t.Severity, severities)
	case t.Since.IsZero() || t.Since.Year() < 0 || t.Since.Year() > 9999:
		wrong = "it must say since when, in the years 0 to 9999"
	}
	if wrong != "" {
		return fmt.Errorf("trouble of %s: %w: %s", t.Object, ErrTrouble, wrong)
	}
	t.Message = legible.Clip(t.Message, maxMessage)
	return nil
}

// camelCase reports whether s is an ASCII upper-case letter followed by letters and digits.
func camelCase(s string) bool {
	for i := range len(s) {
		c := s[i]
		upper, other := c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !upper && !(other && i > 0) {
			return false
		}
	}
	return s != "" && len(s) <= maxCode
}
