package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/test/internal/follower"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// storm is a town with all who live there, and what happens to it.
type storm struct {
	*town
	plan   stormPlan
	gaveUp chan error

	crowd     *crowd   // of customers
	estate    *estate  // of databases
	registers *writers // and who contends for them
	apart     *quarter
	admin     *administrator
	calm      map[string]string // what is at rest

	weather *weather
	watcher *follower.Follower
	dog     *watchdog
	sampler *sampler
}

// TestStorm: customers work with the gateways, patrons with databases that have real servers, and a tenant keeps to itself, on three nodes. All the while nodes are killed and replaced, frozen for three times their time to live,
// and cut off from the database or from the subsystems, the database is stopped at once, and servers of the databases are killed. In the end everything is as asked for last, every effect was made once, under epochs that only
// rose, no row is lost that a database has acknowledged, and nothing is written any more.
//
// The jobs are there because their effects can be counted: each step of each run is one line in a ledger. Of a promotion only the last effect of each kind is to be seen.
func TestStorm(t *testing.T) {
	s := &storm{plan: plan()}
	t.Logf("%+v", s.plan)
	random := program.Seeded(t)
	s.settle(t, random)
	s.work(random)
	s.weather.rage()
	s.apart.heal()
	s.weather.last()
	s.close()
	s.judge()
	s.invariants()
}

// settle brings up the nodes and everything that they look after, and waits until it is there.
func (s *storm) settle(t *testing.T, random *rand.Rand) {
	t.Helper()
	s.town = newTown(t, s.plan.ttl)
	s.estate = s.withAgents()
	s.registers, s.apart = &writers{town: s.town, written: map[string]uint64{}}, newQuarter(s.town)
	s.watcher = follower.Start(t, s.store, func(b store.Batch) { s.registers.see(b); s.apart.see(b) })
	s.inNamespaces()
	s.begin(3)
	s.dog = s.watchdog(time.Second)
	s.calm = s.becalm(20)
	s.estate.found(s.plan.patrons(s.estate, random))
	s.crowd = s.employ(random, s.plan.customers, s.plan.gateways, s.plan.jobs, s.plan.pace)
	s.crowd.settle()
	s.apart.settle(poisonedOrders)
	s.estate.settle(s.plan.pace / 5)
}

// work lets everybody begin, and the weather too, though not at once.
func (s *storm) work(random *rand.Rand) {
	s.Helper()
	s.gaveUp = make(chan error, s.plan.customers+len(s.plan.replicas)+1) // everybody may
	s.sampler = s.sample(100 * time.Millisecond)
	s.registers.begin(random, 4, s.plan.pace)
	s.apart.begin(4, s.plan.pace)
	s.crowd.begin(s.gaveUp)
	s.estate.begin(s.gaveUp)
	s.admin = s.administrator(random, 100*time.Millisecond)
	s.weather = &weather{town: s.town, plan: s.plan, random: random, gaveUp: s.gaveUp, estate: s.estate}
}

// close sends everybody home.
func (s *storm) close() {
	s.Helper()
	s.registers.stop()
	s.apart.end()
	s.estate.end()
	s.crowd.end()
	s.weather.unbroken()
}

// judge waits until everything is as it should be, and asks those who have worked what they have met.
func (s *storm) judge() {
	s.Helper()
	s.divided(s.alive()...)
	s.admin.answered(s.weather.spells)
	s.awaitReady("Order", "p-%", poisonedOrders)
	s.crowd.served()
	s.estate.served()
	acknowledged, doubtful, lost := s.estate.audit()
	s.worked()
	s.rest()
	s.Logf("%s; %s; %s", s.crowd, s.estate, s.weather)
	s.Logf("the databases: %d rows acknowledged, %d in doubt, %d problems; %s", acknowledged, doubtful, lost, s.estate.moves())
}

// invariants holds what is left against what holds always.
func (s *storm) invariants() {
	s.Helper()
	s.Logf("%d effects", s.once())
	s.agree(s.crowd.wishes())
	s.eachRunOnce(s.plan.jobs)
	s.rising()
	s.legal()
	s.owned()
	s.stillCalm(s.calm)
	s.dog.bounded()
	s.Logf("the assignments were looked at %d times; %d commits and %d calls were refused for their epochs", s.sampler.rose(), s.refused(), s.refusedCalls())
	s.weather.takeovers(s.sampler)
	s.Logf("a watcher agrees on each of %d commits", s.watcher.Agrees())
	s.apart.unharmed(s.weather.spells)
	s.registers.linearizable(s.T)
}

// becalm makes orders that no one touches any more, and returns their revisions when they are at rest.
func (w *town) becalm(count int) map[string]string {
	w.Helper()
	orders := w.kind("orders")
	w.each(count, func(i int) error {
		return w.apply(w.Context(), orders, fmt.Sprintf("calm-%d", i), orderSpec{Value: "v"})
	})
	w.awaitReady("Order", "calm-%", count)
	w.rest()
	return w.revisions("calm-%")
}

func (w *town) revisions(like string) map[string]string {
	w.Helper()
	all := map[string]string{}
	for _, row := range w.query("SELECT name, revision FROM setpoint.object WHERE name LIKE '" + like + "'") {
		all[row[0]] = row[1]
	}
	return all
}

// stillCalm checks that the storm has not touched what was at rest (I11).
func (w *town) stillCalm(before map[string]string) {
	w.Helper()
	after, effects := w.revisions("calm-%"), w.effects("machines")
	for name, revision := range before {
		if after[name] != revision || effects["default/"+name] != 1 {
			w.Errorf("%s was at rest at revision %s, and is at %s after %d effects", name, revision, after[name], effects["default/"+name])
		}
	}
}

// worked waits until no job has anything to do.
func (w *town) worked() {
	w.Helper()
	w.await("no job has anything to do", func() (string, bool) {
		rows := w.query("SELECT (SELECT count(*) FROM setpoint.signal), (SELECT count(*) FROM setpoint.object WHERE kind LIKE 'Job.%' AND state <> 'Idle'), (SELECT revision FROM setpoint.counter)")
		return fmt.Sprint(rows), rows[0][0] == "0" && rows[0][1] == "0"
	})
}

// eachRunOnce checks that each step of each run of a job was done once: as often as the history has a run's end.
func (w *town) eachRunOnce(jobs int) {
	w.Helper()
	effects := w.effects("machines")
	sum := 0
	for i := range jobs {
		name := fmt.Sprintf("job-%d", i)
		runs := w.number(fmt.Sprintf("SELECT count(*) FROM setpoint.history WHERE name = '%s' AND type = 'Transition' AND from_state = 'Working' AND to_state = 'Idle'", name))
		sum += runs
		for _, step := range jobSteps {
			if n := effects[fmt.Sprintf("default/%s.Work.%s", name, step)]; n != runs {
				w.Errorf("job %s has run %d times, and its step %s was done %d times", name, runs, step, n)
			}
		}
	}
	w.Logf("%d runs of %d jobs, each of their steps done once per run", sum, jobs)
}

func (w *town) refused() (n int) {
	w.Helper()
	for _, s := range w.sightings() {
		if s.What == "refused" {
			n++
		}
	}
	return n
}

func (w *town) refusedCalls() (n int) {
	w.Helper()
	for _, name := range []string{"authority", "dns", "machines", quiet} {
		n += len(w.refusals(name))
	}
	return n
}

// alive are the nodes that have not ended.
func (w *town) alive() (alive []*node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.nodes {
		if !n.dead() {
			alive = append(alive, n)
		}
	}
	return alive
}

func (n *node) dead() bool {
	select {
	case <-n.Ended():
		return true
	default:
		return false
	}
}
