package postgres

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/examples/postgres/subsystems/host"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/setpointtest"
)

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
func provisioned(t *testing.T, f func(*setpointtest.World, *cluster)) {
	s, setup := simulate()
	setpointtest.Run(t, setup, func(w *setpointtest.World) {
		w.Apply(Databases.Definition, "orders", DatabaseSpec{Replicas: 2})
		w.Converge(time.Hour)
		if d := state(w); d.State != Available || !d.Ready() || d.Status.Following != 2 {
			t.Fatalf("the database is %s: %+v\n%s", d.State, d.Status, waiting(w))
		}
		var c *cluster
		s.at("default/orders", func(its *cluster) { c = its })
		f(w, c)
		for _, wrong := range c.wrongs {
			t.Error(wrong)
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
	provisioned(t, func(w *setpointtest.World, c *cluster) {
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsPromote, Why: "to see it"})
		w.Converge(time.Hour)
		d := state(w)
		if d.State != Available || d.Status.Primary == "s1-0" || d.Status.Following != 2 || !d.Ready() {
			t.Errorf("after a promotion it is %s: %+v\n%s", d.State, d.Status, waiting(w))
		}
		if c.backend == "" || c.backend == address("default/orders.s1-0") {
			t.Errorf("the address leads to %q", c.backend)
		}
	})
}

func TestLeavingAndFollowing(t *testing.T) {
	provisioned(t, func(w *setpointtest.World, c *cluster) {
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
		if v := c.servers["default/orders.s1-2"]; v.left || v.role != host.Standby || v.upstream != address("default/orders.s1-0") {
			t.Errorf("the server that left and came back is %+v", v)
		}
	})
}

func TestRestarts(t *testing.T) {
	provisioned(t, func(w *setpointtest.World, c *cluster) {
		c.deeds = nil
		raise(w, Databases.Definition, "orders", setpoint.SignalRequest{Name: NeedsRestart})
		w.Converge(time.Hour)
		if got := strings.Join(c.deeds, ", "); !strings.HasSuffix(got, "restart s1-0") || strings.Count(got, "restart") != 3 {
			t.Errorf("it did %s; want the replicas restarted, and the primary last", got)
		}
	})
}

func TestRestoration(t *testing.T) {
	provisioned(t, func(w *setpointtest.World, c *cluster) {
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
	provisioned(t, func(w *setpointtest.World, c *cluster) {
		w.Delete(Databases.Definition, "orders")
		w.Converge(time.Hour)
		for _, def := range Kinds() {
			for o := range w.Plane.View().List(def.ID(), "") {
				t.Errorf("%s is left: %s", o.Key, waiting(w))
			}
		}
	})
}
