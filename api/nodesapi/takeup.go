package nodesapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/setpointhq/setpoint/api/internal/answer"
	"github.com/setpointhq/setpoint/store"
)

// TakeUpPath is that of the take-up of what nodes have gained, and of its pause.
const TakeUpPath = "/setpoint/v1/takeup"

// UsualPause is how long a pause lasts for which no time is said.
const UsualPause = time.Hour

// ErrNoPause: the store of this plane knows of no pauses, as it does not divide work into shards. Use one on PostgreSQL or SQLite, and one that wraps such a store has to be a store.Sharded as well.
var ErrNoPause = errors.New("the store knows of no pauses")

// TakeUp says how far the answering node is with what it has gained, and whether all stand still with that.
type TakeUp struct {
	// Paused: all nodes stand still with it, as By has asked, since a time and until another, by the database's clock.
	Paused bool      `json:"paused"`
	By     string    `json:"by,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	// Waiting counts the objects that the answering node has gained, and that have not had their turn for that.
	Waiting int `json:"waiting"`
}

// PausedTakeUp is the answer to /setpoint/v1/takeup. Problem says why it is not of now.
type PausedTakeUp struct {
	Answered string `json:"answered"`
	TakeUp
	Problem string `json:"problem,omitempty"`
}

// pauseRequest asks for a pause, or for its end.
type pauseRequest struct {
	Pause *bool `json:"pause"`
	// For is as Go writes durations, "" for UsualPause; By is who asks.
	For string `json:"for"`
	By  string `json:"by"`
}

func (f *Roster) takeUp() TakeUp {
	t := TakeUp{Waiting: f.Waiting}
	if f.Pause.On() {
		t.Paused, t.By, t.Since, t.Until = true, f.Pause.By, f.Pause.Since, f.Pause.Until
	}
	return t
}

func (h *handler) takeUp(r *http.Request) any {
	roster := h.source.Roster(r.Context())
	return PausedTakeUp{Answered: roster.Self.Name, TakeUp: roster.takeUp(), Problem: words(roster.Err)}
}

func (h *handler) pause(w http.ResponseWriter, r *http.Request) {
	by, length, wrong := readPause(w, r)
	if wrong != nil {
		wrong.Send(w)
		return
	}
	p, err := h.source.Pause(r.Context(), by, length)
	if err != nil {
		refusedPause(err).Send(w)
		return
	}
	roster := h.source.Roster(r.Context())
	roster.Pause = p
	answer.Send(w, http.StatusOK, PausedTakeUp{Answered: roster.Self.Name, TakeUp: roster.takeUp()})
}

func refusedPause(err error) *answer.Refusal {
	switch {
	case errors.Is(err, ErrNoPause):
		return answer.Refuse(http.StatusConflict, "Conflict", "%v", err)
	case errors.Is(err, store.ErrInvalid):
		return answer.Refuse(http.StatusUnprocessableEntity, "Invalid", "%v", err)
	case errors.Is(err, store.ErrUnavailable):
		return answer.Refuse(http.StatusServiceUnavailable, "ServiceUnavailable", "%v; it may not have been changed: ask again, which does no harm", err)
	}
	return answer.Refuse(http.StatusInternalServerError, "InternalError", "%v; ask again, which does no harm", err)
}

// longestName bounds what somebody calls himself.
const longestName = 200

// readPause judges a request and returns what it asks for: a length of 0 is the end of a pause.
func readPause(w http.ResponseWriter, r *http.Request) (by string, length time.Duration, wrong *answer.Refusal) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return "", 0, answer.Refuse(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "want a body of application/json")
	}
	var body pauseRequest
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil || body.Pause == nil || !*body.Pause && body.For != "" {
		return "", 0, answer.Refuse(http.StatusBadRequest, "BadRequest", `want {"pause": true, "for": "30m", "by": "who asks"} or {"pause": false}`)
	}
	if utf8.RuneCountInString(body.By) > longestName {
		return "", 0, answer.Refuse(http.StatusBadRequest, "BadRequest", "by: want at most %d characters", longestName)
	}
	if !*body.Pause {
		return "", 0, nil
	}
	length = UsualPause
	if body.For != "" {
		var err error
		if length, err = time.ParseDuration(body.For); err != nil || length <= 0 {
			return "", 0, answer.Refuse(http.StatusBadRequest, "BadRequest", "for: %q is no time such as 30m; {\"pause\": false} ends a pause", body.For)
		}
	}
	return asker(r, body.By), length, nil
}

// asker is who asks, in the words of the request, and from where.
func asker(r *http.Request, by string) string {
	if by == "" {
		by = "somebody"
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return by
	}
	return fmt.Sprintf("%s at %s", by, host)
}
