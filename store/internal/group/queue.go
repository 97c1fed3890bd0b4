package group

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/draft"
)

// The life of a member: whoever moves it out of waiting decides whether it is written.
const (
	waiting int32 = iota
	taken
	withdrawn
)

// Member is one transaction in the queue.
type Member struct {
	Draft  *draft.Draft
	state  atomic.Int32
	answer chan Answer
}

// Answer is what became of a member.
type Answer struct {
	Receipt store.Receipt
	Err     *store.CommitError
}

// Answer tells the committer. It is called once for every member that was taken.
func (m *Member) Answer(a Answer) { m.answer <- a }

// Queue is where members wait. It is bounded: more committers wait at the door.
type Queue struct {
	// Urgent and Normal are the lanes. A member that comes out of them is to be taken, with [Queue.Draw] or [Member.Take].
	Urgent, Normal chan *Member
	limit          int
	stop           chan struct{}
	stopped        chan struct{}
	once           sync.Once
}

// queueGroups is how many full groups may wait.
const queueGroups = 4

// NewQueue makes a queue for groups of so many members at most.
func NewQueue(limit int) *Queue {
	return &Queue{
		Urgent: make(chan *Member, limit*queueGroups), Normal: make(chan *Member, limit*queueGroups), limit: limit,
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// Draw makes a group of a member that came out of a lane (the other one is nil) and of those that wait, the urgent ones first.
func (q *Queue) Draw(urgent, normal *Member) []*Member {
	group := make([]*Member, 0, min(q.limit, 1+len(q.Urgent)+len(q.Normal)))
	group = take(group, urgent)
	group = drain(group, q.Urgent, q.limit)
	group = take(group, normal)
	return drain(group, q.Normal, q.limit)
}

// Take claims a member that came out of a lane: false says that its committer has withdrawn it.
func (m *Member) Take() bool { return m.state.CompareAndSwap(waiting, taken) }

func take(group []*Member, m *Member) []*Member {
	if m != nil && m.Take() {
		group = append(group, m)
	}
	return group
}

func drain(group []*Member, from chan *Member, limit int) []*Member {
	for len(group) < limit {
		select {
		case m := <-from:
			group = take(group, m)
		default:
			return group
		}
	}
	return group
}

// Commit queues a draft and waits for its answer. One that no group has taken yet is withdrawn when the context ends.
func (q *Queue) Commit(ctx context.Context, d *draft.Draft) (store.Receipt, error) {
	m := &Member{Draft: d, answer: make(chan Answer, 1)}
	lane := q.lane(d.Tx.Writer.Name)
	if ctx.Err() != nil {
		return store.Receipt{}, withdrawnError(ctx)
	}
	if q.Stopping() {
		return store.Receipt{}, closedError()
	}
	select {
	case lane <- m:
	case <-ctx.Done():
		return store.Receipt{}, withdrawnError(ctx)
	case <-q.stop:
		return store.Receipt{}, closedError()
	}
	a := q.await(ctx, m)
	if a.Err != nil {
		return store.Receipt{}, a.Err
	}
	return a.Receipt, nil
}

// lane is where a writer waits. Clients take at most half of the urgent lane, so that an administrator always finds room in it, with few before him, and never waits at the door behind a crowd of them.
func (q *Queue) lane(writer string) chan *Member {
	switch {
	case strings.HasPrefix(writer, store.AdministratorPrefix):
		return q.Urgent
	case strings.HasPrefix(writer, store.ClientPrefix) && len(q.Urgent) < cap(q.Urgent)/2:
		return q.Urgent
	}
	return q.Normal
}

func (q *Queue) await(ctx context.Context, m *Member) Answer {
	select {
	case a := <-m.answer:
		return a
	case <-q.stopped:
	case <-ctx.Done():
		if m.state.CompareAndSwap(waiting, withdrawn) {
			return Answer{Err: withdrawnError(ctx)}
		}
		select {
		case a := <-m.answer:
			return a
		case <-q.stopped:
		}
	}
	select {
	case a := <-m.answer:
		return a
	default:
		return Answer{Err: closedError()}
	}
}

func withdrawnError(ctx context.Context) *store.CommitError {
	return &store.CommitError{Err: fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx)), Detail: "the context ended before the commit began; nothing was written"}
}

func closedError() *store.CommitError { return &store.CommitError{Err: store.ErrClosed} }

// Stop asks the engine's goroutine to end. New committers are refused.
func (q *Queue) Stop() { q.once.Do(func() { close(q.stop) }) }

// Stopped is closed by Stop.
func (q *Queue) Stopped() <-chan struct{} { return q.stop }

// Stopping reports whether Stop was called.
func (q *Queue) Stopping() bool {
	select {
	case <-q.stop:
		return true
	default:
		return false
	}
}

// End is the last thing that the engine's goroutine does: whoever waits still, and the members that it took and did not answer, are refused.
func (q *Queue) End(taken []*Member) {
	rest := drain(taken, q.Urgent, cap(q.Urgent)+len(taken))
	rest = drain(rest, q.Normal, cap(q.Normal)+len(rest))
	for _, m := range rest {
		m.Answer(Answer{Err: closedError()})
	}
	close(q.stopped)
}

// Wait waits until the engine's goroutine has ended.
func (q *Queue) Wait() { <-q.stopped }
