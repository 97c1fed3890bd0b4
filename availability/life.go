package availability

import (
	"slices"
	"time"

	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// Moment is when something began in an object's life; it lasts until the next moment.
type Moment struct {
	At     time.Time
	State  lifecycle.State
	Exists bool
	// Standing is what the stretch that begins here means for availability.
	Standing Standing
	// Reason, Cause and Revision are those of the change that began it.
	Reason, Cause string
	Revision      resource.Revision
}

// Caveats counts what makes figures less certain. All zero is a complete history.
type Caveats struct {
	// Cut counts objects whose history does not reach back to their creation.
	Cut int `json:"cut,omitempty"`
	// Clamped counts changes that carry an earlier time than the change before them, as the clocks of two nodes may have it. They are taken to
	// have happened at the same time.
	Clamped int `json:"clamped,omitempty"`
	// Missing counts holes: a change that does not begin where the one before it ended. The time between the two is unknown.
	Missing int `json:"missing,omitempty"`
	// Strange counts stretches in a state that the lifecycle does not have, perhaps any more. They are unknown.
	Strange int `json:"strange,omitempty"`
}

func (c *Caveats) add(o Caveats) {
	c.Cut += o.Cut
	c.Clamped += o.Clamped
	c.Missing += o.Missing
	c.Strange += o.Strange
}

// Life is the life of one object: its moments in order, and what was before the first of them. It is made by [NewLife] and not changed
// afterwards, so it may be shared.
type Life struct {
	Key resource.Key
	UID resource.UID
	// Before is the standing before the first moment: Absent, or Unknown when the history is cut and the object's creation not known.
	Before  Standing
	Moments []Moment
	Caveats Caveats
}

// NewLife puts together the life of one object. All changes must be of that object.
//
// What is not known is not guessed: before the first change of a history that has been cut, and in holes, the standing is [Unknown]. One
// thing must be decided: whether such an object had been healthy already, so that its unhealthy states count. It is taken to
// have been when the lifecycle allows it, as a forgotten outage is worse than one too many.
func NewLife(h History, r Rules) Life {
	b := builder{life: Life{Key: h.Key, UID: h.UID, Before: Absent}, holes: map[int]bool{}}
	b.life.Moments = make([]Moment, 0, len(h.Changes)+2)
	for _, c := range h.Changes {
		b.change(c, h.Kept)
	}
	b.present(h.Now)
	b.judge(r)
	return b.life
}

// Lives is [NewLife] for a history asked for by key, which includes former namesakes: the changes are told apart by UID, and
// there is one life each, in the order of their first changes. Now belongs to the object with h.UID.
func Lives(h History, r Rules) []Life {
	changes, order := map[resource.UID][]Change{}, []resource.UID{}
	for _, c := range h.Changes {
		if _, known := changes[c.UID]; !known {
			order = append(order, c.UID)
		}
		changes[c.UID] = append(changes[c.UID], c)
	}
	if _, known := changes[h.UID]; !known && !h.Now.Since.IsZero() {
		order = append(order, h.UID)
	}
	lives := make([]Life, 0, len(order))
	for _, uid := range order {
		one := History{Key: h.Key, UID: uid, Kept: h.Kept, Changes: changes[uid]}
		if uid == h.UID {
			one.Now = h.Now
		}
		lives = append(lives, NewLife(one, r))
	}
	return lives
}

// builder puts a life together.
type builder struct {
	life Life
	// cut: the history begins after the object's creation.
	cut bool
	// holes are the moments after which the state is not known, until the next.
	holes map[int]bool
}

// change appends what a change says.
func (b *builder) change(c Change, kept time.Time) {
	if c.Type != Created && c.Type != Transition && c.Type != Removed {
		return
	}
	at := plain(c.At)
	if last := len(b.life.Moments) - 1; last < 0 {
		b.begin(c, at, plain(kept), !kept.IsZero())
	} else {
		if before := b.life.Moments[last]; c.Type == Created || !before.Exists || before.State != c.From {
			b.hole()
		}
		at = b.clamp(at)
	}
	b.life.Moments = append(b.life.Moments, Moment{
		At: at, State: c.To, Exists: c.Type != Removed, Reason: c.Reason, Cause: c.Cause, Revision: c.Revision,
	})
}

// begin deals with what the first change says about the time before it.
func (b *builder) begin(c Change, at, kept time.Time, complete bool) {
	if c.Type == Created {
		return
	}
	b.cut = true
	if complete && kept.Before(at) {
		b.life.Moments = append(b.life.Moments, Moment{At: kept, State: c.From, Exists: true})
	}
}

// hole notes that a change is missing after the last moment.
func (b *builder) hole() {
	b.holes[len(b.life.Moments)-1] = true
	b.life.Caveats.Missing++
}

// clamp is a time, or that of the last moment when it is later.
func (b *builder) clamp(at time.Time) time.Time {
	if last := b.life.Moments[len(b.life.Moments)-1].At; at.Before(last) {
		b.life.Caveats.Clamped++
		return last
	}
	return at
}

// present adds what the object itself says, unless the history knows better, being newer.
func (b *builder) present(now Present) {
	if !now.Since.IsZero() {
		b.current(plain(now.Since), now)
	}
	if !b.cut {
		return
	}
	b.life.Caveats.Cut = 1
	b.life.Before = Unknown
	if born := plain(now.Created); !now.Created.IsZero() && born.Before(b.life.Moments[0].At) {
		b.life.Before = Absent
		holes := map[int]bool{0: true}
		for i := range b.holes {
			holes[i+1] = true
		}
		b.holes, b.life.Moments = holes, slices.Insert(b.life.Moments, 0, Moment{At: born, Exists: true})
	}
}

// current appends the state in which the object is, when the history does not end with it: it was read a moment before the transition.
func (b *builder) current(since time.Time, now Present) {
	if n := len(b.life.Moments); n == 0 {
		b.cut = now.Created.IsZero() || since.After(now.Created)
	} else if m := b.life.Moments[n-1]; !m.Exists || m.State == now.State || !since.After(m.At) {
		return
	}
	b.life.Moments = append(b.life.Moments, Moment{At: since, State: now.State, Exists: true})
}

// judge gives every moment its standing.
func (b *builder) judge(r Rules) {
	had := r.fromCreation // it has been healthy, or need not have been
	unsure := b.cut       // it may have been, in time that is not known
	for i := range b.life.Moments {
		m := &b.life.Moments[i]
		standing, known := r.standing[m.State]
		had = had || r.healthy[m.State]
		switch {
		case b.holes[i]:
			m.Standing, unsure = Unknown, true
		case !m.Exists:
			m.Standing = Absent
		case !known:
			m.Standing, unsure = Unknown, true
			b.life.Caveats.Strange++
		default:
			unsure = unsure && r.after[m.State] // nobody who has been healthy comes anywhere else
			had = had || unsure
			if m.Standing = standing; standing == Down && !had {
				m.Standing = Pending
			}
		}
	}
}
