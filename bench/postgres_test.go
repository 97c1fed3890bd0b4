package bench

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/postgres"
)

// server is a PostgreSQL server of a benchmark's own, with memory enough for what is measured and otherwise as it comes.
type server struct {
	*pg.Server
	url string
}

func startServer(tb testing.TB) *server {
	tb.Helper()
	s := pg.Start(tb, pg.Setting("shared_buffers", "512MB"), pg.Setting("max_wal_size", "4GB"), pg.Setting("max_connections", "300"))
	url := s.Database(tb)
	if _, err := postgres.Migrate(tb.Context(), url); err != nil {
		tb.Fatal(err)
	}
	return &server{s, url}
}

func (s *server) open(tb testing.TB, observe func(store.GroupStats)) *postgres.Store {
	tb.Helper()
	st, err := postgres.Open(tb.Context(), postgres.Options{URL: s.url, Observe: observe})
	if err != nil {
		tb.Fatal(err)
	}
	return st
}

// BenchmarkPostgresCommit commits compare-and-swap writes of one object each through the engine, by 64 and 256 at a time, beside pgbench that runs one such
// UPDATE per transaction on as many connections, in turns on one server. The rows are of the same size. pgbench writes the row alone; the engine's function also judges the rules, and writes the
// commit into the feed. CPU is that of the client's process and of all the server's.
func BenchmarkPostgresCommit(b *testing.B) {
	for _, waiting := range []int{64, 256} {
		b.Run("waiting="+strconv.Itoa(waiting), func(b *testing.B) {
			for b.Loop() {
				compareWithPgbench(b, waiting, 3, 20_000)
			}
		})
	}
}

func compareWithPgbench(b *testing.B, waiting, rounds, writes int) {
	s := startServer(b)
	ours := newWriters(b, waiting, func(observe func(store.GroupStats)) store.Store { return s.open(b, observe) })
	plain := plainTable(b, s, waiting)
	var servers, benchServer, benchClient time.Duration
	var transactions int
	var perSecond float64
	for range rounds {
		before := s.CPU(b)
		ours.round(b, writes)
		servers += s.CPU(b) - before
		m := s.Bench(b, s.url, pg.Load{Script: plain, Clients: waiting, Threads: 1, Transactions: writes / waiting})
		transactions += m.Transactions
		perSecond += m.PerSecond / float64(rounds)
		benchServer += m.ServerCPU
		benchClient += m.ClientCPU
	}
	wall, client := ours.spent.each(ours.writes)
	per := func(d time.Duration, n int) float64 { return micros(d) / float64(n) }
	total, benchTotal := client+per(servers, ours.writes), per(benchServer+benchClient, transactions)
	report(b, map[string]float64{
		"writes/s": 1e6 / wall, "client-cpu-µs/write": client, "server-cpu-µs/write": per(servers, ours.writes), "writes/group": float64(ours.writes) / float64(ours.groups.Load()),
		"pgbench-writes/s": perSecond, "pgbench-client-cpu-µs/write": per(benchClient, transactions), "pgbench-server-cpu-µs/write": per(benchServer, transactions),
		"rate-ratio": 1e6 / wall / perSecond, "cpu-ratio": total / benchTotal,
	})
	closeStore(b, ours.store)
}

// plainTable makes what pgbench writes to: rows of the size of ours, with a version each. It returns the script.
func plainTable(b *testing.B, s *server, rows int) string {
	b.Helper()
	o := thing(b, 0)
	attributes, err := json.Marshal(&o.Attributes)
	if err != nil {
		b.Fatal(err)
	}
	database := s.url[strings.LastIndex(s.url, "/")+1 : strings.Index(s.url, "?")]
	body := strings.ReplaceAll(string(o.Spec), "'", "''")
	s.Exec(b, database,
		"CREATE TABLE plain (id int PRIMARY KEY, version bigint NOT NULL, attributes text, spec text, status text) WITH (fillfactor = 70)",
		fmt.Sprintf("INSERT INTO plain SELECT i, 0, '%s', '%s', '%s' FROM generate_series(1, %d) i", attributes, body, o.Status, rows))
	return fmt.Sprintf(`\set v random(1, 1000000000)
UPDATE plain SET version = version + 1, attributes = '%s', spec = '%s', status = '%s' WHERE id = :client_id + 1 AND version >= 0;
`, strings.ReplaceAll(string(attributes), ":", "::"), strings.ReplaceAll(body, ":", "::"), strings.ReplaceAll(string(o.Status), ":", "::"))
}

// BenchmarkPostgresCommitToTurn is BenchmarkCommitToTurn on PostgreSQL.
func BenchmarkPostgresCommitToTurn(b *testing.B) {
	for _, others := range []int{0, 16} {
		b.Run("others="+strconv.Itoa(others), func(b *testing.B) {
			for b.Loop() {
				measureTurns(b, startServer(b).open(b, nil), 2000, others)
			}
		})
	}
}

// BenchmarkPostgresParent is BenchmarkParentWithThreeChildren on PostgreSQL. CPU is that of both sides.
func BenchmarkPostgresParent(b *testing.B) {
	for _, waiting := range []int{1, 64} {
		b.Run("waiting="+strconv.Itoa(waiting), func(b *testing.B) {
			for b.Loop() {
				s := startServer(b)
				st := &counted{engine: s.open(b, nil)}
				before := s.CPU(b)
				m := convergeParents(b, st, waiting, 3000)
				addServer(b, m, s, before, "parent", 3000)
				report(b, m)
			}
		})
	}
}

func addServer(b *testing.B, m map[string]float64, s *server, before time.Duration, unit string, n int) {
	m["server-cpu-µs/"+unit] = micros(s.CPU(b)-before) / float64(n)
	m["both-cpu-µs/"+unit] = m["server-cpu-µs/"+unit] + m["cpu-µs/"+unit]
}

// BenchmarkPostgresGateways is BenchmarkGateways on PostgreSQL.
func BenchmarkPostgresGateways(b *testing.B) {
	for b.Loop() {
		s := startServer(b)
		st := &counted{engine: s.open(b, nil)}
		before := s.CPU(b)
		m := convergeGateways(b, st, 5000)
		addServer(b, m, s, before, "gateway", 5000)
		closeStore(b, st)
		report(b, m)
	}
}

// BenchmarkPostgresBloat updates 1,000 objects a million times, with autovacuum as the schema sets it, and weighs what is left.
func BenchmarkPostgresBloat(b *testing.B) {
	for b.Loop() {
		s := startServer(b)
		w := newWriters(b, 1000, func(observe func(store.GroupStats)) store.Store { return s.open(b, observe) })
		w.round(b, 1_000_000)
		metrics := map[string]float64{"writes/s": 1e6 / (micros(w.spent.wall) / 1e6)}
		database := s.url[strings.LastIndex(s.url, "/")+1 : strings.Index(s.url, "?")]
		for _, row := range s.Exec(b, database, "SELECT pg_stat_force_next_flush()", `SELECT relname, n_dead_tup, n_live_tup, pg_total_relation_size(relid), n_tup_hot_upd, n_tup_upd
			FROM pg_stat_user_tables WHERE schemaname = 'setpoint' AND relname IN ('object', 'counter')`) {
			number := func(i int) float64 {
				v, err := strconv.ParseFloat(row[i], 64)
				if err != nil {
					b.Fatal(err)
				}
				return v
			}
			metrics[row[0]+"-dead"], metrics[row[0]+"-live"], metrics[row[0]+"-MiB"] = number(1), number(2), number(3)/(1<<20)
			metrics[row[0]+"-hot-%"] = 100 * number(4) / number(5)
		}
		feed := s.Exec(b, database, "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('setpoint.feed')")
		if v, err := strconv.ParseFloat(feed[0][0], 64); err == nil {
			metrics["feed-MiB"] = v / (1 << 20)
		}
		report(b, metrics)
		closeStore(b, w.store)
	}
}

// BenchmarkPostgresIdle counts the statements of a plane of 1,000 objects at rest, for half a minute of the clock.
func BenchmarkPostgresIdle(b *testing.B) {
	for b.Loop() {
		s := startServer(b)
		st := s.open(b, nil)
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				if _, err := st.Commit(b.Context(), write(thing(b, i), 0)); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
		plane := runPlane(b, setpoint.Config{
			Store: st, Kinds: []*setpoint.Definition{things.Definition},
			Controllers: []setpoint.Controller{things.Controller("watch", func(*setpoint.Turn, *setpoint.Resource[thingSpec, thingStatus]) setpoint.Outcome {
				return setpoint.Done()
			})},
		})
		settle(plane)
		before := st.Statements()
		const span = 30 * time.Second
		<-time.After(span)
		report(b, map[string]float64{"statements/min": float64(st.Statements()-before) * float64(time.Minute) / float64(span)})
		plane.stop(b)
		closeStore(b, st)
	}
}

var _ engine = (*postgres.Store)(nil)
