package control

import "time"

// Meter receives what the engine counts. Implementations must be quick and safe for concurrent use. The names in
// the comments are those of the Prometheus metrics that the assembled plane exports.
type Meter interface {
	// Turn: a turn ended, with its outcome (done, after, await, fail) and error class ("" for none).
	Turn(controller, outcome, class string, took time.Duration)
	// Conflict: a turn met a newer version, and was run again.
	Conflict(controller string)
	// Commit: a commit of the engine ended.
	Commit(err error)
	// Call: an attempt of a command ended, with its outcome (done, accepted, refused, failed, unknown).
	Call(adapter, outcome string, took time.Duration)
	// Applied: the view applied a commit made at a time; the difference to now is the event lag.
	Applied(committed time.Time)
}

type noMeter struct{}

func (noMeter) Turn(_, _, _ string, _ time.Duration) {}
func (noMeter) Conflict(string)                      {}
func (noMeter) Commit(error)                         {}
func (noMeter) Call(_, _ string, _ time.Duration)    {}
func (noMeter) Applied(time.Time)                    {}
