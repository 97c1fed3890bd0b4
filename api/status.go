package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// errModified is what the original says of a write that came too late.
var errModified = errors.New("the object has been modified; please apply your changes to the latest version and try again")

// fail answers with an error.
func (c *call) fail(err error) {
	status := c.status(err)
	if status.Code >= 500 {
		c.h.Logger.Warn("request failed", "method", c.r.Method, "path", c.r.URL.Path, "code", status.Code, "error", err)
	}
	if d := status.Details; d != nil && d.RetryAfterSeconds > 0 {
		c.w.Header().Set("Retry-After", strconv.Itoa(int(d.RetryAfterSeconds)))
	}
	if wantsProblem(c.r) {
		c.sendProblem(status)
		return
	}
	c.send(int(status.Code), encode(status))
}

// status finds the answer to an error.
func (c *call) status(err error) *metav1.Status {
	e := c.statusError(err)
	s := e.Status()
	s.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	return &s
}

func (c *call) statusError(err error) apierrors.APIStatus {
	t, name := c.target, string(c.target.name)
	var (
		known     apierrors.APIStatus
		invalid   *resource.Invalid
		malformed *resource.Malformed
		commit    *store.CommitError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &invalid):
		if invalid.Key.Name != "" {
			name = string(invalid.Key.Name)
		}
		return apierrors.NewInvalid(t.groupKind(), name, fieldErrors(invalid.Causes))
	case errors.As(err, &malformed):
		return c.unreadable(malformed.Causes)
	case errors.Is(err, resource.ErrTooLarge), errors.Is(err, store.ErrTooLarge):
		return apierrors.NewRequestEntityTooLargeError(err.Error())
	case errors.Is(err, ErrExists):
		return apierrors.NewAlreadyExists(t.resource(), name)
	case errors.Is(err, store.ErrNotFound):
		return apierrors.NewNotFound(t.resource(), name)
	case errors.Is(err, ErrPrecondition):
		return apierrors.NewConflict(t.resource(), name, err)
	case errors.Is(err, store.ErrConflict):
		return apierrors.NewConflict(t.resource(), name, errModified)
	case errors.Is(err, store.ErrRule) && errors.As(err, &commit):
		return apierrors.NewInvalid(t.groupKind(), name, field.ErrorList{field.Forbidden(field.NewPath("status", "state"), commit.Detail)})
	case errors.Is(err, ErrSignal):
		return c.signalRefused(err)
	}
	return failure(err)
}

// failure maps what is not the client's fault.
func failure(err error) apierrors.APIStatus {
	switch {
	case errors.Is(err, store.ErrCompacted):
		return apierrors.NewResourceExpired("The resourceVersion for the provided list or watch is too old: " + err.Error())
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrClosed), errors.Is(err, context.Canceled):
		e := apierrors.NewServiceUnavailable(err.Error())
		e.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: 1}
		return e
	case errors.Is(err, store.ErrUnknown):
		// No Retry-After: clients that see one repeat by themselves, and this must be looked up first.
		return apierrors.NewTimeoutError(err.Error()+"; read before you repeat", 0)
	case errors.Is(err, context.DeadlineExceeded):
		return apierrors.NewTimeoutError(err.Error(), 0)
	}
	return apierrors.NewInternalError(err)
}

// fieldErrors puts the causes in the words of the original.
func fieldErrors(causes []resource.Cause) (list field.ErrorList) {
	for _, cause := range causes {
		e := &field.Error{Type: field.ErrorType(cause.Type), Field: cause.Field, BadValue: field.OmitValueType{}, Detail: cause.Message}
		switch cause.Type {
		case resource.Required, resource.WrongType, resource.NotSupported, resource.WrongValue, resource.TooLong, resource.TooMany,
			resource.Duplicate, resource.Forbidden:
		default:
			e.Type = field.ErrorTypeInvalid
		}
		if e.Field == "" {
			e.Field = "<nil>" // as the original names the object as a whole
		}
		list = append(list, e)
	}
	return list
}

// unreadable is the answer to a body that is no object of the kind.
func (c *call) unreadable(causes []resource.Cause) *apierrors.StatusError {
	texts := make([]string, len(causes))
	for i, cause := range causes {
		texts[i] = cause.Error()
	}
	return c.badBody(strings.Join(texts, ", "))
}

func (c *call) badBody(why string) *apierrors.StatusError {
	d := c.target.def
	return apierrors.NewBadRequest(d.Kind + ` in version "` + d.Version + `" cannot be handled as a ` + d.Kind + ": " + why)
}

// encode is for values that always encode.
func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic("api: encode " + err.Error())
	}
	return append(body, '\n')
}

// problem is an error as RFC 9457 has it.
type problem struct {
	Type   string                `json:"type"`
	Title  string                `json:"title"`
	Status int32                 `json:"status"`
	Detail string                `json:"detail,omitempty"`
	Reason metav1.StatusReason   `json:"reason,omitempty"`
	Errors []metav1.StatusCause  `json:"errors,omitempty"`
	About  *metav1.StatusDetails `json:"about,omitempty"`
}

func (c *call) sendProblem(s *metav1.Status) {
	p := problem{Type: "about:blank", Title: http.StatusText(int(s.Code)), Status: s.Code, Detail: s.Message, Reason: s.Reason}
	if s.Details != nil {
		about := *s.Details
		p.Errors, about.Causes = about.Causes, nil
		p.About = &about
	}
	c.w.Header().Set("Content-Type", "application/problem+json")
	c.w.WriteHeader(int(s.Code))
	c.write(encode(p))
}
