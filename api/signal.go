package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// signalBody is the body of POST …/signal.
type signalBody struct {
	Kind       string               `json:"kind,omitempty"`
	APIVersion string               `json:"apiVersion,omitempty"`
	Name       lifecycle.SignalName `json:"name"`
	Payload    json.RawMessage      `json:"payload,omitempty"`
	Why        string               `json:"why,omitempty"`
	Dedupe     string               `json:"dedupe,omitempty"`
	ForSeconds float64              `json:"forSeconds,omitempty"`
}

// signalAnswer says which signal stands now, and whether this request raised it.
type signalAnswer struct {
	Kind       string               `json:"kind"`
	APIVersion string               `json:"apiVersion"`
	ID         store.SignalID       `json:"id"`
	Name       lifecycle.SignalName `json:"name"`
	Fresh      bool                 `json:"fresh"`
}

// signal answers POST …/signal: 201 for a new signal, 200 when one stands that says the same.
func (c *call) signal() error {
	text, err := c.objectBody()
	if err != nil {
		return err
	}
	var b signalBody
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		return apierrors.NewBadRequest("the body is no signal: " + err.Error())
	}
	s, err := b.signal()
	if err != nil {
		return err
	}
	id, fresh, err := c.h.Plane.Signal(c.ctx, c.user, c.target.key(), s)
	if err != nil {
		return err
	}
	code := http.StatusOK
	if fresh {
		code = http.StatusCreated
	}
	c.send(code, encode(signalAnswer{Kind: "Signal", APIVersion: ownVersion, ID: id, Name: s.Name, Fresh: fresh}))
	return nil
}

// maxStanding is the longest that a signal can be asked to stand; 0 seconds is for ever.
const maxStanding = 10 * 365 * 24 * time.Hour

// The bounds of the texts of a signal, in bytes.
const (
	maxWhy    = 4096
	maxDedupe = 256
)

// signal judges what can be judged without the object.
func (b *signalBody) signal() (Signal, error) {
	s := Signal{Name: b.Name, Payload: b.Payload, Why: b.Why, Dedupe: b.Dedupe}
	if bytes.Equal(s.Payload, []byte("null")) {
		s.Payload = nil
	}
	refuse := func(field string, why resource.CauseType, format string, args ...any) error {
		return &resource.Invalid{Causes: []resource.Cause{{Field: field, Type: why, Message: fmt.Sprintf(format, args...)}}}
	}
	switch {
	case b.Name == "":
		return s, required("name", "which signal is to be raised")
	case len(b.Why) > maxWhy:
		return s, refuse("why", resource.TooLong, "is %d bytes long, at most %d are allowed", len(b.Why), maxWhy)
	case len(b.Dedupe) > maxDedupe:
		return s, refuse("dedupe", resource.TooLong, "is %d bytes long, at most %d are allowed", len(b.Dedupe), maxDedupe)
	case b.ForSeconds < 0 || b.ForSeconds > maxStanding.Seconds():
		return s, refuse("forSeconds", resource.WrongValue, "must be from 0, which is for ever, to %.0f", maxStanding.Seconds())
	}
	s.For = time.Duration(math.Ceil(b.ForSeconds * float64(time.Second)))
	return s, nil
}

// signalRefused is the answer to a signal that the kind refuses: 422, with the reason at the field name.
func (c *call) signalRefused(err error) apierrors.APIStatus {
	return c.statusError(&resource.Invalid{Causes: []resource.Cause{{Field: "name", Type: resource.Forbidden, Message: err.Error()}}})
}

// signalList is the answer to GET …/signal, the oldest first.
type signalList struct {
	Kind       string           `json:"kind"`
	APIVersion string           `json:"apiVersion"`
	Metadata   struct{}         `json:"metadata"`
	Items      []standingSignal `json:"items"`
}

// standingSignal is a signal that stands.
type standingSignal struct {
	ID      store.SignalID       `json:"id"`
	Name    lifecycle.SignalName `json:"name"`
	By      string               `json:"by,omitempty"`
	Why     string               `json:"why,omitempty"`
	At      time.Time            `json:"at"`
	Expires time.Time            `json:"expires,omitzero"`
	Dedupe  string               `json:"dedupe,omitempty"`
	Payload json.RawMessage      `json:"payload,omitempty"`
	// Note says what becomes of it, as the driver has written it on the object.
	Note string `json:"note,omitempty"`
}

// signals answers GET …/signal with those that stand.
func (c *call) signals() error {
	o, standing, ok := c.h.Plane.Signals(c.target.key())
	if !ok {
		return fmt.Errorf("%s: %w", c.target.key(), store.ErrNotFound)
	}
	list := signalList{Kind: "SignalList", APIVersion: ownVersion, Items: []standingSignal{}}
	now := time.Now()
	for i := range standing {
		s := &standing[i]
		if s.Live(now) {
			list.Items = append(list.Items, standingSignal{
				ID: s.ID, Name: s.Name, By: s.By, Why: s.Why, At: s.At, Expires: s.Expires, Dedupe: s.Dedupe, Payload: s.Payload, Note: noteOn(o, s),
			})
		}
	}
	c.send(http.StatusOK, encode(list))
	return nil
}

// noteOn is what the object says of a signal.
func noteOn(o *resource.Object, s *store.Signal) string {
	for _, shown := range o.Signals {
		if shown.Name == s.Name && shown.By == s.By && shown.At.Equal(s.At) {
			return shown.Note
		}
	}
	return ""
}
