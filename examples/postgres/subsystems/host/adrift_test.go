package host

import (
	"testing"
	"time"
)

// TestAStandbyThatReceivesNothingIsAdrift: for a while nothing is said, since every failover has such a while; what is said is taken back.
func TestAStandbyThatReceivesNothingIsAdrift(t *testing.T) {
	options := patient
	options.AdriftAfter = 3 * options.Every
	l := first(t, options)
	a := l.done(t, "a", primaryWish())
	l.done(t, "b", standbyWish(a))
	if h := l.health(t, "b", "streams", streaming); h.Adrift {
		t.Errorf("one that receives is adrift: %+v", h)
	}
	l.do(t, Operation{Server: "a", Do: Fence})
	if h := l.health(t, "b", "adrift", func(h Health) bool { return h.Adrift }); !h.Answering || h.Receiving || h.Missed() {
		t.Errorf("one that is adrift is %+v; want it to answer", h)
	}
	l.do(t, Operation{Server: "a", Do: Unfence})
	l.health(t, "b", "streams again", func(h Health) bool { return streaming(h) && !h.Adrift })
	if h := l.health(t, "a", "leads", healthy); h.Adrift {
		t.Errorf("one that leads is adrift: %+v", h)
	}
}

func TestWhatIsAdrift(t *testing.T) {
	const limit = 5 * time.Second
	began := time.Unix(1000, 0)
	standby := Health{Answering: true, Role: Standby}
	for _, c := range []struct {
		reason string
		health Health
		after  time.Duration
		want   bool
	}{
		{"it has not received for the limit", standby, limit, true},
		{"it has not received for a moment", standby, limit - 1, false},
		{"it receives", Health{Answering: true, Role: Standby, Receiving: true}, limit, false},
		{"it leads", Health{Answering: true, Role: Primary}, limit, false},
		{"something is being done to it", Health{Answering: true, Role: Standby, Planned: "follow"}, limit, false},
		{"it does not answer, which is said already", Health{Role: Standby}, limit, false},
	} {
		h := &Host{options: Options{AdriftAfter: limit}}
		w := &watch{server: h.newServer("a", ""), health: c.health, received: began}
		if w.judge(began.Add(c.after)); w.health.Adrift != c.want {
			t.Errorf("%s: adrift is %t, want %t", c.reason, w.health.Adrift, c.want)
		}
	}
}

// TestAStandbySaysItsTimelineWhenItsUpstreamIsGone: its control file lags behind, and who is to lead is chosen by what it says.
func TestAStandbySaysItsTimelineWhenItsUpstreamIsGone(t *testing.T) {
	l := first(t, patient)
	a := l.done(t, "a", primaryWish())
	l.done(t, "b", standbyWish(a))
	l.done(t, "c", standbyWish(a))
	l.do(t, Operation{Server: "a", Do: Fence})
	b := l.do(t, Operation{Server: "b", Do: Promote})
	if b.Timeline != 2 {
		t.Fatalf("after a promotion it is %+v; want timeline 2", b)
	}
	if c := l.do(t, Operation{Server: "c", Do: Inspect}); c.Timeline != 1 {
		t.Errorf("one that has received nothing from the new primary says %+v; want timeline 1", c)
	}
	l.done(t, "to b", Operation{Server: "c", Do: Follow, Upstream: b.Address})
	l.do(t, Operation{Server: "b", Do: Synchronous, Standbys: []string{"c"}})
	exec1(t, b, "CREATE TABLE acknowledged ()")
	l.done(t, "again", Operation{Server: "b", Do: Fence})
	if c := l.done(t, "c, of b", Operation{Server: "c", Do: Inspect}); c.Timeline != 2 {
		t.Errorf("one that has what was acknowledged in timeline 2 says %+v", c)
	}
}

// TestAServerIsAskedAtOnceWhenSomethingWasDoneToIt: who has taken back a fence need not wait for the next round to hear that the server answers.
func TestAServerIsAskedAtOnceWhenSomethingWasDoneToIt(t *testing.T) {
	options := patient
	options.Every = time.Hour // there is no next round
	l := first(t, options)
	l.done(t, "a", primaryWish())
	l.health(t, "a", "made", healthy)
	l.do(t, Operation{Server: "a", Do: Fence})
	l.health(t, "a", "fenced", func(h Health) bool { return h.Fenced && h.Missed() })
	l.do(t, Operation{Server: "a", Do: Unfence})
	l.health(t, "a", "unfenced", func(h Health) bool { return healthy(h) && !h.Fenced })
}
