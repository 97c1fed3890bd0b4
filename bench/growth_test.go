package bench

import (
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// BenchmarkGrowth changes one object after another, anywhere among so many at rest: a client's write, the turn that it causes, the report
// which that commits, and the turn of the owner that looks at it. The ratio is that of the CPU per change to that among 1,000 objects, measured just before
// and just after: a shared machine is another one a minute later. With 1,000,000 objects a collection of garbage comes about every 60,000 changes,
// so there are as many there.
func BenchmarkGrowth(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run("objects="+strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				before := changeAmong(b, 1_000, 10_000)
				m := changeAmong(b, n, max(20_000, n*60/1000))
				after := changeAmong(b, 1_000, 10_000)
				const cpu = "cpu-µs/change"
				m["cpu-µs/change-of-1000"] = (before[cpu] + after[cpu]) / 2
				m["ratio"] = m[cpu] / m["cpu-µs/change-of-1000"]
				report(b, m)
			}
		})
	}
}

// clients is how many changes are under way at a time.
const clients = 16

// changeAmong runs a plane on a database of n objects at rest, and returns what one change of one of them costs.
func changeAmong(b *testing.B, n, changes int) map[string]float64 {
	answers := make([]chan struct{}, clients)
	for i := range answers {
		answers[i] = make(chan struct{}, 1)
	}
	st := &counted{engine: population(b, n)}
	st.committed = func(tx store.Transaction, _ resource.Revision) {
		if tx.Writer.Name != "controller/thing" {
			return
		}
		answers[number(b, tx.Writer.Object.Name)%clients] <- struct{}{}
	}
	began := start(b)
	plane := runPlane(b, setpoint.Config{
		Store: st, Kinds: []*setpoint.Definition{things.Definition},
		Controllers: []setpoint.Controller{things.Driver("thing", func(_ *setpoint.Turn, x *setpoint.Resource[thingSpec, thingStatus]) setpoint.Outcome {
			x.Status.Size = x.Spec.Size
			return setpoint.Done()
		})},
	})
	settle(plane)
	up := began.used(b)
	if commits := st.commits.Load(); commits != 0 {
		b.Fatalf("%d commits of objects at rest, want none", commits)
	}
	turnsBefore, _ := plane.turns()
	live()
	collecting := collection()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var all sync.WaitGroup
	s := start(b)
	for c := range clients {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(c)))
			for i := c; i < changes; i += clients {
				if !change(b, plane, random.IntN(n/clients)*clients+c) {
					return
				}
				<-answers[c]
			}
		})
	}
	all.Wait()
	used := s.used(b)
	runtime.ReadMemStats(&after)
	collecting = collection() - collecting
	turns, _ := plane.turns()
	plane.stop(b)
	closeStore(b, st)
	wall, cpu := used.each(changes)
	return map[string]float64{
		"cpu-µs/change": cpu, "wall-µs/change": wall, "collector-cpu-µs/change": collecting * 1e6 / float64(changes),
		"commits/change": each(st.commits.Load(), changes), "turns/change": each(turns-turnsBefore, changes), "s-to-rest-at-start": up.wall.Seconds(),
		"collections": float64(after.NumGC - before.NumGC), "allocated-B/change": float64(after.TotalAlloc-before.TotalAlloc) / float64(changes),
	}
}

// settle waits for the turns that a plane begins with.
func settle(plane *running) {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for idle := false; !idle; _, idle = plane.turns() {
		<-look.C
	}
}

// change writes another spec, and reports whether it was: then a turn follows.
func change(b *testing.B, plane *running, i int) bool {
	var before resource.Revision
	o, err := plane.Update(b.Context(), "api:bench", thingKey(i), func(old *resource.Object) (*resource.Object, error) {
		before = old.Revision
		return resized(b, old, int(old.Generation)<<20), nil
	}, false)
	if err != nil || o.Revision == before {
		b.Errorf("%s was not changed: error %v", thingKey(i), err)
		return false
	}
	return true
}

// number is the i of a thing.
func number(b *testing.B, name resource.Name) int {
	i, err := strconv.Atoi(string(name[len("thing-"):]))
	if err != nil {
		b.Error(err)
	}
	return i
}

// collection is the processor time that the garbage collector has used, in seconds, as the runtime estimates it.
func collection() float64 {
	sample := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64()
}
