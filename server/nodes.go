package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/api/nodesapi"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// inquiry bounds how long a database is asked for what people want to know of nodes: at night, in an outage, an answer from memory is better than none.
const inquiry = 3 * time.Second

// nodes are a plane, and the others on its database, as the API shows them.
type nodes struct {
	plane *setpoint.Plane
	// examiner asks the database; nil when there is nothing to ask it.
	examiner *examiner
}

var _ nodesapi.Source = (*nodes)(nil)

// Roster asks the database, and remembers when that does not answer.
func (n *nodes) Roster(ctx context.Context) nodesapi.Roster {
	r := nodesapi.Roster{Self: n.plane.Node(), Info: n.plane.Store().Info(), Standby: n.plane.Standby(), Waiting: n.plane.TakeUp().Waiting, At: time.Now()}
	limited, cancel := context.WithTimeout(ctx, inquiry)
	defer cancel()
	shared, member := n.shared(), n.plane.Member()
	if shared == nil || member == nil {
		r.Self.Member, r.Info.Shared = r.Standby == "", false
		if err := n.plane.Ready(); err != nil {
			r.Self.Trouble = err.Error()
		}
		r.Nodes = []store.Node{r.Self}
		if s := n.sharded(); s != nil {
			r.Pause, r.Err = s.Paused(limited)
		}
		return r
	}
	if r.Nodes, r.Assigned, r.Err = shared.Members(limited); r.Err == nil {
		r.Pause, r.Err = shared.Paused(limited)
	}
	if r.Err == nil {
		return r
	}
	standing, at := member.Standing()
	r.Nodes, r.Assigned, r.Pause, r.At = standing.Nodes, standing.Shards, standing.Pause, at
	r.Pause.Left -= time.Since(at)
	if at.IsZero() {
		r.Nodes = []store.Node{r.Self}
	}
	return r
}

// shared is the store, if several processes work on it.
func (n *nodes) shared() store.Sharded {
	if s := n.sharded(); s != nil && s.Info().Shared {
		return s
	}
	return nil
}

// sharded is the store, if it knows of shards, and with them of pauses.
func (n *nodes) sharded() store.Sharded {
	s, _ := n.plane.Store().(store.Sharded)
	return s
}

// Leases are those of authors, and where there is one for everything, that.
func (n *nodes) Leases(ctx context.Context) ([]nodesapi.Lease, error) {
	if n.examiner != nil {
		return n.examiner.leases(ctx)
	}
	if n.shared() != nil {
		return nil, nil
	}
	fence, held := n.plane.Fence(0)
	lease := nodesapi.Lease{Scope: fence.Scope, Held: held}
	if held {
		lease.Holder, lease.Epoch = string(n.plane.Node().ID), fence.Epoch.String()
	}
	return []nodesapi.Lease{lease}, nil
}

// Drain cordons a name, or takes that back.
func (n *nodes) Drain(ctx context.Context, name string, drain bool) error {
	shared := n.shared()
	if shared == nil {
		return fmt.Errorf("%w (%s)", nodesapi.ErrAlone, n.plane.Store().Info().Engine)
	}
	return hurried(ctx, func(ctx context.Context) error { return shared.Cordon(ctx, name, drain) })
}

// Pause has the take-up stand still, or lets it go on.
func (n *nodes) Pause(ctx context.Context, by string, length time.Duration) (p store.Pause, err error) {
	s := n.sharded()
	if s == nil {
		return p, fmt.Errorf("%w (%s)", nodesapi.ErrNoPause, n.plane.Store().Info().Engine)
	}
	err = hurried(ctx, func(ctx context.Context) (err error) {
		p, err = s.Pause(ctx, by, length)
		return err
	})
	return p, err
}

// hurried asks the store for something within the time of an inquiry; what takes longer is unavailable.
func hurried(ctx context.Context, ask func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, inquiry)
	defer cancel()
	err := ask(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil && !errors.Is(err, store.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}

// Facts gathers what the doctor looks at.
func (n *nodes) Facts(ctx context.Context) nodesapi.Facts {
	f := nodesapi.Facts{Roster: n.Roster(ctx), Problems: problems(n.plane.Ready())}
	f.Now = time.Now()
	for _, other := range f.Nodes {
		if other.ID == f.Self.ID {
			f.Now = f.Now.Add(-other.Skew)
		}
	}
	if n.examiner != nil && f.Err == nil { // a database that is away is not asked twice
		var now time.Time
		if f.Database, now, f.DatabaseErr = n.examiner.examine(ctx); f.DatabaseErr == nil {
			f.Now = now
		}
	}
	h := n.plane.View().Health()
	f.Feed = nodesapi.Feed{Behind: h.Behind, Revision: h.Revision, Head: h.Head}
	for _, c := range n.plane.Controllers() {
		f.Queues = append(f.Queues, nodesapi.Queue{Name: "controller " + c.Controller, Ready: c.Queue.Ready, Oldest: c.Queue.Oldest, Stuck: c.Stuck})
	}
	for _, a := range n.plane.Adapters() {
		f.Queues = append(f.Queues, nodesapi.Queue{
			Name: "adapter " + a.Adapter, Ready: a.Queue.Ready, Oldest: a.Queue.Oldest, Stuck: a.Stuck, Overlap: (*nodesapi.Overlap)(a.Overlap),
		})
	}
	f.Troubles = n.troubles()
	return f
}

// problems are those that were joined to one error.
func problems(err error) (list []string) {
	var several interface{ Unwrap() []error }
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &several):
		return []string{err.Error()}
	}
	for _, one := range several.Unwrap() {
		list = append(list, one.Error())
	}
	return list
}

func (n *nodes) troubles() []nodesapi.Trouble {
	s := n.plane.View().Snapshot()
	defer s.Close()
	tables := map[resource.KindID]lifecycle.Table{}
	var all iter.Seq[*resource.Object] = func(yield func(*resource.Object) bool) {
		for _, d := range n.plane.Registry().List() {
			tables[d.ID()] = d.Lifecycle
			for o := range s.List(d.ID(), "") {
				if !yield(o) {
					return
				}
			}
		}
	}
	return nodesapi.Sum(all, func(kind resource.KindID) lifecycle.Table { return tables[kind] })
}
