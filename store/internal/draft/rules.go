package draft

import (
	"maps"
	"slices"

	"github.com/setpointhq/setpoint/lifecycle"
)

// Allowed is a kind's transition table, as engines store it: where each state may go. A kind without a lifecycle has the empty state only.
type Allowed map[lifecycle.State][]lifecycle.State

// AllowedBy reads the table of a kind.
func AllowedBy(t lifecycle.Table) Allowed {
	a := Allowed{}
	for _, r := range t {
		a[r.State] = append([]lifecycle.State{}, r.To...)
	}
	if len(t) == 0 {
		a[""] = nil
	}
	return a
}

// States are those that the table knows, sorted.
func (a Allowed) States() []lifecycle.State { return slices.Sorted(maps.Keys(a)) }
