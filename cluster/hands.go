package cluster

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/lease"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// take takes the next batch of what falls to this node.
func (l *loop) take() {
	now := time.Now()
	want := l.wanted(now)
	l.more = len(want) > 0
	switch {
	case !l.more && l.roster.complete(l.m.o.Node):
		l.noteTaking(nil)
		return
	case !l.more, now.Before(l.takeAt):
		return
	}
	batch := want[:min(len(want), l.m.o.Ramp.Batch)]
	var taken []store.Assignment
	var at resource.Revision
	_, err := l.ask(func(ctx context.Context) (_ struct{}, err error) {
		taken, at, err = l.m.o.Store.Take(ctx, l.m.o.Node, batch)
		return struct{}{}, err
	})
	l.noteTaking(err)
	if err != nil {
		l.refusals++
		l.takeAt = time.Now().Add(lease.Backoff(l.m.o.TTL, l.refusals, l.random))
		l.soon() // it may be no member any more, and what was taken without an answer is seen there
		return
	}
	l.refusals, l.takeAt = 0, now.Add(l.m.o.Ramp.Every)
	l.more = len(want) > len(batch)
	if len(taken) < len(batch) {
		l.soon() // others were faster
	}
	if len(taken) > 0 {
		l.own(taken)
		l.m.o.Logger.Info("shards were taken", "node", l.m.o.Name, "shards", len(taken))
		l.work.Gained(taken, at)
	}
}

// wanted is what of the open shards this node should take now: its portion, and what nobody has taken for a time to live, though it does not fall to this node. Then those it
// falls to cannot take, and nothing is moved to them for a while.
func (l *loop) wanted(now time.Time) []int {
	open := l.roster.open()
	want := slices.Clone(l.roster.portion(l.m.o.Node, open))
	for _, i := range open {
		if since := l.waiting[i]; !since.IsZero() && now.Sub(since) >= l.m.o.TTL && !slices.Contains(want, i) {
			want = append(want, i)
			l.quiet = now.Add(10 * l.m.o.TTL)
		}
	}
	return want
}

// noteTaking tells people whether shards can be taken, and the log when that changes.
func (l *loop) noteTaking(err error) {
	l.m.mu.Lock()
	was := l.m.outlook.taking
	l.m.outlook.taking = err
	l.m.mu.Unlock()
	if (was == nil) != (err == nil) && err != nil {
		l.m.o.Logger.Warn("shards cannot be taken; it is tried again", "node", l.m.o.Name, "error", err)
	}
}

// standsBy reports whether an error of a take says that a process of another kind has the work: to wait for it is no problem.
func standsBy(err error) bool { return errors.Is(err, store.ErrHeld) }

// level gives up what this node has beyond its share, when the same nodes have been there for a while and have taken all there was. A node in trouble leaves it at what it has until
// it gives up everything.
func (l *loop) level() {
	now := time.Now()
	if l.fitness.ill() || l.away() || now.Sub(l.since) < l.m.o.Ramp.Settle || now.Before(l.quiet) || len(l.roster.open()) > 0 {
		return
	}
	if n := l.roster.surplus(l.m.o.Node); n > 0 {
		mine := l.mine()
		l.release(mine[max(len(mine)-n, 0):], l.m.o.Ramp.Move)
	}
}

// release lets go of a batch of shards, unless another one is under way.
func (l *loop) release(shards []store.Assignment, most int) {
	if len(shards) > 0 && l.releasing == 0 && !l.owing {
		l.letGo(shards[:min(len(shards), most)])
	}
}

// letGo waits, elsewhere, until nothing of some shards is under way; then they are dropped, and given. Until then they are owned, so that what is under way can be committed. What does not end within the
// grace is cut off by its epoch.
func (l *loop) letGo(shards []store.Assignment) {
	l.releasing++
	l.releases.Go(func() {
		ctx, cancel := context.WithTimeout(l.hurry, l.m.o.Grace)
		defer cancel()
		if err := l.work.Release(ctx, numbers(shards)); err != nil {
			l.m.o.Logger.Warn("work on shards does not end; they are given up all the same", "node", l.m.o.Name, "shards", len(shards), "error", err)
		}
		l.released <- shards
	})
}

// abandon lets go of everything without waiting for what is under way: it hangs. The epochs cut it off.
func (l *loop) abandon() {
	if mine := l.mine(); len(mine) > 0 {
		l.drop(mine)
		l.m.o.Logger.Error("the node is in trouble, and gives all its shards to others", "node", l.m.o.Name, "trouble", l.fitness.why, "shards", len(mine))
		l.work.Lost(numbers(mine))
		l.giveBack()
	}
}

// giveBack makes nobody's what the database says is this node's, and what it does not own: released, abandoned, or taken without an answer while it wants none. It follows from what is known, so
// what fails is repeated; until it has succeeded nothing more is let go of.
func (l *loop) giveBack() {
	given := l.unowned()
	l.owing = len(given) > 0
	if !l.owing || time.Now().Before(l.giveAt) {
		return
	}
	_, err := l.ask(func(ctx context.Context) (struct{}, error) { return struct{}{}, l.m.o.Store.Give(ctx, given) })
	if err != nil {
		if l.balks++; l.balks == 1 {
			l.m.o.Logger.Warn("shards cannot be given up; it is tried again", "node", l.m.o.Name, "shards", len(given), "error", err)
		}
		l.giveAt = time.Now().Add(lease.Backoff(l.m.o.TTL, l.balks, l.random))
		return
	}
	l.owing, l.balks = false, 0
	for _, a := range given {
		l.roster.shards[a.Shard] = store.Assignment{}
	}
	l.m.o.Logger.Info("shards were given up", "node", l.m.o.Name, "shards", len(given))
}

// unowned are the shards that are assigned to this node, and that it does not own.
func (l *loop) unowned() (given []store.Assignment) {
	for _, a := range l.roster.of(l.m.o.Node) {
		if l.m.owned[a.Shard].Load() == nil {
			given = append(given, a)
		}
	}
	return given
}
