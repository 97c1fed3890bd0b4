package setpointtest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// Moment is a place at which something can go wrong: just before or just after a commit or an adapter's call.
type Moment struct {
	// What is "commit" or "call <adapter>".
	What string
	// After says that it has been done, and nobody has been told yet.
	After bool
}

func (m Moment) String() string {
	if m.After {
		return "after " + m.What
	}
	return "before " + m.What
}

// Action is what goes wrong at a moment.
type Action int

// The actions. Losing the acknowledgement makes sense after a moment only.
const (
	// GoOn: nothing goes wrong.
	GoOn Action = iota
	// Crash: the process dies.
	Crash
	// LoseAcknowledgement: the caller learns that the outcome is unknown.
	LoseAcknowledgement
	// StaleView: the feed stops for a while, so that turns run on an old view.
	StaleView
)

// tap stands between a plane and everything outside it: it records, counts moments, and lets them go wrong. It implements store.Store.
type tap struct {
	store.Store

	mu      sync.Mutex
	dead    bool
	moments []Moment
	plan    func(n int, m Moment) Action
	commits []store.Transaction
	stalled chan struct{} // closed when the feed may go on; nil when it flows
}

func newTap() *tap { return &tap{} }

func (t *tap) wrap(st store.Store) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Store, t.dead, t.stalled = st, false, nil
}

func (t *tap) kill() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dead = true
	if t.stalled != nil {
		close(t.stalled)
		t.stalled = nil
	}
}

func (t *tap) killed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dead
}

func (t *tap) committed() []store.Transaction {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.commits)
}

// at passes a moment, and returns what goes wrong at it.
func (t *tap) at(m Moment) Action {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		return Crash
	}
	n := len(t.moments)
	t.moments = append(t.moments, m)
	if t.plan == nil {
		return GoOn
	}
	action := t.plan(n, m)
	switch {
	case action == Crash:
		t.dead = true
	case action == StaleView && t.stalled == nil:
		t.stalled = make(chan struct{})
	}
	return action
}

// resume lets a stalled feed go on.
func (t *tap) resume() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stalled != nil {
		close(t.stalled)
		t.stalled = nil
	}
}

// Commit passes the two moments of a commit.
func (t *tap) Commit(ctx context.Context, tx store.Transaction) (store.Receipt, error) {
	if t.at(Moment{What: "commit"}) == Crash {
		return store.Receipt{}, &store.CommitError{Err: store.ErrClosed}
	}
	r, err := t.Store.Commit(ctx, tx)
	if err == nil {
		t.mu.Lock()
		t.commits = append(t.commits, tx)
		t.mu.Unlock()
	}
	switch t.at(Moment{What: "commit", After: true}) {
	case Crash:
		return store.Receipt{}, &store.CommitError{Err: store.ErrClosed}
	case LoseAcknowledgement:
		return store.Receipt{}, &store.CommitError{Err: store.ErrUnknown, Detail: "the acknowledgement was lost"}
	}
	return r, err
}

// Release is not possible for the dead: their lease stays as it is.
func (t *tap) Release(ctx context.Context, l store.Lease) error {
	if t.killed() {
		return nil
	}
	return t.Store.Release(ctx, l)
}

// Watch streams commits, unless the feed is stalled.
func (t *tap) Watch(ctx context.Context, from resource.Revision) (store.Stream, error) {
	s, err := t.Store.Watch(ctx, from)
	if err != nil {
		return nil, err
	}
	return &stream{s, t}, nil
}

type stream struct {
	store.Stream
	tap *tap
}

func (s *stream) Next(ctx context.Context) (store.Batch, error) {
	b, err := s.Stream.Next(ctx)
	s.tap.mu.Lock()
	stalled := s.tap.stalled
	s.tap.mu.Unlock()
	if err == nil && stalled != nil {
		select {
		case <-stalled:
		case <-ctx.Done():
			return store.Batch{}, ctx.Err()
		}
	}
	return b, err
}

// adapter puts the tap before an adapter, keeping what else it can do.
func (t *tap) adapter(name command.AdapterName, a command.Adapter) command.Adapter {
	return before(a, &tapped{Adapter: a, tap: t, what: fmt.Sprintf("call %s", name)})
}

// before is an adapter that stands before another: its calls, and what else the other can do.
func before(a, calls command.Adapter) command.Adapter {
	l, looks := a.(command.LookUp)
	o, observes := a.(command.Observer)
	switch {
	case looks && observes:
		return struct {
			command.Adapter
			asking
			command.Observer
		}{calls, asking{l}, o}
	case looks:
		return struct {
			command.Adapter
			asking
		}{calls, asking{l}}
	case observes:
		return struct {
			command.Adapter
			command.Observer
		}{calls, o}
	}
	return calls
}

// asking passes look-ups on. To embed the interface itself would not do: a field of that name hides its method.
type asking struct{ adapter command.LookUp }

// LookUp asks what became of a token.
func (a asking) LookUp(ctx context.Context, call command.Call) (command.Result, bool, error) {
	return a.adapter.LookUp(ctx, call)
}

type tapped struct {
	command.Adapter
	tap  *tap
	what string
}

// Do passes the two moments of a call.
func (a *tapped) Do(ctx context.Context, call command.Call) command.Result {
	lost := command.Result{Outcome: command.OutcomeUnknown, Message: "no answer"}
	if a.tap.at(Moment{What: a.what}) == Crash {
		return lost
	}
	r := a.Adapter.Do(ctx, call)
	switch a.tap.at(Moment{What: a.what, After: true}) {
	case Crash, LoseAcknowledgement:
		return lost
	}
	return r
}
