package gateway

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// TestDemoOnPostgres: the demo on an empty PostgreSQL database, which it prepares by itself: a gateway is made, changed at an SQL prompt, found again after a
// restart, and deleted without a trace.
func TestDemoOnPostgres(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	d.postgres = pg.Start(t)
	d.Store = d.postgres.Database(t)
	d.Start()
	d.introduced()
	d.mustApply("second", d.spec("second", 1, "r1"))
	d.atState("second", "Active")

	d.proposes("second", 0, `{"spec": {"replicas": 2}}`, true, "admitted at revision ")
	d.Await("the change is made", func() (string, bool) {
		n := d.query("SELECT status FROM setpoint.object WHERE name = 'second' AND kind LIKE 'Gateway.%'")[0][0]
		return n, len(d.running()) == 4
	})
	d.atState("second", "Active")
	d.proposes("second", 0, `{"spec": {"replicas": -1}}`, false, "spec.replicas")
	d.proposes("second", 0, `{"spec": {"replicsa": 3}}`, false, "replicsa")
	d.proposes("second", 1, `{"spec": {"replicas": 3}}`, false, "was expected at revision 1 and is at ")

	before, starts := d.running(), count(d.ledger("hosts"), subsystem.Create)
	d.Interrupt()
	d.Start()
	d.introduced()
	if after := d.running(); !maps.Equal(before, after) || count(d.ledger("hosts"), subsystem.Create) != starts {
		t.Errorf("after a restart other instances run: %v, were %v", after, before)
	}
	d.once()
	for _, name := range []string{"shop", "second"} {
		d.mustDelete(name)
	}
	d.awaitWishes(nil)
	d.nothingLeft(t)
	if status := program.Run(t, program.Path(), "migrate", "status", "--store", d.Store); !strings.Contains(status, "guard") {
		t.Errorf("migrate status says\n%s", status)
	}
}

// atState waits until a gateway is in a state, by the command line.
func (d *demo) atState(name, state string) {
	d.t.Helper()
	d.Command("wait", "gateway/"+name, "--for=state="+state, "--timeout=60s")
}

// proposes asks for a change of a gateway at an SQL prompt, at a revision, 0 for the present one, and holds the verdict against what it must be. The present one may be old by the
// time the server reads it, as long as the gateway's controllers work; then it is proposed anew.
func (d *demo) proposes(name string, at int, patch string, admitted bool, says string) {
	d.t.Helper()
	for {
		row := d.query("SELECT kind || '/' || namespace || '/' || name, revision FROM setpoint.object WHERE kind LIKE 'Gateway.%' AND name = '" + name + "'")[0]
		revision := row[1]
		if at != 0 {
			revision = strconv.Itoa(at)
		}
		number := d.query(fmt.Sprintf("SELECT setpoint.propose('%s', %s, '%s')", row[0], revision, patch))[0][0]
		var verdict []string
		d.Await("proposal "+number+" is judged", func() (string, bool) {
			verdict = d.query("SELECT admitted, verdict FROM setpoint.proposal WHERE id = " + number)[0]
			return verdict[1], verdict[0] != pg.Null
		})
		if at == 0 && strings.HasPrefix(verdict[1], "conflict: ") {
			continue
		}
		if (verdict[0] == "t") != admitted || !strings.Contains(verdict[1], says) {
			d.t.Errorf("proposal %s at revision %s: %v; want admitted %t and %q", patch, revision, verdict, admitted, says)
		}
		return
	}
}
