package bench

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// A job rests, works when it is asked to, and rests again.
const (
	resting setpoint.State      = "Resting"
	working setpoint.State      = "Working"
	needed  setpoint.SignalName = "Needed"
	work    setpoint.ActionName = "Work"
)

var jobs = setpoint.MustDefine(setpoint.KindOptions[partSpec, madeStatus]{
	Group: "bench.example", Version: "v1", Kind: "Job",
	Lifecycle: setpoint.Lifecycle{
		{State: resting, Healthy: true, Stable: true, To: setpoint.To(working, "Leaving")},
		{State: working, To: setpoint.To(resting, "Leaving")},
		{State: "Leaving", Deleting: true, To: setpoint.To("Left")},
		{State: "Left", Final: true, Stable: true},
	},
	Decisions: setpoint.Decisions{
		Signals: []setpoint.Signal{{Name: needed}},
		Actions: []setpoint.ActionStates{{Name: work, Via: working, To: resting, Else: resting}},
		Rows:    []setpoint.Row{{In: setpoint.In(resting), When: setpoint.All(needed), Do: work}},
	},
})

type jobRun = setpoint.Run[partSpec, madeStatus]

// worker is the driver of jobs: five steps, one after the other, each a call with an undo.
func worker() setpoint.Controller {
	var steps []setpoint.Step[partSpec, madeStatus]
	for i := range 5 {
		steps = append(steps, setpoint.Call("step"+strconv.Itoa(i), maker, func(r *jobRun) *partSpec { return &partSpec{Size: i} }).Absent())
	}
	return jobs.Decider("job", setpoint.Decider[partSpec, madeStatus]{
		Actions: map[setpoint.ActionName]setpoint.Action[partSpec, madeStatus]{work: {Steps: steps, Finish: func(r *jobRun) { r.Object.Status.Made++ }}},
	})
}

// BenchmarkAction runs actions of five steps, each one call of a subsystem that answers at once: one after another, and with 64 under way at a time.
func BenchmarkAction(b *testing.B) {
	for _, waiting := range []int{1, 64} {
		b.Run("waiting="+strconv.Itoa(waiting), func(b *testing.B) {
			for b.Loop() {
				report(b, workOnSQLite(b, waiting, 300*min(waiting, 16)))
			}
		})
	}
}

func workOnSQLite(tb testing.TB, waiting, n int) map[string]float64 {
	var g groups
	return runActions(tb, &counted{engine: open(tb, sqlite.Options{Observe: g.observe})}, &g, waiting, n)
}

// BenchmarkPostgresAction is BenchmarkAction on PostgreSQL. CPU is that of both sides.
func BenchmarkPostgresAction(b *testing.B) {
	for _, waiting := range []int{1, 64} {
		b.Run("waiting="+strconv.Itoa(waiting), func(b *testing.B) {
			for b.Loop() {
				var g groups
				s, n := startServer(b), 300*min(waiting, 16)
				st := &counted{engine: s.open(b, g.observe)}
				var server time.Duration
				m := runActions(b, st, &g, waiting, n, func() { server = s.CPU(b) - server })
				m["server-cpu-µs/action"] = micros(server) / float64(n)
				m["both-cpu-µs/action"] = m["server-cpu-µs/action"] + m["cpu-µs/action"]
				report(b, m)
			}
		})
	}
}

// groups counts the groups of commits, each of which is synced to the disk once.
type groups struct{ n atomic.Int64 }

func (g *groups) observe(s store.GroupStats) {
	if s.Committed > 0 {
		g.n.Add(1)
	}
}

// runActions asks n times for work, of so many jobs at a time, and returns what each action has cost: the signal that asks for it is a commit, too. The marks are called
// as the measured part begins and when it is over.
func runActions(tb testing.TB, st *counted, g *groups, waiting, n int, marks ...func()) map[string]float64 {
	rested := map[setpoint.Key]chan struct{}{}
	for i := range waiting {
		rested[jobKey(i)] = make(chan struct{}, 1)
	}
	st.committed = func(tx store.Transaction, _ resource.Revision) {
		for _, w := range tx.Objects {
			if o := w.Object; o.Ready() && o.Action == nil && len(o.Signals) == 0 && rested[o.Key] != nil {
				rested[o.Key] <- struct{}{}
			}
		}
	}
	plane := runPlane(tb, setpoint.Config{
		Store: st, Kinds: []*setpoint.Definition{jobs.Definition}, Controllers: []setpoint.Controller{worker()},
		Adapters: []setpoint.Adapter{{Name: "maker", Adapter: echo{}, Policy: setpoint.Policy{Concurrency: 64}}},
	})
	for i := range waiting {
		makeJob(tb, plane, jobKey(i))
		<-rested[jobKey(i)]
	}
	mark := func() {
		for _, m := range marks {
			m()
		}
	}
	mark()
	commits, rows, groups, turns := st.commits.Load(), st.commands.Load(), g.n.Load(), turnsOf(plane)
	took := make([]time.Duration, n)
	s := start(tb)
	var all sync.WaitGroup
	for i := range waiting {
		all.Go(func() {
			key := jobKey(i)
			for j := i; j < n; j += waiting {
				begun := time.Now()
				if _, _, err := plane.Signal(tb.Context(), "api:bench", key, setpoint.SignalRequest{Name: needed}); err != nil {
					tb.Error(err)
					return
				}
				<-rested[key]
				took[j] = time.Since(begun)
			}
		})
	}
	all.Wait()
	used := s.used(tb)
	mark()
	wall, cpu := used.each(n)
	metrics := map[string]float64{
		"cpu-µs/action": cpu, "actions/s": 1e6 / wall, "p50-µs": micros(percentile(took, 0.5)), "p99-µs": micros(percentile(took, 0.99)),
		"commits/action": each(st.commits.Load()-commits, n), "command-rows/action": each(st.commands.Load()-rows, n),
		"syncs/action": each(g.n.Load()-groups, n), "turns/action": each(turnsOf(plane)-turns, n),
	}
	plane.stop(tb)
	closeStore(tb, st)
	return metrics
}

func turnsOf(plane *running) uint64 {
	n, _ := plane.turns()
	return n
}

func jobKey(i int) setpoint.Key { return jobs.Key("default", resource.Name(fmt.Sprintf("j%d", i))) }

func makeJob(tb testing.TB, plane *running, key setpoint.Key) {
	tb.Helper()
	o, err := jobs.New(key.Namespace, key.Name, partSpec{Size: 1}, resource.Birth{Now: time.Now()})
	if err == nil {
		_, err = plane.Create(tb.Context(), "api:bench", o, false)
	}
	if err != nil {
		tb.Fatal(err)
	}
}
