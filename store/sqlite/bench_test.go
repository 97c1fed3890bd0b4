package sqlite

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCommit is one compare-and-swap of an object of 1.5 KB, with so many committers waiting at a time.
func BenchmarkCommit(b *testing.B) {
	for _, waiting := range []int{1, 64, 256} {
		b.Run(fmt.Sprint("waiting=", waiting), func(b *testing.B) {
			var groups, statements uint64
			s := open(b, func(o *Options) {
				o.Observe = func(g GroupStats) { groups++; statements += g.Statements }
			})
			registerBox(b, s)
			objects, revs := make([]*resource.Object, waiting), make([]resource.Revision, waiting)
			for i := range waiting {
				objects[i] = box(itoa(i))
				revs[i] = mustPut(b, s, objects[i], 0)
			}
			// What the observer counts is read again only when all committers are done.
			before := [2]uint64{groups, statements}
			start := cpu(b)
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range waiting {
				wg.Go(func() {
					for n := i; n < b.N; n += waiting {
						r, err := s.Commit(b.Context(), put(objects[i], revs[i]))
						if err != nil {
							b.Error(err)
							return
						}
						revs[i] = r.Revision
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			used := cpu(b) - start
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(used.Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
			b.ReportMetric(float64(b.N)/float64(groups-before[0]), "commits/group")
			b.ReportMetric(float64(statements-before[1])/float64(b.N), "statements/op")
		})
	}
}

// BenchmarkScan reads 50,000 objects of 1.5 KB.
func BenchmarkScan(b *testing.B) {
	const rows = 50_000
	s := open(b, nil)
	for i := 0; i < rows; i += 500 {
		var tx store.Transaction
		for j := range 500 {
			tx.Objects = append(tx.Objects, store.ObjectWrite{Object: box(itoa(i + j))})
		}
		if _, err := s.Commit(b.Context(), tx); err != nil {
			b.Fatal(err)
		}
	}
	start := cpu(b)
	for b.Loop() {
		seen := 0
		if _, err := s.Scan(b.Context(), func(x store.Batch) error { seen += len(x.Objects); return nil }); err != nil || seen != rows {
			b.Fatalf("%d objects, error %v", seen, err)
		}
	}
	b.ReportMetric(float64((cpu(b)-start).Nanoseconds())/1000/float64(b.N)/rows, "cpu-µs/row")
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkCommitTold is one commit that only adds a line to the history of its object, with 64 committers waiting: what the history and its indexes cost.
func BenchmarkCommitTold(b *testing.B) {
	const waiting = 64
	s := open(b, nil)
	objects := make([]*resource.Object, waiting)
	for i := range waiting {
		objects[i] = box(itoa(i))
		mustPut(b, s, objects[i], 0)
	}
	start := cpu(b)
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range waiting {
		wg.Go(func() {
			o := objects[i]
			for n := i; n < b.N; n += waiting {
				tx := store.Transaction{Events: []store.Event{{Object: o.Key, UID: o.UID, Kind: "Normal", Reason: "Seen", Message: "nothing has changed"}}}
				if _, err := s.Commit(b.Context(), tx); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpu(b)-start).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}
