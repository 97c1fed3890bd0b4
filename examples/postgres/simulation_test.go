package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/endpoint"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

// simulation is a host without processes: it knows which server is what, and whether two could ever have been written to.
type simulation struct {
	mu      sync.Mutex
	servers map[string]*simulated
	backend string
	// twice lists the moments at which two servers of a line took writes.
	twice []string
	verbs []string
	// found: servers that nobody has asked for are there all the same, since the story begins in the middle.
	found bool
}

type simulated struct {
	role     host.ServerRole
	fenced   bool
	alone    bool // it has been told not to follow: what is written there is nobody's
	upstream string
	lsn      uint64
}

func simulate() (*simulation, setpointtest.Setup) {
	s := &simulation{servers: map[string]*simulated{}}
	hosts, proxies := setpointtest.NewSubsystem(), setpointtest.NewSubsystem()
	hosts.Answer = func(key string, request []byte, n int) ([]byte, error) { return s.host(key, request, n) }
	proxies.Answer = func(key string, request []byte, _ int) ([]byte, error) {
		var q endpoint.Request
		if err := json.Unmarshal(request, &q); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.backend = q.Backend
		return json.Marshal(endpoint.Result{Address: "127.0.0.1:6000", Backend: q.Backend})
	}
	return s, setpointtest.Setup{
		Kinds: Kinds(), Controllers: Controllers(Secrets{Key: []byte("secret")}),
		Adapters: map[command.AdapterName]command.Adapter{"hosts": hosts, "endpoints": proxies},
	}
}

// host answers a request as the host agent does.
func (s *simulation) host(key string, request []byte, n int) ([]byte, error) {
	var o host.Operation
	if err := json.Unmarshal(request, &o); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := o.Server
	if o.Do == "" {
		name = key
		if err := s.make(name, request); err != nil {
			return nil, err
		}
	}
	v := s.servers[name]
	if v == nil && s.found {
		v = &simulated{role: host.Standby}
		s.servers[name] = v
	}
	if v == nil {
		return nil, fmt.Errorf("there is no server %s", name)
	}
	if o.Do != "" {
		s.verbs = append(s.verbs, string(o.Do)+" "+name)
		if err := s.operate(v, o); err != nil {
			return nil, err
		}
	}
	s.look()
	v.lsn += uint64(n)
	return json.Marshal(host.Result{Server: name, Address: address(name), Role: v.role, Timeline: 1, LSN: fmt.Sprintf("0/%X", v.lsn), Fenced: v.fenced})
}

func (s *simulation) make(name string, request []byte) error {
	var q host.ServerRequest
	if err := json.Unmarshal(request, &q); err != nil {
		return err
	}
	if s.servers[name] == nil {
		s.servers[name] = &simulated{role: q.Role, upstream: q.Upstream, alone: q.Restore != nil}
	}
	return nil
}

func (s *simulation) operate(v *simulated, o host.Operation) error {
	switch o.Do {
	case host.Fence:
		v.fenced = true
	case host.Unfence:
		v.fenced = false
	case host.Promote:
		v.role, v.upstream = host.Primary, ""
	case host.Unfollow:
		v.role, v.upstream, v.alone = host.Primary, "", true
	case host.Follow:
		v.role, v.upstream, v.fenced, v.alone = host.Standby, o.Upstream, false, false
	case host.Restart:
		if v.fenced {
			return errors.New("it is fenced")
		}
	}
	return nil
}

// look notes when two servers that are not set apart take writes.
func (s *simulation) look() {
	var writers []string
	for name, v := range s.servers {
		if v.role == host.Primary && !v.fenced && !v.alone {
			writers = append(writers, name)
		}
	}
	if len(writers) > 1 {
		s.twice = append(s.twice, strings.Join(writers, " and ")+" after "+strings.Join(s.verbs, ", "))
	}
}

// address is another one for each name.
func address(name string) string {
	h := fnv.New32a()
	if _, err := h.Write([]byte(name)); err != nil {
		panic(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", 20000+h.Sum32()%10000)
}

func state(w *setpointtest.World) *Database {
	w.T.Helper()
	o, ok := w.Object(Databases.Definition, "orders")
	if !ok {
		w.T.Fatal("there is no database")
	}
	d, err := resource.Decode[DatabaseSpec, DatabaseStatus](o)
	if err != nil {
		w.T.Fatal(err)
	}
	return d
}

func raise(w *setpointtest.World, kind *setpoint.Definition, name string, s setpoint.SignalRequest) {
	w.T.Helper()
	if _, _, err := w.Plane.Signal(w.T.Context(), "api:test", kind.Key("default", resource.Name(name)), s); err != nil {
		w.T.Fatal(err)
	}
	w.Settle()
}

// provisioned is a world with a database and two replicas.
func provisioned(t *testing.T, f func(*setpointtest.World, *simulation)) {
	s, setup := simulate()
	setpointtest.Run(t, setup, func(w *setpointtest.World) {
		w.Apply(Databases.Definition, "orders", DatabaseSpec{Replicas: 2})
		w.Converge(time.Hour)
		if d := state(w); d.State != Available || !d.Ready() || d.Status.Following != 2 {
			t.Fatalf("the database is %s: %+v\n%s", d.State, d.Status, waiting(w))
		}
		f(w, s)
		for _, twice := range s.twice {
			t.Errorf("two could be written to: %s", twice)
		}
	})
}

// waiting describes what every object waits for.
func waiting(w *setpointtest.World) string {
	var b strings.Builder
	for _, def := range Kinds() {
		for o := range w.Plane.View().List(def.ID(), "") {
			fmt.Fprintf(&b, "%s %s ready %t action %+v spec %s status %s\n", o.Key, o.State, o.Ready(), o.Action, o.Spec, o.Status)
			for _, x := range o.Waits {
				fmt.Fprintf(&b, "  %s: %s %v\n", x.Code, x.Message, x.On)
			}
		}
	}
	return b.String()
}

func TestPromotion(t *testing.T) {
	provisioned(t, func(w *setpointtest.World, s *simulation) {
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsPromote, Why: "to see it"})
		w.Converge(time.Hour)
		d := state(w)
		if d.State != Available || d.Status.Primary == "s1-0" || d.Status.Following != 2 || !d.Ready() {
			t.Errorf("after a promotion it is %s: %+v\n%s", d.State, d.Status, waiting(w))
		}
		if s.backend == "" || s.backend == address("default/orders.s1-0") {
			t.Errorf("the address leads to %q", s.backend)
		}
	})
}

func TestLeavingAndFollowing(t *testing.T) {
	provisioned(t, func(w *setpointtest.World, s *simulation) {
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsUnfollow, Payload: []byte(`{"server":"orders.s1-2"}`)})
		w.Converge(time.Hour)
		if d := state(w); d.State != Available || len(d.Status.Detached) != 1 || d.Status.Following != 1 {
			t.Errorf("after leaving it is %s: %+v\n%s", d.State, d.Status, waiting(w))
		}
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsFollow})
		w.Converge(time.Hour)
		if d := state(w); d.State != Available || len(d.Status.Detached) != 0 || d.Status.Following != 2 {
			t.Errorf("after following again it is %s: %+v\n%s", d.State, d.Status, waiting(w))
		}
		if v := s.servers["default/orders.s1-2"]; v.alone || v.role != host.Standby || v.upstream != address("default/orders.s1-0") {
			t.Errorf("the server that left and came back is %+v", v)
		}
	})
}

func TestRestarts(t *testing.T) {
	provisioned(t, func(w *setpointtest.World, s *simulation) {
		s.verbs = nil
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsRestart})
		w.Converge(time.Hour)
		if got := strings.Join(s.verbs, ", "); !strings.HasSuffix(got, "restart default/orders.s1-0") || strings.Count(got, "restart") != 3 {
			t.Errorf("it did %s; want the replicas restarted, and the primary last", got)
		}
	})
}

func TestRestoration(t *testing.T) {
	provisioned(t, func(w *setpointtest.World, s *simulation) {
		w.Apply(Backups.Definition, "monday", BackupSpec{Database: "orders"})
		w.Converge(time.Hour)
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsRestore, Payload: []byte(`{"backup":"monday"}`)})
		w.Converge(time.Hour)
		if d := state(w); d.State != Available || d.Status.Primary != "s2-0" || d.Status.Following != 2 || !d.Ready() {
			t.Errorf("after a restoration it is %s: %+v\n%s", d.State, d.Status, waiting(w))
		}
	})
}

func TestDeletion(t *testing.T) {
	provisioned(t, func(w *setpointtest.World, s *simulation) {
		w.Delete(Databases.Definition, "orders")
		w.Converge(time.Hour)
		for _, def := range Kinds() {
			for o := range w.Plane.View().List(def.ID(), "") {
				t.Errorf("%s is left: %s", o.Key, waiting(w))
			}
		}
	})
}
