package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// TakeUp says how far the answering node is with what it has gained, and whether all nodes stand still with that.
type TakeUp struct {
	// Paused: all nodes stand still with it, as By has asked, since a time and until another, by the database's clock.
	Paused bool      `json:"paused"`
	By     string    `json:"by,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	// Waiting counts the objects that the answering node has gained, and that have not had their turn for that.
	Waiting int `json:"waiting"`
}

// PauseTakeUp has all nodes stand still, for a time of up to a week, with the take-up of what they have gained, from others or by a start; what changes is worked on meanwhile. By says who asks, for people. With a pause under
// way, it ends after this time instead. It returns when that is written down, and may be repeated. It fails with [ErrInvalid] for a time that is too long, and with [ErrUnavailable] while the database is away.
func (c *Client) PauseTakeUp(ctx context.Context, by string, length time.Duration) (TakeUp, error) {
	return c.takeUp(ctx, "pause the take-up", map[string]any{"pause": true, "for": length.String(), "by": by})
}

// ResumeTakeUp ends the pause, if there is one.
func (c *Client) ResumeTakeUp(ctx context.Context) (TakeUp, error) {
	return c.takeUp(ctx, "resume the take-up", map[string]any{"pause": false})
}

func (c *Client) takeUp(ctx context.Context, op string, ask map[string]any) (t TakeUp, err error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return t, fmt.Errorf("%s: %w", op, err)
	}
	err = c.call(ctx, request{op: op, method: http.MethodPost, path: "/setpoint/v1/takeup", body: body, content: mediaJSON, repeatable: true}, &t)
	return t, err
}
