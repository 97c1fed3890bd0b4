package client

import (
	"context"
	"net/http"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// Explanation answers why an object is where it is: what it waits for, down to the root cause, and what acts on it.
type Explanation struct {
	// Object is the key as text: "Kind.group/namespace/name".
	Object             string              `json:"object"`
	UID                resource.UID        `json:"uid"`
	Generation         resource.Generation `json:"generation"`
	ObservedGeneration resource.Generation `json:"observedGeneration"`
	Revision           resource.Revision   `json:"revision"`
	State              lifecycle.State     `json:"state,omitempty"`
	StateSince         time.Time           `json:"stateSince,omitzero"`
	// Node is the name of the node that works on the object, "" where one process does everything, or when nobody does.
	Node string `json:"node,omitempty"`
	// Budget is how long the object may stay in its state, as Go writes durations; "" for ever.
	Budget     string               `json:"budget,omitempty"`
	Late       bool                 `json:"late,omitempty"`
	Ready      bool                 `json:"ready"`
	Conditions []resource.Condition `json:"conditions,omitempty"`
	Waits      []resource.Wait      `json:"waits,omitempty"`
	// Action is the action under way, LastAction how the one before it ended, and Signals are those that stand.
	Action     *resource.Action          `json:"action,omitempty"`
	LastAction *resource.ActionEnd       `json:"lastAction,omitempty"`
	Signals    []resource.StandingSignal `json:"signals,omitempty"`
	Deleting   time.Time                 `json:"deleting,omitzero"`
	Finalizers []resource.Finalizer      `json:"finalizers,omitempty"`
	Queue      []ExplainedQueue          `json:"queue,omitempty"`
	Commands   []ExplainedCommand        `json:"commands,omitempty"`
	Children   []ExplainedChild          `json:"children,omitempty"`
	// Chain leads from this object to the root cause, one wait after the other.
	Chain []ExplainedLink `json:"chain,omitempty"`
	// Hint is the command line that shows or acts on the root cause.
	Hint string `json:"hint,omitempty"`
}

// ExplainedQueue is where an object stands in a controller's queue.
type ExplainedQueue struct {
	Controller string `json:"controller"`
	InProgress bool   `json:"inProgress"`
	// Attempts counts the failures in a row.
	Attempts int       `json:"attempts"`
	Due      time.Time `json:"due,omitzero"`
	// Held: in backoff, so that only a change runs it before Due.
	Held bool `json:"held,omitempty"`
}

// ExplainedCommand is one of the object's commands to a subsystem.
type ExplainedCommand struct {
	Adapter     string    `json:"adapter"`
	Key         string    `json:"key"`
	Destination string    `json:"destination,omitempty"`
	Phase       string    `json:"phase"`
	Wanted      bool      `json:"wanted"`
	Attempt     int       `json:"attempt"`
	NotBefore   time.Time `json:"notBefore,omitzero"`
	Class       string    `json:"class,omitempty"`
	Message     string    `json:"message,omitempty"`
	Token       string    `json:"token"`
	Intent      uint64    `json:"intent"`
	Unknown     bool      `json:"unknown,omitempty"`
	Losses      int       `json:"losses,omitempty"`
}

// ExplainedChild is one of the object's children.
type ExplainedChild struct {
	Object string          `json:"object"`
	Ready  bool            `json:"ready"`
	State  lifecycle.State `json:"state,omitempty"`
}

// ExplainedLink is one step of a chain of waits: an object, or a command ("adapter/key").
type ExplainedLink struct {
	Object  string `json:"object,omitempty"`
	Command string `json:"command,omitempty"`
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
}

// Why explains an object. It fails with [ErrNotFound].
func (c *Client) Why(ctx context.Context, k Kind, ref Ref) (*Explanation, error) {
	x := &Explanation{}
	if err := c.call(ctx, request{op: k.op("explain", ref), method: http.MethodGet, path: k.at(ref, "why")}, x); err != nil {
		return nil, err
	}
	return x, nil
}

// HistoryEntry is one line of an object's history.
type HistoryEntry struct {
	Revision resource.Revision `json:"revision"`
	At       time.Time         `json:"at"`
	UID      resource.UID      `json:"uid"`
	// Type is "Transition", "Created", "Removed", "Event", "Signal" or "Command".
	Type    string          `json:"type"`
	From    lifecycle.State `json:"from,omitempty"`
	To      lifecycle.State `json:"to,omitempty"`
	Reason  string          `json:"reason,omitempty"`
	Message string          `json:"message,omitempty"`
	Writer  HistoryWriter   `json:"writer"`
	Cause   HistoryCause    `json:"cause,omitzero"`
}

// HistoryWriter says who wrote.
type HistoryWriter struct {
	// Name is "controller/<name>", "adapter/<name>", "api:<user>", "admin:<user>" or "engine".
	Name   string       `json:"name"`
	Object resource.Key `json:"object,omitzero"`
}

// HistoryCause says what led to it.
type HistoryCause struct {
	Revision resource.Revision `json:"revision,omitempty"`
	Text     string            `json:"text,omitempty"`
}
