package postgres

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// witness writes down what the host is asked, also when it refuses.
type witness struct {
	mu    sync.Mutex
	calls []string
	// refuses are what is refused, as it is written down.
	refuses map[string]bool
	hosts   *setpointtest.Subsystem
	proxies *setpointtest.Subsystem
}

// fault is asked before each call.
func (w *witness) fault(call command.Call) setpointtest.Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	what := "make " + call.Key
	var o host.Operation
	if err := json.Unmarshal(call.Request, &o); err == nil && o.Do != "" {
		what = string(o.Do) + " " + o.Server
	}
	if call.Request == nil {
		what = "remove " + call.Key
	}
	w.calls = append(w.calls, strings.TrimSpace(what+" "+strings.Join(o.Standbys, " ")))
	if w.refuses[what] {
		return setpointtest.RefusedRequest
	}
	return setpointtest.NoFault
}

func (w *witness) refuse(what string, yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuses[what] = yes
}

// since are the calls from the n'th on.
func (w *witness) since(n int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls[n:])
}

func (w *witness) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.calls)
}

// witnessed is a world with a database and replicas.
func witnessed(t *testing.T, replicas int, f func(*setpointtest.World, *simulation, *witness)) {
	t.Helper()
	s, setup := simulate()
	v := &witness{refuses: map[string]bool{}}
	v.hosts, v.proxies = setup.Adapters["hosts"].(*setpointtest.Subsystem), setup.Adapters["endpoints"].(*setpointtest.Subsystem)
	v.hosts.Fault = v.fault
	setpointtest.Run(t, setup, func(w *setpointtest.World) {
		w.Apply(Databases.Definition, "orders", DatabaseSpec{Replicas: replicas})
		w.Converge(time.Hour)
		if d := state(w); d.State != Available || len(d.Status.Members) != replicas+1 {
			t.Fatalf("the database is %s: %+v\n%s", d.State, d.Status, waiting(w))
		}
		f(w, s, v)
		for _, twice := range s.twice {
			t.Errorf("two could be written to: %s", twice)
		}
	})
}

// part is a server as it is stored.
func part(w *setpointtest.World, name string) (*Server, bool) {
	w.T.Helper()
	o, ok := w.Object(Servers.Definition, "orders."+name)
	if !ok {
		return nil, false
	}
	v, err := resource.Decode[ServerSpec, ServerStatus](o)
	if err != nil {
		w.T.Fatal(err)
	}
	return v, !v.Deleting()
}

func members(w *setpointtest.World, want ...string) {
	w.T.Helper()
	if got := state(w).Status.Members; !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		w.T.Errorf("the members are %v, want %v\n%s", got, want, waiting(w))
	}
}

const s0, s1, s2 = "default/orders.s1-0", "default/orders.s1-1", "default/orders.s1-2"

func TestFewerReplicasNeedACommit(t *testing.T) {
	witnessed(t, 2, func(w *setpointtest.World, _ *simulation, v *witness) {
		before := v.count()
		v.refuse("barrier "+s0, true)
		w.Apply(Databases.Definition, "orders", DatabaseSpec{Replicas: 1})
		w.Settle()
		w.Advance(10 * time.Minute)
		if _, there := part(w, "s1-2"); !there {
			t.Error("the surplus is gone, and what was acknowledged because of it may be gone with it")
		}
		members(w, "s1-0", "s1-1", "s1-2")
		v.refuse("barrier "+s0, false)
		w.Converge(time.Hour)
		members(w, "s1-0", "s1-1")
		if _, there := part(w, "s1-2"); there {
			t.Error("the surplus is there still")
		}
		calls := v.since(before)
		alone, commit, gone := slices.Index(calls, "synchronous "+s0+" "+s1), slices.Index(calls, "barrier "+s0), slices.Index(calls, "remove "+s2)
		if alone < 0 || commit < alone || gone < commit {
			t.Errorf("asked were %v; want that nobody waits for the leaver, then a commit, then that it goes", calls)
		}
	})
}

func TestSurplusStaysWhileNobodyElseFollows(t *testing.T) {
	witnessed(t, 2, func(w *setpointtest.World, _ *simulation, v *witness) {
		raise(w, Servers.Definition, "orders.s1-1", setpoint.SignalRequest{Name: Missed})
		before := v.count()
		w.Apply(Databases.Definition, "orders", DatabaseSpec{Replicas: 1})
		w.Settle()
		if calls := v.since(before); slices.Contains(calls, "synchronous "+s0+" "+s1) || slices.Contains(calls, "barrier "+s0) {
			t.Errorf("asked were %v; commits would wait for a replica that does not answer, and for no other", calls)
		}
		members(w, "s1-0", "s1-1", "s1-2")
		raise(w, Servers.Definition, "orders.s1-1", setpoint.SignalRequest{Name: Seen})
		w.Converge(time.Hour)
		members(w, "s1-0", "s1-1")
	})
}

func TestNobodyLeavesWhileNobodyElseFollows(t *testing.T) {
	witnessed(t, 2, func(w *setpointtest.World, _ *simulation, v *witness) {
		v.refuse("restart "+s1, true)
		raise(w, Servers.Definition, "orders.s1-1", setpoint.SignalRequest{Name: Missed})
		before := v.count()
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsUnfollow, Payload: []byte(`{"server":"orders.s1-2"}`)})
		if d := state(w); d.Action == nil {
			t.Errorf("it did not wait for another one to follow: %+v", d.Last)
		}
		w.Advance(cutWithin + time.Second)
		if d := state(w); d.Last == nil || d.Last.Outcome != "Failed" || len(d.Status.Detached) > 0 || slices.Contains(v.since(before), "synchronous "+s0+" "+s1) {
			t.Errorf("it ended as %+v, detached are %v, asked were %v; want it refused, and nothing done", d.Last, d.Status.Detached, v.since(before))
		}
	})
}

func TestNoReplicasNeedNoOther(t *testing.T) {
	witnessed(t, 1, func(w *setpointtest.World, _ *simulation, v *witness) {
		w.Apply(Databases.Definition, "orders", DatabaseSpec{})
		w.Converge(time.Hour)
		members(w, "s1-0")
		if d := state(w); !d.Ready() || d.Status.Following != 0 {
			t.Errorf("without replicas it is %+v\n%s", d.Status, waiting(w))
		}
	})
}

// TestAPromotionAsksTheSurplus: what has not left yet may be the only one that has a commit.
func TestAPromotionAsksTheSurplus(t *testing.T) {
	witnessed(t, 2, func(w *setpointtest.World, s *simulation, v *witness) {
		v.refuse("barrier "+s0, true)
		w.Apply(Databases.Definition, "orders", DatabaseSpec{Replicas: 1})
		w.Settle()
		s.mu.Lock()
		s.servers[s2].lsn = 1 << 20
		s.mu.Unlock()
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsPromote})
		w.Converge(time.Hour)
		if d := state(w); d.Status.Primary != "s1-2" || !d.Ready() {
			t.Errorf("it is %+v; want the one to lead that has most\n%s", d.Status, waiting(w))
		}
		members(w, "s1-0", "s1-2")
		if !slices.Contains(v.since(0), "barrier "+s2) {
			t.Error("the other one has left without a commit")
		}
	})
}

// TestASpecificationDoesNotChangeAPromotion: who is asked, waited for and told to follow is one set, whatever is asked for meanwhile.
func TestASpecificationDoesNotChangeAPromotion(t *testing.T) {
	witnessed(t, 2, func(w *setpointtest.World, s *simulation, v *witness) {
		v.refuse("inspect "+s1, true)
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsPromote})
		w.Advance(2 * time.Second)
		before := v.count()
		w.Apply(Databases.Definition, "orders", DatabaseSpec{})
		w.Settle()
		v.refuse("inspect "+s1, false)
		w.Converge(time.Hour)
		leader := host.Verb("")
		for _, call := range v.since(before) {
			if verb, server, _ := strings.Cut(call, " "); verb == string(host.Synchronous) && leader == "" {
				leader = host.Verb(server)
			}
		}
		if n := len(strings.Fields(string(leader))); n != 3 {
			t.Errorf("the candidate was told to wait for %q; want both other members\n%v", leader, v.since(before))
		}
		if d := state(w); d.Status.Primary == "s1-0" || len(d.Status.Members) != 1 || !d.Ready() {
			t.Errorf("in the end it is %+v\n%s", d.Status, waiting(w))
		}
	})
}

// TestWhatIsBeingMadeIsNoMember: it has nothing to say, so nobody waits for it.
func TestWhatIsBeingMadeIsNoMember(t *testing.T) {
	witnessed(t, 1, func(w *setpointtest.World, _ *simulation, v *witness) {
		v.refuse("make "+s2, true)
		before := v.count()
		w.Apply(Databases.Definition, "orders", DatabaseSpec{Replicas: 2})
		w.Settle()
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsPromote})
		w.Advance(time.Minute)
		if d := state(w); d.Status.Primary != "s1-1" || d.Action != nil {
			t.Errorf("a promotion waits for a replica that is being made: %+v\n%s", d.Status, waiting(w))
		}
		for _, call := range v.since(before) {
			if strings.HasPrefix(call, "synchronous") && strings.Contains(call, s2) || call == "inspect "+s2 {
				t.Errorf("asked was %s", call)
			}
		}
		members(w, "s1-0", "s1-1")
		v.refuse("make "+s2, false)
		w.Converge(time.Hour)
		members(w, "s1-0", "s1-1", "s1-2")
		if v, ok := part(w, "s1-2"); !ok || v.Status.Made.Upstream != address(s1) {
			t.Errorf("it was made of %+v; want a copy of who leads by now", v.Status.Made)
		}
	})
}

// TestOneUnitPerServer: what is done to a server is done in the order in which it was decided; a fence overtakes.
func TestOneUnitPerServer(t *testing.T) {
	witnessed(t, 2, func(w *setpointtest.World, _ *simulation, _ *witness) {
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsUnfollow, Payload: []byte(`{"server":"orders.s1-2"}`)})
		w.Converge(time.Hour)
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsFollow})
		w.Converge(time.Hour)
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsPromote})
		raise(w, Servers.Definition, "orders.s1-2", setpoint.SignalRequest{Name: NeedsRestart})
		w.Converge(time.Hour)
		seen := map[host.Verb]bool{}
		for _, tx := range w.Commits() {
			for _, x := range tx.Commands {
				var o host.Operation
				if err := json.Unmarshal(x.Command.Request, &o); err != nil || x.Command.Adapter != "hosts" {
					continue
				}
				want := o.Server
				switch o.Do {
				case "":
					want = x.Command.Key
				case host.Fence, host.Unfence:
					want = o.Server + "/fence"
				}
				if seen[o.Do] = true; x.Command.Unit != want {
					t.Errorf("%s %s is in unit %q, want %q", o.Do, o.Server, x.Command.Unit, want)
				}
			}
		}
		for _, verb := range []host.Verb{"", host.Fence, host.Promote, host.Follow, host.Unfollow, host.Restart, host.Synchronous, host.Barrier, host.Inspect} {
			if !seen[verb] {
				t.Errorf("%q was not asked for: the test is at fault", verb)
			}
		}
	})
}

// TestTheFirstMembersNeedACommit: a primary that was alone may have acknowledged alone, and whoever follows it has all of that only when it has a commit made since.
func TestTheFirstMembersNeedACommit(t *testing.T) {
	witnessed(t, 2, func(w *setpointtest.World, _ *simulation, v *witness) {
		const restored, copied, other = "default/orders.s2-0", "default/orders.s2-1", "default/orders.s2-2"
		w.Apply(Backups.Definition, "monday", BackupSpec{Database: "orders"})
		w.Converge(time.Hour)
		v.refuse("barrier "+restored, true)
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsRestore, Payload: []byte(`{"backup":"monday"}`)})
		w.Advance(time.Minute)
		members(w, "s2-0")
		if calls := v.since(0); !slices.Contains(calls, "synchronous "+restored+" "+copied+" "+other) || state(w).Ready() {
			t.Errorf("ready %t; asked were %v; want that both are waited for, and the database not ready before they are members", state(w).Ready(), calls)
		}
		before := v.count()
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsPromote})
		w.Advance(time.Minute)
		if calls := v.since(before); slices.ContainsFunc(calls, func(c string) bool { return strings.HasPrefix(c, "fence ") }) || !slices.Contains(calls, "restart "+restored) {
			t.Errorf("asked were %v; want the primary restarted, and nobody promoted who may lack what it has acknowledged", calls)
		}
		v.refuse("barrier "+restored, false)
		w.Converge(time.Hour)
		members(w, "s2-0", "s2-1", "s2-2")
		if d := state(w); !d.Ready() || d.Status.Following != 2 {
			t.Errorf("it is %+v\n%s", d.Status, waiting(w))
		}
	})
}

// TestTheLastReplicaStaysUntilThePrimaryHasHeard: from the commit on that tells the primary to wait for nobody, nobody else is known to have everything.
func TestTheLastReplicaStaysUntilThePrimaryHasHeard(t *testing.T) {
	witnessed(t, 1, func(w *setpointtest.World, _ *simulation, v *witness) {
		v.refuse("synchronous "+s0, true)
		w.Apply(Databases.Definition, "orders", DatabaseSpec{})
		w.Settle()
		members(w, "s1-0")
		if _, there := part(w, "s1-1"); !there {
			t.Error("the replica is gone, and the primary waits for it still")
		}
		before := v.count()
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsPromote})
		w.Advance(time.Minute)
		if calls := v.since(before); slices.Contains(calls, "inspect "+s1) || !slices.Contains(calls, "restart "+s0) {
			t.Errorf("asked were %v; want nobody promoted while the primary may acknowledge alone", calls)
		}
		v.refuse("synchronous "+s0, false)
		w.Converge(time.Hour)
		members(w, "s1-0")
		if _, there := part(w, "s1-1"); there || !state(w).Ready() {
			t.Errorf("the replica is there still, or the database is not ready\n%s", waiting(w))
		}
	})
}

// TestTheLastReplicaStaysWhileThePrimaryIsDead: it is all that there is.
func TestTheLastReplicaStaysWhileThePrimaryIsDead(t *testing.T) {
	for _, c := range []struct {
		reason string
		ask    func(*setpointtest.World)
	}{
		{"no replicas are asked for", func(w *setpointtest.World) {
			w.Apply(Databases.Definition, "orders", DatabaseSpec{})
			w.Settle()
		}},
		{"it is told to leave", func(w *setpointtest.World) {
			raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsUnfollow})
		}},
	} {
		witnessed(t, 1, func(w *setpointtest.World, _ *simulation, v *witness) {
			before := v.count()
			raise(w, Servers.Definition, "orders.s1-0", setpoint.SignalRequest{Name: Missed})
			c.ask(w)
			members(w, "s1-0", "s1-1")
			if calls := v.since(before); slices.Contains(calls, "synchronous "+s0) {
				t.Errorf("%s: asked were %v; want the replica kept and waited for", c.reason, calls)
			}
			w.Advance(time.Minute)
			if d := state(w); d.Status.Primary != "s1-1" {
				t.Errorf("%s: %s leads; want the one that lives\n%s", c.reason, d.Status.Primary, waiting(w))
			}
		})
	}
}

// TestLeavingForGoodWhileOneIsKept: a deletion does not wait for whoever is kept until a commit is made.
func TestLeavingForGoodWhileOneIsKept(t *testing.T) {
	witnessed(t, 2, func(w *setpointtest.World, _ *simulation, v *witness) {
		v.refuse("barrier "+s0, true)
		w.Apply(Databases.Definition, "orders", DatabaseSpec{Replicas: 1})
		w.Settle()
		members(w, "s1-0", "s1-1", "s1-2")
		w.Delete(Databases.Definition, "orders")
		w.Converge(time.Hour)
		for _, name := range []string{"s1-0", "s1-1", "s1-2"} {
			if _, there := part(w, name); there {
				t.Errorf("%s is there still\n%s", name, waiting(w))
			}
		}
	})
}

// TestTheLastOneLeaves: the primary acknowledges alone from the commit on in which it is told to wait for nobody, and when it comes back the two steps are taken again.
func TestTheLastOneLeaves(t *testing.T) {
	witnessed(t, 1, func(w *setpointtest.World, _ *simulation, v *witness) {
		before := v.count()
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsUnfollow})
		w.Converge(time.Hour)
		members(w, "s1-0")
		if d := state(w); d.Last == nil || d.Last.Outcome != "Succeeded" || !slices.Equal(d.Status.Detached, []string{"s1-1"}) {
			t.Errorf("it ended as %+v: %+v", d.Last, d.Status)
		}
		v.refuse("barrier "+s0, true)
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsFollow})
		w.Advance(time.Minute)
		members(w, "s1-0")
		v.refuse("barrier "+s0, false)
		w.Converge(time.Hour)
		members(w, "s1-0", "s1-1")
		calls := v.since(before)
		alone, left := slices.Index(calls, "synchronous "+s0), slices.Index(calls, "unfollow "+s1)
		if alone < 0 || left < alone {
			t.Errorf("asked were %v; want that nobody waits for it before it leaves", calls)
		}
	})
}

// TestFollowingDoesNotHideADeadPrimary: to follow may take long, and while an action is under way nothing else sees that the primary is given up.
func TestFollowingDoesNotHideADeadPrimary(t *testing.T) {
	witnessed(t, 2, func(w *setpointtest.World, _ *simulation, v *witness) {
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsUnfollow, Payload: []byte(`{"server":"orders.s1-2"}`)})
		w.Converge(time.Hour)
		v.refuse("follow "+s2, true)
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsFollow})
		w.Advance(time.Second)
		if d := state(w); d.Action == nil || d.Action.Name != "Follow" {
			t.Fatalf("it does not follow: %+v", d.Last)
		}
		raise(w, Servers.Definition, "orders.s1-0", setpoint.SignalRequest{Name: Missed})
		w.Advance(time.Minute)
		if d := state(w); d.Status.Primary != "s1-1" {
			t.Errorf("%s leads a minute after the primary died\n%s", d.Status.Primary, waiting(w))
		}
	})
}
