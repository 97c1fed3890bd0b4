package setpointtest_test

import (
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/setpointtest"
)

func TestACaseIsReadAsItIsWritten(t *testing.T) {
	for _, line := range []string{
		"in ", "in Running", "in Running; variant 2", "in Running; with NeedsMove, Leaks",
		"in New; call yard default/it.Build.rotor #1 half-way; call yard a key with words #12 away; after 0 crash; after 3 raise Cancel; after 4 delete; after 4 crash-before-next",
	} {
		c, err := setpointtest.ParseCase(line)
		if err != nil || c.String() != line {
			t.Errorf("%q is read as %q, %v", line, c, err)
		}
	}
	for line, says := range map[string]string{
		"":                            "want in",
		"Running":                     "want in",
		"in Running; variant x":       "invalid syntax",
		"in Running; call yard k #1":  "want in",
		"in New; call yard k #1 well": "no result",
		"in New; after 1 dance":       "no order",
		"in New; after 1 raise":       "want in",
		"in New; after x delete":      "invalid syntax",
	} {
		if _, err := setpointtest.ParseCase(line); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want an error that says %q", line, err, says)
		}
	}
}

// TestAFindingIsRepeated: a case that was found shows the same when it is told alone, from its text.
func TestAFindingIsRepeated(t *testing.T) {
	f := pumps()
	move := f.Decider.Actions["Move"]
	move.Finish = nil
	f.Decider.Actions["Move"] = move
	f.Check, f.Cases = counted, 80
	found := setpointtest.Fuzz(t, f).Findings
	if len(found) == 0 {
		t.Fatal("nothing was found")
	}
	again, err := setpointtest.ParseCase(found[0].Case.String())
	if err != nil {
		t.Fatal(err)
	}
	f.Only = []setpointtest.Case{again}
	r := setpointtest.Fuzz(t, f)
	if r.Cases != 1 || len(r.Findings) != 1 || r.Findings[0].Message != found[0].Message || !strings.Contains(r.String(), again.String()) {
		t.Errorf("told alone it shows %v, and before %v", r, found[0])
	}
}

// TestTheSameSeedTellsTheSame: two runs are alike to the last effect.
func TestTheSameSeedTellsTheSame(t *testing.T) {
	var runs [2]map[string]string
	for i := range runs {
		runs[i] = map[string]string{}
		f := pumps()
		f.Cases = 240
		f.Check = func(c setpointtest.Case, e setpointtest.End) error {
			if !strings.Contains(c.String(), "crash") { // what a crash cuts off is left to chance
				runs[i][c.String()] = ended(e)
			}
			return nil
		}
		setpointtest.Fuzz(t, f)
	}
	if len(runs[0]) < 100 || len(runs[0]) != len(runs[1]) {
		t.Errorf("%d and %d cases", len(runs[0]), len(runs[1]))
	}
	for c, first := range runs[0] {
		if runs[1][c] != first {
			t.Errorf("the case %q ended as\n%s\nand as\n%s", c, first, runs[1][c])
		}
	}
}

func ended(e setpointtest.End) string {
	var b strings.Builder
	for _, m := range e.Path {
		b.WriteString(string(m.From) + " to " + string(m.To) + " " + m.Reason + "\n")
	}
	for _, m := range e.Changes() { // how often what is away is asked in an hour is left to chance, too
		b.WriteString(m.Key + " " + string(m.Request) + " " + string(m.Result) + " " + string(m.Outcome) + "\n")
	}
	return b.String()
}
