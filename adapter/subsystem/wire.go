package subsystem

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
)

// MaxBody bounds every body of the protocol, in bytes, both ways.
const MaxBody = 1 << 20

// Header marks the answers of a server of this protocol; its value is the protocol's version.
const Header = "Setpoint-Subsystem"

const protocolVersion = "1"

// Object names the resource on whose behalf a call is made.
type Object struct {
	Kind      resource.KindID    `json:"kind,omitempty"`
	Namespace resource.Namespace `json:"namespace,omitempty"`
	Name      resource.Name      `json:"name,omitempty"`
}

// ApplyRequest is the body of POST /v1/apply.
type ApplyRequest struct {
	Token command.Token `json:"token"`
	// Scope is what the epoch is of, absent when all calls have one. Epochs of different scopes are not compared.
	Scope  string         `json:"scope,omitempty"`
	Epoch  resource.Epoch `json:"epoch"`
	Intent uint64         `json:"intent"`
	Key    string         `json:"key"`
	// Request is null to ask for absence.
	Request  json.RawMessage `json:"request"`
	Previous json.RawMessage `json:"previous,omitempty"`
	Handle   string          `json:"handle,omitempty"`
	Object   Object          `json:"object"`
}

// ApplyAnswer is the answer to POST /v1/apply, and part of that to GET /v1/tokens/T.
type ApplyAnswer struct {
	Outcome          command.Outcome `json:"outcome"`
	Class            command.Class   `json:"class,omitempty"`
	Result           json.RawMessage `json:"result,omitempty"`
	Handle           string          `json:"handle,omitempty"`
	Message          string          `json:"message,omitempty"`
	RetryAfterMillis int64           `json:"retryAfterMillis,omitempty"`
	// Repeated says that the answer is the one of an earlier call with this token.
	Repeated bool `json:"repeated,omitempty"`
}

// TokenAnswer is the answer to GET /v1/tokens/T.
type TokenAnswer struct {
	Known bool `json:"known"`
	ApplyAnswer
}

// LossEvent announces that an effect no longer holds.
type LossEvent struct {
	Sequence uint64        `json:"sequence,omitempty"`
	Key      string        `json:"key"`
	Token    command.Token `json:"token"`
	Reason   string        `json:"reason"`
}

// Changes is the answer to GET /v1/changes.
type Changes struct {
	Memory    string      `json:"memory"`
	Sequence  uint64      `json:"sequence"`
	Blank     bool        `json:"blank,omitempty"`
	Truncated bool        `json:"truncated,omitempty"`
	Lost      []LossEvent `json:"lost,omitempty"`
}

// InventoryItem is one standing effect.
type InventoryItem struct {
	Key   string        `json:"key"`
	Token command.Token `json:"token"`
	// Lost is the reason when the effect no longer holds.
	Lost string `json:"lost,omitempty"`
}

// Inventory is a page of standing effects, ordered by key. Next is empty on the last page.
type Inventory struct {
	Memory string          `json:"memory"`
	Items  []InventoryItem `json:"items"`
	Next   string          `json:"next,omitempty"`
}

// RestoreItem is one effect that a server without a memory is told it should have.
type RestoreItem struct {
	Key     string          `json:"key"`
	Token   command.Token   `json:"token"`
	Intent  uint64          `json:"intent"`
	Request json.RawMessage `json:"request"`
	Result  json.RawMessage `json:"result,omitempty"`
	Object  Object          `json:"object"`
}

// RestoreRequest is the body of POST /v1/restore.
type RestoreRequest struct {
	Memory string `json:"memory"`
	// Epoch is zero when each call has an epoch of a scope of its own. Then only intents are taught: the epochs of a scope are known again from its first call on.
	Epoch resource.Epoch `json:"epoch"`
	Items []RestoreItem  `json:"items"`
	// More announces a further page.
	More bool `json:"more,omitempty"`
}

// RestoreAnswer is the answer to POST /v1/restore.
type RestoreAnswer struct {
	Memory   string      `json:"memory"`
	Restored int         `json:"restored"`
	Lost     []LossEvent `json:"lost,omitempty"`
}

// LedgerLine is one line of the audit ledger.
type LedgerLine struct {
	At     time.Time      `json:"at"`
	Seq    uint64         `json:"seq"`
	Memory string         `json:"memory"`
	Token  command.Token  `json:"token,omitempty"`
	Epoch  resource.Epoch `json:"epoch"`
	Scope  string         `json:"scope,omitempty"` // of the epoch
	Intent uint64         `json:"intent,omitempty"`
	Key    string         `json:"key,omitempty"`
	Effect Effect         `json:"effect"`
	Detail string         `json:"detail,omitempty"`
}

// absent turns the JSON null into nil, so that there is one spelling of "nothing".
func absent(raw json.RawMessage) json.RawMessage {
	if t := bytes.TrimSpace(raw); len(t) == 0 || bytes.Equal(t, []byte("null")) {
		return nil
	}
	return raw
}

// sameJSON compares two requests regardless of insignificant white space.
func sameJSON(a, b json.RawMessage) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	var x, y bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil {
		return bytes.Equal(a, b)
	}
	return bytes.Equal(x.Bytes(), y.Bytes())
}
