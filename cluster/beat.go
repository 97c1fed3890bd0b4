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

// afterLapse is how long after the moment at which another node lapses it is looked whether it has.
const afterLapse = 5 * time.Millisecond

// returning is how long, after a beat that was not answered, the others are given to show that they are there before their shards are taken: longer than they wait between two beats. In an outage
// memberships may have lapsed that come back; and the server that answers after it may be another one, by whose clock they have lapsed though they have not.
func returning(ttl time.Duration) time.Duration { return lease.Interval(ttl) + min(ttl/4, time.Second) }

// beat renews the membership, and learns how things stand. It fails with what ends the run.
func (l *loop) beat() error {
	now := time.Now()
	l.fitness.look(now, l.m.o.Health())
	b := store.Beat{
		Node: l.m.o.Node, Name: l.m.o.Name, Version: l.m.o.Version, Address: l.m.o.Address, TTL: l.m.o.TTL,
		Known: l.version, Trouble: l.illness(l.m.pausing()), Clock: now,
	}
	l.sent = time.Now()
	s, err := lease.Bounded(l.ctx, lease.Interval(l.m.o.TTL), func(ctx context.Context) (store.Standing, error) { return l.m.o.Store.Beat(ctx, b) })
	l.say(err)
	if err != nil {
		return l.failed(err)
	}
	if l.failures > 0 { // the others may not have been answered either, or by another server, whose clock is ahead
		l.back = time.Now().Add(returning(l.m.o.TTL))
		l.takeAt = l.back
	}
	l.failures = 0
	l.next = l.sent.Add(lease.Interval(l.m.o.TTL))
	if l.away() && l.back.Before(l.next) {
		l.next = l.back
	}
	if lapse := time.Now().Add(s.Lapse + afterLapse); s.Lapse > 0 && lapse.Before(l.next) {
		l.next = lapse
	}
	if soonest := l.sent.Add(calm); l.next.Before(soonest) {
		l.next = soonest
	}
	l.absorb(s)
	return nil
}

// failed notes a beat that was not answered, or refused. Once the node is a member, only the end of the store ends the run.
func (l *loop) failed(err error) error {
	l.failures++
	l.next = time.Now().Add(lease.Backoff(l.m.o.TTL, l.failures, l.random))
	l.m.trust.Fail(err)
	l.fitness.excuse()
	if errors.Is(err, store.ErrClosed) || !l.joined && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown) {
		return err
	}
	return nil
}

// absorb makes the answer to a beat what is known. Ownership that was lost ends before trust is renewed: see [Member.Trusted].
func (l *loop) absorb(s store.Standing) {
	l.m.brake.learn(s.Pause) // before anything is gained
	l.roster.learn(s, !l.joined || s.Version != l.version)
	l.version, l.joined = s.Version, true
	l.m.measure(l.roster.node(l.m.o.Node).Skew)
	lost, gained := l.compare()
	l.drop(lost)
	if len(lost) > 0 {
		l.m.o.Logger.Warn("shards are another node's", "node", l.m.o.Name, "shards", len(lost))
		l.work.Lost(numbers(lost))
	}
	l.m.trust.Note(l.sent)
	l.own(gained)
	l.watch(time.Now())
	s.Shards = slices.DeleteFunc(slices.Clone(l.roster.shards[:]), func(a store.Assignment) bool { return a.Node == "" })
	l.m.mu.Lock()
	l.m.outlook.standing, l.m.outlook.at = s, l.sent
	l.m.mu.Unlock()
	if len(gained) > 0 {
		l.m.o.Logger.Info("shards that were taken without an answer are this node's", "node", l.m.o.Name, "shards", len(gained))
		l.work.Gained(gained, s.Revision)
	}
}

// compare holds what is owned against the roster. Lost is what is not this node's any more, or under another epoch. Gained is what is its own though it was never told: the answer to a take was lost. That is
// safe to work on from the answer's revision, which is not older than the take's. What it is given while it wants none is left for [loop.giveBack].
func (l *loop) compare() (lost, gained []store.Assignment) {
	me := l.m.o.Node
	wants := !l.stopping && !l.roster.node(me).Draining && !l.hopeless()
	for i := range l.roster.shards {
		a, own := l.roster.shards[i], l.m.owned[i].Load()
		if own != nil && (a.Node != me || a.Epoch != *own) {
			lost = append(lost, store.Assignment{Shard: i, Node: me, Epoch: *own})
			own = nil
		}
		if a.Node == me && own == nil && a.Epoch.Compare(l.highest[i]) > 0 && wants {
			gained = append(gained, a)
		}
	}
	return lost, gained
}

// own begins the ownership of shards.
func (l *loop) own(gained []store.Assignment) {
	for _, a := range gained {
		epoch := a.Epoch
		l.highest[a.Shard] = epoch
		l.roster.shards[a.Shard] = a
		l.m.owned[a.Shard].Store(&epoch)
	}
	l.m.tell()
}

// watch notes since when the same nodes have been fit, and since when shards have been open.
func (l *loop) watch(now time.Time) {
	if fit := l.roster.fit(); l.since.IsZero() || !slices.Equal(fit, l.fits) {
		l.fits, l.since = fit, now
	}
	before := l.waiting
	l.waiting = [resource.Shards]time.Time{}
	longest := time.Duration(-1)
	for _, i := range l.roster.open() {
		if l.waiting[i] = before[i]; before[i].IsZero() {
			l.waiting[i] = now
		}
		longest = max(longest, now.Sub(l.waiting[i]))
	}
	l.listen(now, longest)
}

// listen finds out who does not take what falls to it because it is dead, though it has not lapsed: when something has been open for some time, and it has not been heard of since. Until then it is looked again
// when it is time to know.
func (l *loop) listen(now time.Time, open time.Duration) {
	l.roster.silent = nil
	hush := hush(l.m.o.Ramp)
	switch {
	case open < 0:
	case open < hush:
		if at := now.Add(hush - open); at.Before(l.next) {
			l.next = at
		}
	default:
		l.roster.hear(l.m.o.Node, open)
		if len(l.roster.silent) > 0 {
			l.quiet = later(l.quiet, now.Add(l.m.o.TTL)) // by then it has lapsed, or is heard of
		}
	}
}

// hush is how long something may be open before whom it falls to must have been heard of.
func hush(r Ramp) time.Duration { return 2 * r.Every }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// away reports whether this node was not answered until a moment ago, and takes nothing for that. The others hear of it, and do not wait for it, if they were answered all the time.
func (l *loop) away() bool { return l.failures > 0 || time.Now().Before(l.back) }

// illness is what the others hear as trouble, "" when nothing keeps the node from its work.
func (l *loop) illness(paused bool) string {
	switch {
	case l.fitness.ill():
		return l.fitness.why
	case l.stopping:
		return "it is being stopped"
	case paused:
		return "an operator has paused it"
	case l.away():
		return store.JustBack
	}
	return ""
}

// hopeless reports whether this node has been in trouble for so long that the others had time to say the same of themselves, and one of them is well. A node that is alone keeps its shards: what works of
// it goes on.
func (l *loop) hopeless() bool {
	return l.fitness.ill() && time.Since(l.fitness.since) >= l.m.o.TTL && l.roster.others(l.m.o.Node)
}

// say tells the log what has changed: not every beat.
func (l *loop) say(err error) {
	is := ""
	if err != nil {
		is = "away"
	}
	switch {
	case is == l.said && l.joined:
	case err == nil:
		l.m.o.Logger.Info("the node is a member", "node", l.m.o.Name, "id", string(l.m.o.Node))
	case is != l.said:
		l.m.o.Logger.Error("the node's membership cannot be renewed; it is tried again", "node", l.m.o.Name, "error", err)
	}
	l.said = is
}
