package store

import (
	"context"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// Sharded is the part of the contract that divides the work of one database among nodes. A node is one run of one process; it is a member from its first
// [Sharded.Beat] until it leaves, or until its time to live has passed without another beat, by the database's clock. Each of the [resource.Shards] shards is assigned to at most one
// node, under an epoch that rises with every assignment.
//
// An assignment is a fence and no more: it holds until another node takes the shard, however long its node has been silent; so a node that nobody replaces goes on.
// That a node that has fallen silent has stopped is never assumed: whoever takes its shards gets a higher epoch, and every later commit with the older one fails with
// [ErrFenced]. [Fence] with [ShardScope] is how a commit names its epoch.
//
// Every change of assignments is announced to all nodes that run on the database, see Moves; that a node's time has passed is not, as nothing happens then: see Standing.Lapse.
type Sharded interface {
	Store
	// Beat makes a node a member, or renews its membership for its time to live, and returns how things stand. It changes no assignment: a node whose membership has lapsed, and whose shards
	// nobody has taken, has them still. It costs one statement.
	Beat(ctx context.Context, b Beat) (Standing, error)
	// Take assigns shards to a member, each under a new epoch: those of the given ones that are nobody's or of a node that is no member (any more). It says what it has taken, which may be
	// nothing, and the newest revision: no commit under an earlier epoch of these shards can be made after it. A node that is not a member itself gets ErrFenced.
	// After another error than that it may have taken some, which the next Standing says. ErrHeld: a process of a version that does not divide the work still has all of it, and is named.
	Take(ctx context.Context, node NodeID, shards []int) (taken []Assignment, at resource.Revision, err error)
	// Give makes those of the assignments that are still so nobody's. Until somebody takes them their epochs hold.
	Give(ctx context.Context, given []Assignment) error
	// Leave ends a membership, and makes the node's shards nobody's.
	Leave(ctx context.Context, node NodeID) error
	// Cordon asks a node, by its name, to give up its shards and to take none; or, with drain false, takes that back. It holds for the name, so also for the next run of a process of that
	// name. ErrNotFound: no node of that name has ever been seen here.
	Cordon(ctx context.Context, name string, drain bool) error
	// Pause has the take-up stand still on all nodes for a time from now, by the database's clock, and says who asks; one that stands still already does so until then. A length of 0 ends that, and is no
	// error when there is nothing to end. It returns what is so then. ErrInvalid: a negative length or one beyond LongestPause, or nobody asks.
	Pause(ctx context.Context, by string, length time.Duration) (Pause, error)
	// Paused returns the pause, or the zero Pause. It is for people, and for who does not beat: every Standing has it.
	Paused(ctx context.Context) (Pause, error)
	// Members returns every node that is known, members or not, and every assignment. It is for people: nothing is decided on it.
	Members(ctx context.Context) ([]Node, []Assignment, error)
	// Moves returns a channel of its own for each call, which is sent to, without waiting, when assignments, cordons or the pause have changed, by whichever process; also when that may have
	// been missed. It is never closed.
	Moves() <-chan struct{}
}

// NodeID names one run of one process. It is never used again.
type NodeID string

// ShardScope is the scope of a shard's epoch, in a [Fence] and in calls: "shard/17".
func ShardScope(shard int) Scope { return Scope(fmt.Sprintf("shard/%d", shard)) }

// JustBack is the [Beat].Trouble of a node that was not answered for a moment, and is answered again: others need not wait for it.
const JustBack = "it was away until a moment ago"

// Beat is what a node says of itself.
type Beat struct {
	Node NodeID
	// Name is the node's name for people, "host/pid" by default, and what it is cordoned by. Several may have one name.
	Name    string
	Version string // of the program
	// Address is where its doors are, "" when it has none.
	Address string
	TTL     time.Duration
	// Known is the version of the assignments that the node has: the answer brings them only when there is another one.
	Known uint64
	// Trouble is what keeps the node from its work, "" when nothing does; [JustBack] passes by itself.
	Trouble string
	// Clock is the node's, to be compared.
	Clock time.Time
}

// Standing is how things stand, at one moment.
type Standing struct {
	// Revision is the newest one.
	Revision resource.Revision
	// Version rises with every change of assignments and cordons, and of the pause. Shards are all assignments that there are, of any node, by shard, when Version is not what was Known; otherwise nil.
	Version uint64
	Shards  []Assignment
	// Nodes are the members, by NodeID, the asking node among them.
	Nodes []Node
	// Lapse is how long it takes until the first of the other members lapses that have shards, if it sends no beat; 0 when there is none. Lapsed reports that a node has shards and is no member.
	Lapse  time.Duration
	Lapsed bool
	// Pause is that of the take-up, not older than Version.
	Pause Pause
}

// Assignment is a shard that is a node's.
type Assignment struct {
	Shard int
	Node  NodeID
	Epoch resource.Epoch
	// Since is when it was made.
	Since time.Time
}

// Node is a node as the database knows it.
type Node struct {
	ID      NodeID
	Name    string
	Version string
	Address string
	Trouble string
	// Member: its time to live has not passed. Draining: its name is cordoned.
	Member, Draining bool
	// Shards counts those that are assigned to it.
	Shards int
	// Joined is when its first beat came, Seen its last, Expires when its membership lapses, by the database's clock.
	Joined, Seen, Expires time.Time
	// Skew is by how much its clock was ahead of the database's at its last beat, the time of the message included.
	Skew time.Duration
}

// Left reports whether a node that is no member any more has ended its membership itself. One that died, or was cut off, was a member for its time to live after its last beat.
func (n Node) Left() bool { return !n.Member && !n.Expires.After(n.Seen) }
