package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/setpointhq/setpoint/store/postgres"
)

// Postgres is an engine on PostgreSQL that can be asked how it stands: *postgres.Store.
type Postgres interface {
	// Stats asks the database. Counts is what the process knows by itself.
	Stats(ctx context.Context) (postgres.Stats, error)
	Counts() postgres.Counts
}

// How often the database is asked at most, however often the metrics are read, and how long it may take.
const (
	statsAge     = 15 * time.Second
	statsTimeout = 2 * time.Second
)

// WatchPostgres exports how a PostgreSQL database stands. The database is asked when the metrics are read, and at most every 15 s; when it does not answer within 2 s, the
// metrics of the database are left out, setpoint_postgres_up is 0, and all others are served.
func (m *Metrics) WatchPostgres(db Postgres) {
	m.registry.MustRegister(newPostgres(db, time.Now))
}

// postgresCollector reads a database at a scrape.
type postgresCollector struct {
	db  Postgres
	now func() time.Time
	// descs are those of postgresDefinitions, by name.
	descs map[string]*prometheus.Desc

	mu    sync.Mutex
	asked time.Time
	stats postgres.Stats
	err   error
}

func newPostgres(db Postgres, now func() time.Time) *postgresCollector {
	c := &postgresCollector{db: db, now: now, descs: map[string]*prometheus.Desc{}}
	for _, d := range PostgresDefinitions() {
		c.descs[d.Name] = d.desc()
	}
	return c
}

// Describe lists what Collect may send.
func (c *postgresCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// read is the newest answer of the database, which is asked for one when the last is old. Readings at the same time share one.
func (c *postgresCollector) read() (postgres.Stats, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.asked.IsZero() && c.now().Sub(c.asked) < statsAge {
		return c.stats, c.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), statsTimeout)
	defer cancel()
	c.stats, c.err = c.db.Stats(ctx)
	c.asked = c.now()
	return c.stats, c.err
}

// Collect sends what the process knows, and what the database says.
func (c *postgresCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(m Metric, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(c.descs[m.Name], prometheus.GaugeValue, v, labels...)
	}
	counter := func(m Metric, n uint64) {
		ch <- prometheus.MustNewConstMetric(c.descs[m.Name], prometheus.CounterValue, float64(n))
	}
	n := c.db.Counts()
	counter(pgBlocked, n.Blocked)
	counter(pgHints, n.HintsLost)
	counter(pgResolved, n.Resolved)
	counter(pgReconnects, n.Reconnects)
	stats, err := c.read()
	if err != nil {
		gauge(pgUp, 0)
		return
	}
	gauge(pgUp, 1)
	for _, t := range stats.Tables {
		gauge(pgLive, float64(t.Live), t.Name)
		gauge(pgDead, float64(t.Dead), t.Name)
		gauge(pgBytes, float64(t.Bytes), t.Name)
		if t.Partitions > 0 {
			gauge(pgPartitions, float64(t.Partitions), t.Name)
		}
	}
	gauge(pgOldest, stats.OldestTransaction.Seconds())
	gauge(pgWaiting, float64(stats.Waiting))
	gauge(pgProposals, float64(stats.Proposals))
	gauge(pgFeedAhead, float64(stats.FeedAhead))
	gauge(pgHistoryAhead, stats.HistoryAhead.Seconds())
}
