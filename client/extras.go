package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// HistoryOptions narrow a history. The zero value is all that is kept, of all objects that ever had the name.
type HistoryOptions struct {
	// UID means one object and not its namesakes.
	UID resource.UID
	// Limit keeps the newest so many; 0 leaves it to the server.
	Limit uint64
}

// History returns what happened to an object, oldest first; also to one that is gone.
func (c *Client) History(ctx context.Context, k Kind, ref Ref, o HistoryOptions) ([]HistoryEntry, error) {
	q := url.Values{}
	setText(q, "uid", string(o.UID))
	setUint(q, "limit", o.Limit)
	var wire struct {
		Items []HistoryEntry `json:"items"`
	}
	r := request{op: k.op("read the history of", ref), method: http.MethodGet, path: k.at(ref, "history"), query: q}
	err := c.call(ctx, r, &wire)
	return wire.Items, err
}

// KindDescription is a kind as the server explains it to people.
type KindDescription struct {
	Group       string              `json:"group"`
	Version     string              `json:"version"`
	Kind        string              `json:"kind"`
	Plural      string              `json:"plural"`
	Scope       resource.Scope      `json:"scope"`
	ShortNames  []string            `json:"shortNames,omitempty"`
	Description string              `json:"description,omitempty"`
	Lifecycle   *LifecycleDrawings  `json:"lifecycle,omitempty"`
	Decisions   *DecisionTable      `json:"decisions,omitempty"`
	Columns     []DescriptionColumn `json:"columns,omitempty"`
}

// LifecycleDrawings are the state machine of a kind as text, as a Mermaid diagram and for Graphviz, and its rules as data.
type LifecycleDrawings struct {
	States  int             `json:"states"`
	Text    string          `json:"text"`
	Mermaid string          `json:"mermaid"`
	DOT     string          `json:"dot"`
	Rules   []LifecycleRule `json:"rules,omitempty"`
}

// LifecycleRule is what holds in one state. The first of a kind is the state of a new object.
type LifecycleRule struct {
	State    lifecycle.State `json:"state"`
	Parent   lifecycle.State `json:"parent,omitempty"`
	Healthy  bool            `json:"healthy,omitempty"`
	Stable   bool            `json:"stable,omitempty"`
	Final    bool            `json:"final,omitempty"`
	Deleting bool            `json:"deleting,omitempty"`
	// Budget is how long an object may stay, as Go writes durations; "" for ever.
	Budget string               `json:"budget,omitempty"`
	Late   lifecycle.SignalName `json:"late,omitempty"`
	To     []lifecycle.State    `json:"to,omitempty"`
}

// DecisionTable is the decision table of a kind, as data and drawn.
type DecisionTable struct {
	decide.Table
	Text string `json:"text"`
}

// Tables are the kind's state machine and decision table, for package decide; those that it does not have are zero.
func (d *KindDescription) Tables() (life lifecycle.Table, table decide.Table, err error) {
	if d.Decisions != nil {
		table = d.Decisions.Table
	}
	if d.Lifecycle == nil {
		return nil, table, nil
	}
	for _, r := range d.Lifecycle.Rules {
		rule := lifecycle.Rule{
			State: r.State, Parent: r.Parent, Healthy: r.Healthy, Stable: r.Stable, Final: r.Final, Deleting: r.Deleting, Late: r.Late, To: r.To,
		}
		if r.Budget != "" {
			if rule.Budget, err = time.ParseDuration(r.Budget); err != nil {
				return nil, table, fmt.Errorf("the budget of %s.%s: %w", d.Kind, r.State, err)
			}
		}
		life = append(life, rule)
	}
	return life, table, nil
}

// DescriptionColumn is a column of the kind's tables.
type DescriptionColumn struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Path        string `json:"path,omitempty"`
	Description string `json:"description,omitempty"`
	Priority    int    `json:"priority,omitempty"`
}

// Descriptions lists the kinds that the server can explain, sorted by group and kind.
func (c *Client) Descriptions(ctx context.Context) ([]KindDescription, error) {
	var wire struct {
		Items []KindDescription `json:"items"`
	}
	err := c.call(ctx, request{op: "list the kinds", method: http.MethodGet, path: "/setpoint/v1/kinds"}, &wire)
	return wire.Items, err
}

// Describe explains a kind. It fails with [ErrNotFound] for kinds that are not Setpoint's own to explain.
func (c *Client) Describe(ctx context.Context, k Kind) (*KindDescription, error) {
	d := &KindDescription{}
	r := request{op: "describe the kind " + k.String(), method: http.MethodGet, path: join("setpoint", "v1", "kinds", dotted(k.Plural, k.Group))}
	if err := c.call(ctx, r, d); err != nil {
		return nil, err
	}
	return d, nil
}

// Backup asks the server to write a backup of its database, without stopping, to an absolute path on the server's machine where nothing is yet.
func (c *Client) Backup(ctx context.Context, path string) error {
	body, err := json.Marshal(map[string]string{"path": path})
	if err != nil {
		return fmt.Errorf("back up to %s: %w", path, err)
	}
	return c.call(ctx, request{
		op: "back up to " + path, method: http.MethodPost, path: "/setpoint/v1/backup", body: body, content: mediaJSON, stream: true,
	}, nil)
}

// ServerVersion is the version of the server's program, such as "0.1.0". Of other servers of the dialect it is all they say.
func (c *Client) ServerVersion(ctx context.Context) (string, error) {
	var wire struct {
		GitVersion string `json:"gitVersion"`
	}
	err := c.call(ctx, request{op: "ask for the version", method: http.MethodGet, path: "/version"}, &wire)
	if _, own, ok := strings.Cut(wire.GitVersion, "+setpoint."); ok {
		return own, err
	}
	return wire.GitVersion, err
}

// Live reports whether the server is alive: nil when it is, and otherwise, in its own words, why it should be restarted.
func (c *Client) Live(ctx context.Context) error {
	_, err := c.fetch(ctx, request{op: "ask whether the server is alive", method: http.MethodGet, path: "/livez", accept: "text/plain"})
	return err
}

// Ready reports whether the server can serve: nil when it can, its own words otherwise. It does not wait for it.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.fetch(ctx, request{op: "ask whether the server is ready", method: http.MethodGet, path: "/readyz", accept: "text/plain"})
	return err
}
