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
	"github.com/setpointhq/setpoint/view"
)

// Metrics are one plane's metrics, on a registry of their own. They implement [control.Meter].
type Metrics struct {
	registry                         *prometheus.Registry
	turns, conflicts, commits, calls *prometheus.CounterVec
	turnTime, callTime               *prometheus.HistogramVec
	lag, groups, groupTime           prometheus.Observer
}

// New makes the metrics and registers them.
func New() *Metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	counter := func(d Metric) *prometheus.CounterVec {
		c := d.counter()
		registry.MustRegister(c)
		return c
	}
	histogram := func(d Metric) *prometheus.HistogramVec {
		h := d.histogram()
		registry.MustRegister(h)
		return h
	}
	return &Metrics{
		registry: registry,
		turns:    counter(turns), conflicts: counter(conflicts), commits: counter(commits), calls: counter(calls),
		turnTime: histogram(turnTime), callTime: histogram(callTime),
		lag: histogram(lag).WithLabelValues(), groups: histogram(groups).WithLabelValues(), groupTime: histogram(groupTime).WithLabelValues(),
	}
}

// Handler serves the metrics in the Prometheus text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

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

// Watched is what can be asked how it stands: a plane, or its engine.
type Watched interface {
	Controllers() []control.ControllerStats
	Adapters() []control.AdapterStats
	TakeUp() control.TakeUp
	View() *view.View
}

// Watch exports the queues of a plane, read when they are asked for.
func (m *Metrics) Watch(p Watched) { m.registry.MustRegister(newQueues(p)) }
