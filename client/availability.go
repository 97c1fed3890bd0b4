package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/setpointhq/setpoint/availability"
)

// AvailabilityOptions say what is asked of an availability. The zero value is about the last 30 days. The server judges them.
type AvailabilityOptions struct {
	// Window is a length of time, "30d" or "36h"; From and To are times in RFC 3339. Any one or two of them name a period.
	Window, From, To string
	// Sizes are the windows of the curve, as lengths of time. Without any they double, from a minute on.
	Sizes []string
	// By is "all" or "namespace": how the objects of a kind are put together.
	By string
	// Worst is how many of the worst objects of each group are named; nil leaves it to the server.
	Worst *uint64
}

// Availability is how much of a period objects were in a healthy state.
type Availability struct {
	Window availability.Window `json:"window"`
	// Reports are those of the one object that was asked about, and of former ones of its name, the oldest first.
	Reports []availability.Report `json:"reports,omitempty"`
	// Groups are those of a kind.
	Groups availability.Groups `json:"groups,omitempty"`
	Curve  availability.Curve  `json:"curve"`
	// Objects is how many are in the figures, LeftOut how many were too many to be.
	Objects int `json:"objects"`
	LeftOut int `json:"leftOut,omitempty"`
	// Raw is what the server sent, for printing.
	Raw json.RawMessage `json:"-"`
}

// Availability asks how available an object was; without a name in ref, how available all of the kind were, in the namespace or, without one, in all.
func (c *Client) Availability(ctx context.Context, k Kind, ref Ref, o AvailabilityOptions) (*Availability, error) {
	q := url.Values{}
	setText(q, "window", o.Window)
	setText(q, "from", o.From)
	setText(q, "to", o.To)
	setText(q, "sizes", strings.Join(o.Sizes, ","))
	setText(q, "by", o.By)
	if o.Worst != nil {
		q.Set("worst", fmt.Sprint(*o.Worst))
	}
	if ref.Name == "" {
		ref.Name = "-" // which stands for all
	}
	r := request{op: k.op("read the availability of", ref), method: http.MethodGet, path: k.at(ref, "availability"), query: q}
	body, err := c.fetch(ctx, r)
	if err != nil {
		return nil, err
	}
	a := &Availability{Raw: body}
	if err := json.Unmarshal(body, a); err != nil {
		return nil, fmt.Errorf("%s: the reply of %s cannot be read: %w", r.op, c.Server(), err)
	}
	return a, nil
}
