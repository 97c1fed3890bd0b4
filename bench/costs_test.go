package bench

import (
	"testing"

	"github.com/setpointhq/setpoint/store/sqlite"
)

// TestCosts holds the counts that docs/reference/performance.md states to what they may be at most, on a small scale. Times are not judged.
func TestCosts(t *testing.T) {
	for _, c := range []struct {
		reason string
		costs  map[string]float64
		most   map[string]float64
	}{
		{
			reason: "each part is written when it is declared, when its command is staged, and with the result; the parent looks at what has happened since, often at several parts at once",
			costs:  convergeParents(t, &counted{engine: open(t, sqlite.Options{})}, 16, 48),
			most:   map[string]float64{"commits/parent": 14, "objects-written/parent": 16, "commands-written/parent": 6},
		},
		{
			reason: "five parts with a command each",
			costs:  convergeGatewaysOnSQLite(t, 48),
			most:   map[string]float64{"commits/gateway": 22, "objects-written/gateway": 28, "commands-written/gateway": 10},
		},
		{
			reason: "the signal, the beginning, and one for each of five steps, the last of which is also the end; a step's row is written and removed",
			costs:  workOnSQLite(t, 16, 48),
			most:   map[string]float64{"commits/action": 7.5, "command-rows/action": 10.5, "turns/action": 9},
		},
	} {
		for unit, most := range c.most {
			if got := c.costs[unit]; got > most || got == 0 {
				t.Errorf("%s is %.2f, want at most %.2f: %s", unit, got, most, c.reason)
			}
		}
	}
}
