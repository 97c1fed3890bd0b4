package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Node is a process that works, or has worked, on the server's database.
type Node struct {
	Name string `json:"name"`
	// ID is of one run of the process.
	ID      string `json:"id"`
	Version string `json:"version,omitempty"`
	Address string `json:"address,omitempty"`
	// Member: it has been heard of within its time to live. Self: it is who answers. Draining: its name is cordoned.
	Member   bool `json:"member"`
	Self     bool `json:"self,omitempty"`
	Draining bool `json:"draining,omitempty"`
	// Left: it was stopped, and has said so; otherwise one that is no member has died, or cannot reach the database. Replaced: a later run of the same process is a member.
	Left     bool `json:"left,omitempty"`
	Replaced bool `json:"replaced,omitempty"`
	Shards   int  `json:"shards"`
	// Trouble is what keeps it from its work, in its own words.
	Trouble string `json:"trouble,omitempty"`
	// Joined, Seen and Expires are by the database's clock.
	Joined  time.Time `json:"joined,omitzero"`
	Seen    time.Time `json:"seen,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	// Skew is by how much its clock was ahead of the database's, as Go writes durations.
	Skew string `json:"skew,omitempty"`
}

// Nodes are all nodes that are known. Answered is the name of the one that says so.
type Nodes struct {
	Answered string `json:"answered"`
	Engine   string `json:"engine"`
	// Shared: several processes may work on the database.
	Shared bool `json:"shared"`
	// Unowned counts the shards that nobody has.
	Unowned int `json:"unowned"`
	// Standby is why the answering node has no work, "" when it has.
	Standby string `json:"standby,omitempty"`
	TakeUp  TakeUp `json:"takeUp"`
	// At is when it was so; Problem says why that is not now: the database does not answer.
	At      time.Time `json:"at,omitzero"`
	Problem string    `json:"problem,omitempty"`
	Items   []Node    `json:"items"`
}

// ShardLease is a shard that a node has. Epoch is "incarnation.counter".
type ShardLease struct {
	Shard int       `json:"shard"`
	Epoch string    `json:"epoch"`
	Since time.Time `json:"since,omitzero"`
}

// NodeLeases are the shards of one node, with the lowest and the highest epoch among them.
type NodeLeases struct {
	Node   string       `json:"node"`
	ID     string       `json:"id"`
	Member bool         `json:"member"`
	Low    string       `json:"low,omitempty"`
	High   string       `json:"high,omitempty"`
	Shards []ShardLease `json:"shards"`
}

// Lease is a lease that is not a shard's, such as "author/import".
type Lease struct {
	Scope   string    `json:"scope"`
	Holder  string    `json:"holder"`
	Epoch   string    `json:"epoch"`
	Held    bool      `json:"held"`
	Expires time.Time `json:"expires,omitzero"`
}

// Leases say who has what. At and Problem are as those of [Nodes].
type Leases struct {
	Answered string       `json:"answered"`
	At       time.Time    `json:"at,omitzero"`
	Problem  string       `json:"problem,omitempty"`
	Items    []NodeLeases `json:"items"`
	Unowned  []int        `json:"unowned"`
	Others   []Lease      `json:"others"`
}

// Finding is one thing that the doctor has found. Severity is "critical", "warning" or "info".
type Finding struct {
	Severity string    `json:"severity"`
	Code     string    `json:"code"`
	Object   string    `json:"object"`
	What     string    `json:"what"`
	Why      string    `json:"why"`
	Remedy   string    `json:"remedy"`
	Since    time.Time `json:"since,omitzero"`
}

// Diagnosis is what the doctor says: findings, worst first. Well: none of them needs somebody. Unasked says which questions had no answer.
type Diagnosis struct {
	Answered string    `json:"answered"`
	At       time.Time `json:"at"`
	Well     bool      `json:"well"`
	Findings []Finding `json:"findings"`
	Unasked  []string  `json:"unasked,omitempty"`
}

// Nodes lists the nodes.
func (c *Client) Nodes(ctx context.Context) (Nodes, error) {
	var n Nodes
	err := c.call(ctx, request{op: "list the nodes", method: http.MethodGet, path: "/setpoint/v1/nodes"}, &n)
	return n, err
}

// Leases lists who has which shard, and the leases of authors.
func (c *Client) Leases(ctx context.Context) (Leases, error) {
	var l Leases
	err := c.call(ctx, request{op: "list the leases", method: http.MethodGet, path: "/setpoint/v1/leases"}, &l)
	return l, err
}

// Doctor asks what somebody should look at.
func (c *Client) Doctor(ctx context.Context) (Diagnosis, error) {
	var d Diagnosis
	err := c.call(ctx, request{op: "ask the doctor", method: http.MethodGet, path: "/setpoint/v1/doctor"}, &d)
	return d, err
}

// Drain asks the nodes of a name to give up their shards and to take none, or, with drain false, takes that back. It returns when that is written down, and not when it is done; it may be repeated. The
// warning is what the caller may not have meant. It fails with [ErrNotFound] when no node of that name is known, and with [ErrConflict] when one process works on the database at a time.
func (c *Client) Drain(ctx context.Context, name string, drain bool) (warning string, err error) {
	op := "drain node " + name
	if !drain {
		op = "uncordon node " + name
	}
	body, err := json.Marshal(map[string]bool{"drain": drain})
	if err != nil {
		return "", fmt.Errorf("%s: %w", op, err)
	}
	var answer struct {
		Warning string `json:"warning"`
	}
	err = c.call(ctx, request{
		op: op, method: http.MethodPost, path: "/setpoint/v1/nodes/" + url.PathEscape(name) + "/drain", body: body, content: mediaJSON, repeatable: true,
	}, &answer)
	return answer.Warning, err
}
