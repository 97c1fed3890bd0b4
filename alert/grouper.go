package alert

import (
	"cmp"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// Rules say what of a group is worth telling. Values of 0 and below stand for the defaults.
type Rules struct {
	// Refresh is after how long a count that differs from the one last told is told although it has neither doubled nor halved: 5 min.
	Refresh time.Duration
	// Repeat is after how long a group that has not changed is told again: 1 h.
	Repeat time.Duration
	// Settle is how long a group must have been empty before it is told as cleared; by default it is told at once. It calms a group that flaps.
	Settle time.Duration
	// MaxGroups is how many groups there may be: 1,000. What finds no place is gathered in the group of the cause [TooManyGroups].
	MaxGroups int
}

func (r Rules) withDefaults() Rules {
	if r.Refresh <= 0 {
		r.Refresh = 5 * time.Minute
	}
	if r.Repeat <= 0 {
		r.Repeat = time.Hour
	}
	if r.MaxGroups <= 0 {
		r.MaxGroups = 1000
	}
	return r
}

// entry is one trouble and its place in its group.
type entry struct {
	trouble Trouble
	group   *group
	index   int
}

// group is a Group as it grows and shrinks. What is dear to compute is computed when it is told.
type group struct {
	key         Key
	fingerprint Fingerprint
	members     []*entry
	ranks       [len(severities)]int // members per severity
	since       time.Time
	emptySince  time.Time // when it was first seen empty, zero while it is not
	told        *Group    // nil: never told, or told as cleared
	toldAt      time.Time
	inherited   bool // it was told by somebody else, and by nobody here
}

// Grouper keeps who is in trouble, and says what of it is worth telling. It is pure: it has no clock, no goroutine and no lock, and
// depends on nothing but the order of its calls. It keeps one entry per object and source, and nothing of objects without trouble.
type Grouper struct {
	rules   Rules
	objects map[resource.Key][]*entry
	groups  map[Key]*group
}

// NewGrouper makes an empty one.
func NewGrouper(r Rules) *Grouper {
	return &Grouper{rules: r.withDefaults(), objects: map[resource.Key][]*entry{}, groups: map[Key]*group{}}
}

// Set adds a trouble, in the place of an earlier one of the same object and source. Its error is an [ErrTrouble].
func (g *Grouper) Set(t Trouble) error {
	if err := t.prepare(); err != nil {
		return err
	}
	for _, e := range g.objects[t.Object] {
		if e.trouble.Source != t.Source {
			continue
		}
		if e.trouble.key() == t.key() {
			e.group.change(e, t)
			return nil
		}
		e.group.leave(e)
		e.trouble = t
		g.group(t.key()).join(e)
		return nil
	}
	e := &entry{trouble: t}
	g.objects[t.Object] = append(g.objects[t.Object], e)
	g.group(t.key()).join(e)
	return nil
}

// Remove takes away what a source said of an object. It does nothing when there is nothing.
func (g *Grouper) Remove(object resource.Key, source Source) {
	entries := g.objects[object]
	at := slices.IndexFunc(entries, func(e *entry) bool { return e.trouble.Source == source })
	if at < 0 {
		return
	}
	entries[at].group.leave(entries[at])
	if len(entries) == 1 {
		delete(g.objects, object)
		return
	}
	g.objects[object] = slices.Delete(entries, at, at+1)
}

// Forget takes away everything that was said of an object, because it is gone.
func (g *Grouper) Forget(object resource.Key) {
	for _, e := range g.objects[object] {
		e.group.leave(e)
	}
	delete(g.objects, object)
}

// Len is the number of objects in trouble.
func (g *Grouper) Len() int { return len(g.objects) }

// Firing counts the groups that somebody is in, by their severities; each severity has a count. It looks at every group, and at no trouble.
func (g *Grouper) Firing() map[Severity]int {
	counts := map[Severity]int{}
	for _, s := range severities {
		counts[s] = 0
	}
	for _, group := range g.groups {
		if len(group.members) > 0 {
			counts[group.severity()]++
		}
	}
	return counts
}

// Groups lists the groups that somebody is in, by key. It looks at every trouble once.
func (g *Grouper) Groups() []Group {
	var all []Group
	for _, group := range g.groups {
		if len(group.members) > 0 {
			all = append(all, group.view())
		}
	}
	slices.SortFunc(all, func(a, b Group) int { return a.Key.Compare(b.Key) })
	return all
}

// Changes lists what has become worth telling since it was last asked, by key. What it lists counts as told. It looks at every group, and
// at the members of those that it lists.
func (g *Grouper) Changes(now time.Time) []Change {
	var changes []Change
	for key, group := range g.groups {
		if event := group.event(now, g.rules); event != "" {
			changes = append(changes, group.tell(event, now))
		}
		if len(group.members) == 0 && group.told == nil {
			delete(g.groups, key)
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return a.Group.Key.Compare(b.Group.Key) })
	return changes
}

// Renew makes every group that somebody is in worth telling again, as if it had never been told. One that nobody is in any more stays to be told as cleared, also to receivers that have not heard of it from here.
func (g *Grouper) Renew() {
	for _, group := range g.groups {
		if len(group.members) > 0 {
			group.told = nil
		} else {
			group.inherited = true
		}
		group.toldAt = time.Time{}
	}
}

// group finds or makes the group of a key, or the one for all that have no place.
func (g *Grouper) group(k Key) *group {
	spare := Key{Cause: TooManyGroups}
	if found := g.groups[k]; found != nil {
		return found
	}
	if len(g.groups) >= g.rules.MaxGroups {
		k = spare
	}
	if found := g.groups[k]; found != nil {
		return found
	}
	made := &group{key: k, fingerprint: k.Fingerprint()}
	g.groups[k] = made
	return made
}

func (g *group) join(e *entry) {
	e.group, e.index = g, len(g.members)
	g.members = append(g.members, e)
	g.count(&e.trouble)
}

func (g *group) leave(e *entry) {
	last := len(g.members) - 1
	g.members[e.index] = g.members[last]
	g.members[e.index].index = e.index
	g.members[last] = nil
	g.members = g.members[:last]
	g.ranks[e.trouble.Severity.rank()]--
	if len(g.members) > 0 {
		return
	}
	g.members = nil
	if g.told == nil {
		g.since = time.Time{}
	}
}

func (g *group) change(e *entry, t Trouble) {
	g.ranks[e.trouble.Severity.rank()]--
	e.trouble = t
	g.count(&e.trouble)
}

// count takes a trouble into what is known of the group without looking at its members.
func (g *group) count(t *Trouble) {
	g.ranks[t.Severity.rank()]++
	g.emptySince = time.Time{}
	if g.since.IsZero() || t.Since.Before(g.since) {
		g.since = t.Since
	}
}

// severity is the highest of any member.
func (g *group) severity() Severity {
	for i := len(severities) - 1; i > 0; i-- {
		if g.ranks[i] > 0 {
			return severities[i]
		}
	}
	return severities[0]
}

// event is what is worth telling of the group now, "" for nothing.
func (g *group) event(now time.Time, r Rules) Event {
	count := len(g.members)
	switch {
	case count == 0:
		return g.empty(now, r)
	case g.told == nil:
		return Raised
	case g.severity() != g.told.Severity, count >= 2*g.told.Count, 2*count <= g.told.Count:
		return Changed
	case count != g.told.Count && now.Sub(g.toldAt) >= r.Refresh:
		return Changed
	case now.Sub(g.toldAt) >= r.Repeat:
		return Repeated
	}
	return ""
}

// empty decides whether a group without members is cleared.
func (g *group) empty(now time.Time, r Rules) Event {
	if g.told == nil {
		return ""
	}
	if g.emptySince.IsZero() {
		g.emptySince = now
	}
	if now.Sub(g.emptySince) < r.Settle {
		return ""
	}
	return Cleared
}

// tell makes the change, and remembers what has been told.
func (g *group) tell(event Event, now time.Time) Change {
	if event == Cleared {
		last := *g.told
		last.Count = 0
		g.told = nil // Changes drops a group that is empty and not told of
		return Change{Event: event, Group: last, At: later(now, last.Since), inherited: g.inherited}
	}
	view := g.view()
	g.told, g.toldAt, g.inherited = &view, now, false
	return Change{Event: event, Group: view, At: later(now, view.Since)}
}

// view computes the group as others see it.
func (g *group) view() Group {
	return Group{
		Key: g.key, Fingerprint: g.fingerprint, Count: len(g.members), Severity: g.severity(), Since: g.since, Examples: oldest(g.members),
	}
}

// oldest picks the members whose trouble began first, in one pass.
func oldest(members []*entry) []Example {
	older := func(a, b *entry) int {
		return cmp.Or(a.trouble.Since.Compare(b.trouble.Since), a.trouble.Object.Compare(b.trouble.Object), cmp.Compare(a.trouble.Source, b.trouble.Source))
	}
	best := make([]*entry, 0, MaxExamples+1)
	for _, e := range members {
		if len(best) == MaxExamples && older(e, best[MaxExamples-1]) > 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, e, older)
		best = slices.Insert(best, at, e)
		best = best[:min(len(best), MaxExamples)]
	}
	examples := make([]Example, len(best))
	for i, e := range best {
		examples[i] = Example{Object: e.trouble.Object, Since: e.trouble.Since, Message: e.trouble.Message}
	}
	return examples
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
