package cluster_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// inBubble hides the test's deadline from rapid: it may not be asked for in virtual time.
type inBubble struct{ *testing.T }

// storm is a town to which things happen.
type storm struct {
	*town
	t *rapid.T
}

// TestStorm: whatever happens, at most one node trusts each shard at any time, and no assignment is ever worked on twice. When it is over, the nodes that are left have everything, evenly, and are at rest.
func TestStorm(t *testing.T) {
	everyday(t)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(inBubble{t}, func(rt *rapid.T) {
			folder, err := os.MkdirTemp(dir, "")
			if err != nil {
				rt.Fatal(err)
			}
			runTown(rt, filepath.Join(folder, "setpoint.db"), func(w *town) { (&storm{w, rt}).run() })
		})
	})
}

// everyday makes 15 rounds the default, which rapid has 100 of; those are for the soak.
func everyday(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	if os.Getenv("SETPOINT_SOAK") != "" || checks.Value.String() != checks.DefValue {
		return
	}
	if err := checks.Value.Set("15"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := checks.Value.Set(checks.DefValue); err != nil {
			t.Error(err)
		}
	})
}

func (s *storm) run() {
	for range rapid.IntRange(1, 3).Draw(s.t, "nodes") {
		s.begin()
	}
	for range rapid.IntRange(1, 25).Draw(s.t, "events") {
		s.happen()
		s.advance(rapid.SampledFrom([]time.Duration{0, 20 * time.Millisecond, 300 * time.Millisecond, time.Second, interval, ttl, 2 * ttl}).Draw(s.t, "pause"))
	}
	s.heal()
	s.await(16*ttl, "even when all is well again", s.even)
	s.advance(interval)
	s.agree()
	s.rest()
}

// begin runs a further node.
func (s *storm) begin() {
	s.start(func(o *cluster.Options) { o.Patience, o.Recovery = ttl, ttl })
}

// live returns one of the nodes that live, nil when there is none.
func (s *storm) live() *node {
	var live []*node
	for _, n := range s.nodes {
		if !n.dead {
			live = append(live, n)
		}
	}
	if len(live) == 0 {
		return nil
	}
	return live[rapid.IntRange(0, len(live)-1).Draw(s.t, "which")]
}

// happen lets one thing happen, to one node.
func (s *storm) happen() {
	what := rapid.SampledFrom([]string{"start", "start", "kill", "stop", "freeze", "freeze", "late", "cut", "refuse", "lose", "bar", "bar", "reach", "cordon", "uncordon", "ill", "well", "linger", "pause", "fenced"}).Draw(s.t, "what")
	n := s.live()
	switch {
	case what == "start" || n == nil:
		if len(s.counts()) < 6 {
			s.begin()
		}
	case what == "kill":
		n.kill()
	case what == "stop":
		s.leave(n)
	case what == "cordon" || what == "uncordon":
		s.cordon(n, what == "cordon")
	case what == "ill":
		n.suffer(errHang)
	case what == "well":
		n.suffer(nil)
	case what == "pause":
		n.Pause(rapid.Bool().Draw(s.t, "on"))
	case what == "linger":
		n.delay(rapid.SampledFrom([]time.Duration{0, time.Second, time.Hour}).Draw(s.t, "linger"))
	case what == "fenced":
		f, _ := n.Fence(rapid.IntRange(0, resource.Shards-1).Draw(s.t, "shard"))
		n.Fenced(f, store.ErrFenced)
	default:
		s.disturb(n.wire, what)
	}
}

// disturb does something to the way between a node and the database.
func (s *storm) disturb(w *wire, what string) {
	until := time.Now().Add(rapid.SampledFrom([]time.Duration{time.Second, interval, ttl, 3 * ttl}).Draw(s.t, "for"))
	w.set(func(w *wire) {
		switch what {
		case "freeze":
			w.frozen = until
		case "late":
			w.late = until
		case "cut":
			w.away = true
		case "refuse":
			w.refuse = store.ErrUnavailable
		case "lose":
			w.lose[rapid.SampledFrom([]string{"beat", "take", "give", "leave"}).Draw(s.t, "answer")] = 2
		case "bar":
			w.limit[rapid.SampledFrom([]string{"take", "give"}).Draw(s.t, "operation")] = store.ErrUnavailable
		case "reach":
			w.away, w.refuse = false, nil
			clear(w.limit)
		}
	})
}

// leave asks a node to stop; a database that it cannot reach is a reason to say so.
func (s *storm) leave(n *node) {
	n.dead = true
	n.cancel()
	s.await(6*ttl, "stopped", func() bool { return len(n.ended) > 0 })
	if err := <-n.ended; err != nil && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown) {
		s.t.Errorf("node %s ended with %v", n.id, err)
	}
	if left := n.Shards(); len(left) > 0 {
		s.t.Errorf("node %s has ended and still owns %v", n.id, left)
	}
}

func (s *storm) cordon(n *node, on bool) {
	if err := s.store.Cordon(context.Background(), string(n.id), on); err != nil && !errors.Is(err, store.ErrNotFound) {
		s.t.Fatal(err)
	}
}

// heal ends all faults, and sees to it that somebody lives.
func (s *storm) heal() {
	if len(s.counts()) == 0 {
		s.begin()
	}
	for _, n := range s.nodes {
		s.cordon(n, false)
		n.suffer(nil)
		n.delay(0)
		n.Pause(false)
		n.set(func(w *wire) {
			w.away, w.refuse, w.frozen, w.late = false, nil, time.Time{}, time.Time{}
			clear(w.lose)
			clear(w.limit)
		})
	}
	s.advance(16 * ttl) // the longest recovery
}

// rest checks that nothing is done but to beat.
func (s *storm) rest() {
	count := func() (calls [][3]int) {
		for _, n := range s.nodes {
			calls = append(calls, [3]int{n.count("beat"), n.count("take"), n.count("give")})
		}
		return calls
	}
	before := count()
	s.advance(10 * interval)
	for i, after := range count() {
		if n := s.nodes[i]; !slices.Equal(after[1:], before[i][1:]) || !n.dead && (after[0]-before[i][0] < 9 || after[0]-before[i][0] > 11) {
			s.t.Errorf("node %s at rest: beats, takes and gifts %v after %v", n.id, after, before[i])
		}
	}
}
