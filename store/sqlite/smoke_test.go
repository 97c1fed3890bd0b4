package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"
	"syscall"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

func smokeObj(n string) *resource.Object {
	o := &resource.Object{}
	o.Key = resource.Key{Kind: "Thing.test", Namespace: "ns", Name: resource.Name(n)}
	o.UID = resource.UID("u-" + n)
	o.Created = time.Now()
	o.Generation = 1
	o.Spec = []byte(fmt.Sprintf(`{"a":"%0900d"}`, 1))
	o.Status = []byte(fmt.Sprintf(`{"a":"%0400d"}`, 1))
	o.Labels = map[string]string{"app": "x", "tier": "y"}
	o.Owners = []resource.Owner{{Key: o.Key, UID: "u-owner", Child: "c"}}
	return o
}

func TestSmoke(t *testing.T) {
	s, err := Open(context.Background(), Options{Path: filepath.Join(t.TempDir(), "x.db")})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	w, err := s.Watch(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	o := smokeObj("a")
	r, err := s.Commit(ctx, store.Transaction{Objects: []store.ObjectWrite{{Object: o}}})
	t.Log(r, err)
	b, err := w.Next(ctx)
	t.Log(b.Revision, err)
	c := o.Clone()
	c.Spec = []byte(`{}`)
	r, err = s.Commit(ctx, store.Transaction{Objects: []store.ObjectWrite{{Object: c, Expect: r.Revision}}})
	t.Log(r, err)
	_, err = s.Commit(ctx, store.Transaction{Objects: []store.ObjectWrite{{Object: c, Expect: 1}}})
	t.Log(err)
	rev, err := s.Scan(ctx, func(b store.Batch) error { t.Log(len(b.Objects)); return nil })
	t.Log(rev, err)
	h, err := s.History(ctx, store.HistoryQuery{Key: o.Key})
	t.Log(h, err)
	t.Log(s.Close())
}

func BenchmarkSmoke(b *testing.B) {
	for _, n := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			groups := 0
			var stm uint64
			s, err := Open(context.Background(), Options{Path: filepath.Join(b.TempDir(), "x.db"), Observe: func(g GroupStats) { groups++; stm += g.Statements }})
			if err != nil {
				b.Fatal(err)
			}
			ctx := context.Background()
			revs := make([]resource.Revision, n)
			objs := make([]*resource.Object, n)
			for i := range revs {
				objs[i] = smokeObj(fmt.Sprint(i))
				r, err := s.Commit(ctx, store.Transaction{Objects: []store.ObjectWrite{{Object: objs[i]}}})
				if err != nil {
					b.Fatal(err)
				}
				revs[i] = r.Revision
			}
			groups, stm = 0, 0
			var ru0, ru1 syscall.Rusage
			syscall.Getrusage(0, &ru0)
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					for j := i; j < b.N; j += n {
						r, err := s.Commit(ctx, store.Transaction{Objects: []store.ObjectWrite{{Object: objs[i], Expect: revs[i]}}})
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
			syscall.Getrusage(0, &ru1)
			cpu := time.Duration(ru1.Utime.Nano() + ru1.Stime.Nano() - ru0.Utime.Nano() - ru0.Stime.Nano())
			b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "cpu-us/op")
			b.ReportMetric(float64(b.N)/float64(groups), "size/group")
			b.ReportMetric(float64(stm)/float64(b.N), "stmts/op")
			s.Close()
		})
	}
}
