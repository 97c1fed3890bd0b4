package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// The causes of a failed call; match with errors.Is.
var (
	// ErrNotFound: there is no such object, or no such resource at the server.
	ErrNotFound = errors.New("not found")
	// ErrExists: an object of that name exists.
	ErrExists = errors.New("already exists")
	// ErrConflict: the object was changed since it was read. Read it again and repeat.
	ErrConflict = errors.New("conflict")
	// ErrInvalid: the server understood the request and refuses it; the causes say which fields are wrong. Repeating cannot help.
	ErrInvalid = errors.New("invalid")
	// ErrForbidden: who asks may not do this, or is not known.
	ErrForbidden = errors.New("forbidden")
	// ErrTooLarge: the object is over the size cap.
	ErrTooLarge = errors.New("too large")
	// ErrExpired: the position to continue from is not retained any more. List again.
	ErrExpired = errors.New("position expired")
	// ErrUnavailable: the server could not be reached or cannot serve now; nothing was written. Try again.
	ErrUnavailable = errors.New("unavailable")
	// ErrUnknown: a write was sent and its answer was lost; it may have been executed. Read before repeating it.
	ErrUnknown = errors.New("outcome unknown")
	// ErrUnknownKind: the server has no kind of that name.
	ErrUnknownKind = resource.ErrUnknownKind
	// ErrAmbiguousKind: several kinds have the name. Say "<plural>.<group>".
	ErrAmbiguousKind = resource.ErrAmbiguousKind
	// ErrDeleting: the object is on its way out, so it cannot be made what was asked for.
	ErrDeleting = errors.New("being deleted")
)

// Cause is one thing that is wrong with a request.
type Cause struct {
	// Field is a path such as "spec.routes[0].path", "" when no field is concerned.
	Field string `json:"field,omitempty"`
	// Reason is a CamelCase word, Message a sentence.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// StatusError is a refusal as the server explained it. errors.Is matches it with the sentinels above.
type StatusError struct {
	// Op is what was attempted.
	Op string
	// Code is the HTTP status; Reason the word that the server gave it, "" when it gave none.
	Code    int
	Reason  string
	Message string
	Causes  []Cause
	// RetryAfter is the pause that the server asked for, 0 when it asked for none.
	RetryAfter time.Duration
	// write: the request was one, so that a time-out leaves open what became of it.
	write bool
}

// Error is the operation, the server's sentence and, when that does not contain them, the causes.
func (e *StatusError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", e.Op)
	switch {
	case e.Message != "":
		b.WriteString(e.Message)
	case e.Reason != "":
		b.WriteString(e.Reason)
	default:
		fmt.Fprintf(&b, "the server answered %d %s", e.Code, http.StatusText(e.Code))
	}
	for _, c := range e.Causes {
		if !strings.Contains(e.Message, c.Message) {
			fmt.Fprintf(&b, "; %s: %s", c.Field, c.Message)
		}
	}
	return b.String()
}

// Is matches the sentinel that the reason, or else the code, stands for.
func (e *StatusError) Is(target error) bool { return target != nil && e.sentinel() == target }

// reasons give the sentinel of a Status's reason.
var reasons = map[string]error{
	"NotFound": ErrNotFound, "AlreadyExists": ErrExists, "Conflict": ErrConflict, "Invalid": ErrInvalid, "BadRequest": ErrInvalid,
	"Forbidden": ErrForbidden, "Unauthorized": ErrForbidden, "RequestEntityTooLarge": ErrTooLarge, "Expired": ErrExpired, "Gone": ErrExpired,
	"TooManyRequests": ErrUnavailable, "ServiceUnavailable": ErrUnavailable, "Timeout": ErrUnavailable, "ServerTimeout": ErrUnavailable,
	"MethodNotAllowed": ErrInvalid, "UnsupportedMediaType": ErrInvalid, "NotAcceptable": ErrInvalid,
}

// codes give the sentinel of an HTTP status without a reason that is known.
var codes = map[int]error{
	http.StatusBadRequest: ErrInvalid, http.StatusUnauthorized: ErrForbidden, http.StatusForbidden: ErrForbidden, http.StatusNotFound: ErrNotFound,
	http.StatusMethodNotAllowed: ErrInvalid, http.StatusNotAcceptable: ErrInvalid, http.StatusConflict: ErrConflict,
	http.StatusGone: ErrExpired, http.StatusRequestEntityTooLarge: ErrTooLarge, http.StatusUnsupportedMediaType: ErrInvalid,
	http.StatusUnprocessableEntity: ErrInvalid, http.StatusPreconditionFailed: ErrConflict, http.StatusTooManyRequests: ErrUnavailable,
	http.StatusBadGateway: ErrUnavailable, http.StatusServiceUnavailable: ErrUnavailable, http.StatusGatewayTimeout: ErrUnavailable,
}

func (e *StatusError) sentinel() error {
	if e.write && (e.Code == http.StatusGatewayTimeout || e.Code == http.StatusBadGateway) {
		return ErrUnknown
	}
	if s, ok := reasons[e.Reason]; ok {
		return s
	}
	return codes[e.Code]
}

// wireStatus is a Status, or a problem document (RFC 9457), as far as it is read.
type wireStatus struct {
	Kind    string `json:"kind"`
	Status  any    `json:"status"`
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Code    int    `json:"code"`
	Details struct {
		Causes            []Cause `json:"causes"`
		RetryAfterSeconds int     `json:"retryAfterSeconds"`
	} `json:"details"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

func (s *wireStatus) err(op string, code int) *StatusError {
	e := &StatusError{Op: op, Code: code, Reason: s.Reason, Message: s.Message, Causes: s.Details.Causes}
	if s.Code != 0 {
		e.Code = s.Code
	}
	if e.Message == "" {
		e.Message = s.Detail
	}
	if e.Message == "" {
		e.Message = s.Title
	}
	e.RetryAfter = time.Duration(s.Details.RetryAfterSeconds) * time.Second
	return e
}

// maxErrorText bounds what is shown of a reply that is not JSON.
const maxErrorText = 512

func statusError(r request, reply *http.Response) error {
	text, readErr := io.ReadAll(io.LimitReader(reply.Body, 1<<20))
	closeErr := reply.Body.Close()
	var wire wireStatus
	if json.Unmarshal(text, &wire) != nil {
		wire = wireStatus{Message: strings.TrimSpace(string(text[:min(len(text), maxErrorText)]))}
	}
	e := wire.err(r.op, reply.StatusCode)
	e.write = r.method != http.MethodGet
	if seconds, err := strconv.Atoi(reply.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	if err := errors.Join(readErr, closeErr); err != nil {
		return fmt.Errorf("%w (and its explanation broke off: %w)", e, err)
	}
	return e
}
