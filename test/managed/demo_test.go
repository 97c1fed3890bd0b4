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
	"github.com/setpointhq/setpoint/test/internal/fleet"
	"github.com/setpointhq/setpoint/test/internal/ledger"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// TestDemo: from nothing to a database with two replicas behind one address; another server leads when that is asked for, under load, and the former one follows;
// Setpoint is killed and finds all as it was; and what is stopped is gone.
func TestDemo(t *testing.T) {
	s := newService(t)
	s.Start()
	s.introduced()
	url := s.URL("app")
	if got := s.psql(url, "SELECT pg_is_in_recovery()"); got != "f" {
		t.Errorf("psql through the address says that it is in recovery: %q", got)
	}
	before := s.calm("the beginning", nil)
	crowd := ledger.Write(t, url, 1, pace)
	s.promoted(crowd, before)

	found := s.running()
	s.Kill()
	s.Start()
	s.introduced()
	after := s.calm("a restart", nil)
	if now := s.running(); !maps.Equal(found, now) {
		t.Errorf("after a restart of Setpoint the servers are processes %v, and were %v", now, found)
	}
	if fleet.Primary(after) == fleet.Primary(before) || s.URL("app") != url {
		t.Errorf("after a restart %s leads, at %s; want still another one than %s, at %s", fleet.Primary(after), s.URL("app"), fleet.Primary(before), url)
	}
	s.goesOn(crowd)

	crowd.Stop()
	s.complete(crowd)
	t.Logf("%s", crowd.Ledger)
	s.gone()
}

// promoted asks for another server to lead, while a writer is at work, and looks at all of them.
func (s *service) promoted(c *ledger.Writers, before database) {
	s.t.Helper()
	s.goesOn(c)
	s.Command("signal", "database/orders", string(postgres.NeedsPromote), "--why", "to see it")
	former := fleet.Primary(before)
	now := s.calm("a promotion", func(d database, _ map[string]server) string {
		if fleet.Primary(d) == former {
			return former + " leads still"
		}
		return ""
	})
	s.goesOn(c)
	all, err := s.members(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if missing := s.Disagreement(s.t.Context(), now, all); missing != "" {
		s.t.Error(missing)
	}
	if got := fleet.Replicas(now, all); len(got) != 2 || !slices.Contains(got, former) {
		s.t.Errorf("%v follow %s; want %s among two", got, fleet.Primary(now), former)
	}
	if !strings.Contains(s.Command("history", "database", "orders"), "NeedsPromote raised by") {
		s.t.Error("the history does not say that the promotion was asked for")
	}
	s.reaches(c, former, all[former])
	s.complete(c)
}

// goesOn waits until the writers have written ten more rows.
func (s *service) goesOn(c *ledger.Writers) {
	s.t.Helper()
	want := c.Ledger.Count(ledger.Acknowledged) + 10
	s.Await("the writer goes on by itself", func() (string, bool) {
		n := c.Ledger.Count(ledger.Acknowledged)
		return fmt.Sprint(n), n >= want
	})
}

// reaches waits until a server that follows has a row that was acknowledged a moment ago.
func (s *service) reaches(c *ledger.Writers, name string, v server) {
	s.t.Helper()
	last := s.psql(c.URL, "SELECT max(id) FROM ledger")
	s.Await("row "+last+" is on "+name, func() (string, bool) {
		rows, err := s.replicated(v, c.URL, "SELECT count(*) FROM ledger WHERE id = "+last)
		return fmt.Sprint(rows, err), err == nil && rows[0][0] == "1"
	})
}

// replicated asks a server as a client, past the address of the database.
func (s *service) replicated(v server, url, sql string) ([][]string, error) {
	session, err := ledger.Connect(s.t.Context(), url, "tcp", v.Status.Address)
	if err != nil {
		return nil, err
	}
	rows, err := session.Query(s.t.Context(), ledger.WriteLimit, sql)
	if closing := session.Leave(); closing != nil {
		s.t.Error(closing)
	}
	return rows, err
}

// complete holds the rows that there are against the ledger.
func (s *service) complete(c *ledger.Writers) {
	s.t.Helper()
	problems, err := c.Ledger.Check(s.t.Context(), c.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, problem := range problems {
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
	all, err := s.members(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	pids := map[string]int{}
	for name := range all {
		pids[name] = s.Postmaster(name)
	}
	if len(pids) != 3 || slices.Contains(slices.Collect(maps.Values(pids)), 0) {
		s.t.Fatalf("the servers' processes are %v; want three", pids)
	}
	return pids
}

// gone stops everything, as a person does, and looks for what is left.
func (s *service) gone() {
	s.t.Helper()
	if found := s.Left(s.Directory); len(found) < 5 {
		s.t.Fatalf("%d processes were found before the stop; the search is at fault: %v", len(found), found)
	}
	s.Interrupt()
	s.Stop()
	if found := s.Left(s.Directory); len(found) > 0 {
		s.t.Errorf("after demo-stop there is still:\n%s", strings.Join(found, "\n"))
	}
	locks, err := filepath.Glob(filepath.Join(s.Data, "servers", "*", "data", "postmaster.pid"))
	if err != nil || len(locks) > 0 {
		s.t.Errorf("after demo-stop servers are locked: %v %v", locks, err)
	}
}
