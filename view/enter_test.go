package view

import (
	"testing"

	"github.com/setpointhq/setpoint/resource"
)

func TestWaiterThatComesWhileItsRevisionIsPublished(t *testing.T) {
	tests := []struct {
		name   string
		reason string
		now    resource.Revision // when the waiter has the lock
		waits  bool
	}{
		{"just published", "whoever published it has served the waiters already, and will not come again", 5, false},
		{"published and overtaken", "later is good enough", 6, false},
		{"not yet", "whoever publishes it will find the waiter", 4, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var q waiting
			w, err := q.enter(5, func() resource.Revision { return test.now })
			if err != nil || (w != nil) != test.waits || q.count() != len(q.heap) || (q.count() == 1) != test.waits {
				t.Errorf("%s: waiter %v, error %v, %d in the queue", test.reason, w, err, q.count())
			}
		})
	}
}
