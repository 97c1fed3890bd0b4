package postgres

import (
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/internal/draft"
	"github.com/setpointhq/setpoint/store/internal/group"
)

// parcel is a group that is put together and laid out in columns.
type parcel struct {
	members []*group.Member
	claims  *claims
	sheet   sheet
}

// groupBytes bounds what is sent at once, unless one transaction alone is larger.
const groupBytes = 8 << 20

// fits says whether another draft may be added.
func (p *parcel) fits(d *draft.Draft, most int) bool {
	return len(p.members) < most && (len(p.members) == 0 || p.sheet.bytes+d.Bytes <= groupBytes)
}

// reset makes a parcel empty.
func (p *parcel) reset() {
	clear(p.members)
	p.members = p.members[:0]
	p.claims = newClaims()
	p.sheet.reset()
}

// composer puts the next group together while one is under way, so that the database does not wait for it. The function judges all of a group against what was there
// before it; therefore members that touch the same things go into different groups, in their order.
type composer struct {
	queue *group.Queue
	most  int
	// ready gives away parcels, and free takes them back: there are two.
	ready, free chan *parcel
	// deferred are members that touch what others before them do, or found no room.
	deferred []*group.Member
	// left are the members that were taken and not sent, when the queue has stopped.
	left []*group.Member
}

func newComposer(q *group.Queue, most int) *composer {
	c := &composer{queue: q, most: most, ready: make(chan *parcel), free: make(chan *parcel, 2)}
	for range cap(c.free) {
		p := &parcel{}
		p.reset()
		c.free <- p
	}
	return c
}

// run composes until the queue is stopped.
func (c *composer) run() {
	defer close(c.ready)
	p := <-c.free
	for {
		var ready chan *parcel
		if len(p.members) > 0 {
			ready = c.ready
		}
		urgent, normal := c.queue.Urgent, c.queue.Normal
		if len(p.members) >= c.most || len(c.deferred) >= c.most {
			urgent, normal = nil, nil // they wait in the queue, which has a bound
		} else if len(p.members) >= c.most-c.most/8 {
			normal = nil // the last places are for those who are in a hurry
		}
		select {
		case <-c.queue.Stopped():
			c.left = append(p.members, c.deferred...)
			return
		case m := <-urgent:
			c.take(p, m)
		case m := <-normal:
			c.take(p, m)
		case ready <- p:
			p = <-c.free
			p.reset()
			c.refill(p)
		}
	}
}

// take puts a member into a parcel, or has it wait for the next one.
func (c *composer) take(p *parcel, m *group.Member) {
	if m.Take() {
		c.put(p, m)
	}
}

func (c *composer) put(p *parcel, m *group.Member) {
	room := p.fits(m.Draft, c.most)
	if !p.claims.add(m.Draft) || !room {
		c.deferred = append(c.deferred, m)
		return
	}
	p.members = append(p.members, m)
	p.sheet.add(m.Draft)
}

// refill begins a parcel with those who had to wait.
func (c *composer) refill(p *parcel) {
	waiting := c.deferred
	c.deferred = nil
	for _, m := range waiting {
		c.put(p, m)
	}
}

// claims are what the members of a group touch.
type claims struct {
	// objects that are written (true), or only relied on.
	objects map[resource.Key]bool
	slots   map[command.Slot]bool
	signals map[store.SignalID]bool
	// raised are the objects that signals are raised on; true where one has a condition.
	raised map[resource.UID]bool
	timers map[timerClaim]bool
}

type timerClaim struct {
	uid        resource.UID
	controller string
}

func newClaims() *claims {
	return &claims{map[resource.Key]bool{}, map[command.Slot]bool{}, map[store.SignalID]bool{}, map[resource.UID]bool{}, map[timerClaim]bool{}}
}

// add claims what a draft touches, and reports whether nobody else does. Also a draft that has to wait keeps its claims: what comes after it must not overtake it.
func (c *claims) add(d *draft.Draft) bool {
	alone := true
	for i := range d.Tx.Objects {
		key := draft.KeyOf(&d.Tx.Objects[i])
		if _, taken := c.objects[key]; taken {
			alone = false
		}
		c.objects[key] = true
	}
	rely := func(key resource.Key) {
		if written, taken := c.objects[key]; taken && written {
			alone = alone && d.Writes(key)
		} else {
			c.objects[key] = false
		}
	}
	for i := range d.Tx.Reads {
		rely(d.Tx.Reads[i].Key)
	}
	for i := range d.Tx.Commands {
		rely(d.Tx.Commands[i].Command.Object)
		alone = claim(c.slots, d.Tx.Commands[i].Command.Slot) && alone
	}
	for _, id := range d.Tx.Consume {
		alone = claim(c.signals, id) && alone
	}
	for i := range d.Batch.Raised {
		rely(d.Batch.Raised[i].Object)
	}
	alone = c.raise(d) && alone
	for i := range d.Batch.Timers {
		t := &d.Batch.Timers[i]
		rely(t.Object)
		alone = claim(c.timers, timerClaim{t.UID, t.Controller}) && alone
	}
	return alone
}

// raise claims the objects that a draft raises signals on, for itself alone if one of the signals has a condition.
func (c *claims) raise(d *draft.Draft) bool {
	alone := true
	for i := range d.Batch.Raised {
		if conditional, taken := c.raised[d.Batch.Raised[i].UID]; taken && (conditional || d.Tx.Raise[i].Seen != 0) {
			alone = false
		}
	}
	for i := range d.Batch.Raised {
		uid := d.Batch.Raised[i].UID
		c.raised[uid] = c.raised[uid] || d.Tx.Raise[i].Seen != 0
	}
	return alone
}

func claim[T comparable](claims map[T]bool, v T) bool {
	taken := claims[v]
	claims[v] = true
	return !taken
}
