package moves_test

import (
	"testing"

	"github.com/setpointhq/setpoint/store/internal/moves"
)

func TestBell(t *testing.T) {
	var b moves.Bell
	b.Ring() // nobody listens, and nobody waits
	first, second := b.Listen(), b.Listen()
	b.Ring()
	b.Ring()
	for name, l := range map[string]<-chan struct{}{"first": first, "second": second} {
		if len(l) != 1 {
			t.Errorf("the %s listener has %d messages after two rings, want 1: it is told that there is news, not how often", name, len(l))
		}
		<-l
	}
	b.Ring()
	if len(first) != 1 || len(second) != 1 {
		t.Errorf("after it was heard, a ring is kept again: %d and %d, want 1 and 1", len(first), len(second))
	}
}
