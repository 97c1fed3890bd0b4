package api

import (
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// actionReport is the answer to GET …/actions.
type actionReport struct {
	Kind       string   `json:"kind"`
	APIVersion string   `json:"apiVersion"`
	Metadata   struct{} `json:"metadata"`
	// Action is the one under way, with the results of its steps; Last is how the one before it ended.
	Action *resource.Action    `json:"action,omitempty"`
	Last   *resource.ActionEnd `json:"lastAction,omitempty"`
}

// actions answers GET …/actions.
func (c *call) actions() error {
	o, ok := c.h.Plane.Get(c.target.key())
	if !ok {
		return fmt.Errorf("%s: %w", c.target.key(), store.ErrNotFound)
	}
	c.send(http.StatusOK, encode(actionReport{Kind: "ActionReport", APIVersion: ownVersion, Action: o.Action, Last: o.Last}))
	return nil
}

// ActionRefused is the reason of the warning that stays in the history of an object on which somebody has tried to start an action, or to change one.
const ActionRefused = "ActionRefused"

// refuseAction answers what would start an action, or change the one under way: nobody does that directly. That it was tried is recorded.
func (c *call) refuseAction() error {
	message := fmt.Sprintf("%s of …/actions by %s: only the kind's decision table starts actions; raise a signal (POST …/signal)", c.r.Method, c.user)
	if err := c.h.Plane.Warn(c.ctx, c.user, c.target.key(), ActionRefused, message); err != nil {
		return err
	}
	refused := c.refuseMethod("GET, HEAD")
	if e, ok := refused.(*apierrors.StatusError); ok {
		e.ErrStatus.Message += ": only the kind's decision table starts actions; raise a signal"
	}
	return refused
}
