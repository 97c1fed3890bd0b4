package cluster

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// death is a node that was killed, with what it had.
type death struct {
	node  *node
	at    time.Time
	had   map[int]resource.Epoch
	amiss bool // the database was stopped before its work was taken over
	alone bool // nobody else was dead, frozen or cut off at the time
}

// event is something that the weather brings at a time.
type event struct {
	at time.Duration // since the beginning
	do func()
}

// weather is what happens to a town.
type weather struct {
	town   *town
	plan   stormPlan
	random *rand.Rand
	gaveUp <-chan error
	estate *estate

	began    time.Time
	coming   []event
	ill      map[*node]bool // frozen, or cut off
	deaths   []*death
	spells   []spell
	freezes  int
	cuts     map[string]int
	stopping int
	crashes  int
}

func (x *weather) String() string {
	return fmt.Sprintf("%d nodes killed, %d frozen for three times their time to live, cut off: %v, the database stopped %d times, servers of managed databases killed %d times", len(x.deaths), x.freezes, x.cuts, x.stopping, x.crashes)
}

// rage brings it all, and returns when everything is well again.
func (x *weather) rage() {
	x.town.Helper()
	x.began, x.ill, x.cuts = time.Now(), map[*node]bool{}, map[string]int{}
	x.in(x.between(x.plan.kill), x.kill)
	x.in(x.about(x.plan.freeze), x.freeze)
	x.in(x.about(x.plan.partition), x.partition)
	x.in(x.about(x.plan.stop), x.stop)
	x.in(x.about(x.plan.crash), x.crash)
	for len(x.coming) > 0 {
		next := slices.IndexFunc(x.coming, func(e event) bool {
			return !slices.ContainsFunc(x.coming, func(o event) bool { return o.at < e.at })
		})
		e := x.coming[next]
		x.coming = slices.Delete(x.coming, next, next+1)
		timer := time.NewTimer(e.at - time.Since(x.began))
		select {
		case <-timer.C:
		case err := <-x.gaveUp:
			x.town.Fatalf("a customer: %v", err)
		}
		timer.Stop()
		e.do()
	}
}

// unbroken fails the test if somebody has given up.
func (x *weather) unbroken() {
	x.town.Helper()
	select {
	case err := <-x.gaveUp:
		x.town.Fatalf("a customer: %v", err)
	default:
	}
}

// last kills one more node when all are well again, and returns when the others have its work: what that takes does not hang on anything else.
func (x *weather) last() {
	x.town.Helper()
	x.town.divided(x.town.alive()...)
	n := x.well(1)
	d := x.note(n)
	x.endure(killed, n)
	n.kill()
	x.town.divided(x.town.alive()...)
	x.deaths = append(x.deaths, d)
}

// in plans something, unless it is over by then. What makes well again is always planned.
func (x *weather) in(after time.Duration, do func()) {
	if at := time.Since(x.began) + after; at < x.plan.lasts {
		x.coming = append(x.coming, event{at, do})
	}
}

func (x *weather) heal(after time.Duration, do func()) {
	x.coming = append(x.coming, event{time.Since(x.began) + after, do})
}

func (x *weather) between(b [2]time.Duration) time.Duration {
	return b[0] + time.Duration(x.random.Int64N(int64(b[1]-b[0])))
}

func (x *weather) about(d time.Duration) time.Duration {
	return x.between([2]time.Duration{d / 2, 3 * d / 2})
}

// well chooses a node that is well, if so many are.
func (x *weather) well(least int) *node {
	var well []*node
	for _, n := range x.town.alive() {
		if !x.ill[n] && n.address() != "" {
			well = append(well, n)
		}
	}
	if len(well) < least {
		return nil
	}
	return well[x.random.IntN(len(well))]
}

// kill kills a node, which may be one that is cut off, and starts another.
func (x *weather) kill() {
	x.in(x.between(x.plan.kill), x.kill)
	n := x.well(1)
	if n == nil {
		return
	}
	d := x.note(n)
	x.endure(killed, n)
	n.kill()
	x.deaths = append(x.deaths, d)
	x.town.start(launch{space: x.town.space()})
}

// note remembers what a node has, that is about to be killed.
func (x *weather) note(n *node) *death {
	x.town.Helper()
	d := &death{node: n, had: map[int]resource.Epoch{}, alone: len(x.ill) == 0}
	for shard, a := range x.town.shards() {
		if a.node == n.name {
			d.had[shard] = parseEpoch(x.town, a.epoch)
		}
	}
	d.at = time.Now()
	return d
}

func parseEpoch(w *town, text string) (e resource.Epoch) {
	w.Helper()
	if _, err := fmt.Sscanf(text, "%d.%d", &e.Incarnation, &e.Counter); err != nil {
		w.Fatalf("epoch %q: %v", text, err)
	}
	return e
}

// freeze stops a process for three times its time to live.
func (x *weather) freeze() {
	n := x.well(2)
	if n == nil {
		x.in(time.Second, x.freeze)
		return
	}
	x.freezes++
	x.sicken(n)
	over := x.endure(frozen, n)
	n.freeze()
	x.heal(3*x.plan.ttl+x.plan.ttl/2, func() {
		delete(x.ill, n)
		n.thaw()
		over()
		x.in(x.about(x.plan.freeze), x.freeze)
	})
}

// sicken notes that a node is frozen or cut off, also while the work of one that has died is being taken over.
func (x *weather) sicken(n *node) {
	x.ill[n] = true
	for _, d := range x.deaths {
		d.alone = d.alone && time.Since(d.at) > x.plan.ttl+time.Second
	}
}

// partition cuts a node off from the database, from the subsystems, or, one way only, from either, for as long as it takes to lose its shards, or not quite.
func (x *weather) partition() {
	n := x.well(2)
	if n == nil {
		x.in(time.Second, x.partition)
		return
	}
	lines := []*line{n.database}
	from, what := "the database", offDatabase
	if x.random.IntN(2) == 0 {
		lines, from, what = nil, "the subsystems", offSubsystems
		for _, l := range n.subsystems {
			lines = append(lines, l)
		}
	}
	x.sicken(n)
	over := x.endure(what, n)
	mend := x.cut(n, lines, from)
	x.heal(x.about(x.plan.ttl*3/2), func() {
		delete(x.ill, n)
		mend()
		over()
		x.in(x.about(x.plan.partition), x.partition)
	})
}

// cut cuts off in one of several ways, and returns what ends it.
func (x *weather) cut(n *node, lines []*line, from string) (mend func()) {
	ways := [][]way{{there, back}, {there}, {back}}
	choice := x.random.IntN(len(ways) + 1)
	if choice == len(ways) && n.space != nil {
		x.cuts["by its route from "+from]++
		address := n.space.database
		if lines[0] != n.database {
			address = n.space.subsystems
		}
		x.town.swallow(n.space, address, true)
		return func() { x.town.swallow(n.space, address, false) }
	}
	w := ways[choice%len(ways)]
	x.cuts[[]string{"from ", "on the way to ", "on the way from "}[choice%len(ways)]+from]++
	for _, l := range lines {
		l.hold(w...)
	}
	return func() {
		for _, l := range lines {
			l.release()
		}
	}
}

// stop stops the database at once, and starts it.
func (x *weather) stop() {
	x.in(x.about(x.plan.stop), x.stop)
	x.stopping++
	for _, d := range x.deaths {
		d.amiss = d.amiss || time.Since(d.at) < 2*x.plan.ttl+time.Second
	}
	over := x.endure(stopped, nil)
	x.town.postgres.StopImmediate(x.town.T)
	x.town.postgres.Launch(x.town.T)
	x.town.postgres.WaitReady(x.town.T)
	over()
}

// crash kills the server that one of the managed databases is written to.
func (x *weather) crash() {
	x.in(x.about(x.plan.crash), x.crash)
	p := x.estate.patrons[x.random.IntN(len(x.estate.patrons))]
	if err := x.estate.crash(p.name); err != nil {
		x.town.Logf("no server of %s is killed: %v", p.name, err)
		return
	}
	x.crashes++
}

// forever is after everything.
var forever = time.Unix(1<<40, 0)

// endure notes a spell that begins, and returns what notes its end.
func (x *weather) endure(what sort, n *node) (over func()) {
	x.spells = append(x.spells, spell{what, n, time.Now(), forever})
	i := len(x.spells) - 1
	return func() { x.spells[i].to = time.Now() }
}
