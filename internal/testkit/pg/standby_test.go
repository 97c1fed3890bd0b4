package pg

import (
	"context"
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit"
)

func TestStandbyTakesOverAndTheOldPrimaryRejoins(t *testing.T) {
	first := Start(t)
	first.Exec(t, "postgres", "CREATE TABLE kept (i int)")
	second := first.Standby(t, true)
	first.Exec(t, "postgres", "INSERT INTO kept VALUES (1)")
	first.Kill9(t)
	second.Promote(t)
	if got := count(t, second); got != "1" {
		t.Fatalf("the promoted standby has %s rows, want 1: the primary had waited for it", got)
	}
	second.Exec(t, "postgres", "INSERT INTO kept VALUES (2)")

	first.Start(t) // nobody told it
	first.Exec(t, "postgres", "SET synchronous_commit = local", "INSERT INTO kept VALUES (-2), (-3)")
	if got := count(t, first); got != "3" {
		t.Errorf("the old primary has %s rows of its own, want 3", got)
	}
	first.RejoinAs(t, second, true)
	if got := count(t, first); got != "2" {
		t.Errorf("the old primary has %s rows after it has rejoined, want the new primary's 2", got)
	}
	if _, err := Query(t.Context(), first.URL("postgres"), "INSERT INTO kept VALUES (4)"); err == nil {
		t.Error("a standby takes writes")
	}
	second.StopFast(t)
	first.Promote(t)
	first.Exec(t, "postgres", "INSERT INTO kept VALUES (3)")
}

func count(t *testing.T, s *Server) string {
	t.Helper()
	return s.Exec(t, "postgres", "SELECT count(*) FROM kept")[0][0]
}

func TestPrimaryWaitsForItsSynchronousStandbyWhileThatHasATest(t *testing.T) {
	primary := Start(t)
	const write = "CREATE TABLE late ()"
	waiting := make(chan error, 1)
	t.Run("standby", func(t *testing.T) {
		standby := primary.Standby(t, true)
		standby.StopImmediate(t)
		go func() {
			_, err := Query(context.Background(), primary.URL("postgres"), write)
			waiting <- err
		}()
		testkit.Wait(t, "the commit waits for the standby", func() bool {
			return len(primary.Exec(t, "postgres", "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")) == 1
		})
	})
	if err := <-waiting; err != nil {
		t.Errorf("after the standby's test the commit ended with %v", err)
	}
}
