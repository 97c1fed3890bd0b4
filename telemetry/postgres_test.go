package telemetry_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/setpointhq/setpoint/store/postgres"
	"github.com/setpointhq/setpoint/telemetry"
)

// database is a PostgreSQL database as the metrics see it.
type database struct {
	mu    sync.Mutex
	asked int
	err   error
	hangs bool
}

func (d *database) Stats(ctx context.Context) (postgres.Stats, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if d.hangs {
		<-ctx.Done()
		return postgres.Stats{}, ctx.Err()
	}
	return postgres.Stats{
		Tables:            []postgres.TableStats{{Name: "object", Live: 7, Dead: 3, Bytes: 8192}, {Name: "feed", Partitions: 4, Live: 100, Bytes: 1 << 20}},
		OldestTransaction: 90 * time.Second, Waiting: 2, Proposals: 1, FeedAhead: 250_000, HistoryAhead: time.Hour,
	}, d.err
}

func (d *database) Counts() postgres.Counts {
	return postgres.Counts{Blocked: 1, HintsLost: 2, Resolved: 3, Reconnects: 4}
}

// lines are the samples of the metrics about PostgreSQL, by name and labels.
func lines(t *testing.T, m *telemetry.Metrics) map[string]string {
	t.Helper()
	found := map[string]string{}
	for s := scan(t, m); s.Scan(); {
		if name, value, ok := strings.Cut(s.Text(), " "); ok && strings.HasPrefix(name, "setpoint_postgres_") {
			found[name] = value
		}
	}
	return found
}

func TestPostgresServedIsDefined(t *testing.T) {
	m := telemetry.New()
	m.WatchPostgres(&database{})
	served := lines(t, m)
	for name, want := range map[string]string{
		"setpoint_postgres_up": "1", `setpoint_postgres_dead_rows{table="object"}`: "3", `setpoint_postgres_live_rows{table="object"}`: "7",
		`setpoint_postgres_table_bytes{table="object"}`: "8192", `setpoint_postgres_partitions{table="feed"}`: "4", "setpoint_postgres_oldest_transaction_seconds": "90",
		"setpoint_postgres_lock_waits": "2", "setpoint_postgres_proposals_waiting": "1", "setpoint_postgres_feed_ahead_revisions": "250000",
		"setpoint_postgres_history_ahead_seconds": "3600", "setpoint_postgres_blocked_total": "1", "setpoint_postgres_hints_lost_total": "2",
		"setpoint_postgres_unknown_resolved_total": "3", "setpoint_postgres_reconnects_total": "4",
	} {
		if served[name] != want {
			t.Errorf("%s is %q, want %s", name, served[name], want)
		}
	}
	defined := map[string]bool{}
	for _, d := range telemetry.PostgresDefinitions() {
		defined[d.Name] = true
		there := false
		for name := range served {
			there = there || name == d.Name || strings.HasPrefix(name, d.Name+"{")
		}
		if !there || d.Help == "" || d.Use == "" {
			t.Errorf("%s: served: %t; want a help and a use", d.Name, there)
		}
	}
	for name := range served {
		if base, _, _ := strings.Cut(name, "{"); !defined[base] {
			t.Errorf("served and not defined: %s", name)
		}
	}
}

// TestTheDatabaseIsAskedNowAndThen: metrics are read as often as anybody likes, and the database is asked at most every 15 s.
func TestTheDatabaseIsAskedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, db := telemetry.New(), &database{}
		m.WatchPostgres(db)
		for range 30 {
			lines(t, m)
			time.Sleep(time.Second) // in virtual time
		}
		if db.asked != 2 {
			t.Errorf("in 30 s the database was asked %d times, want 2", db.asked)
		}
	})
}

// TestADatabaseThatIsAwayFailsNoScrape: what the process knows is served all the same.
func TestADatabaseThatIsAwayFailsNoScrape(t *testing.T) {
	for _, c := range []struct {
		reason string
		db     *database
	}{
		{"it refuses", &database{err: errors.New("the database is away")}},
		{"it does not answer", &database{hangs: true}},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := telemetry.New()
			m.WatchPostgres(c.db)
			for range 2 {
				served := lines(t, m)
				if served["setpoint_postgres_up"] != "0" || served["setpoint_postgres_reconnects_total"] != "4" || len(served) != 5 {
					t.Errorf("%s: served is %v; want up 0 and the four counters", c.reason, served)
				}
			}
			if c.db.asked != 1 {
				t.Errorf("%s: the database was asked %d times, want once", c.reason, c.db.asked)
			}
		})
	}
}
