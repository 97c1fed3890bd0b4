package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/test/internal/follower"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// stormPlan is what a run goes through.
type stormPlan struct {
	ttl                       time.Duration
	customers, gateways, jobs int
	pace                      time.Duration // of a customer, from wish to wish
	lasts                     time.Duration
	// kill is the time from one kill to the next, from the first value to the second; the others are the times between the ends of one fault and the beginning of the next of its sort.
	kill                    [2]time.Duration
	freeze, partition, stop time.Duration
}

// TestStorm: customers work with the gateways, and ask for runs of actions of five steps, on three nodes. All the while nodes are killed and replaced, frozen for three times their time to live, and cut off from the database or from
// the subsystems, and the database is stopped at once. In the end everything is as asked for last, every effect was made once, under epochs that only rose; and nothing is written any more.
func TestStorm(t *testing.T) {
	plan := stormPlan{
		ttl: 2 * time.Second, customers: 4, gateways: 24, jobs: 4, pace: 200 * time.Millisecond, lasts: 20 * time.Second,
		kill: [2]time.Duration{3 * time.Second, 5 * time.Second}, freeze: 5 * time.Second, partition: 3 * time.Second, stop: 12 * time.Second,
	}
	if program.Soak() {
		plan = stormPlan{
			ttl: 3 * time.Second, customers: 20, gateways: 2000, jobs: 20, pace: time.Second, lasts: 10 * time.Minute,
			kill: [2]time.Duration{5 * time.Second, 20 * time.Second}, freeze: 30 * time.Second, partition: 15 * time.Second, stop: 70 * time.Second,
		}
	}
	t.Logf("%+v", plan)
	random := program.Seeded(t)
	w := newTown(t, plan.ttl)
	registers := &writers{town: w, written: map[string]uint64{}}
	watcher := follower.Start(t, w.store, registers.see)
	w.inNamespaces()
	w.begin(3)
	calm := w.calm(20)
	crowd := w.employ(random, plan.customers, plan.gateways, plan.jobs, plan.pace)
	crowd.settle()
	sampler := w.sample(100 * time.Millisecond)
	registers.begin(random, 4, plan.pace)
	crowd.begin()
	weather := &weather{town: w, plan: plan, random: random, gaveUp: crowd.gaveUp}
	weather.rage()
	weather.last()
	registers.stop()
	crowd.end()

	w.divided(w.alive()...)
	crowd.served()
	w.worked()
	w.rest()
	t.Logf("%s; %s; %d effects", crowd, weather, w.once())
	w.agree(crowd.wishes())
	w.eachRunOnce(plan.jobs)
	w.rising()
	w.legal()
	w.owned()
	w.stillCalm(calm)
	t.Logf("the assignments were looked at %d times; %d commits and %d calls were refused for their epochs", sampler.rose(), w.refused(), w.refusedCalls())
	weather.takeovers(sampler)
	t.Logf("a watcher agrees on each of %d commits", watcher.Agrees())
	registers.linearizable(t)
}

// calm makes orders that no one touches any more, and returns their revisions when they are at rest.
func (w *town) calm(count int) map[string]string {
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
	for _, name := range []string{"authority", "dns", "machines"} {
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
