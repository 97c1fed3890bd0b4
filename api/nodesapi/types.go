package nodesapi

import (
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Node is a node as it is shown.
type Node struct {
	Name    string       `json:"name"`
	ID      store.NodeID `json:"id"`
	Version string       `json:"version,omitempty"`
	Address string       `json:"address,omitempty"`
	// Member: it has been heard of within its time to live. Self: it is who answers. Draining: its name is cordoned.
	Member   bool `json:"member"`
	Self     bool `json:"self,omitempty"`
	Draining bool `json:"draining,omitempty"`
	// Left: it was stopped, and has said so; otherwise one that is no member has died, or cannot reach the database. Replaced: a later run of the same process is a member.
	Left     bool `json:"left,omitempty"`
	Replaced bool `json:"replaced,omitempty"`
	// Shards is how many are its own.
	Shards int `json:"shards"`
	// Trouble is what keeps it from its work, in its own words.
	Trouble string `json:"trouble,omitempty"`
	// Joined, Seen and Expires are by the database's clock.
	Joined  time.Time `json:"joined,omitzero"`
	Seen    time.Time `json:"seen,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	// Skew is by how much its clock was ahead of the database's, as Go writes durations.
	Skew string `json:"skew,omitempty"`
}

// Nodes is the answer to GET /setpoint/v1/nodes. Answered is the name of the node that answers.
type Nodes struct {
	Answered string `json:"answered"`
	Engine   string `json:"engine"`
	// Shared: several processes may work on the database. Without it there is one node, which has everything or nothing.
	Shared bool `json:"shared"`
	// Unowned counts the shards that nobody has.
	Unowned int `json:"unowned"`
	// Standby is why the answering node has no work, "" when it has.
	Standby string `json:"standby,omitempty"`
	TakeUp  TakeUp `json:"takeUp"`
	// At is when the list was made; Problem says why it is not of now: the database could not be asked.
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

// NodeLeases are the shards of one node. Low and High are the lowest and the highest epoch among them.
type NodeLeases struct {
	Node   string       `json:"node"`
	ID     store.NodeID `json:"id"`
	Member bool         `json:"member"`
	Low    string       `json:"low,omitempty"`
	High   string       `json:"high,omitempty"`
	Shards []ShardLease `json:"shards"`
}

// Lease is a lease that is not a shard's: one that an author has made, or the one of a database that one process works on at a time.
type Lease struct {
	Scope  store.Scope `json:"scope"`
	Holder string      `json:"holder"`
	Epoch  string      `json:"epoch"`
	// Held: it has a holder, and its time has not passed. Expires is when that will be, or was, zero where it is not known.
	Held    bool      `json:"held"`
	Expires time.Time `json:"expires,omitzero"`
}

// Leases is the answer to GET /setpoint/v1/leases.
type Leases struct {
	Answered string       `json:"answered"`
	At       time.Time    `json:"at,omitzero"`
	Problem  string       `json:"problem,omitempty"`
	Items    []NodeLeases `json:"items"`
	// Unowned are the shards that nobody has, in order.
	Unowned []int `json:"unowned"`
	// Others are the leases that are no shards.
	Others []Lease `json:"others"`
}

// Drained is the answer to a request to drain.
type Drained struct {
	Name     string `json:"name"`
	Draining bool   `json:"draining"`
	// Warning says what the caller may not have meant: that nobody is left to take the shards.
	Warning string `json:"warning,omitempty"`
}

// epoch is "incarnation.counter", "" of one that was never given.
func epoch(e resource.Epoch) string {
	if e == (resource.Epoch{}) {
		return ""
	}
	return e.String()
}
