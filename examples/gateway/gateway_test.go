package gateway_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/examples/gateway/subsystems/authority"
	"github.com/setpointhq/setpoint/internal/engines"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
	"github.com/setpointhq/setpoint/store"
)

// fakes are the subsystems in virtual time: each keeps the contract of the real one, and a ledger.
type fakes struct {
	allocator, authority, hosts, proxies, dns *setpointtest.Subsystem
}

func newFakes() fakes {
	f := fakes{
		allocator: setpointtest.NewSubsystem(), authority: setpointtest.NewSubsystem(), hosts: setpointtest.NewSubsystem(),
		proxies: setpointtest.NewSubsystem(), dns: setpointtest.NewSubsystem(),
	}
	addresses := map[string]string{}
	f.allocator.Answer = func(key string, _ []byte, _ int) ([]byte, error) {
		if addresses[key] == "" {
			addresses[key] = fmt.Sprintf("127.77.%d.%d", len(addresses)/250, len(addresses)%250+1)
		}
		return json.Marshal(map[string]string{"address": addresses[key]})
	}
	f.authority.Answer = func(key string, request []byte, _ int) ([]byte, error) {
		var r authority.Request
		if err := json.Unmarshal(request, &r); err != nil {
			return nil, err
		}
		epoch := time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC)
		return json.Marshal(authority.Result{Serial: fmt.Sprintf("%s-%d", key, r.Rotation), NotAfter: epoch.AddDate(0, 0, r.Rotation)})
	}
	boots := map[string]int{}
	f.hosts.Answer = func(key string, _ []byte, _ int) ([]byte, error) {
		boots[key]++
		return json.Marshal(map[string]any{"boot": fmt.Sprintf("%s#%d", key, boots[key]), "admin": "http://127.0.0.1/" + key})
	}
	f.proxies.Answer = func(string, []byte, int) ([]byte, error) { return []byte(`{"version":"1","boot":"x"}`), nil }
	f.dns.Answer = func(_ string, request []byte, _ int) ([]byte, error) { return request, nil }
	return f
}

func (f fakes) all() map[command.AdapterName]*setpointtest.Subsystem {
	return map[command.AdapterName]*setpointtest.Subsystem{
		"allocator": f.allocator, "authority": f.authority, "hosts": f.hosts, "proxies": f.proxies, "dns": f.dns,
	}
}

func (f fakes) setup() setpointtest.Setup {
	s := setpointtest.Setup{
		Kinds: gateway.Kinds(), Controllers: gateway.Controllers(), Adapters: map[command.AdapterName]command.Adapter{},
		Policy: command.Policy{Cap: 5 * time.Second},
	}
	for name, a := range f.all() {
		s.Adapters[name] = a
	}
	return s
}

func spec(name string, replicas int, upstreams ...string) gateway.GatewaySpec {
	s := gateway.GatewaySpec{Hostname: name + ".edge.test", Replicas: replicas}
	for i, u := range upstreams {
		s.Routes = append(s.Routes, gateway.Route{Path: fmt.Sprintf("/%d", i), Upstream: u})
	}
	return s
}

// states are the states that a gateway went through, in order.
func states(t *testing.T, w *setpointtest.World, name string) []string {
	t.Helper()
	entries, err := w.Plane.History(w.T.Context(), store.HistoryQuery{Key: gateway.Gateways.Key("default", "shop")})
	if err != nil {
		t.Fatalf("history of %s: %v", name, err)
	}
	var out []string
	for _, e := range entries {
		if e.To != "" {
			out = append(out, string(e.To))
		}
	}
	return out
}

func TestTheLatestWishWinsWhileProvisioningIsUnderWay(t *testing.T) {
	engines.Each(t, func(t *testing.T, e engines.Engine) {
		f := newFakes()
		e.Run(t, f.setup(), func(w *setpointtest.World) {
			// Everything is slow, so that each change meets the one before it half-way.
			for _, s := range f.all() {
				s.Fault = func(c command.Call) setpointtest.Fault {
					if c.Attempt < 3 {
						return setpointtest.LostRequest
					}
					return setpointtest.NoFault
				}
			}
			for i := range 10 {
				w.Apply(gateway.Gateways.Definition, "shop", spec("shop", 1+i%4, fmt.Sprintf("http://127.0.0.1:%d", 9000+i)))
				w.Advance(150 * time.Millisecond)
			}
			w.Apply(gateway.Gateways.Definition, "shop", spec("shop", 2, "http://127.0.0.1:9999"))
			w.Converge(10 * time.Minute)
			if got := f.hosts.Keys(); !slices.Equal(got, []string{"default/shop.i0", "default/shop.i1"}) {
				t.Errorf("processes %v, want two", got)
			}
			for key, config := range f.proxies.Effects() {
				if !strings.Contains(string(config), "9999") {
					t.Errorf("%s has %s, want the latest routes", key, config)
				}
			}
			if got := len(f.allocator.Ledger()); got != 1 {
				t.Errorf("%d allocations, want 1", got)
			}
		})
	})
}

func TestAChildWhoseInputBlinksIsNotDeleted(t *testing.T) {
	engines.Each(t, func(t *testing.T, e engines.Engine) {
		f := newFakes()
		e.Run(t, f.setup(), func(w *setpointtest.World) {
			w.Apply(gateway.Gateways.Definition, "shop", spec("shop", 1, "http://127.0.0.1:9000"))
			w.Converge(time.Minute)
			uid := func(def string) string {
				for _, d := range gateway.Kinds() {
					if o, ok := w.Object(d, def); ok {
						return string(o.UID)
					}
				}
				return ""
			}
			record, config := uid("shop.dns"), uid("shop.c0")
			// Somebody clears the address and the admin URL in the reports that the record and the configuration are made from.
			for _, name := range []string{"shop.ip", "shop.i0"} {
				for _, d := range gateway.Kinds() {
					if o, ok := w.Object(d, name); ok {
						clear := func(old *resource.Object) (*resource.Object, error) {
							next := old.Clone()
							next.Status = json.RawMessage(`{}`)
							return next, nil
						}
						if _, err := w.Plane.Update(w.T.Context(), "api:vandal", o.Key, clear, false); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			w.Converge(time.Minute)
			if uid("shop.dns") != record || uid("shop.c0") != config {
				t.Errorf("the record or the configuration was deleted and made again")
			}
			if got := len(f.dns.Ledger()); got != 1 {
				t.Errorf("%d changes of the zone, want 1: %+v", got, f.dns.Ledger())
			}
		})
	})
}

func TestADeadProcessIsReplacedAndTheHistorySaysSo(t *testing.T) {
	engines.Each(t, func(t *testing.T, e engines.Engine) {
		f := newFakes()
		e.Run(t, f.setup(), func(w *setpointtest.World) {
			w.Apply(gateway.Gateways.Definition, "shop", spec("shop", 2, "http://127.0.0.1:9000"))
			w.Converge(time.Minute)
			w.Apply(gateway.Gateways.Definition, "shop", spec("shop", 2, "http://127.0.0.1:9001"))
			f.hosts.Lose("default/shop.i0", "signal: killed")
			w.Converge(time.Minute)
			if got := states(t, w, "shop"); !slices.Contains(got, "Degraded") || got[len(got)-1] != "Active" {
				t.Errorf("the history is %v, want Degraded and back to Active", got)
			}
			if got := len(f.hosts.Ledger()); got != 3 {
				t.Errorf("%d starts of processes, want 3", got)
			}
			for key, config := range f.proxies.Effects() {
				if !strings.Contains(string(config), "9001") {
					t.Errorf("%s has %s, want the new routes", key, config)
				}
			}
		})
	})
}

func TestACertificateIsRenewedBeforeItExpires(t *testing.T) {
	engines.Each(t, func(t *testing.T, e engines.Engine) {
		f := newFakes()
		e.Run(t, f.setup(), func(w *setpointtest.World) {
			w.Apply(gateway.Gateways.Definition, "shop", spec("shop", 1, "http://127.0.0.1:9000"))
			w.Converge(time.Minute)
			w.Advance(10 * 24 * time.Hour)
			w.Converge(time.Minute)
			if got := len(f.authority.Ledger()); got < 10 || got > 12 {
				t.Errorf("%d certificates in ten days, want one a day", got)
			}
			w.Restart()
			w.Advance(24 * time.Hour)
			w.Converge(time.Minute)
			if got := len(f.authority.Ledger()); got < 11 || got > 13 {
				t.Errorf("%d certificates in eleven days and a restart, want one a day", got)
			}
			for key, config := range f.proxies.Effects() {
				if !strings.Contains(string(config), fmt.Sprintf("-%d\"", len(f.authority.Ledger())-1)) {
					t.Errorf("%s has %s, want the last certificate of %d", key, config, len(f.authority.Ledger()))
				}
			}
		})
	})
}

// TestFaultsEverywhere: each of the four failures at a fifth of all calls; one effect per token; everything made, changed and removed.
func TestFaultsEverywhere(t *testing.T) {
	engines.Each(t, func(t *testing.T, e engines.Engine) {
		const gateways = 40
		f := newFakes()
		e.Run(t, f.setup(), func(w *setpointtest.World) {
			for _, s := range f.all() {
				random := rand.New(rand.NewPCG(7, 11)) // each has its own, and asks it for one call at a time
				s.Fault = func(command.Call) setpointtest.Fault {
					if random.IntN(5) > 0 {
						return setpointtest.NoFault
					}
					return setpointtest.Fault(1 + random.IntN(4))
				}
			}
			name := func(i int) string { return fmt.Sprintf("g%03d", i) }
			for i := range gateways {
				w.Apply(gateway.Gateways.Definition, name(i), spec(name(i), 2, "http://127.0.0.1:9000"))
			}
			w.Advance(time.Second)
			for i := range gateways {
				w.Apply(gateway.Gateways.Definition, name(i), spec(name(i), 1+i%3, "http://127.0.0.1:9001"))
			}
			w.Converge(time.Hour)
			if got := len(f.dns.Keys()); got != gateways {
				t.Errorf("%d records, want %d", got, gateways)
			}
			for i := range gateways {
				w.Delete(gateway.Gateways.Definition, name(i))
			}
			w.Converge(time.Hour)
			for n, s := range f.all() {
				effects := map[command.Token]int{}
				for _, e := range s.Ledger() {
					if effects[e.Token]++; effects[e.Token] > 1 {
						t.Errorf("%s: token %s had %d effects", n, e.Token, effects[e.Token])
					}
				}
				if left := s.Keys(); len(left) > 0 {
					t.Errorf("%s still has %v", n, left)
				}
			}
			t.Logf("%d commits, %d turns", len(w.Commits()), w.Turns())
		})
	})
}

// TestAtRest: a thousand gateways (under the race detector, 250) at rest for a minute cost no statement and no turn.
func TestAtRest(t *testing.T) {
	engines.Each(t, func(t *testing.T, e engines.Engine) {
		gateways := 1000
		if race {
			gateways = 250
		}
		f := newFakes()
		e.Run(t, f.setup(), func(w *setpointtest.World) {
			for i := range gateways {
				name := fmt.Sprintf("g%04d", i)
				w.Apply(gateway.Gateways.Definition, name, spec(name, 1, "http://127.0.0.1:9000"))
			}
			w.Converge(time.Minute)
			statements, turns := w.Statements(), w.Turns()
			w.Advance(time.Minute)
			if s, n := w.Statements()-statements, w.Turns()-turns; s != 0 || n != 0 {
				t.Errorf("a minute at rest: %d statements and %d turns, want none", s, n)
			}
			t.Logf("%d gateways: %d commits and %d turns to make them, %d statements", gateways, len(w.Commits()), turns, statements)
		})
	})
}

// TestCrashes kills the plane around every commit and call of a gateway's life.
func TestCrashes(t *testing.T) {
	short := 7
	if race {
		short = 21
	}
	engines.Each(t, func(t *testing.T, e engines.Engine) {
		apply := func(s gateway.GatewaySpec) func(*setpointtest.World) {
			return func(w *setpointtest.World) { w.Apply(gateway.Gateways.Definition, "shop", s) }
		}
		runs := e.Crashes(t, setpointtest.Scenario{
			Setup: func() setpointtest.Setup {
				f := newFakes()
				for _, s := range f.all() {
					s.Strict = true
				}
				return f.setup()
			},
			Steps: []func(*setpointtest.World){
				apply(spec("shop", 1, "http://127.0.0.1:9000")),
				apply(spec("shop", 2, "http://127.0.0.1:9001")),
				func(w *setpointtest.World) { w.Converge(time.Hour) },
				func(w *setpointtest.World) { w.Delete(gateway.Gateways.Definition, "shop") },
				func(w *setpointtest.World) { w.Converge(time.Hour) },
				apply(spec("shop", 1, "http://127.0.0.1:9002")),
			},
			Stride: e.Stride(short),
		})
		t.Logf("%d runs", runs)
	})
}
