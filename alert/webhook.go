package alert

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// SignatureHeader is the header in which a webhook's body is signed: "sha256=" and the HMAC-SHA256 of the body in hexadecimal.
const SignatureHeader = "Setpoint-Signature"

// NoticeVersion is the version of [Notice].
const NoticeVersion = "1"

// WebhookOptions say where a webhook is.
type WebhookOptions struct {
	Delivery
	// URL gets one POST per change, with a [Notice].
	URL string
	// Plane is told in every notice.
	Plane string
	// Key signs the body, see [Verify]. Without one, bodies are not signed.
	Key []byte
}

// Notice is the body of a webhook's request, as JSON. Several attempts to deliver one change have the same bytes. A receiver may get one twice, and may miss those
// that a newer one of the same group has overtaken; it never gets an older one after a newer one.
type Notice struct {
	// Version is NoticeVersion; fields may be added without a new one.
	Version string `json:"version"`
	Event   Event  `json:"event"`
	// Fingerprint is the same for all notices of a group.
	Fingerprint Fingerprint `json:"fingerprint"`
	Plane       string      `json:"plane,omitempty"`
	// Kind and State are empty for the group of the cause TooManyGroups, State for kinds without a lifecycle.
	Kind     resource.KindID `json:"kind,omitempty"`
	State    lifecycle.State `json:"state,omitempty"`
	Cause    Cause           `json:"cause"`
	Severity Severity        `json:"severity"`
	Summary  string          `json:"summary"`
	// Count is how many objects are in trouble, 0 when it is cleared.
	Count int `json:"count"`
	// Since is when the trouble began, At when this change was noticed (RFC 3339).
	Since time.Time `json:"since"`
	At    time.Time `json:"at"`
	// Examples are the objects whose trouble is oldest, at most MaxExamples; of a cleared group those that were told last.
	Examples []Example `json:"examples"`
}

// NewWebhook makes a sender that posts a [Notice] for every change. Errors: [ErrOptions].
func NewWebhook(o WebhookOptions) (*Sender, error) {
	target, err := parseTarget(o.URL)
	if err != nil {
		return nil, err
	}
	d := o.Delivery
	if err := d.prepare(target); err != nil {
		return nil, err
	}
	speak := dialect{
		batch:  1,
		encode: func(batch []letter) ([]byte, error) { return json.Marshal(notice(o.Plane, &batch[0].change)) },
		sign: func(h http.Header, body []byte) {
			if len(o.Key) > 0 {
				h.Set(SignatureHeader, "sha256="+hex.EncodeToString(sum(o.Key, body)))
			}
		},
	}
	return newSender(target, d, speak, newOutbox(d.Capacity, 0, 0)), nil
}

func notice(plane string, c *Change) Notice {
	g := &c.Group
	return Notice{
		Version: NoticeVersion, Event: c.Event, Fingerprint: g.Fingerprint, Plane: plane,
		Kind: g.Key.Kind, State: g.Key.State, Cause: g.Key.Cause, Severity: g.Severity,
		Summary: g.Summary(), Count: g.Count, Since: g.Since.UTC(), At: c.At.UTC(), Examples: g.Examples,
	}
}

// Verify reports whether a [SignatureHeader] fits the body, in constant time. A receiver in Go calls it before it decodes the body.
func Verify(key, body []byte, signature string) bool {
	digits, found := strings.CutPrefix(signature, "sha256=")
	claimed, err := hex.DecodeString(digits)
	return found && err == nil && len(key) > 0 && hmac.Equal(claimed, sum(key, body))
}

func sum(key, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(body) // a hash never fails
	return h.Sum(nil)
}
