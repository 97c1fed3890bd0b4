// Package telemetry measures a plane for Prometheus. The metrics are data: [Definitions] is the one list from which they are registered,
// served and documented (docs/reference/metrics.md), and a test holds what is served against it.
//
//	m := telemetry.New()
//	plane, err := setpoint.New(ctx, setpoint.Config{Meter: m, …})
//	m.Watch(plane)
//	mux.Handle("/metrics", m.Handler())
//
// What happens (turns, commits, calls) is counted as it happens, through [control.Meter]. What is (queues, the view) is read when it is asked
// for, so that it costs nothing in between.
package telemetry
