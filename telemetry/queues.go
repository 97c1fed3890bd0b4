package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/setpointhq/setpoint/queue"
)

// collector reads a plane's queues at each scrape.
type collector struct {
	plane                                                            Watched
	depth, oldest, wakeups, stuck, outbox, waiting, paused, revision *prometheus.Desc
}

func newQueues(p Watched) *collector {
	return &collector{
		plane: p, depth: depth.desc(), oldest: oldest.desc(), wakeups: wakeups.desc(), stuck: stuck.desc(),
		outbox: outbox.desc(), waiting: waiting.desc(), paused: paused.desc(), revision: revision.desc(),
	}
}

// Describe lists what Collect may send.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.depth, c.oldest, c.wakeups, c.stuck, c.outbox, c.waiting, c.paused, c.revision} {
		ch <- d
	}
}

// Collect reads the queues.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	states := func(d *prometheus.Desc, owner string, s queue.Stats) {
		for i, n := range []int{s.Ready, s.Delayed, s.Working} {
			gauge(d, float64(n), owner, queueStates[i])
		}
	}
	for _, s := range c.plane.Controllers() {
		states(c.depth, s.Controller, s.Queue)
		gauge(c.oldest, s.Queue.Oldest.Seconds(), s.Controller)
		gauge(c.stuck, float64(s.Stuck), s.Controller)
		ch <- prometheus.MustNewConstMetric(c.wakeups, prometheus.CounterValue, float64(s.Queue.Wakes), s.Controller)
	}
	for _, s := range c.plane.Adapters() {
		states(c.outbox, s.Adapter, s.Queue)
	}
	t := c.plane.TakeUp()
	gauge(c.waiting, float64(t.Waiting))
	gauge(c.paused, t.Paused.Seconds())
	gauge(c.revision, float64(c.plane.View().Revision()))
}
