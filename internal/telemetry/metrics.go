// Package telemetry defines the metrics of a plane, as data: one list that is registered, served and documented.
package telemetry

import (
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/store"
)

// Metrics are one plane's metrics, on a registry of their own. They implement [control.Meter].
type Metrics struct {
	registry  *prometheus.Registry
	turns     *prometheus.CounterVec
	turnTime  *prometheus.HistogramVec
	conflicts *prometheus.CounterVec
	commits   *prometheus.CounterVec
	calls     *prometheus.CounterVec
	callTime  *prometheus.HistogramVec
	lag       prometheus.Histogram
	groups    prometheus.Histogram
	groupTime prometheus.Histogram
}

var (
	quick = prometheus.ExponentialBuckets(0.00001, 4, 10) // 10 µs to 2.6 s
	slow  = prometheus.ExponentialBuckets(0.001, 4, 9)    // 1 ms to 65 s
)

// New makes the metrics and registers them.
func New() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		registry:  prometheus.NewRegistry(),
		turns:     counter("setpoint_turns_total", "Turns that ended, by outcome (done, after, await, fail) and error class.", "controller", "outcome", "class"),
		turnTime:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "setpoint_turn_seconds", Help: "Time from the beginning of a turn to its commit.", Buckets: quick}, []string{"controller"}),
		conflicts: counter("setpoint_turn_conflicts_total", "Turns that met a newer version and were run again.", "controller"),
		commits:   counter("setpoint_commits_total", "Commits of the engine, by result (ok, conflict, rule, fenced, too_large, unavailable, unknown, other).", "result"),
		calls:     counter("setpoint_calls_total", "Attempts of commands, by outcome (done, accepted, refused, failed, unknown).", "adapter", "outcome"),
		callTime:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "setpoint_call_seconds", Help: "Time of one attempt of a command.", Buckets: slow}, []string{"adapter"}),
		lag:       prometheus.NewHistogram(prometheus.HistogramOpts{Name: "setpoint_event_lag_seconds", Help: "Time from a commit to its being visible in the view.", Buckets: quick}),
		groups:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "setpoint_commit_group_size", Help: "Transactions that shared one database transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 10)}),
		groupTime: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "setpoint_commit_group_seconds", Help: "Time of one database transaction.", Buckets: quick}),
	}
	m.registry.MustRegister(m.turns, m.turnTime, m.conflicts, m.commits, m.calls, m.callTime, m.lag, m.groups, m.groupTime,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics in the Prometheus text format.
func (m *Metrics) Handler() http.Handler { return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}) }

// Turn counts a turn.
func (m *Metrics) Turn(controller, outcome, class string, took time.Duration) {
	m.turns.WithLabelValues(controller, outcome, class).Inc()
	m.turnTime.WithLabelValues(controller).Observe(took.Seconds())
}

// Conflict counts a turn that is run again.
func (m *Metrics) Conflict(controller string) { m.conflicts.WithLabelValues(controller).Inc() }

// Commit counts a commit by its result.
func (m *Metrics) Commit(err error) { m.commits.WithLabelValues(result(err)).Inc() }

func result(err error) string {
	if err == nil {
		return "ok"
	}
	for name, sentinel := range map[string]error{
		"conflict": store.ErrConflict, "rule": store.ErrRule, "fenced": store.ErrFenced, "too_large": store.ErrTooLarge,
		"unavailable": store.ErrUnavailable, "unknown": store.ErrUnknown,
	} {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	return "other"
}

// Call counts an attempt of a command.
func (m *Metrics) Call(adapter, outcome string, took time.Duration) {
	m.calls.WithLabelValues(adapter, outcome).Inc()
	m.callTime.WithLabelValues(adapter).Observe(took.Seconds())
}

// Applied measures the event lag.
func (m *Metrics) Applied(committed time.Time) { m.lag.Observe(time.Since(committed).Seconds()) }

// Group measures one group commit of the store.
func (m *Metrics) Group(size int, took time.Duration) {
	m.groups.Observe(float64(size))
	m.groupTime.Observe(took.Seconds())
}

// Watch exports the queues of an engine, read when they are asked for.
func (m *Metrics) Watch(e *control.Engine) { m.registry.MustRegister(&queues{engine: e}) }

// queues reads an engine's queues at each scrape.
type queues struct{ engine *control.Engine }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	depth    = desc("setpoint_queue_depth", "Keys of a controller by state (ready, delayed, working).", "controller", "state")
	oldest   = desc("setpoint_queue_oldest_seconds", "How long the oldest ready key of a controller has waited.", "controller")
	wakeups  = desc("setpoint_queue_wakes_total", "Wake-ups of a controller's keys.", "controller")
	stuck    = desc("setpoint_turns_stuck", "Turns of a controller that have overstayed their deadline.", "controller")
	outbox   = desc("setpoint_command_queue_depth", "Units of order of an adapter by state (ready, delayed, working).", "adapter", "state")
	revision = desc("setpoint_view_revision", "The last revision that the view has applied.")
)

// Describe lists what Collect may send.
func (q *queues) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{depth, oldest, wakeups, stuck, outbox, revision} {
		ch <- d
	}
}

// Collect reads the queues.
func (q *queues) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, c := range q.engine.Controllers() {
		gauge(depth, float64(c.Queue.Ready), c.Controller, "ready")
		gauge(depth, float64(c.Queue.Delayed), c.Controller, "delayed")
		gauge(depth, float64(c.Queue.Working), c.Controller, "working")
		gauge(oldest, c.Queue.Oldest.Seconds(), c.Controller)
		gauge(stuck, float64(c.Stuck), c.Controller)
		ch <- prometheus.MustNewConstMetric(wakeups, prometheus.CounterValue, float64(c.Queue.Wakes), c.Controller)
	}
	for _, a := range q.engine.Adapters() {
		gauge(outbox, float64(a.Queue.Ready), a.Adapter, "ready")
		gauge(outbox, float64(a.Queue.Delayed), a.Adapter, "delayed")
		gauge(outbox, float64(a.Queue.Working), a.Adapter, "working")
	}
	gauge(revision, float64(q.engine.View().Revision()))
}
