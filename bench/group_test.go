package bench

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// BenchmarkGroupCommit compares one transaction of the database per write with group commit: the same engine, file system, objects and waiting
// committers, in turns.
func BenchmarkGroupCommit(b *testing.B) {
	for _, waiting := range []int{64, 256} {
		b.Run("waiting="+strconv.Itoa(waiting), func(b *testing.B) {
			for b.Loop() {
				compareCommits(b, waiting, 5, 4000)
			}
		})
	}
}

func compareCommits(b *testing.B, waiting, rounds, writes int) {
	groupsOf := func(most int) *writers {
		return newWriters(b, waiting, func(observe func(store.GroupStats)) store.Store {
			return open(b, sqlite.Options{GroupMax: most, Observe: observe})
		})
	}
	single, group := groupsOf(1), groupsOf(256)
	for range rounds {
		single.round(b, writes)
		group.round(b, writes*2)
	}
	singleWall, singleCPU := single.spent.each(single.writes)
	groupWall, groupCPU := group.spent.each(group.writes)
	report(b, map[string]float64{
		"single-cpu-µs/write": singleCPU, "group-cpu-µs/write": groupCPU, "single-writes/s": 1e6 / singleWall, "group-writes/s": 1e6 / groupWall,
		"cpu-ratio": singleCPU / groupCPU, "rate-ratio": singleWall / groupWall,
		"writes/group": float64(group.writes) / float64(group.groups.Load()),
	})
	closeStore(b, single.store)
	closeStore(b, group.store)
}

// writers commit to one store at the same time, each a compare-and-swap of an object of its own.
type writers struct {
	store   store.Store
	objects []*resource.Object
	at      []resource.Revision
	groups  atomic.Int64
	writes  int
	spent   cost
}

// newWriters makes as many as wait at a time, on a store that tells of its groups.
func newWriters(b *testing.B, waiting int, open func(observe func(store.GroupStats)) store.Store) *writers {
	w := &writers{objects: make([]*resource.Object, waiting), at: make([]resource.Revision, waiting)}
	w.store = open(func(store.GroupStats) { w.groups.Add(1) })
	if err := w.store.Register(b.Context(), []store.Rules{{Kind: things.ID()}}); err != nil {
		b.Fatal(err)
	}
	for i := range w.objects {
		w.objects[i] = thing(b, i)
		w.commit(b, i)
	}
	w.groups.Store(0)
	return w
}

func (w *writers) commit(b *testing.B, i int) {
	r, err := w.store.Commit(b.Context(), write(w.objects[i], w.at[i]))
	if err != nil {
		b.Error(err)
		return
	}
	w.at[i] = r.Revision
}

// round commits so many writes, and adds up what they cost.
func (w *writers) round(b *testing.B, writes int) {
	var all sync.WaitGroup
	s := start(b)
	for i := range w.objects {
		all.Go(func() {
			for n := i; n < writes; n += len(w.objects) {
				w.commit(b, i)
			}
		})
	}
	all.Wait()
	w.spent = w.spent.plus(s.used(b))
	w.writes += writes
}
