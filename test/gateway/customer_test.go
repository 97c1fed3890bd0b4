package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/client"
	edge "github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// gateway is one as the API shows it.
type gateway struct {
	*client.Object
	client.EngineStatus
	Spec   edge.GatewaySpec
	Status edge.GatewayStatus
}

func decode(o *client.Object) (g gateway, err error) {
	g.Object = o
	if g.EngineStatus, err = o.Engine(); err != nil {
		return g, err
	}
	return g, errors.Join(o.DecodeSpec(&g.Spec), o.DecodeStatus(&g.Status))
}

// serves reports whether a gateway has reached its latest wish.
func (g gateway) serves() bool {
	return !g.Deleting() && g.State == edge.Active && g.ObservedGeneration == g.Metadata.Generation && g.Status.Serving == g.Spec.Replicas
}

func ref(name string) client.Ref { return client.Ref{Namespace: "default", Name: resource.Name(name)} }

// apply asks for a gateway, as often as it takes. It does not wait for it.
func (d *demo) apply(ctx context.Context, name string, spec edge.GatewaySpec) error {
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	o := &client.Object{Metadata: client.Metadata{Namespace: "default", Name: resource.Name(name)}, Spec: text}
	_, _, err = d.Client.Apply(ctx, d.gateways, o, client.WriteOptions{Strict: true})
	return err
}

// delete asks for the deletion of a gateway, as often as it takes.
func (d *demo) delete(ctx context.Context, name string) error {
	for {
		switch _, err := d.Client.Delete(ctx, d.gateways, ref(name), client.DeleteOptions{}); {
		case errors.Is(err, client.ErrNotFound):
			return nil
		case !errors.Is(err, client.ErrUnknown):
			return err
		}
	}
}

func (d *demo) mustApply(name string, spec edge.GatewaySpec) {
	d.t.Helper()
	if err := d.apply(d.t.Context(), name, spec); err != nil {
		d.t.Fatal(err)
	}
}

func (d *demo) mustDelete(name string) {
	d.t.Helper()
	if err := d.delete(d.t.Context(), name); err != nil {
		d.t.Fatal(err)
	}
}

// list is every gateway, by name.
func (d *demo) list() map[string]gateway {
	d.t.Helper()
	all := map[string]gateway{}
	for o, err := range d.Client.All(d.t.Context(), d.gateways, client.ListOptions{}) {
		if err != nil {
			d.t.Fatal(err)
		}
		g, err := decode(o)
		if err != nil {
			d.t.Fatal(err)
		}
		all[string(o.Metadata.Name)] = g
	}
	return all
}

// awaitWishes waits until there are exactly the wished gateways and each serves its wish.
func (d *demo) awaitWishes(wishes map[string]edge.GatewaySpec) map[string]gateway {
	d.t.Helper()
	var all map[string]gateway
	d.Await(fmt.Sprintf("exactly these %d gateways serve", len(wishes)), func() (string, bool) {
		all = d.list()
		var left []string
		for name, g := range all {
			wish, wanted := wishes[name]
			if !wanted || !g.serves() || !sameSpec(g.Spec, wish) {
				left = append(left, fmt.Sprintf("%s %s (%d of %d serve, wanted: %v)", name, g.State, g.Status.Serving, g.Spec.Replicas, wanted))
			}
		}
		return fmt.Sprintf("%d exist, %d not as wished: %.2000s", len(all), len(left), strings.Join(left, ", ")), len(left) == 0 && len(all) == len(wishes)
	})
	return all
}

func sameSpec(a, b edge.GatewaySpec) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// get reads a gateway that must exist.
func (d *demo) get(name string) gateway {
	d.t.Helper()
	o, err := d.Client.Get(d.t.Context(), d.gateways, ref(name))
	if err != nil {
		d.t.Fatal(err)
	}
	g, err := decode(o)
	if err != nil {
		d.t.Fatal(err)
	}
	return g
}

// states are the states that a gateway went through after a revision, in order.
func (d *demo) states(name string, after resource.Revision) (states []string, last resource.Revision) {
	d.t.Helper()
	entries, err := d.Client.History(d.t.Context(), d.gateways, ref(name), client.HistoryOptions{})
	if err != nil {
		d.t.Fatal(err)
	}
	last = after
	for _, e := range entries {
		if e.Revision > after && e.To != "" {
			states = append(states, string(e.To))
		}
		last = max(last, e.Revision)
	}
	return states, last
}

// curl asks a gateway for a path through its TLS listener, as any client would, on a connection of its own.
func (d *demo) curl(g gateway, path string) string {
	d.t.Helper()
	return program.Run(d.t, testkit.Package(d.t, "curl", "curl"), curlArguments(d, g, path)...)
}

func curlArguments(d *demo, g gateway, path string) []string {
	return []string{
		"--silent", "--show-error", "--fail", "--noproxy", "*", "--cacert", d.Path("authority", "ca.crt"),
		"--resolve", fmt.Sprintf("%s:%d:%s", g.Spec.Hostname, edge.Port, g.Status.Address), g.Status.URL + path,
	}
}

// wrong are the answers of a gateway that do not come by a version of its routes. The kernel spreads connections over the replicas, so one answer is not enough.
func (d *demo) wrong(g gateway, version string) (found []string) {
	d.t.Helper()
	want := fmt.Sprintf("hello from the upstream: GET %s for ", path.Join("/", version, "x"))
	for range 4 * g.Spec.Replicas {
		if got := d.curl(g, "/x"); !strings.HasPrefix(got, want) {
			found = append(found, fmt.Sprintf("gateway %s answers %q, want %q", g.Metadata.Name, got, want))
		}
	}
	return found
}

// answers checks that every replica of a gateway serves a version of its routes.
func (d *demo) answers(t *testing.T, g gateway, version string) {
	t.Helper()
	for _, problem := range d.wrong(g, version) {
		t.Error(problem)
	}
}
