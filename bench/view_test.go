package bench

import (
	"runtime"
	"strconv"
	"testing"

	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/view"
)

// BenchmarkView loads the view from a database of so many objects at rest, and weighs it.
func BenchmarkView(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run("objects="+strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				loadView(b, n)
			}
		})
	}
}

func loadView(b *testing.B, n int) {
	st := population(b, n)
	s, rows := start(b), 0
	if _, err := st.Scan(b.Context(), func(x store.Batch) error { rows += len(x.Objects); return nil }); err != nil {
		b.Fatal(err)
	}
	scan := s.used(b)
	before := live()
	v := view.New()
	s = start(b)
	if err := v.Load(b.Context(), st.Scan, nil); err != nil {
		b.Fatal(err)
	}
	load := s.used(b)
	weight := live() - before
	if stats := v.Stats(); rows != n || stats.Objects != n {
		b.Fatalf("%d objects scanned and %d in the view, want %d", rows, stats.Objects, n)
	}
	_, scanCPU := scan.each(n)
	_, loadCPU := load.each(n)
	report(b, map[string]float64{
		"B/object": float64(weight) / float64(n), "load-s": load.wall.Seconds(), "scan-alone-s": scan.wall.Seconds(),
		"load-cpu-µs/object": loadCPU, "scan-cpu-µs/object": scanCPU,
	})
	runtime.KeepAlive(v)
	closeStore(b, st)
}

// live is the memory that is in use after a collection.
func live() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
