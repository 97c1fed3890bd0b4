package gateway

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/client"
	edge "github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// demo is one `setpoint dev --demo gateway` with what it has started.
type demo struct {
	*program.Demo
	t *testing.T
	// postgres is the database, when it is not a file.
	postgres *pg.Server
	gateways client.Kind
	// upstream is what the gateways route to.
	upstream string
}

// newDemo makes a place for a demo, and starts nothing. The environment is "KEY=value".
func newDemo(t *testing.T, environment ...string) *demo {
	t.Helper()
	d := &demo{Demo: program.NewDemo(t, "gateway", environment...), t: t}
	d.Diagnose = d.diagnosis
	return d
}

// introduced waits for the first gateway to be Active, as the program itself says.
func (d *demo) introduced() {
	d.t.Helper()
	d.AwaitOutput("Gateway shop is Active")
	d.upstream = "http://" + d.Read("upstream", "address")
	var err error
	if d.gateways, err = d.Client.Resolve(d.t.Context(), "gateways"); err != nil {
		d.t.Fatal(err)
	}
}

// diagnosis is what the server and its database know of the objects that are not ready.
func (d *demo) diagnosis() string {
	if d.Store != "" {
		return "(the database has gone on)"
	}
	rows := d.sql("SELECT kind, name FROM object WHERE attributes NOT LIKE '%\"type\":\"Ready\",\"status\":\"True\"%' OR deleted <> 0 OR state IN ('Provisioning', 'Degraded', 'Deleting')")
	var b strings.Builder
	for line := range strings.Lines(rows) {
		kind, name, _ := strings.Cut(strings.TrimSpace(line), "|")
		plural := strings.ToLower(strings.SplitN(kind, ".", 2)[0])
		output, err := exec.Command(program.Path(), "--server", d.Read("server"), "why", plural, name).CombinedOutput()
		fmt.Fprintf(&b, "why %s %s (%v):\n%s\n", plural, name, err, output)
		fmt.Fprintln(&b, d.sql("SELECT generation, revision, deleted, state, attributes, spec, status FROM object WHERE name = '"+name+"' AND kind = '"+kind+"'"))
		fmt.Fprintln(&b, d.sql("SELECT adapter, key, phase, intent, token, revision FROM command WHERE name = '"+name+"' AND kind = '"+kind+"'"))
	}
	return b.String()
}

// spec is a wish whose upstream's answers say which version of the routes they came by.
func (d *demo) spec(name string, replicas int, version string) edge.GatewaySpec {
	return edge.GatewaySpec{
		Hostname: name + ".edge.test", Replicas: replicas,
		Routes: []edge.Route{{Path: "/", Upstream: d.upstream + "/" + version}},
	}
}
