package testkit

import (
	"testing"
	"time"
)

// Patience is how long [Wait] waits. It only bounds a test that would otherwise hang; nothing is asserted about it.
const Patience = 30 * time.Second

// Wait polls until done reports true, and fails the test, naming what, when it does not within [Patience].
func Wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	if done() {
		return
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	for {
		select {
		case <-ticker.C:
			if done() {
				return
			}
		case <-limit.C:
			t.Fatalf("still not so after %v: %s", Patience, what)
		}
	}
}
