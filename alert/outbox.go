package alert

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"
)

var (
	// ErrFull: a sender keeps as many groups as it may, so it did not take another. Wait for the receiver to answer, or raise Delivery.Capacity; the group is
	// offered again when it next changes or is repeated.
	ErrFull = errors.New("the sender keeps as many groups as it may")
	// ErrStopped: the sender has ended or is ending, so it takes nothing more. Run another one.
	ErrStopped = errors.New("the sender has stopped")
)

// letter is the state of one group as it is to be told to one receiver.
type letter struct {
	change Change
	// also are other severities under which the receiver may know the group.
	also    []Severity
	version uint64
	// tried: the receiver may have heard of the group before this letter.
	tried bool
}

// parcel is what the outbox knows of one group.
type parcel struct {
	change  Change
	version uint64 // rises with every put
	pending bool   // the state has not been acknowledged
	order   uint64 // place in the queue: kept when a newer state replaces an older one
	due     time.Time
	// known: the receiver has acknowledged that the group is firing. tried: it may have heard of it.
	known, tried bool
	// severities under which it may have heard of it, a bit per rank.
	severities uint8
	// forget is when a cleared group need not be told any more.
	forget time.Time
}

// outbox holds the latest state of every group that one receiver should know of or may know of. It is bounded by the number of groups, however long the
// receiver is away: a newer state replaces the older one, and a group that comes and goes unheard leaves nothing.
type outbox struct {
	capacity int
	// resend is after how long a firing group is told again, 0 for never; linger for how long a cleared one is.
	resend, linger time.Duration

	mu       sync.Mutex
	parcels  map[Fingerprint]*parcel
	versions uint64
	stopped  bool
	wake     chan struct{}
}

func newOutbox(capacity int, resend, linger time.Duration) *outbox {
	return &outbox{
		capacity: capacity, resend: resend, linger: linger, parcels: map[Fingerprint]*parcel{}, wake: make(chan struct{}, 1),
	}
}

// put takes a change. It never waits.
func (b *outbox) put(c Change) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return ErrStopped
	}
	p := b.parcels[c.Group.Fingerprint]
	switch {
	case c.Event == Cleared && (p == nil && !c.inherited || p != nil && p.change.Event == Cleared):
		return nil
	case c.Event == Cleared && p != nil && !p.known && !p.tried && !c.inherited:
		delete(b.parcels, c.Group.Fingerprint)
		return nil
	case p == nil && len(b.parcels) >= b.capacity:
		return ErrFull
	case p == nil:
		p = &parcel{}
		b.parcels[c.Group.Fingerprint] = p
	}
	b.versions++
	if !p.pending {
		p.order = b.versions
	}
	p.change, p.version, p.pending, p.forget = c, b.versions, true, time.Time{}
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return nil
}

// clear forgets everything: somebody else tells it.
func (b *outbox) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.parcels)
}

// take lists what is to be told now, at most limit, those first that wait longest; and when there is nothing, the time at which there will be, zero for never.
func (b *outbox) take(now time.Time, limit int) (batch []letter, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ready []*parcel
	for _, p := range b.parcels {
		switch {
		case p.pending || !b.stopped && !p.due.IsZero() && !p.due.After(now):
			ready = append(ready, p)
		case !p.due.IsZero() && (next.IsZero() || p.due.Before(next)):
			next = p.due
		}
	}
	slices.SortFunc(ready, func(a, c *parcel) int { return cmp.Compare(a.order, c.order) })
	for _, p := range ready[:min(limit, len(ready))] {
		batch = append(batch, p.letter())
	}
	return batch, next
}

// letter says how the group is to be told to this receiver, and that it may have heard of it from now on.
func (p *parcel) letter() letter {
	l := letter{change: p.change, version: p.version, tried: p.tried}
	switch {
	case p.change.Event == Cleared:
	case !p.known:
		l.change.Event = Raised
	case !p.pending:
		l.change.Event = Repeated
	case p.change.Event == Raised:
		l.change.Event = Changed
	}
	own := p.change.Group.Severity.rank()
	for rank, s := range severities {
		if rank != own && p.severities&(1<<rank) != 0 {
			l.also = append(l.also, s)
		}
	}
	p.tried = true
	p.severities |= 1 << own
	return l
}

// delivered notes that the receiver has acknowledged a batch.
func (b *outbox) delivered(batch []letter, now time.Time) {
	b.settle(batch, func(p *parcel, l *letter) (keep bool) {
		if l.change.Event != Cleared {
			p.known, p.severities = true, 1<<l.change.Group.Severity.rank()
			p.due = b.again(now)
			return true
		}
		p.known, p.tried = false, false
		if p.forget.IsZero() {
			p.forget = now.Add(b.linger)
		}
		p.due = b.again(now)
		return !p.due.IsZero() && !p.due.After(p.forget)
	})
}

// refused notes that the receiver will not have a batch, however often it is sent.
func (b *outbox) refused(batch []letter, now time.Time) {
	b.settle(batch, func(p *parcel, l *letter) (keep bool) {
		p.tried = l.tried
		p.due = b.again(now)
		return l.change.Event != Cleared
	})
}

// settle ends the delivery of those letters that are still the latest of their group; a newer state stays in the queue.
func (b *outbox) settle(batch []letter, note func(*parcel, *letter) (keep bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range batch {
		l := &batch[i]
		p := b.parcels[l.change.Group.Fingerprint]
		if p == nil {
			continue // it was cleared meanwhile
		}
		keep := note(p, l)
		if p.version != l.version {
			continue
		}
		p.pending = false
		if !keep {
			delete(b.parcels, l.change.Group.Fingerprint)
		}
	}
}

// again is when a group is told again by itself.
func (b *outbox) again(now time.Time) time.Time {
	if b.resend == 0 {
		return time.Time{}
	}
	return now.Add(b.resend)
}

// stop ends the taking in. What is pending stays, and is all that take lists from now on.
func (b *outbox) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
}

// pending counts the groups whose latest state is not acknowledged.
func (b *outbox) pending() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, p := range b.parcels {
		if p.pending {
			n++
		}
	}
	return n
}
