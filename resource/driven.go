package resource

import "github.com/setpointhq/setpoint/lifecycle"

// StateRefused is the answer to a writer that is not the kind's driver and would move an object to another state.
func StateRefused(key Key, from, to lifecycle.State) *Invalid {
	c := causes{}
	c.add("status.state", Forbidden, "only the driver of the kind moves an object, and it stays %s, not %s: raise a signal", from, to)
	return &Invalid{Key: key, Causes: c}
}
