package cluster

import (
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// idle is nobody's work.
type idle struct{ Work }

func (idle) Lost([]int) {}

// TestTrustComesWithTheNews: a node that was frozen has old ownership and no trust. The answer to its first beat brings trust, and that the ownership is gone. Whoever looks meanwhile, on another
// processor, never sees the one with the other.
func TestTrustComesWithTheNews(t *testing.T) {
	for round := range 300 {
		m, err := New(Options{Store: struct{ store.Sharded }{}, Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		l := &loop{m: m, work: idle{}, joined: true, version: 1, sent: time.Now()}
		for i := range resource.Shards {
			m.owned[i].Store(&resource.Epoch{Incarnation: 1, Counter: 1})
		}
		var looking sync.WaitGroup
		begun, done := make(chan struct{}), make(chan struct{})
		looking.Go(func() {
			close(begun)
			for {
				for _, shard := range []int{0, 100, 255} {
					if now, _ := m.Trusted(shard); now {
						t.Errorf("round %d: shard %d is trusted, and is another node's", round, shard)
						return
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
		<-begun
		l.absorb(store.Standing{Version: 2, Nodes: []store.Node{{ID: "n", Member: true}}})
		if !m.trust.Certain() {
			t.Fatalf("round %d: the beat has renewed nothing", round)
		}
		close(done)
		looking.Wait()
	}
}
