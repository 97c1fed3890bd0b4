package gateway

import (
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// TestDemo: from nothing to a service that answers, seen with the tools that everybody has; and Setpoint comes and goes without its customers noticing.
func TestDemo(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	d.Start()
	d.introduced()
	shop := d.get("shop")
	if got := d.curl(shop, "/hello"); !strings.Contains(got, "hello from the upstream: GET /hello for ") {
		t.Errorf("curl got %q", got)
	}
	if got := d.dig("shop.edge.test"); got != shop.Status.Address {
		t.Errorf("dig got %q, want %s", got, shop.Status.Address)
	}
	d.watchedByKubectl()
	before, starts := d.running(), count(d.ledger("hosts"), subsystem.Create)
	if len(before) != 3 || starts != 3 {
		t.Fatalf("%d processes run after %d starts, want 3 and 3: %v", len(before), starts, before)
	}

	d.Interrupt()
	if got := d.curl(shop, "/alone"); !strings.Contains(got, "GET /alone") {
		t.Errorf("with Setpoint stopped, curl got %q", got)
	}
	d.Start()
	d.introduced()
	if after := d.running(); !maps.Equal(before, after) {
		t.Errorf("after a restart other processes run: %v, were %v", after, before)
	}
	if n := count(d.ledger("hosts"), subsystem.Create); n != starts {
		t.Errorf("after a restart the host has started %d processes, want still %d", n, starts)
	}
	d.answers(t, d.get("second"), "r1")
	d.once()
	for _, name := range []string{"shop", "second"} {
		d.mustDelete(name)
	}
	d.awaitWishes(nil)
	d.nothingLeft(t)
}

func (d *demo) dig(name string) string {
	d.t.Helper()
	host, port, err := net.SplitHostPort(d.Read("dns", "address"))
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.TrimSpace(program.Run(d.t, testkit.Package(d.t, "bind9-dnsutils", "dig"), "@"+host, "-p", port, name, "A", "+short", "+tries=1"))
}

// watchedByKubectl creates a gateway under the eyes of a stock kubectl.
func (d *demo) watchedByKubectl() {
	d.t.Helper()
	watch := testkit.Start(d.t, testkit.Kubectl(d.t), "--kubeconfig", d.Path("kubeconfig"), "get", "gateways", "-w")
	d.Await("kubectl shows the first gateway", func() (string, bool) {
		return watch.Output(), len(rows(watch.Output(), "shop")) > 0
	})
	d.mustApply("second", d.spec("second", 1, "r1"))
	var seen []string
	d.Await("kubectl shows the second gateway becoming Active", func() (string, bool) {
		seen = nil
		for _, row := range rows(watch.Output(), "second") {
			seen = append(seen, row[1])
		}
		return watch.Output(), slices.Contains(seen, "Active")
	})
	if seen[0] != "Provisioning" || len(slices.Compact(seen)) != 2 {
		d.t.Errorf("kubectl showed the second gateway as %v, want Provisioning and then Active", seen)
	}
	d.t.Logf("kubectl get gateways -w:\n%s", watch.Output())
}

// rows are the fields of the lines that begin with a name.
func rows(output, name string) (found [][]string) {
	for line := range strings.Lines(output) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			found = append(found, fields)
		}
	}
	return found
}
