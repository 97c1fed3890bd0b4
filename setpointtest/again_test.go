package setpointtest_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/setpointhq/setpoint/setpointtest"
)

// courses fuzzes pumps, and tells what each case was like: what became of its object, when, and every call on the way.
func courses(t *testing.T, seed uint64) (all []string) {
	t.Helper()
	f := pumps()
	f.Cases, f.Seed = 300, seed
	f.Check = func(c setpointtest.Case, e setpointtest.End) error {
		object, err := json.Marshal(e.Object)
		if err != nil {
			return err
		}
		line := fmt.Sprintln(c, e.Gone, e.Path, e.Took, e.Raised, e.Standing) + string(object)
		for _, m := range e.Calls {
			line += fmt.Sprintln(m.Boundary, m.Adapter, m.Key, string(m.Request), m.Outcome, m.Changed, m.Action, m.Undo)
		}
		all = append(all, line)
		return nil
	}
	setpointtest.Fuzz(t, f).Require(t)
	return all
}

func TestACaseTakesTheSameCourseEachTime(t *testing.T) {
	first := courses(t, 1)
	procs := runtime.GOMAXPROCS(1) // goroutines take turns in another order
	again := courses(t, 1)
	runtime.GOMAXPROCS(procs)
	if len(first) < 300 || len(first) != len(again) {
		t.Fatalf("%d cases were told first and %d again; want 300 or more", len(first), len(again))
	}
	for i := range first {
		if first[i] != again[i] {
			t.Errorf("a case took two courses, with the same seed:\n%s\n%s", first[i], again[i])
		}
	}
	if other := courses(t, 2); slices.Equal(first, other) {
		t.Error("another seed makes no difference: nothing can be found by one")
	}
}
