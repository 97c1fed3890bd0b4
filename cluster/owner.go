package cluster

import (
	"context"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// SoloScope is the scope of the one lease of a [Solo]. The fences of a [Member] have [store.ShardScope].
const SoloScope store.Scope = "plane"

// Owner says which shards are this process's, for as long as it runs. [Member] is one that divides them with others; [Solo] has all of them or none.
type Owner interface {
	// Run joins, and tells work what it gains and loses, until ctx ends; then it lets go of what it has, in order, and returns nil. It returns an error when it cannot go on: what
	// the process does without it nobody would take for its own.
	Run(ctx context.Context, work Work) error
	// Fence is the condition that every commit about a shard has to carry. It is false when the shard is not this process's. It is cheap.
	Fence(shard int) (store.Fence, bool)
	// Trusted reports whether nobody else can have taken a shard yet, so that a call may begin; and otherwise what is closed when that may have changed.
	Trusted(shard int) (now bool, changed <-chan struct{})
	// Fenced notes that a commit with a fence has been refused, and why.
	Fenced(f store.Fence, why error)
	// TakeUpPaused says until when, by this process's clock, the taking up of what was gained has to wait, and what is closed when that may have changed. A time that has passed: it need not. Until the store has been
	// asked once, it has to.
	TakeUpPaused() (until time.Time, changed <-chan struct{})
	// Problem is what is wrong, nil when nothing is. To have no shard is no problem.
	Problem() error
	// Skew is by how much this process's clock is ahead of the store's, 0 when they agree as well as clocks do.
	Skew() time.Duration
	// Standby says why there is nothing to do, "" when this process has shards.
	Standby() string
}

// Work is what an [Owner] tells who works. Gained and Lost must return at once, and are called one at a time; a Release, of these or other shards, may be waiting meanwhile.
type Work interface {
	// Gained begins the work on some shards, once the view has reached a revision: nothing that others have committed for them comes after it.
	Gained(shards []store.Assignment, at resource.Revision)
	// Release begins nothing more on some shards, and returns when nothing of them is under way, or when ctx ends.
	Release(ctx context.Context, shards []int) error
	// Lost says that some shards are not this process's any more: others have them, or are about to. Nothing about them can be committed here, and nothing is waited for.
	Lost(shards []int)
}
