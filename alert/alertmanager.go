package alert

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// AlertName is the label alertname of every alert sent to an Alertmanager.
const AlertName = "SetpointTrouble"

// alertmanagerBatch is how many groups go into one request.
const alertmanagerBatch = 64

// AlertmanagerOptions say where an Alertmanager is, and what it is told.
type AlertmanagerOptions struct {
	Delivery
	// URL is the Alertmanager's own, "http://alertmanager:9093"; "/api/v2/alerts" is appended.
	URL string
	// Plane is the label plane, which tells several planes that share an Alertmanager apart. It is left out when empty.
	Plane string
	// Resend is after how long a firing alert is sent again: 1 min when 0. It must be well below the Alertmanager's resolve_timeout (5 min by default), after
	// which it takes silence for recovery.
	Resend time.Duration
	// Linger is for how long a cleared alert is sent again, so that an Alertmanager that is restarted meanwhile hears of it: 5 min when 0.
	Linger time.Duration
}

// NewAlertmanager makes a sender for an Alertmanager's API, version 2. Errors: [ErrOptions].
//
// An alert has the labels alertname, kind, state, cause, severity and plane, and the annotations summary, description and count. The severity being one of the labels, an
// Alertmanager takes another severity for another alert; the earlier one is then ended in the same request.
func NewAlertmanager(o AlertmanagerOptions) (*Sender, error) {
	target, err := parseTarget(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Resend == 0 {
		o.Resend = time.Minute
	}
	if o.Linger == 0 {
		o.Linger = 5 * time.Minute
	}
	if o.Resend < 0 || o.Linger < 0 {
		return nil, fmt.Errorf("receiver: %w: Resend and Linger must not be negative", ErrOptions)
	}
	d := o.Delivery
	if err := d.prepare(target); err != nil {
		return nil, err
	}
	speak := dialect{
		batch:  alertmanagerBatch,
		encode: func(batch []letter) ([]byte, error) { return json.Marshal(alerts(o.Plane, batch)) },
		sign:   func(http.Header, []byte) {},
	}
	return newSender(target.JoinPath("api", "v2", "alerts"), d, speak, newOutbox(d.Capacity, o.Resend, o.Linger)), nil
}

// postable is one alert in the shape of the API's postableAlert.
type postable struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	// EndsAt is absent while it fires: the Alertmanager then counts by its own clock, and not by ours.
	EndsAt time.Time `json:"endsAt,omitzero"`
}

// alerts translates a batch.
func alerts(plane string, batch []letter) []postable {
	var list []postable
	for i := range batch {
		c := &batch[i].change
		var end time.Time
		if c.Event == Cleared {
			end = c.At
		}
		list = append(list, onePostable(plane, c, c.Group.Severity, end))
		for _, s := range batch[i].also {
			list = append(list, onePostable(plane, c, s, c.At))
		}
	}
	return list
}

func onePostable(plane string, c *Change, severity Severity, end time.Time) postable {
	g := &c.Group
	p := postable{
		Labels:      map[string]string{"alertname": AlertName, "cause": string(g.Key.Cause), "severity": string(severity)},
		Annotations: map[string]string{"summary": g.Summary(), "description": describe(g), "count": strconv.Itoa(g.Count)},
		StartsAt:    g.Since,
		EndsAt:      end,
	}
	for label, value := range map[string]string{"kind": string(g.Key.Kind), "state": string(g.Key.State), "plane": plane} {
		if value != "" {
			p.Labels[label] = strings.ToValidUTF8(value, "\uFFFD")
		}
	}
	return p
}

// describe names the examples, one per line.
func describe(g *Group) string {
	var b strings.Builder
	for i := range g.Examples {
		e := &g.Examples[i]
		fmt.Fprintf(&b, "%s since %s", e.Object, e.Since.UTC().Format(time.RFC3339))
		if e.Message != "" {
			fmt.Fprintf(&b, ": %s", e.Message)
		}
		b.WriteByte('\n')
	}
	if more := g.Count - len(g.Examples); more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
