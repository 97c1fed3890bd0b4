package control

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// shards is what an engine works on: the shards that its owner has gained and that the view has caught up with. Everything else it follows, so that it can begin at once.
type shards struct {
	active [resource.Shards]atomic.Bool

	mu sync.Mutex
	// stint tells one stay of a shard here from the next; busy counts what is under way.
	stint [resource.Shards]uint64
	busy  [resource.Shards]int
	// changed is closed, and replaced, when something begins or ceases to be worked on, and when nothing is under way any more in a shard.
	changed chan struct{}
	gains   uint64 // how often shards have been gained
}

func newShards() *shards { return &shards{changed: make(chan struct{})} }

func shardOf(key resource.Key) int { return resource.Shard(key.Namespace, key.Name) }

// mine reports whether an object is worked on here.
func (s *shards) mine(key resource.Key) bool { return s.active[shardOf(key)].Load() }

// begin counts something under way about an object, unless that is not worked on here. Who gets true calls end.
func (s *shards) begin(key resource.Key) bool {
	i := shardOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.active[i].Load() {
		return false
	}
	s.busy[i]++
	return true
}

func (s *shards) end(key resource.Key) {
	i := shardOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[i]--; s.busy[i] == 0 && !s.active[i].Load() {
		s.tell()
	}
}

// tell wakes who waits for a change. The caller has the lock.
func (s *shards) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// expect notes that shards will be worked on, and returns their stints.
func (s *shards) expect(gained []store.Assignment) []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	stints := make([]uint64, len(gained))
	for i, a := range gained {
		s.stint[a.Shard]++
		stints[i] = s.stint[a.Shard]
	}
	return stints
}

// stay is one stay of a shard here.
type stay struct {
	shard int
	stint uint64
}

// activate begins the work on those shards whose stint is not over already, and returns their stays.
func (s *shards) activate(gained []store.Assignment, stints []uint64) (begun []stay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, a := range gained {
		if s.stint[a.Shard] == stints[i] {
			s.active[a.Shard].Store(true)
			begun = append(begun, stay{a.Shard, stints[i]})
		}
	}
	if len(begun) > 0 {
		s.gains++
		s.tell()
	}
	return begun
}

// deactivate ends the work on shards: nothing more begins.
func (s *shards) deactivate(all []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range all {
		s.stint[i]++
		s.active[i].Store(false)
	}
	s.tell()
}

// lasting says which shards are still in one of some stays, if any is, and what is closed when that may have changed.
func (s *shards) lasting(stays []stay) (in [resource.Shards]bool, some bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range stays {
		if s.active[st.shard].Load() && s.stint[st.shard] == st.stint {
			in[st.shard], some = true, true
		}
	}
	return in, some, s.changed
}

// idle waits until nothing is under way in some shards.
func (s *shards) idle(ctx context.Context, all []int) error {
	for {
		s.mu.Lock()
		busy, changed := 0, s.changed
		for _, i := range all {
			busy += s.busy[i]
		}
		s.mu.Unlock()
		if busy == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d turns and calls are under way still: %w", busy, context.Cause(ctx))
		}
	}
}

// gained waits until shards have been gained more often than before, and returns how often.
func (s *shards) gained(ctx context.Context, before uint64) (uint64, bool) {
	for {
		s.mu.Lock()
		gains, changed := s.gains, s.changed
		s.mu.Unlock()
		if gains > before {
			return gains, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return before, false
		}
	}
}

// mine reports whether a controller works on an object here.
func (l *loop) mine(key resource.Key) bool { return l.everywhere || l.engine.shards.mine(key) }

// begin counts a turn as under way, unless the object is another node's. Who gets true calls end.
func (l *loop) begin(key resource.Key) bool { return l.everywhere || l.engine.shards.begin(key) }

func (l *loop) end(key resource.Key) {
	if !l.everywhere {
		l.engine.shards.end(key)
	}
}

// everywhere reports whether a command is of a controller that runs on every node.
func (d *dispatcher) everywhere(c *command.Command) bool {
	l := d.engine.loops[c.Controller]
	return l != nil && l.everywhere
}

// mine reports whether a command is delivered from here.
func (d *dispatcher) mine(c *command.Command) bool {
	return d.everywhere(c) || d.engine.shards.mine(c.Object)
}

// about is what a commit about a command has to be fenced for.
func (d *dispatcher) about(c *command.Command) []resource.Key {
	if d.everywhere(c) {
		return nil
	}
	return []resource.Key{c.Object}
}

// everywhereScope is that of the calls of controllers that run on every node. Its epoch is the same for all of them.
const everywhereScope store.Scope = "everywhere"

// work is an [Engine] as its owner sees it.
type work struct{ e *Engine }

// Gained begins the work on shards when the view is there and shows what their former nodes have done.
func (w work) Gained(gained []store.Assignment, at resource.Revision) {
	e := w.e
	stints := e.shards.expect(gained)
	e.gaining.Go(func() {
		select {
		case <-e.ready:
		case <-e.working.Done():
			return
		}
		if err := e.view.WaitFor(e.working, at); err != nil {
			return // the view has ended, and with it the engine
		}
		e.inherit(gained)
		if begun := e.shards.activate(gained, stints); len(begun) > 0 {
			e.enlist(e.working, begun)
		}
	})
}

// Release begins nothing more on shards, and returns when nothing of them is under way.
func (w work) Release(ctx context.Context, shards []int) error {
	w.e.shards.deactivate(shards)
	return w.e.shards.idle(ctx, shards)
}

// Lost ends the work on shards that others have.
func (w work) Lost(shards []int) { w.e.shards.deactivate(shards) }
