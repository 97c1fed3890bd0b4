package nodesapi

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/alert"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// ErrAlone: the database is one that a single process works on at a time, so there is nobody to give the work to. Stop the process instead; another one on the same file takes over.
var ErrAlone = errors.New("one process works on this database at a time")

// Source is where answers come from: a plane on its database.
type Source interface {
	// Roster lists the nodes. When the database does not answer, it is what the node remembers, with Err set.
	Roster(ctx context.Context) Roster
	// Leases lists the leases that are no shards.
	Leases(ctx context.Context) ([]Lease, error)
	// Drain asks the nodes of a name to give up their shards, or takes that back: store.ErrNotFound when none of that name is known, ErrAlone where nodes are not told apart.
	Drain(ctx context.Context, name string, drain bool) error
	// Pause has the take-up of what was gained stand still on all nodes for a time, or ends that with 0: ErrNoPause where the store knows of no pauses, store.ErrInvalid for a time that is too long.
	Pause(ctx context.Context, by string, length time.Duration) (store.Pause, error)
	// Facts gathers what the doctor looks at. What cannot be had is left out, with the error in its place.
	Facts(ctx context.Context) Facts
}

// Roster is who there is, and who has what.
type Roster struct {
	// Self is who answers.
	Self store.Node
	// Info says which database it is. Unless it is shared, Nodes is Self, and Assigned is empty.
	Info     store.Info
	Nodes    []store.Node
	Assigned []store.Assignment
	// Standby is why Self has no work, "" when it has.
	Standby string
	// Pause is that of the take-up. Waiting counts the objects that Self has not taken up yet.
	Pause   store.Pause
	Waiting int
	// At is when this was so, Err why it is not of now.
	At  time.Time
	Err error
}

// Facts are what checks look at. They are plain values, so that a check can be tried on any.
type Facts struct {
	Roster
	// Now is the present by the database's clock, as far as it is known.
	Now time.Time
	// Problems are why the answering node does not do its work, empty when it does.
	Problems []string
	Feed     Feed
	Queues   []Queue
	Troubles []Trouble
	// Database is what the database itself was asked; it is not when DatabaseErr is set, and neither is there anything to ask when both are nil.
	Database    *Database
	DatabaseErr error
}

// Feed says how current the answering node's view is.
type Feed struct {
	// Behind is for how long a commit has been known that the view does not show.
	Behind         time.Duration
	Revision, Head resource.Revision
}

// Queue is a controller's or an adapter's queue on the answering node.
type Queue struct {
	// Name is "controller <name>" or "adapter <name>".
	Name string
	// Ready counts the items that are due, Oldest is for how long the first of them has been.
	Ready  int
	Oldest time.Duration
	// Stuck counts calls that ignore their deadline.
	Stuck int
	// Overlap is nil unless commands of one unit of order belong to objects in several shards.
	Overlap *Overlap
}

// Overlap is two objects of different shards that have had commands in one unit of order at the same time, when that was last seen, and how often something like it was.
type Overlap struct {
	Unit        string
	Here, There resource.Key
	At          time.Time
	Count       uint64
}

// Database is what a database says of itself.
type Database struct {
	// Blockers are sessions that hold up commits.
	Blockers []Blocker
	// Cordons are the names that are to have no shards.
	Cordons []Cordon
	// Unowned is since when shards are nobody's; those that nobody ever had are missing.
	Unowned map[int]time.Time
	// Schema is the version of the schema, Known the newest that the answering program knows; both 0 when not asked.
	Schema, Known int64
}

// Blocker is a session that holds what commits wait for.
type Blocker struct {
	PID                        int
	Role, Application, Address string
	// State and Waits are as pg_stat_activity has them; Busy is the age of its transaction, Waiting how many sessions wait for it.
	State, Waits string
	Busy         time.Duration
	Waiting      int
}

// Cordon is a name whose nodes are to have no shards, and since when.
type Cordon struct {
	Name  string
	Since time.Time
}

// Paused is the source of the troubles that are none: actions that stand still because an operator has said so.
const Paused alert.Source = "Paused"

// Trouble is all objects of a kind that are in the same trouble.
type Trouble struct {
	Source alert.Source
	Cause  alert.Cause
	Kind   resource.KindID
	Count  int
	// Oldest has been in it for longest, since Since; Message is of it.
	Oldest  resource.Key
	Since   time.Time
	Message string
}

// Sum judges objects and counts the troubles they are in, most first. It keeps one entry per kind, source and cause, however many objects there are.
func Sum(objects iter.Seq[*resource.Object], table func(resource.KindID) lifecycle.Table) []Trouble {
	type group struct {
		kind   resource.KindID
		source alert.Source
		cause  alert.Cause
	}
	sums := map[group]Trouble{}
	for o := range objects {
		t, ok := alert.Judge(o, table(o.Kind))
		if !ok && o.Action != nil && o.Action.Halt == resource.HaltPaused {
			t, ok = alert.Trouble{Object: o.Key, Source: Paused, Cause: "Paused", Message: o.Action.Name, Since: o.Action.Since}, true
		}
		if !ok {
			continue
		}
		g := group{o.Kind, t.Source, t.Cause}
		s := sums[g]
		if s.Count++; s.Count == 1 || t.Since.Before(s.Since) {
			s.Source, s.Cause, s.Kind, s.Oldest, s.Since, s.Message = t.Source, t.Cause, o.Kind, o.Key, t.Since, t.Message
		}
		sums[g] = s
	}
	return slices.SortedFunc(maps.Values(sums), func(a, b Trouble) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.Since.Compare(b.Since), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.Source, b.Source))
	})
}
