package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/setpointhq/setpoint/alert"
)

// What is served about alerts.
var (
	alertGroups = Metric{
		Name: "setpoint_alert_groups", Kind: Gauge, Help: "Groups of objects in trouble, one for each kind, state and cause, by the highest severity in them.",
		Labels: []Label{label("severity", string(alert.Info), string(alert.Warning), string(alert.Critical))},
		Use:    "What people are told, or would be if there were somebody to tell. Who has no Alertmanager alerts on this.",
	}
	alertObjects = Metric{
		Name: "setpoint_alert_objects", Kind: Gauge, Help: "Objects in trouble.",
		Use: "Many objects in few groups have one cause in common.",
	}
	alertNotices = Metric{
		Name: "setpoint_alert_notices_total", Kind: Counter, Help: "Notices to a receiver: groups that were delivered or refused, and attempts that failed and are repeated.",
		Labels: []Label{label("receiver"), label("result", "delivered", "refused", "failed")},
		Use:    "refused is a wrong URL or wrong credentials, and is not repeated. failed rising for long: the receiver is away, and nobody hears of anything.",
	}
	alertPending = Metric{
		Name: "setpoint_alert_pending", Kind: Gauge, Help: "Groups whose latest state a receiver has not acknowledged.", Labels: []Label{label("receiver")},
		Use: "Above zero for more than a minute: the receiver does not answer.",
	}
)

// AlertDefinitions are the metrics about alerts, in the order of the reference.
func AlertDefinitions() []Metric {
	return []Metric{alertGroups, alertObjects, alertNotices, alertPending}
}

// WatchAlerts exports what a notifier knows and what it has told, read when the metrics are. Receivers of one name are added up.
func (m *Metrics) WatchAlerts(n *alert.Notifier) {
	m.registry.MustRegister(&alertCollector{
		notifier: n, groups: alertGroups.desc(), objects: alertObjects.desc(), notices: alertNotices.desc(), pending: alertPending.desc(),
	})
}

// alertCollector reads a notifier at a scrape.
type alertCollector struct {
	notifier                          *alert.Notifier
	groups, objects, notices, pending *prometheus.Desc
}

// Describe lists what Collect may send.
func (c *alertCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.groups, c.objects, c.notices, c.pending} {
		ch <- d
	}
}

// Collect reads the notifier and its senders.
func (c *alertCollector) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	for severity, n := range c.notifier.Firing() {
		send(c.groups, prometheus.GaugeValue, float64(n), string(severity))
	}
	send(c.objects, prometheus.GaugeValue, float64(len(c.notifier.Objects())))
	for name, s := range c.receivers() {
		send(c.notices, prometheus.CounterValue, float64(s.Delivered), name, "delivered")
		send(c.notices, prometheus.CounterValue, float64(s.Refused), name, "refused")
		send(c.notices, prometheus.CounterValue, float64(s.Failed), name, "failed")
		send(c.pending, prometheus.GaugeValue, float64(s.Pending), name)
	}
}

// receivers adds up what the senders have done, by the name of the receiver.
func (c *alertCollector) receivers() map[string]alert.Stats {
	all := map[string]alert.Stats{}
	for _, s := range c.notifier.Senders() {
		sum, one := all[s.Name()], s.Stats()
		all[s.Name()] = alert.Stats{
			Pending: sum.Pending + one.Pending, Delivered: sum.Delivered + one.Delivered, Refused: sum.Refused + one.Refused, Failed: sum.Failed + one.Failed,
		}
	}
	return all
}
