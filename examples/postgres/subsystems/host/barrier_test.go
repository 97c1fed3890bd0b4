package host

import (
	"testing"

	"github.com/setpointhq/setpoint/adapter/subsystem"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/internal/testkit"
)

// TestABarrierThatIsNotWaitedForIsNone: PostgreSQL says that a commit is done when somebody cancels the wait for the standbys, and only warns.
func TestABarrierThatIsNotWaitedForIsNone(t *testing.T) {
	l := first(t, patient)
	a := l.done(t, "a", primaryWish())
	l.do(t, Operation{Server: "a", Do: Barrier}) // nobody to wait for
	l.do(t, Operation{Server: "a", Do: Synchronous, Standbys: []string{"nobody"}})
	request := l.call(t, "barrier", Operation{Server: "a", Do: Barrier})
	ended := make(chan subsystem.ApplyAnswer, 1)
	go func() {
		answer, err := l.Kit().Apply(request)
		if err != nil {
			t.Error(err)
		}
		ended <- answer
	}()
	const canceled = "SELECT count(*) FROM (SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep') x"
	testkit.Wait(t, "the barrier waits, and is canceled", func() bool { return exec1(t, a, canceled) != "0" })
	if answer := <-ended; answer.Outcome != command.OutcomeRefused || answer.Class != command.Retry {
		t.Errorf("a barrier that has waited for nobody gave %+v", answer)
	}
}
