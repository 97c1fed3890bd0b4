package queue

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

func benchKeys(n int) []resource.Key {
	keys := make([]resource.Key, n)
	for i := range keys {
		keys[i] = resource.Key{
			Kind: "Gateway.edge.example", Namespace: resource.Namespace(fmt.Sprint("tenant-", i%50)), Name: resource.Name(fmt.Sprint("gw-", i)),
		}
	}
	return keys
}

func benchQueue(b *testing.B) *Queue[resource.Key] {
	q := New(Options[resource.Key]{Name: "bench", Tenant: func(k resource.Key) resource.Namespace { return k.Namespace }})
	b.Cleanup(q.Close)
	return q
}

// BenchmarkCycle is one uncontended Add, Next, Done.
func BenchmarkCycle(b *testing.B) {
	for _, c := range []struct {
		name    string
		verdict func() Verdict
	}{
		{"rest", func() Verdict { return Verdict{End: Succeeded} }},
		{"look-again", func() Verdict { return Verdict{End: Succeeded, Due: time.Now().Add(time.Minute)} }},
	} {
		b.Run(c.name, func(b *testing.B) {
			q, keys := benchQueue(b), benchKeys(1000)
			wake := Wake{Change: true, Cause: Cause{Revision: 7, Writer: "someone"}}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				q.Add(keys[i%len(keys)], wake)
				item, _ := q.Next(b.Context())
				q.Done(item.Key, c.verdict())
			}
		})
	}
}

// BenchmarkFastPath is one TryAcquire and Done on a queue that a worker waits at.
func BenchmarkFastPath(b *testing.B) {
	q, keys := benchQueue(b), benchKeys(1000)
	var worker sync.WaitGroup
	worker.Go(func() { q.Next(b.Context()) })
	defer worker.Wait()
	defer q.Close()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		key := keys[i%len(keys)]
		if _, ok := q.TryAcquire(key); ok {
			q.Done(key, Verdict{End: Succeeded})
		}
	}
}

// BenchmarkOwnerHop is, for comparison, one request to an owner goroutine and its reply.
func BenchmarkOwnerHop(b *testing.B) {
	requests, replies := make(chan chan int), make(chan int)
	var owner sync.WaitGroup
	owner.Go(func() {
		for reply := range requests {
			reply <- 1
		}
	})
	for b.Loop() {
		requests <- replies
		<-replies
	}
	close(requests)
	owner.Wait()
}

// BenchmarkHandOver is Add to a sleeping worker and back: what a hop between goroutines costs.
func BenchmarkHandOver(b *testing.B) {
	q, keys := benchQueue(b), benchKeys(1000)
	back := make(chan struct{})
	var worker sync.WaitGroup
	worker.Go(func() {
		for item, ok := q.Next(b.Context()); ok; item, ok = q.Next(b.Context()) {
			q.Done(item.Key, Verdict{End: Succeeded})
			back <- struct{}{}
		}
	})
	for i := 0; b.Loop(); i++ {
		q.Add(keys[i%len(keys)], Wake{})
		<-back
	}
	q.Close()
	worker.Wait()
}

// BenchmarkParallel is the cycle from all processors on one queue.
func BenchmarkParallel(b *testing.B) {
	q, keys := benchQueue(b), benchKeys(1000)
	var parts atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		part := int(parts.Add(1)) * 100 % len(keys) // keys of its own: each Add is one hand-out, to whomever
		for i := 0; pb.Next(); i++ {
			q.Add(keys[part+i%100], Wake{})
			item, _ := q.Next(b.Context())
			q.Done(item.Key, Verdict{End: Succeeded})
		}
	})
}

// BenchmarkAddMany adds 1,000 keys in one call and takes them out.
func BenchmarkAddMany(b *testing.B) {
	q, keys := benchQueue(b), benchKeys(1000)
	requests := make([]Request[resource.Key], len(keys))
	for i := range keys {
		requests[i].Key = keys[i]
	}
	b.ReportAllocs()
	for b.Loop() {
		q.AddMany(requests)
		for range keys {
			item, _ := q.Next(b.Context())
			q.Done(item.Key, Verdict{End: Succeeded})
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/key")
}

// BenchmarkMillionDelayed reports the memory of 1,000,000 delayed keys, and a cycle among them.
func BenchmarkMillionDelayed(b *testing.B) {
	keys := benchKeys(1_000_000)
	q := benchQueue(b)
	heapInUse := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, due := heapInUse(), time.Now().Add(time.Hour)
	for i, key := range keys {
		q.Add(key, Wake{Due: due.Add(time.Duration(i*7919%1_000_000) * time.Millisecond)})
	}
	perKey := float64(heapInUse()-before) / float64(len(keys))
	for i := 0; b.Loop(); i++ {
		q.Add(keys[i*7919%len(keys)], Wake{})
		item, _ := q.Next(b.Context())
		q.Done(item.Key, Verdict{End: Succeeded, Due: due})
	}
	b.ReportMetric(perKey, "B/key")
}
