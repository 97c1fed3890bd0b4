package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

const ownVersion = resource.Group + "/v1"

// why answers GET …/why with the plane's explanation as it is.
func (c *call) why() error {
	explanation, ok := c.h.Plane.Explain(c.target.key())
	if !ok {
		return fmt.Errorf("%s: %w", c.target.key(), store.ErrNotFound)
	}
	body, err := json.Marshal(explanation)
	if err != nil {
		return fmt.Errorf("%s: encode the explanation: %w", c.target.key(), err)
	}
	c.send(http.StatusOK, append(body, '\n'))
	return nil
}

// historyList is the answer to GET …/history, oldest entry first.
type historyList struct {
	Kind       string        `json:"kind"`
	APIVersion string        `json:"apiVersion"`
	Metadata   struct{}      `json:"metadata"`
	Items      []store.Entry `json:"items"`
}

// maxHistory is the most entries that one answer has.
const maxHistory = 10_000

// history answers GET …/history. An object that is gone still has one; ?uid= leaves former namesakes out, and ?limit= keeps the newest.
func (c *call) history() error {
	q := c.r.URL.Query()
	ask := store.HistoryQuery{Key: c.target.key(), UID: resource.UID(q.Get("uid"))}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxHistory {
			return apierrors.NewBadRequest(fmt.Sprintf("limit: want a number from 0 to %d, not %q", maxHistory, text))
		}
		ask.Limit = n
	}
	entries, err := c.h.Plane.History(c.ctx, ask)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		if _, ok := c.h.Plane.Get(ask.Key); !ok {
			return fmt.Errorf("%s: %w", ask.Key, store.ErrNotFound)
		}
		entries = []store.Entry{}
	}
	c.send(http.StatusOK, encode(historyList{Kind: "HistoryList", APIVersion: ownVersion, Items: entries}))
	return nil
}
