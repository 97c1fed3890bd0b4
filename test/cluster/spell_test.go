package cluster

import (
	"fmt"
	"time"
)

// sort is what a spell of bad weather is.
type sort string

const (
	killed        sort = "killed"
	frozen        sort = "frozen"
	offDatabase   sort = "cut off from the database"
	offSubsystems sort = "cut off from the subsystems"
	stopped       sort = "the database is stopped"
)

// spell is something bad, from when until when, and to which node; to none when it is the database.
type spell struct {
	sort     sort
	node     *node
	from, to time.Time
}

func (s spell) String() string {
	name := ""
	if s.node != nil {
		name = s.node.name + " "
	}
	return fmt.Sprintf("%s%s from %s to %s", name, s.sort, s.from.Format("15:04:05.000"), s.to.Format("15:04:05.000"))
}

// stops reports whether calls to a subsystem that is well, by a way that is, may have to be repeated for it.
func (s spell) stops() bool { return s.sort != offSubsystems }

// silences returns what reports whether a node cannot answer while it lasts.
func silences(n *node) func(spell) bool {
	return func(s spell) bool { return s.node == nil || s.node == n && s.sort != offSubsystems }
}

// during are the spells that a time has met, of those that matter.
func during(spells []spell, from, to time.Time, matters func(spell) bool) (met []spell) {
	for _, s := range spells {
		if matters(s) && s.from.Before(to) && s.to.After(from) {
			met = append(met, s)
		}
	}
	return met
}
