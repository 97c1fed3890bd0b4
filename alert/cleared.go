package alert

import (
	"slices"
	"time"
)

// overlap is for how long a group that has cleared is kept, to be told again by who begins to tell: longer than it takes until the place of one that died is taken, and than the longest wait before a
// delivery is repeated.
const overlap = 5 * time.Minute

// cleared are the groups that have cleared not long ago. Whether receivers were told, nobody knows when another begins to tell: who told until then was cut off, or has died, perhaps just before.
type cleared struct {
	limit   int
	changes map[Fingerprint]recovery
}

// recovery is that a group has cleared, and when that was noticed.
type recovery struct {
	Change
	noted time.Time
}

// note keeps what has cleared, as long as there is room, and forgets what is in trouble again or has cleared long ago.
func (k *cleared) note(changes []Change, now time.Time) {
	for id, c := range k.changes {
		if now.Sub(c.noted) > overlap {
			delete(k.changes, id)
		}
	}
	for _, c := range changes {
		switch {
		case c.Event != Cleared:
			delete(k.changes, c.Group.Fingerprint)
		case len(k.changes) < k.limit:
			c.inherited = true
			k.changes[c.Group.Fingerprint] = recovery{c, now}
		}
	}
}

// recent returns what is kept, by key. It is kept on: who begins to tell may have to cease before a receiver has heard of it, and begin again.
func (k *cleared) recent(now time.Time) (all []Change) {
	k.note(nil, now)
	for _, c := range k.changes {
		all = append(all, c.Change)
	}
	slices.SortFunc(all, func(a, b Change) int { return a.Group.Key.Compare(b.Group.Key) })
	return all
}
