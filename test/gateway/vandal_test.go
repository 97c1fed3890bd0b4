package gateway

import (
	"os/exec"
	"strings"
	"testing"

	edge "github.com/setpointhq/setpoint/examples/gateway"
	"github.com/setpointhq/setpoint/internal/testkit"
)

// TestVandal: somebody edits the running database with sqlite3. What breaks a rule is refused, with what to do instead; what keeps the rules is taken up, and
// put right.
func TestVandal(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	d.Start()
	d.introduced()
	before := d.get("shop")
	const (
		version = "UPDATE meta SET revision = revision + 1; "
		stamped = ", revision = (SELECT revision FROM meta) WHERE name = 'shop' AND kind LIKE 'Gateway.%';"
	)
	for _, v := range []struct{ reason, statement, says string }{
		{"an illegal state", version + "UPDATE object SET state = 'Deleted'" + stamped, "this transition is not allowed"},
		{"a state that does not exist", version + "UPDATE object SET state = 'Splendid'" + stamped, "this transition is not allowed"},
		{"not the next version", "UPDATE object SET spec = '{}' WHERE name = 'shop';", "every write moves the version"},
		{"a version out of thin air", "UPDATE object SET spec = '{}', revision = revision + 1000 WHERE name = 'shop';", "every write moves the version"},
		{"a row that vanishes", version + "DELETE FROM object WHERE name = 'shop';", "setpoint delete"},
	} {
		output, err := d.vandalise(v.statement)
		if err == nil || !strings.Contains(output, v.says) {
			t.Errorf("%s: sqlite3 ended with %v and said %q, want it to say %q", v.reason, err, output, v.says)
		} else {
			t.Logf("%s: %s", v.reason, strings.TrimSpace(output))
		}
	}
	if after := d.get("shop"); after.Metadata.ResourceVersion != before.Metadata.ResourceVersion {
		t.Errorf("the gateway moved from version %s to %s", before.Metadata.ResourceVersion, after.Metadata.ResourceVersion)
	}
	d.answers(t, before, "")

	_, since := d.states("shop", 0)
	if output, err := d.vandalise(version + "UPDATE object SET state = 'Degraded'" + stamped); err != nil {
		t.Fatalf("an edit that keeps the rules: %v: %s", err, output)
	}
	// Nobody looks at a database that is at rest: the next write of anybody brings the edit to light.
	wish := d.spec("shop", 1, "r1")
	d.mustApply("shop", wish)
	all := d.awaitWishes(map[string]edge.GatewaySpec{"shop": wish})
	if states, _ := d.states("shop", since); len(states) < 2 || states[0] != "Degraded" || states[len(states)-1] != "Active" {
		t.Errorf("after an edit to Degraded the history goes on with %v, want Degraded first and Active last", states)
	}
	if history := d.Command("history", "gateway", "shop"); !strings.Contains(history, " sql ") {
		t.Errorf("the history does not say that the edit was made past the engine:\n%s", history)
	}
	d.agree(all)
	d.answers(t, all["shop"], "r1")
}

// vandalise runs one transaction on the running database.
func (d *demo) vandalise(statement string) (output string, err error) {
	c := exec.Command(testkit.Package(d.t, "sqlite3", "sqlite3"), "-bail", "-cmd", ".timeout 10000", d.Path("setpoint.db"), "BEGIN IMMEDIATE; "+statement+" COMMIT;")
	text, err := c.CombinedOutput()
	return string(text), err
}
