package view_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/view"
)

// population is n objects, three of four being children, as a scan delivers them: every string of its own.
func population(n int) []*resource.Object {
	objects := make([]*resource.Object, n)
	for i := range objects {
		j := i * 7919 % n // no order
		o := object(fmt.Sprintf("tenant-object-%07d", j), fmt.Sprintf("%08x-7c1e-4f7a-9d53-000000000000", j*2654435761), 1)
		o.Namespace = resource.Namespace(fmt.Sprintf("tenant-%03d", j%100))
		if j%4 != 0 {
			o.Owners = []resource.Owner{{UID: resource.UID(fmt.Sprintf("%08x-7c1e-4f7a-9d53-000000000000", j/4*4*2654435761)), Child: "dns"}}
		}
		objects[i] = o
	}
	return objects
}

func scanOf(objects []*resource.Object) view.Scanner {
	return func(_ context.Context, visit func(store.Batch) error) (resource.Revision, error) {
		for start := 0; start < len(objects); start += 512 {
			b := store.Batch{Revision: 1}
			for _, o := range objects[start:min(start+512, len(objects))] {
				b.Objects = append(b.Objects, store.ObjectChange{Object: o, Created: true})
			}
			if err := visit(b); err != nil {
				return 0, err
			}
		}
		return 1, nil
	}
}

func fill(b *testing.B, objects []*resource.Object) *view.View {
	v := view.New()
	if err := v.Load(b.Context(), scanOf(objects), nil); err != nil {
		b.Fatal(err)
	}
	return v
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			objects := population(n)
			before := heap()
			var v *view.View
			for b.Loop() {
				v = fill(b, objects)
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
			b.ReportMetric(float64(heap()-before)/float64(n), "overhead-B/object")
			runtime.KeepAlive(objects)
			runtime.KeepAlive(v)
		})
	}
}

// BenchmarkRescan finds that nothing has changed, among 100,000 objects.
func BenchmarkRescan(b *testing.B) {
	objects := population(100_000)
	v := fill(b, objects)
	for b.Loop() {
		if err := v.Load(b.Context(), scanOf(objects), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkApply commits a new form of one object and of one command, with and without a snapshot that keeps the old ones.
func BenchmarkApply(b *testing.B) {
	for _, held := range []bool{false, true} {
		b.Run(fmt.Sprintf("snapshot=%v", held), func(b *testing.B) {
			objects := population(100_000)
			v := fill(b, objects)
			r := resource.Revision(1)
			for b.Loop() {
				r++
				have := objects[int(r)%len(objects)]
				o := have.Clone()
				o.Revision = r
				slot := command.Slot{Owner: o.UID, Adapter: "dns", Key: "x"}
				batch := store.Batch{
					Revision: r, Objects: []store.ObjectChange{{Object: o}},
					Commands: []store.CommandChange{{Command: command.Command{Slot: slot, Phase: command.Pending, Revision: r}}},
				}
				var s *view.Snapshot
				if held {
					s = v.Snapshot()
				}
				if _, err := v.Apply(batch); err != nil {
					b.Fatal(err)
				}
				if held {
					s.Close()
				}
			}
		})
	}
}

func BenchmarkSnapshot(b *testing.B) {
	objects := population(100_000)
	v := fill(b, objects)
	b.Run("take+close", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v.Snapshot().Close()
		}
	})
	b.Run("take+get+close", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			s := v.Snapshot()
			if _, ok := s.Get(objects[i%len(objects)].Key); !ok {
				b.Fatal("not found")
			}
			s.Close()
			i += 7919
		}
	})
	b.Run("children", func(b *testing.B) {
		b.ReportAllocs()
		s := v.Snapshot()
		defer s.Close()
		i := 0
		for b.Loop() {
			s.Children(objects[i%len(objects)].UID)
			i += 7919
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i += 7919 {
				s := v.Snapshot()
				s.Get(objects[i%len(objects)].Key)
				s.Close()
			}
		})
	})
}

func BenchmarkGet(b *testing.B) {
	objects := population(100_000)
	v := fill(b, objects)
	i := 0
	for b.Loop() {
		if _, ok := v.Get(objects[i%len(objects)].Key); !ok {
			b.Fatal("not found")
		}
		i += 7919
	}
}

// BenchmarkList reads 100,000 objects in order.
func BenchmarkList(b *testing.B) {
	objects := population(100_000)
	v := fill(b, objects)
	for b.Loop() {
		n := 0
		for range v.List("Gateway.edge.example", "") {
			n++
		}
		if n != len(objects) {
			b.Fatalf("%d objects", n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(objects)), "ns/object")
}

func BenchmarkWaitForPast(b *testing.B) {
	v := fill(b, population(10))
	for b.Loop() {
		if err := v.WaitFor(b.Context(), 1); err != nil {
			b.Fatal(err)
		}
	}
}
