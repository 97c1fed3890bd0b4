package cluster_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/store"
)

// TestALeaseHasToLast: one that would be renewed all the time is refused.
func TestALeaseHasToLast(t *testing.T) {
	for _, ttl := range []time.Duration{time.Nanosecond, -time.Second} {
		_, err := cluster.NewSolo(cluster.SoloOptions{Store: struct{ store.Store }{}, Holder: "h", TTL: ttl})
		if got := fmt.Sprint(err); !strings.Contains(got, "time to live") || !strings.Contains(got, "the least is 100ms") {
			t.Errorf("%s: %s", ttl, got)
		}
	}
}
