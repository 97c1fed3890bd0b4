package managed

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/examples/postgres"
	"github.com/setpointhq/setpoint/internal/testkit"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// TestDemo: from nothing to a database with two replicas behind one address; another server leads when that is asked for, under load, and the former one follows;
// Setpoint is killed and finds all as it was; and what is stopped is gone.
func TestDemo(t *testing.T) {
	s := newService(t)
	s.Start()
	s.introduced()
	url := s.url("app")
	if got := s.psql(url, "SELECT pg_is_in_recovery()"); got != "f" {
		t.Errorf("psql through the address says that it is in recovery: %q", got)
	}
	before := s.calm("the beginning", nil)
	crowd := newCrowd(t, url, 1)
	s.promoted(crowd, before)

	found := s.running()
	s.Kill()
	s.Start()
	s.introduced()
	after := s.calm("a restart", nil)
	if now := s.running(); !maps.Equal(found, now) {
		t.Errorf("after a restart of Setpoint the servers are processes %v, and were %v", now, found)
	}
	if primary(after) == primary(before) || s.url("app") != url {
		t.Errorf("after a restart %s leads, at %s; want still another one than %s, at %s", primary(after), s.url("app"), primary(before), url)
	}
	s.goesOn(crowd)

	crowd.stop()
	s.complete(crowd)
	t.Logf("%s", crowd.ledger)
	s.gone()
}

// promoted asks for another server to lead, while a writer is at work, and looks at all of them.
func (s *service) promoted(c *crowd, before database) {
	s.t.Helper()
	s.goesOn(c)
	s.Command("signal", "database/orders", string(postgres.NeedsPromote), "--why", "to see it")
	former := primary(before)
	now := s.calm("a promotion", func(d database, _ map[string]server) string {
		if primary(d) == former {
			return former + " leads still"
		}
		return ""
	})
	s.goesOn(c)
	all, err := s.fleet(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if missing := s.disagreement(s.t.Context(), now, all); missing != "" {
		s.t.Error(missing)
	}
	if got := replicas(now, all); len(got) != 2 || !slices.Contains(got, former) {
		s.t.Errorf("%v follow %s; want %s among two", got, primary(now), former)
	}
	if !strings.Contains(s.Command("history", "database", "orders"), "NeedsPromote raised by") {
		s.t.Error("the history does not say that the promotion was asked for")
	}
	s.reaches(c, former, all[former])
	s.complete(c)
}

// goesOn waits until the writers have written ten more rows.
func (s *service) goesOn(c *crowd) {
	s.t.Helper()
	want := c.ledger.count(acknowledged) + 10
	s.Await("the writer goes on by itself", func() (string, bool) {
		n := c.ledger.count(acknowledged)
		return fmt.Sprint(n), n >= want
	})
}

// reaches waits until a server that follows has a row that was acknowledged a moment ago.
func (s *service) reaches(c *crowd, name string, v server) {
	s.t.Helper()
	last := s.psql(c.url, "SELECT max(id) FROM ledger")
	s.Await("row "+last+" is on "+name, func() (string, bool) {
		rows, err := s.replicated(v, c.url, "SELECT count(*) FROM ledger WHERE id = "+last)
		return fmt.Sprint(rows, err), err == nil && rows[0][0] == "1"
	})
}

// replicated asks a server as a client, past the address of the database.
func (s *service) replicated(v server, url, sql string) ([][]string, error) {
	session, err := connect(s.t.Context(), url, "tcp", v.Status.Address)
	if err != nil {
		return nil, err
	}
	rows, err := session.query(s.t.Context(), writeLimit, sql)
	if closing := session.leave(); closing != nil {
		s.t.Error(closing)
	}
	return rows, err
}

// complete holds the rows that there are against the ledger.
func (s *service) complete(c *crowd) {
	s.t.Helper()
	known := c.ledger.snapshot()
	rows, err := rowsOf(s.t, c.url)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, problem := range c.ledger.audit(known, rows) {
		s.t.Error(problem)
	}
}

// psql asks as everybody does.
func (s *service) psql(url, sql string) string {
	s.t.Helper()
	return strings.TrimSpace(program.Run(s.t, testkit.Package(s.t, "postgresql-client", "psql"), url, "--no-psqlrc", "--tuples-only", "--no-align", "--command", sql))
}

// running are the first processes of the servers, by their names.
func (s *service) running() map[string]int {
	s.t.Helper()
	all, err := s.fleet(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	pids := map[string]int{}
	for name := range all {
		pids[name] = s.postmaster(name)
	}
	if len(pids) != 3 || slices.Contains(slices.Collect(maps.Values(pids)), 0) {
		s.t.Fatalf("the servers' processes are %v; want three", pids)
	}
	return pids
}

// gone stops everything, as a person does, and looks for what is left.
func (s *service) gone() {
	s.t.Helper()
	if found := s.left(s.Directory); len(found) < 5 {
		s.t.Fatalf("%d processes were found before the stop; the search is at fault: %v", len(found), found)
	}
	s.Interrupt()
	s.Stop()
	if found := s.left(s.Directory); len(found) > 0 {
		s.t.Errorf("after demo-stop there is still:\n%s", strings.Join(found, "\n"))
	}
	locks, err := filepath.Glob(filepath.Join(s.data, "servers", "*", "data", "postmaster.pid"))
	if err != nil || len(locks) > 0 {
		s.t.Errorf("after demo-stop servers are locked: %v %v", locks, err)
	}
}
