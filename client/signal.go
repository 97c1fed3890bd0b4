package client

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// Signal is a request to an object's driver, which is stored and served when its time has come. Only Name is required.
type Signal struct {
	Name lifecycle.SignalName
	// Payload is any JSON value, nil for none; Why a sentence for people.
	Payload json.RawMessage
	Why     string
	// Key says what the signal is about: while one of this name and key stands, another is not raised, so that a request whose answer was lost
	// can be repeated. (Not by the client itself: the first may have been served meanwhile.)
	Key string
	// For is how long the signal means something, 0 for ever.
	For time.Duration
}

// RaisedSignal is a signal that stands after [Client.Signal].
type RaisedSignal struct {
	ID   uint64               `json:"id"`
	Name lifecycle.SignalName `json:"name"`
	// Fresh is false when the signal stood already.
	Fresh bool `json:"fresh"`
}

// Signal raises a signal on an object. It fails with [ErrInvalid], and the reason, when the kind does not know the signal or forbids it now.
func (c *Client) Signal(ctx context.Context, k Kind, ref Ref, s Signal) (*RaisedSignal, error) {
	r := request{
		op: k.op("signal "+string(s.Name)+" to", ref), method: http.MethodPost, path: k.at(ref, "signal"), content: mediaJSON,
	}
	body, err := json.Marshal(struct {
		Name       lifecycle.SignalName `json:"name"`
		Payload    json.RawMessage      `json:"payload,omitempty"`
		Why        string               `json:"why,omitempty"`
		Dedupe     string               `json:"dedupe,omitempty"`
		ForSeconds float64              `json:"forSeconds,omitempty"`
	}{s.Name, s.Payload, s.Why, s.Key, math.Max(0, s.For.Seconds())})
	if err != nil {
		return nil, fmt.Errorf("%s: the payload is no JSON: %w", r.op, err)
	}
	r.body = body
	raised := &RaisedSignal{}
	if err := c.call(ctx, r, raised); err != nil {
		return nil, err
	}
	return raised, nil
}

// StandingSignal is a signal that has been raised and not been consumed yet.
type StandingSignal struct {
	ID   uint64               `json:"id"`
	Name lifecycle.SignalName `json:"name"`
	By   string               `json:"by,omitempty"`
	Why  string               `json:"why,omitempty"`
	At   time.Time            `json:"at"`
	// Expires is when it means nothing any more, zero for never.
	Expires time.Time       `json:"expires,omitzero"`
	Key     string          `json:"dedupe,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
	// Note says what becomes of it: read by an action, or deferred, and why.
	Note string `json:"note,omitempty"`
}

// Signals lists the signals that stand on an object, oldest first. It fails with [ErrNotFound].
func (c *Client) Signals(ctx context.Context, k Kind, ref Ref) ([]StandingSignal, error) {
	var wire struct {
		Items []StandingSignal `json:"items"`
	}
	err := c.call(ctx, request{op: k.op("list the signals of", ref), method: http.MethodGet, path: k.at(ref, "signals")}, &wire)
	return wire.Items, err
}

// Actions are the action under way on an object, nil when there is none, and how the one before it ended.
type Actions struct {
	Action *resource.Action    `json:"action,omitempty"`
	Last   *resource.ActionEnd `json:"lastAction,omitempty"`
}

// Actions asks for the action of an object, with the results of its steps. It fails with [ErrNotFound].
func (c *Client) Actions(ctx context.Context, k Kind, ref Ref) (*Actions, error) {
	a := &Actions{}
	if err := c.call(ctx, request{op: k.op("read the actions of", ref), method: http.MethodGet, path: k.at(ref, "actions")}, a); err != nil {
		return nil, err
	}
	return a, nil
}
