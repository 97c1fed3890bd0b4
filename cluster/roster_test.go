package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// drawRoster makes up any roster: some nodes, some of them unfit, and shards that are theirs, nobody's, or a former node's.
func drawRoster(t *rapid.T) *roster {
	r := &roster{}
	for i := range rapid.IntRange(0, 9).Draw(t, "nodes") {
		r.nodes = append(r.nodes, store.Node{
			ID: store.NodeID(fmt.Sprintf("n%d", i)), Member: true, Draining: rapid.IntRange(0, 4).Draw(t, "draining") == 0,
			Trouble: rapid.SampledFrom([]string{"", "", "hangs"}).Draw(t, "trouble"),
		})
	}
	holders := []store.NodeID{"", "dead"}
	for _, n := range r.nodes {
		holders = append(holders, n.ID)
	}
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "holders"), 1))
	favour := rapid.IntRange(1, len(holders)).Draw(t, "favour") // so that some rosters have shards with few nodes only
	for i := range r.shards {
		if holder := holders[random.IntN(favour)]; holder != "" {
			r.shards[i] = store.Assignment{Shard: i, Node: holder}
		}
	}
	return r
}

// TestPortions: what is open falls to exactly one fit node, nobody gets more than its share, and the shares are all there is and as even as can be.
func TestPortions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoster(t)
		fit, open := r.fit(), r.open()
		targets, counts := r.targets()
		taken, sum := map[int]store.NodeID{}, 0
		for _, id := range fit {
			portion := r.portion(id, open)
			for _, shard := range portion {
				if other, ok := taken[shard]; ok {
					t.Fatalf("shard %d falls to %s and to %s", shard, other, id)
				}
				taken[shard] = id
			}
			if len(portion) > 0 && counts[id]+len(portion) > targets[id] {
				t.Fatalf("%s has %d, takes %d, and should have %d", id, counts[id], len(portion), targets[id])
			}
			if got, least := targets[id], resource.Shards/len(fit); got < least || got > least+1 {
				t.Fatalf("%s should have %d of 256 among %d", id, got, len(fit))
			}
			if r.surplus(id) > 0 && r.complete(id) != true || r.surplus(id) != max(counts[id]-targets[id], 0) {
				t.Fatalf("%s has %d, should have %d: surplus %d", id, counts[id], targets[id], r.surplus(id))
			}
			sum += targets[id]
		}
		if len(fit) > 0 && (len(taken) != len(open) || sum != resource.Shards) {
			t.Fatalf("%d of %d open shards fall to somebody; the shares are %d", len(taken), len(open), sum)
		}
		for _, n := range r.nodes {
			if n.Draining && len(r.portion(n.ID, open)) > 0 {
				t.Fatalf("something falls to %s, which is cordoned", n.ID)
			}
		}
	})
}

// TestEvenSharesStay: where nobody has more than one beyond another, nothing moves; otherwise something does.
func TestEvenSharesStay(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 6, 7, 16, 49, 85, 128, 255, 256, 257} {
		r := &roster{}
		for i := range n {
			r.nodes = append(r.nodes, store.Node{ID: store.NodeID(fmt.Sprintf("n%03d", i)), Member: true})
		}
		for i := range r.shards {
			r.shards[i] = store.Assignment{Shard: i, Node: r.nodes[(i*7+3)%n].ID} // 7 and 256 have no factor in common, 7 and n may: then it is not even
		}
		_, counts := r.targets()
		least, most := resource.Shards, 0
		for _, node := range r.nodes {
			least, most = min(least, counts[node.ID]), max(most, counts[node.ID])
		}
		surplus := 0
		for _, node := range r.nodes {
			surplus += r.surplus(node.ID)
		}
		if even := most-least <= 1; even != (surplus == 0) {
			t.Errorf("%d nodes with %d to %d shards: %d move", n, least, most, surplus)
		}
	}
}

// TestFitness: both ways take time, and the way back ever more.
func TestFitness(t *testing.T) {
	complaint := errors.New("stuck")
	f := fitness{patience: 30 * time.Second, recovery: 20 * time.Second}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		reason string
		after  time.Duration
		err    error
		excuse bool
		ill    bool
	}{
		{"well to begin with", 0, nil, false, false},
		{"a first complaint is heard out", time.Second, complaint, false, false},
		{"for its whole time", 29 * time.Second, complaint, false, false},
		{"then it counts", time.Second, complaint, false, true},
		{"a good moment is not enough", time.Second, nil, false, true},
		{"the next complaint begins the wait anew", 19 * time.Second, complaint, false, true},
		{"well again", time.Second, nil, false, true},
		{"for as long as recovery takes", 20 * time.Second, nil, false, false},
		{"the second time", time.Second, complaint, false, false},
		{"comes as late as the first", 30 * time.Second, complaint, false, true},
		{"but recovery", time.Second, nil, false, true},
		{"takes twice as long", 39 * time.Second, nil, false, true},
		{"and no longer", time.Second, nil, false, false},
		{"while the database is away as well", time.Second, complaint, false, false},
		{"complaints are not counted", 29 * time.Second, complaint, true, false},
		{"but from its return", time.Second, complaint, false, false},
		{"on", 29 * time.Second, complaint, false, false},
		{"they are", time.Second, complaint, false, true},
		{"a third time takes four times as long", time.Second, nil, false, true},
		{"to be over", 79 * time.Second, nil, false, true},
		{"at last", time.Second, nil, false, false},
		{"who is well for long", 16 * 30 * time.Second, nil, false, false},
		{"has all forgiven", time.Second, complaint, false, false},
		{"so that the fourth time", 30 * time.Second, complaint, false, true},
		{"is over", time.Second, nil, false, true},
		{"like the first", 20 * time.Second, nil, false, false},
	} {
		now = now.Add(c.after)
		f.look(now, c.err)
		if c.excuse {
			f.excuse()
		}
		if f.ill() != c.ill {
			t.Fatalf("%s: ill is %v", c.reason, f.ill())
		}
	}
}
