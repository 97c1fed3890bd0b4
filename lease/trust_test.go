package lease_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/lease"
)

// TestTrust goes through the life of one.
func TestTrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		away := errors.New("away")
		trust := lease.NewTrust("lease plane", ttl)
		for _, c := range []struct {
			reason  string
			after   time.Duration
			do      func()
			certain bool
			problem string // "" is none
		}{
			{"nothing is certain before the first renewal", 0, func() {}, false, ""},
			{"and a failure says what is waited for", 0, func() { trust.Fail(away) }, false, "waiting for lease plane: away"},
			{"it counts from when it was sent", 5 * time.Second, func() { trust.Note(begun) }, true, ""},
			{"until a tenth before its end", 4*time.Second - 1, func() {}, true, ""},
			{"and no longer", 1, func() {}, false, "lease plane has not been renewed since 2000-01-01T00:00:00Z; no call to a subsystem is begun until it is: the renewal has not been answered yet"},
			{"the next one renews it", time.Second, func() { trust.Note(begun.Add(9 * time.Second)) }, true, ""},
			{"an answer that was overtaken takes nothing away", 0, func() { trust.Note(begun.Add(time.Second)) }, true, ""},
			{"a failure neither, before the end", 0, func() { trust.Fail(away) }, true, "lease plane has not been renewed since 2000-01-01T00:00:09Z; calls to subsystems go on for now: away"},
			{"what was lost is lost at once", 0, func() { trust.Void(errors.New("lost")) }, false, "waiting for lease plane: lost"},
		} {
			advance(c.after)
			c.do()
			if got := trust.Certain(); got != c.certain {
				t.Errorf("%s: certain is %v", c.reason, got)
			}
			problem := ""
			if err := trust.Problem(); err != nil {
				problem = err.Error()
			}
			if problem != c.problem {
				t.Errorf("%s: problem %q, want %q", c.reason, problem, c.problem)
			}
		}
	})
}

// TestAwait ends with trust, with the wait, and with the stop; it costs nothing meanwhile.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			reason string
			end    func(*lease.Trust, context.CancelFunc, chan struct{})
			want   bool
		}{
			{"trust has come", func(trust *lease.Trust, _ context.CancelFunc, _ chan struct{}) { trust.Note(time.Now()) }, true},
			{"nobody waits any more", func(_ *lease.Trust, cancel context.CancelFunc, _ chan struct{}) { cancel() }, false},
			{"nothing is begun any more", func(_ *lease.Trust, _ context.CancelFunc, stop chan struct{}) { close(stop) }, false},
		} {
			trust := lease.NewTrust("lease plane", ttl)
			ctx, cancel := context.WithCancel(context.Background())
			stop, got := make(chan struct{}), make(chan bool, 1)
			go func() { got <- trust.Await(ctx, stop) }()
			synctest.Wait()
			trust.Note(time.Now().Add(-ttl)) // too late to be worth anything
			synctest.Wait()
			if len(got) > 0 {
				t.Errorf("%s: it did not wait", c.reason)
			}
			c.end(trust, cancel, stop)
			if answer := <-got; answer != c.want {
				t.Errorf("%s: %v", c.reason, answer)
			}
			cancel()
		}
	})
}

// TestBackoff grows to a cap of a second, or a quarter of a short time to live, and never to nothing.
func TestBackoff(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, ttl := range []time.Duration{lease.LeastTTL, time.Second, ttl, time.Hour} {
		limit, longest := min(ttl/4, time.Second), time.Duration(0)
		for failures := 1; failures < 200; failures++ {
			d := lease.Backoff(ttl, failures, random)
			if longest = max(longest, d); d <= 0 || d > limit {
				t.Fatalf("ttl %s, failure %d: %s", ttl, failures, d)
			}
		}
		if longest < limit/2 {
			t.Errorf("ttl %s: it never waits longer than %s", ttl, longest)
		}
	}
}
