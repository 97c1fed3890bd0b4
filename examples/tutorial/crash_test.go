package main

import (
	"testing"

	"github.com/setpointhq/setpoint/setpointtest"
)

// TestCrashes kills the service before and after every commit and every call, loses every acknowledgement, shows it stale views, and
// compares how each story ends with how it ends undisturbed.
func TestCrashes(t *testing.T) {
	apply := func(title string) func(*setpointtest.World) {
		return func(w *setpointtest.World) { w.Apply(Pages.Definition, "home", PageSpec{Title: title}) }
	}
	runs := setpointtest.Crashes(t, setpointtest.Scenario{
		Setup: func() setpointtest.Setup {
			directory := setpointtest.NewSubsystem()
			directory.Answer = func(string, []byte, int) ([]byte, error) { return []byte(`{"bytes":42}`), nil }
			return setup(directory)
		},
		Steps: []func(*setpointtest.World){
			apply("Hello"),
			apply("Good evening"),
			func(w *setpointtest.World) { w.Delete(Pages.Definition, "home") },
		},
	})
	t.Logf("told %d times, with the same end", runs)
}
