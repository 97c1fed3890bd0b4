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
	"github.com/setpointhq/setpoint/store/postgres"
)

// cluster is so many nodes on one PostgreSQL server, in one process, each with its own connections and its own view.
type cluster struct {
	server *server
	stores []*postgres.Store
	planes []*running
}

// startCluster waits until the nodes have divided the shards evenly.
func startCluster(tb testing.TB, s *server, nodes int, config func(*postgres.Store) setpoint.Config) *cluster {
	tb.Helper()
	c := &cluster{server: s}
	for i := range nodes {
		st := s.open(tb, nil)
		o := config(st)
		o.Name, o.LeaseTTL = fmt.Sprintf("node-%d", i), 2*time.Second
		c.stores, c.planes = append(c.stores, st), append(c.planes, runNode(tb, o))
	}
	await(tb, "the shards are divided evenly", func() bool {
		sum := 0
		for _, p := range c.planes {
			n := p.shards()
			sum += n
			if n < resource.Shards/nodes || n > resource.Shards/nodes+1 {
				return false
			}
		}
		return sum == resource.Shards
	})
	return c
}

func (c *cluster) stop(tb testing.TB) {
	tb.Helper()
	for i, p := range c.planes {
		p.stop(tb)
		closeStore(tb, c.stores[i])
	}
}

// of returns the node that works on an object.
func (c *cluster) of(key resource.Key) int {
	for i, p := range c.planes {
		if _, mine := p.Member().Epoch(resource.Shard(key.Namespace, key.Name)); mine {
			return i
		}
	}
	return -1
}

// BenchmarkNodesParents brings parents with three children to their setpoint on one, two and three nodes of this machine, 64 at a time for each node; clients are spread over the nodes. All nodes, and the server,
// share the processors, so that what it shows is what a node costs the others: commits that wait for each other at the counter, and a feed that each node applies whole.
func BenchmarkNodesParents(b *testing.B) {
	for _, nodes := range []int{1, 2, 3} {
		b.Run("nodes="+strconv.Itoa(nodes), func(b *testing.B) {
			for b.Loop() {
				const n = 3000
				c := startCluster(b, startServer(b), nodes, func(st *postgres.Store) setpoint.Config { return partsAndWholes(&counted{engine: st}) })
				before := c.server.CPU(b)
				s := start(b)
				var all sync.WaitGroup
				var next atomic.Int64
				for i := range 64 * nodes {
					all.Go(func() {
						for j := next.Add(1) - 1; j < n; j = next.Add(1) - 1 {
							convergeParent(b, c.planes[i%nodes], int(j))
						}
					})
				}
				all.Wait()
				wall, cpu := s.used(b).each(n)
				m := map[string]float64{"parents/s": 1e6 / wall, "cpu-µs/parent": cpu}
				addServer(b, m, c.server, before, "parent", n)
				report(b, m)
				c.stop(b)
			}
		})
	}
}

// BenchmarkNodesCommitToTurn commits on one node, and looks when a turn begins on another, counted from the acknowledgement.
func BenchmarkNodesCommitToTurn(b *testing.B) {
	for b.Loop() {
		const samples = 2000
		began := make(chan turn, 64)
		watching := resource.Key{}
		c := startCluster(b, startServer(b), 2, func(st *postgres.Store) setpoint.Config {
			return setpoint.Config{Store: st, Kinds: []*setpoint.Definition{things.Definition}, Controllers: []setpoint.Controller{
				things.Controller("watch", func(t *setpoint.Turn, _ *setpoint.Resource[thingSpec, thingStatus]) setpoint.Outcome {
					if t.Meta().Key == watching {
						began <- turn{time.Now(), t.Meta().Generation}
					}
					return setpoint.Done()
				}),
			}}
		})
		mine := thing(b, 0)
		for i := 1; c.of(mine.Key) != 1; i++ {
			mine = thing(b, i)
		}
		watching = mine.Key
		known := make([]time.Duration, samples)
		idle := time.NewTicker(pause)
		at := resource.Revision(0)
		for i := range samples {
			next := resized(b, mine, i)
			next.Generation += resource.Generation(i)
			<-idle.C
			r, err := c.stores[0].Commit(b.Context(), write(next, at))
			told := time.Now()
			if err != nil {
				b.Fatal(err)
			}
			seen := <-began
			for ; seen.generation < next.Generation; seen = <-began {
			}
			known[i], at = max(0, seen.at.Sub(told)), r.Revision
		}
		idle.Stop()
		report(b, map[string]float64{"elsewhere-p50-µs": micros(percentile(known, 0.5)), "elsewhere-p99-µs": micros(percentile(known, 0.99))})
		c.stop(b)
	}
}

// BenchmarkNodesIdle counts the statements of three nodes at rest, for half a minute of the clock, with the default time to live.
func BenchmarkNodesIdle(b *testing.B) {
	for b.Loop() {
		c := startCluster(b, startServer(b), 3, func(st *postgres.Store) setpoint.Config {
			return setpoint.Config{Store: st, Kinds: []*setpoint.Definition{things.Definition}, Controllers: []setpoint.Controller{
				things.Controller("watch", func(*setpoint.Turn, *setpoint.Resource[thingSpec, thingStatus]) setpoint.Outcome {
					return setpoint.Done()
				}),
			}}
		})
		statements := func() (sum uint64) {
			for _, st := range c.stores {
				sum += st.Statements()
			}
			return sum
		}
		for _, p := range c.planes {
			settle(p)
		}
		before := statements()
		const span = 30 * time.Second
		<-time.After(span)
		// With a time to live of 2 s a renewal comes every 0.6 s; with the default of 10 s, every 3 s.
		perMinute := float64(statements()-before) * float64(time.Minute) / float64(span)
		report(b, map[string]float64{"statements/min": perMinute, "statements/renewal": perMinute / 3 / 100})
		c.stop(b)
	}
}

// BenchmarkNodesTakeover stops one of two nodes in good order, and looks when the other has all its shards and when the first change of an object of them has had its turn there, among so many
// objects. After a death the time to live is added, and nothing else.
func BenchmarkNodesTakeover(b *testing.B) {
	for _, objects := range []int{1000, 10_000, 100_000} {
		b.Run("objects="+strconv.Itoa(objects), func(b *testing.B) {
			for b.Loop() {
				takeOver(b, objects)
			}
		})
	}
}

func takeOver(b *testing.B, objects int) {
	s := startServer(b)
	fill := s.open(b, nil)
	var all sync.WaitGroup
	for i := range 256 {
		all.Go(func() {
			for j := i; j < objects; j += 256 {
				if _, err := fill.Commit(b.Context(), write(thing(b, j), 0)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	closeStore(b, fill)
	began := make(chan turn, 1024)
	var watching atomic.Pointer[resource.Key]
	c := startCluster(b, s, 2, func(st *postgres.Store) setpoint.Config {
		return setpoint.Config{Store: st, Kinds: []*setpoint.Definition{things.Definition}, Controllers: []setpoint.Controller{
			things.Controller("watch", func(t *setpoint.Turn, _ *setpoint.Resource[thingSpec, thingStatus]) setpoint.Outcome {
				if w := watching.Load(); w != nil && t.Meta().Key == *w {
					began <- turn{time.Now(), t.Meta().Generation}
				}
				return setpoint.Done()
			}),
		}}
	})
	for _, p := range c.planes {
		settle(p)
	}
	mine, n := thing(b, 0), 0
	for c.of(mine.Key) != 0 {
		n++
		mine = thing(b, n)
	}
	stored, err := c.stores[1].Object(b.Context(), mine.Key)
	if err != nil {
		b.Fatal(err)
	}
	watching.Store(&mine.Key)
	s0 := start(b)
	left := time.Now()
	c.planes[0].stop(b)
	gone := time.Now()
	mine.Generation = stored.Generation + 1
	if _, err := c.stores[1].Commit(b.Context(), write(mine, stored.Revision)); err != nil {
		b.Fatal(err)
	}
	seen := <-began
	for ; seen.generation < mine.Generation; seen = <-began {
	}
	await(b, "the other has everything", func() bool { return c.planes[1].shards() == resource.Shards })
	complete := time.Now()
	settle(c.planes[1])
	used := s0.used(b)
	report(b, map[string]float64{
		"leave-ms": float64(gone.Sub(left).Microseconds()) / 1000, "first-turn-ms": float64(seen.at.Sub(gone).Microseconds()) / 1000,
		"all-shards-ms": float64(complete.Sub(gone).Microseconds()) / 1000, "at-rest-ms": float64(used.wall.Microseconds()) / 1000, "cpu-ms": float64(used.cpu.Microseconds()) / 1000,
	})
	c.planes = c.planes[1:]
	closeStore(b, c.stores[0])
	c.stores = c.stores[1:]
	c.stop(b)
}
