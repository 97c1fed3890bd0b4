package pg

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

// Load is what pgbench does to a database.
type Load struct {
	Script  string // in pgbench's language: SQL and \set
	Clients int    // connections; 0 is 1
	Threads int    // of pgbench; 0 is 1

	// Either how many transactions each client makes, or for how long they go on.
	Transactions int
	Duration     time.Duration // in whole seconds

	Protocol  string            // simple, extended or prepared; empty is prepared
	Variables map[string]string // of the script, beside pgbench's own
}

// Measured is what a load came to.
type Measured struct {
	Transactions int           // that succeeded
	Failed       int           // by serialization or deadlock
	PerSecond    float64       // without the time that connecting took
	Latency      time.Duration // of a transaction, on average
	ServerCPU    time.Duration // of all the server's processes, see [Server.CPU]
	ClientCPU    time.Duration // of pgbench
}

// Bench runs pgbench with a load on a database of the server, by the address that [Server.Database] returns or by way
// of a proxy. pgbench's own tables are not made.
func (s *Server) Bench(t testing.TB, database string, load Load) Measured {
	t.Helper()
	if (load.Transactions > 0) == (load.Duration > 0) {
		t.Fatal("a load has either a number of transactions or a duration")
	}
	script := filepath.Join(t.TempDir(), "script.sql")
	if err := os.WriteFile(script, []byte(load.Script), 0o600); err != nil {
		t.Fatal(err)
	}
	before := s.CPU(t)
	pgbench := account{}.command("/", s.installation.program("pgbench"), append(load.arguments(), "--file="+script, database)...)
	output, err := pgbench.CombinedOutput()
	after := s.CPU(t)
	if err != nil {
		t.Fatalf("pgbench: %v\n%s", err, output)
	}
	measured, err := parseBench(string(output))
	if err != nil {
		t.Fatalf("pgbench: %v\n%s", err, output)
	}
	measured.ServerCPU = after - before
	measured.ClientCPU = pgbench.ProcessState.UserTime() + pgbench.ProcessState.SystemTime()
	return measured
}

func (l Load) arguments() []string {
	protocol := l.Protocol
	if protocol == "" {
		protocol = "prepared"
	}
	arguments := []string{"--no-vacuum", "--protocol=" + protocol, fmt.Sprint("--client=", max(l.Clients, 1)), fmt.Sprint("--jobs=", max(l.Threads, 1))}
	if l.Transactions > 0 {
		arguments = append(arguments, fmt.Sprint("--transactions=", l.Transactions))
	} else {
		arguments = append(arguments, fmt.Sprint("--time=", max(int(l.Duration.Seconds()), 1)))
	}
	for _, name := range slices.Sorted(maps.Keys(l.Variables)) {
		arguments = append(arguments, "--define="+name+"="+l.Variables[name])
	}
	return arguments
}

// figures are the lines of pgbench's report that are read. Version 14 does not report failures.
var figures = map[string]*regexp.Regexp{
	"transactions": regexp.MustCompile(`number of transactions actually processed: (\d+)`),
	"failed":       regexp.MustCompile(`number of failed transactions: (\d+)`),
	"latency":      regexp.MustCompile(`latency average = ([\d.]+) ms`),
	"tps":          regexp.MustCompile(`tps = ([\d.]+) \(without initial connection time\)`),
}

// parseBench reads pgbench's report.
func parseBench(report string) (Measured, error) {
	values := map[string]float64{}
	for name, figure := range figures {
		found := figure.FindStringSubmatch(report)
		if found == nil {
			if name == "failed" {
				continue
			}
			return Measured{}, fmt.Errorf("its report does not say %s", name)
		}
		value, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			return Measured{}, fmt.Errorf("its report says %s: %w", found[0], err)
		}
		values[name] = value
	}
	return Measured{
		Transactions: int(values["transactions"]),
		Failed:       int(values["failed"]),
		PerSecond:    values["tps"],
		Latency:      time.Duration(values["latency"] * float64(time.Millisecond)),
	}, nil
}
