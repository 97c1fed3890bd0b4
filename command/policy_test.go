package command

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	for _, c := range []struct {
		base, limit time.Duration
		attempt     int
		want        time.Duration
		reason      string
	}{
		{time.Second, time.Minute, 1, time.Second, "it begins with the base"},
		{time.Second, time.Minute, 2, 2 * time.Second, "it doubles"},
		{time.Second, time.Minute, 6, 32 * time.Second, "it doubles with every attempt"},
		{time.Second, time.Minute, 7, time.Minute, "it does not pass the limit"},
		{time.Second, time.Minute, 1 << 40, time.Minute, "it does not overflow, and costs no more after a year"},
		{time.Second, time.Minute, 0, time.Second, "no failure is as good as one"},
		{time.Minute, time.Second, 1, time.Second, "a base above the limit is the limit"},
	} {
		if got := Window(c.base, c.limit, c.attempt); got != c.want {
			t.Errorf("Window(%s, %s, %d) = %s, want %s: %s", c.base, c.limit, c.attempt, got, c.want, c.reason)
		}
	}
}

func TestBackoffIsWithinItsWindow(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	p := Policy{}.WithDefaults()
	for attempt := 1; attempt <= 20; attempt++ {
		window := Window(p.Base, p.Cap, attempt)
		least, most := window, time.Duration(0)
		for range 1000 {
			wait := p.Backoff(attempt, random)
			least, most = min(least, wait), max(most, wait)
		}
		if least < window/10 || most >= window {
			t.Errorf("waits after attempt %d are from %s to %s, want from a tenth of %s to less than it", attempt, least, most, window)
		}
		if least > window/5 || most < window*9/10 {
			t.Errorf("waits after attempt %d are from %s to %s: that is no full jitter over %s", attempt, least, most, window)
		}
	}
}
