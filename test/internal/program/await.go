package program

import (
	"testing"
	"time"
)

// stall is how long [Await] waits without any progress. It bounds a test that would otherwise hang.
const stall = 60 * time.Second

// Await polls until look reports done. When what look sees has not changed for a long time, it fails the test, with what diagnose tells of whatever is not at rest.
func Await(t *testing.T, what string, look func() (seen string, done bool), diagnose func() string) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	limit := time.NewTimer(stall)
	defer limit.Stop()
	for last := ""; ; {
		seen, done := look()
		if done {
			return
		}
		if seen != last {
			last = seen
			limit.Reset(stall)
		}
		select {
		case <-ticker.C:
		case <-limit.C:
			t.Fatalf("no progress for %v towards: %s\nnow: %s\n%s", stall, what, seen, diagnose())
		case <-t.Context().Done():
			t.Fatalf("the test was ended before: %s", what)
		}
	}
}
