package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/test/internal/program"
)

// jobSteps are those of the node's action.
var jobSteps = []string{"check", "stop", "copy", "start", "point"}

// TestAllKilled: many commands and many actions are under way on three nodes, and of some of them the subsystem has done the step without its answer having arrived, when all nodes are killed
// at once. One is started, and finishes all, each effect once.
func TestAllKilled(t *testing.T) {
	t.Parallel()
	count := program.Size(100, 1000)
	w := newTown(t, 2*time.Second)
	nodes := w.begin(3)
	orders, jobs := w.kind("orders"), w.kind("jobs")
	w.each(count, func(i int) error { return w.apply(t.Context(), jobs, fmt.Sprintf("job-%d", i), struct{}{}) })
	w.awaitReady("Job", "job-%", count)
	for _, n := range nodes {
		n.subsystems["machines"].hold(back)
	}
	w.each(count, func(i int) error {
		return w.apply(t.Context(), orders, fmt.Sprintf("order-%d", i), orderSpec{Value: "v"})
	})
	w.each(count, func(i int) error {
		return w.raise(t.Context(), jobs, fmt.Sprintf("job-%d", i), "NeedsWork", "first")
	})
	w.await("all commands and actions are under way", func() (string, bool) {
		commands := w.number("SELECT count(*) FROM setpoint.command WHERE phase = 'Pending'")
		actions := w.number("SELECT count(*) FROM setpoint.object WHERE state = 'Working'")
		return fmt.Sprint(commands, actions), commands == 2*count && actions == count
	})
	for _, n := range nodes {
		n.mark(true)
	}
	for _, n := range nodes {
		n.kill()
	}
	before := w.number("SELECT revision FROM setpoint.counter")
	done := w.once()
	w.start(launch{})
	w.awaitReady("Order", "order-%", count)
	w.await("all actions have ended", func() (string, bool) {
		n := w.number(`SELECT count(*) FROM setpoint.object WHERE kind LIKE 'Job.%' AND state = 'Idle' AND status = '{"runs":1}'`)
		return fmt.Sprint(n), n == count
	})
	w.rest()
	w.onceEach(count)
	w.once()
	w.rising()
	w.legal()
	w.owned()
	t.Logf("%d commands and %d actions were under way when three nodes were killed, and the answers to %d effects with them; commits per second of the one that was started: %s",
		2*count, count, done, w.ramp(before))
}

// onceEach checks that each order and each step of each job was done once.
func (w *town) onceEach(count int) {
	w.Helper()
	effects := w.effects("machines")
	for i := range count {
		if n := effects[fmt.Sprintf("default/order-%d", i)]; n != 1 {
			w.Errorf("order %d had %d effects", i, n)
		}
		for _, step := range jobSteps {
			if n := effects[fmt.Sprintf("default/job-%d.Work.%s", i, step)]; n != 1 {
				w.Errorf("step %s of job %d had %d effects", step, i, n)
			}
		}
	}
}

// ramp is how many commits were made in each second after a revision.
func (w *town) ramp(after int) string {
	w.Helper()
	var seconds []string
	for _, row := range w.query(fmt.Sprintf("SELECT count(*) FROM setpoint.feed WHERE revision > %d GROUP BY date_trunc('second', at) ORDER BY date_trunc('second', at)", after)) {
		seconds = append(seconds, row[0])
	}
	return strings.Join(seconds, " ")
}
