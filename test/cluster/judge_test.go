package cluster

import (
	"testing"
	"time"
)

// TestSpells: what excuses somebody who was not answered, or had to ask again, and what does not.
func TestSpells(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	mine, other := &node{name: "mine"}, &node{name: "other"}
	for _, c := range []struct {
		reason               string
		spell                spell
		silent, asksOnceMore bool
	}{
		{"the node was frozen all the time", spell{frozen, mine, at(0), at(99)}, true, true},
		{"the node had died before", spell{killed, mine, at(1), forever}, true, true},
		{"the node was thawed before", spell{frozen, mine, at(1), at(9)}, false, false},
		{"the node was frozen afterwards", spell{frozen, mine, at(21), at(30)}, false, false},
		{"another node was frozen: its commands are others' business, and its requests its own", spell{frozen, other, at(5), at(15)}, false, true},
		{"the node was cut off from the database", spell{offDatabase, mine, at(15), at(16)}, true, true},
		{"the node was cut off from other subsystems, which neither an administrator needs nor one whose own is not", spell{offSubsystems, mine, at(5), at(15)}, false, false},
		{"the database was stopped", spell{stopped, nil, at(19), at(30)}, true, true},
	} {
		spells := []spell{c.spell}
		if got := len(during(spells, at(10), at(20), silences(mine))) > 0; got != c.silent {
			t.Errorf("%s: no answer is excused: %v, want %v", c.reason, got, c.silent)
		}
		if got := len(during(spells, at(10), at(20), spell.stops)) > 0; got != c.asksOnceMore {
			t.Errorf("%s: another attempt is excused: %v, want %v", c.reason, got, c.asksOnceMore)
		}
	}
}
