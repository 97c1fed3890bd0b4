package postgres

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/decide"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/endpoint"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
	"github.com/setpointhq/setpoint/setpointtest"
)

// answering changes what the host answers.
func (v *witness) answering(change func(o host.Operation, r *host.Result)) {
	inner := v.hosts.Answer
	v.hosts.Answer = func(key string, request []byte, n int) ([]byte, error) {
		text, err := inner(key, request, n)
		var o host.Operation
		var r host.Result
		if err != nil || json.Unmarshal(request, &o) != nil || json.Unmarshal(text, &r) != nil || o.Do == "" {
			return text, err
		}
		change(o, &r)
		return json.Marshal(r)
	}
}

func events(w *setpointtest.World, reason string) (n int) {
	for _, tx := range w.Commits() {
		for _, e := range tx.Events {
			if e.Reason == reason {
				n++
			}
		}
	}
	return n
}

// TestWhoMayBePromoted: the primary's timeline is 1 at first, and that which a promotion says later.
func TestWhoMayBePromoted(t *testing.T) {
	for _, c := range []struct {
		reason string
		// timelines and logs are what the members say of themselves.
		timelines map[string]uint32
		logs      map[string]string
		leads     string
	}{
		{"of two in the primary's timeline the one that has more", nil, map[string]string{s1: "0/10", s2: "0/20"}, "s1-2"},
		{"one that has led by itself is passed over, however much it has", map[string]uint32{s2: 2}, map[string]string{s1: "0/10", s2: "F/0"}, "s1-1"},
		{"one that has not come to the primary's timeline is passed over", map[string]uint32{s1: 0}, map[string]string{s1: "F/0", s2: "0/20"}, "s1-2"},
		{"when all are elsewhere, the former primary goes on", map[string]uint32{s1: 2, s2: 3}, nil, "s1-0"},
	} {
		witnessed(t, 2, func(w *setpointtest.World, s *simulation, v *witness) {
			v.answering(func(o host.Operation, r *host.Result) {
				if o.Do != host.Inspect {
					return
				}
				if line, set := c.timelines[o.Server]; set {
					r.Timeline = line
				}
				if lsn := c.logs[o.Server]; lsn != "" {
					r.LSN = lsn
				}
			})
			raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsPromote})
			w.Converge(time.Hour)
			if d := state(w); d.Status.Primary != c.leads || d.State != Available || !d.Ready() {
				t.Errorf("%s: %s leads, in %s; want %s", c.reason, d.Status.Primary, d.State, c.leads)
			}
			if passed := events(w, "CandidateElsewhere"); passed != len(c.timelines) {
				t.Errorf("%s: %d were said to be passed over, want %d", c.reason, passed, len(c.timelines))
			}
			if s.mu.Lock(); s.servers["default/orders."+c.leads].fenced {
				t.Errorf("%s: it is fenced", c.reason)
			}
			s.mu.Unlock()
		})
	}
}

// TestTheTimelineIsThatOfThePromotion: the next promotion compares with it.
func TestTheTimelineIsThatOfThePromotion(t *testing.T) {
	witnessed(t, 2, func(w *setpointtest.World, _ *simulation, v *witness) {
		line, stays := uint32(1), false
		v.answering(func(o host.Operation, r *host.Result) {
			if o.Do == host.Promote {
				line++
			}
			r.Timeline = line
			if o.Do == host.Inspect && o.Server == s0 && stays {
				r.Timeline = line - 1
			}
		})
		for _, c := range []struct {
			reason string
			stays  bool
			leads  []string
		}{
			{"the first promotion: both that follow are in timeline 1", false, []string{"s1-1", "s1-2"}},
			{"the second: one has not come to timeline 2 yet", true, []string{"s1-1", "s1-2"}},
		} {
			stays = c.stays
			raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsPromote})
			w.Converge(time.Hour)
			if d := state(w); d.Status.Timeline != line || !slices.Contains(c.leads, d.Status.Primary) {
				t.Errorf("%s: %s leads in timeline %d, want one of %v in %d", c.reason, d.Status.Primary, d.Status.Timeline, c.leads, line)
			}
		}
	})
}

// TestAPromotionDoesNotWaitForTheAddressForEver: the new primary leads, whatever becomes of the proxy; the former one must come to follow it.
func TestAPromotionDoesNotWaitForTheAddressForEver(t *testing.T) {
	witnessed(t, 1, func(w *setpointtest.World, s *simulation, v *witness) {
		broken := true
		v.proxies.Fault = func(call command.Call) setpointtest.Fault {
			var q endpoint.Request
			if err := json.Unmarshal(call.Request, &q); err == nil && q.Backend != "" && broken {
				return setpointtest.RefusedRequest
			}
			return setpointtest.NoFault
		}
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsPromote})
		w.Advance(switchWithin - time.Second)
		if d := state(w); d.Action == nil || events(w, "AddressBehind") != 0 {
			t.Errorf("the promotion did not wait for the address: %+v", d.Last)
		}
		w.Advance(time.Minute)
		d := state(w)
		if d.State != Available || d.Action != nil || d.Last == nil || d.Last.Outcome != "Succeeded" || d.Status.Primary != "s1-1" || d.Ready() {
			t.Errorf("it is %s, ready %t, after %+v; want the promotion done, and the database not ready\n%s", d.State, d.Ready(), d.Last, waiting(w))
		}
		if n := events(w, "AddressBehind"); n != 1 {
			t.Errorf("it was said %d times that the address is behind, want once", n)
		}
		s.mu.Lock()
		former := *s.servers[s0]
		s.mu.Unlock()
		if former.role != host.Standby || former.fenced {
			t.Errorf("the former primary is %+v; want it to follow", former)
		}
		broken = false
		w.Converge(time.Hour)
		if d := state(w); !d.Ready() {
			t.Errorf("it is not ready\n%s", waiting(w))
		}
	})
}

// TestAFailedPromotionIsNotRepeatedByTheClock: the former primary is let go on, and answers again before anybody promotes anew.
func TestAFailedPromotionIsNotRepeatedByTheClock(t *testing.T) {
	witnessed(t, 1, func(w *setpointtest.World, _ *simulation, v *witness) {
		v.refuse("inspect "+s1, true)
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsPromote})
		w.Advance(time.Second)
		raise(w, Servers.Definition, "orders.s1-0", setpoint.SignalRequest{Name: Missed}) // it is fenced
		for state(w).Action != nil {
			w.Advance(time.Second / 4)
		}
		if d := state(w); d.State != Unavailable || d.Last.Outcome != "Failed" {
			t.Errorf("it is %s after %+v; want it unavailable as long as its primary is not seen", d.State, d.Last)
		}
		raise(w, Servers.Definition, "orders.s1-0", setpoint.SignalRequest{Name: Seen})
		w.Converge(time.Hour)
		fences := slices.DeleteFunc(v.since(0), func(call string) bool { return !strings.HasPrefix(call, "fence ") })
		if d := state(w); d.State != Available || !d.Ready() || len(fences) != 1 {
			t.Errorf("it is %s, and was fenced %d times; want it available, and fenced once\n%s", d.State, len(fences), waiting(w))
		}
	})
}

// TestTheClockAsksInVainWhenThePrimaryAnswersAgain: what was asked for because nobody answered, is served only as long as nobody does.
func TestTheClockAsksInVainWhenThePrimaryAnswersAgain(t *testing.T) {
	witnessed(t, 1, func(w *setpointtest.World, _ *simulation, v *witness) {
		v.refuse("inspect "+s1, true)
		raise(w, Servers.Definition, "orders.s1-0", setpoint.SignalRequest{Name: Missed})
		w.Advance(time.Minute) // it is given up, and promotions fail
		if d := state(w); d.Last == nil || d.Last.Outcome != "Failed" {
			t.Fatalf("the last action is %+v; want a promotion that has failed", d.Last)
		}
		for d := state(w); d.Action != nil || len(d.Signals) == 0; d = state(w) {
			w.Advance(time.Second / 4) // until the clock has asked once more, and rests after the failures before
		}
		before := v.count()
		raise(w, Servers.Definition, "orders.s1-0", setpoint.SignalRequest{Name: Seen})
		w.Advance(5 * time.Minute)
		w.Converge(time.Hour)
		if d := state(w); d.State != Available || !d.Ready() || slices.Contains(v.since(before), "fence "+s0) {
			t.Errorf("it is %s; asked were %v\n%s", d.State, v.since(before), waiting(w))
		}
	})
}

// TestOneThatReceivesNothing: it is not ready and not counted, and is made to follow again when there is somebody to follow.
func TestOneThatReceivesNothing(t *testing.T) {
	witnessed(t, 2, func(w *setpointtest.World, _ *simulation, v *witness) {
		before := v.count()
		raise(w, Servers.Definition, "orders.s1-0", setpoint.SignalRequest{Name: Missed})
		raise(w, Servers.Definition, "orders.s1-2", setpoint.SignalRequest{Name: Adrift})
		w.Settle()
		if r, ok := part(w, "s1-2"); !ok || r.Ready() || state(w).Status.Following != 1 {
			t.Errorf("one that receives nothing is ready and counted: %d follow\n%s", state(w).Status.Following, waiting(w))
		}
		if slices.Contains(v.since(before), "follow "+s2) {
			t.Error("it was told to follow a primary that does not answer")
		}
		members(w, "s1-0", "s1-1", "s1-2")
		raise(w, Servers.Definition, "orders.s1-0", setpoint.SignalRequest{Name: Seen})
		w.Converge(time.Hour)
		if d := state(w); !slices.Contains(v.since(before), "follow "+s2) || d.Status.Following != 2 || !d.Ready() {
			t.Errorf("asked were %v, and %d follow; want it told to follow", v.since(before), d.Status.Following)
		}
		if r, ok := part(w, "s1-2"); !ok || len(r.Signals) > 0 {
			t.Errorf("signals stand still: %+v", r.Signals)
		}
	})
}

// TestOneThatReceivesAgain: it has found back by itself.
func TestOneThatReceivesAgain(t *testing.T) {
	witnessed(t, 1, func(w *setpointtest.World, _ *simulation, v *witness) {
		before := v.count()
		raise(w, Servers.Definition, "orders.s1-0", setpoint.SignalRequest{Name: Missed})
		raise(w, Servers.Definition, "orders.s1-1", setpoint.SignalRequest{Name: Adrift})
		raise(w, Servers.Definition, "orders.s1-1", setpoint.SignalRequest{Name: Seen})
		raise(w, Servers.Definition, "orders.s1-0", setpoint.SignalRequest{Name: Seen})
		w.Converge(time.Hour)
		if slices.Contains(v.since(before), "follow "+s1) || !state(w).Ready() {
			t.Errorf("asked were %v; want nothing, since it receives\n%s", v.since(before), waiting(w))
		}
	})
}

// TestClaimsAboutDrift proves what the table of servers promises about it.
func TestClaimsAboutDrift(t *testing.T) {
	for _, c := range []struct {
		reason string
		claim  decide.Claim
	}{
		{"what does not answer is not told to follow because it receives nothing", decide.Never("Follow").With(Adrift).Within(Uncertain, Unavailable).Unless(NeedsFollow)},
		{"that one receives nothing keeps nobody from asking it how far its log goes", decide.Leads(NeedsInspect, "Inspect").Within(Provisioned)},
		{"one that receives nothing and does not answer either is doubted", decide.Leads(Missed, "Doubt").Within(Available).
			Unless(Seen, NeedsInspect, NeedsFollow, NeedsRestart, NeedsRepair, Silent)},
	} {
		if err := decide.Always(serverLife, serverTable, c.claim); err != nil {
			t.Errorf("%s: %v", c.reason, err)
		}
	}
}
