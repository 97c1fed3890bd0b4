package resource

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/setpointhq/setpoint/lifecycle"
)

// CauseType says in one word what is wrong with a field. The words are those of the Kubernetes API.
type CauseType string

// What can be wrong with a field.
const (
	// Required: the field is missing.
	Required CauseType = "FieldValueRequired"
	// WrongType: a value of another JSON type is wanted.
	WrongType CauseType = "FieldValueTypeInvalid"
	// NotSupported: the value is not one of those allowed.
	NotSupported CauseType = "FieldValueNotSupported"
	// WrongValue: the value breaks another rule.
	WrongValue CauseType = "FieldValueInvalid"
	// TooLong: a text, or the object, is too long.
	TooLong CauseType = "FieldValueTooLong"
	// TooMany: a list has too many items.
	TooMany CauseType = "FieldValueTooMany"
	// Duplicate: a value that must be unique is there twice.
	Duplicate CauseType = "FieldValueDuplicate"
	// Forbidden: the field must not be set, or not be changed, by this write.
	Forbidden CauseType = "FieldValueForbidden"
	// UnknownField: the kind has no such field.
	UnknownField CauseType = "FieldUnknown"
)

// Cause is one thing that is wrong with an object. It is an error, so that a validation function can return one, or
// several joined by [errors.Join].
type Cause struct {
	// Field is the path of the field, "spec.routes[0].path"; "" for the object as a whole.
	Field   string
	Type    CauseType
	Message string
}

func (c Cause) Error() string {
	if c.Field == "" {
		return c.Message
	}
	return c.Field + ": " + c.Message
}

// Refuse makes a [Cause] of type [WrongValue], for validation functions.
func Refuse(field, format string, args ...any) error {
	return Cause{Field: field, Type: WrongValue, Message: fmt.Sprintf(format, args...)}
}

// Invalid is the error of an object that was understood, and breaks rules: it lists all that it breaks. Nothing was
// written. Correct the fields and send it again.
type Invalid struct {
	Key    Key
	Causes []Cause
}

func (e *Invalid) Error() string { return refusal(e.Key, "is not valid", e.Causes) }

// StateRefused is the answer to a writer that is not the kind's driver and would move an object to another state.
func StateRefused(key Key, from, to lifecycle.State) *Invalid {
	var c causes
	c.add("status.state", Forbidden, "only the driver of the kind moves an object, and this one stays %s, not %s: raise a signal", from, to)
	return &Invalid{Key: key, Causes: c}
}

// Malformed is the error of a text that cannot be read as an object of its kind: it is not JSON, too deep, has a
// field twice, or a field of the engine has the wrong type. Correct the text and send it again.
type Malformed struct {
	// Key is as much as is known of the object.
	Key    Key
	Causes []Cause
}

func (e *Malformed) Error() string { return refusal(e.Key, "cannot be read", e.Causes) }

// ErrTooLarge: an object is larger than [MaxBytes]. Make it smaller, or split it into several.
var ErrTooLarge = errors.New("object is larger than 1 MiB")

func refusal(k Key, what string, causes []Cause) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: ", k, what)
	for i, c := range causes {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(c.Error())
	}
	return b.String()
}

// causes collects what is wrong.
type causes []Cause

func (cs *causes) add(field string, t CauseType, format string, args ...any) {
	*cs = append(*cs, Cause{Field: field, Type: t, Message: fmt.Sprintf(format, args...)})
}

// within puts a path in front of the fields of all causes from the mark on. Those who judge a value name fields as seen from it, and
// whoever holds the value puts its own place in front: so a path costs nothing until something is wrong.
func (cs causes) within(mark int, path string) {
	for i := mark; i < len(cs); i++ {
		cs[i].Field = path + cs[i].Field
	}
}

func (cs causes) inField(mark int, field string) {
	if mark < len(cs) {
		cs.within(mark, pathField("", field))
	}
}

func (cs causes) inItem(mark, index int) {
	if mark < len(cs) {
		cs.within(mark, "["+strconv.Itoa(index)+"]")
	}
}

// addError takes an author's error apart: joined errors and causes one by one.
func (cs *causes) addError(field string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			cs.addError(field, e)
		}
		return
	}
	var c Cause
	var inv *Invalid
	switch {
	case err == nil:
	case errors.As(err, &inv):
		*cs = append(*cs, inv.Causes...)
	case errors.As(err, &c):
		*cs = append(*cs, c)
	default:
		cs.add(field, WrongValue, "%s", err.Error())
	}
}
