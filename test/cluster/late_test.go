package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/lifecycle"
)

// alarmAfter is when everything about an alarm is due: see the kind Alarm of the program node.
const alarmAfter = 12 * time.Second

// alarmsEach is how many alarms of each sort there are.
const alarmsEach = 20

// waits are the ways to wait for a moment, each with the signal that begins it, and how the database is asked when each began and ended: a name, and two times in microseconds.
var waits = []struct {
	reason, name string
	signal       lifecycle.SignalName
	bell         bool
	asks         string
}{
	{"a stored timer", "bell", "", true, `SELECT name, (extract(epoch FROM (status::json->>'set')::timestamptz) * 1000000)::bigint, (extract(epoch FROM f.at) * 1000000)::bigint
		FROM setpoint.object o JOIN setpoint.feed f ON f.revision = o.revision WHERE o.kind LIKE 'Alarm.%' AND o.name LIKE 'bell-%' AND status LIKE '%rang%'`},
	{"a step that must be done within a time", "wait", "NeedsWait", false, span("Waiting", "Rung")},
	{"a call that is repeated for a time", "call", "NeedsCall", false, span("Trying", "Rung")},
	{"the budget of a state", "hold", "NeedsHold", false, span("Held", "Rung")},
	{"a signal that expires", "point", "Pointless", false, `SELECT a.name, (extract(epoch FROM a.at) * 1000000)::bigint, (extract(epoch FROM b.at) * 1000000)::bigint
		FROM setpoint.history a JOIN setpoint.history b USING (uid) WHERE a.kind LIKE 'Alarm.%' AND a.name LIKE 'point-%' AND a.type = 'Signal' AND b.reason = 'SignalExpired'`},
}

// span asks from when until when an alarm was in a state.
func span(from, to string) string {
	return fmt.Sprintf(`SELECT a.name, (extract(epoch FROM a.at) * 1000000)::bigint, (extract(epoch FROM b.at) * 1000000)::bigint FROM setpoint.history a JOIN setpoint.history b USING (uid)
		WHERE a.kind LIKE 'Alarm.%%' AND a.type = 'Transition' AND b.type = 'Transition' AND a.to_state = '%[1]s' AND b.from_state = '%[1]s' AND b.to_state = '%[2]s'`, from, to)
}

// TestTakenOverByAWrongClock: what is due in a while is taken over, before it is, by two nodes whose clocks are hours ahead and hours behind; then one of these dies, and the other has all of it. Nothing is done before its time, and
// nothing hours after it: stored timers, steps, calls that are repeated, budgets of states, signals that expire.
func TestTakenOverByAWrongClock(t *testing.T) {
	t.Parallel()
	const hours = 3
	w := newTown(t, time.Second)
	wrong := skewedProgram(t)
	off := func(hours int) *node {
		return w.start(launch{program: wrong, wrap: []string{"env", fmt.Sprintf("SETPOINT_TEST_CLOCK=%d", hours*3600)}})
	}
	right := w.start(launch{})
	w.divided(right)
	w.serving(right)
	w.setAlarms()
	ahead, behind := off(hours), off(-hours)
	w.divided(right, ahead, behind)
	right.kill()
	w.divided(ahead, behind)
	ahead.kill()
	w.divided(behind)
	taken := w.number("SELECT revision FROM setpoint.counter")
	w.await("everything has been done that was due", func() (string, bool) {
		n := 0
		for _, wait := range waits {
			n += len(w.query(wait.asks))
		}
		return fmt.Sprint(n), n == len(waits)*alarmsEach
	})
	for _, wait := range waits {
		w.inTime(wait.reason, wait.asks)
	}
	if late := w.number(fmt.Sprintf("SELECT count(*) FROM setpoint.history WHERE kind LIKE 'Alarm.%%' AND revision > %d AND (to_state = 'Rung' OR reason = 'SignalExpired')", taken)); late == 0 {
		t.Error("everything was done before the takeover was: the test says nothing")
	}
}

// setAlarms makes them all, and has them begin.
func (w *town) setAlarms() {
	w.Helper()
	kind := w.kind("alarms")
	for _, wait := range waits {
		w.each(alarmsEach, func(i int) error {
			name := fmt.Sprintf("%s-%d", wait.name, i)
			if err := w.apply(w.Context(), kind, name, map[string]bool{"bell": wait.bell}); err != nil || wait.signal == "" {
				return err
			}
			s := client.Signal{Name: wait.signal, Key: "first", Why: "the test says so"}
			if wait.name == "point" {
				s.For = alarmAfter
			}
			return w.raiseSignal(w.Context(), kind, name, s)
		})
	}
}

// inTime checks that of each alarm what is asked for took as long as it should: no less, but for what a clock may be off before it is corrected, and not hours more.
func (w *town) inTime(reason, asks string) {
	w.Helper()
	var took []time.Duration
	for _, row := range w.query(asks) {
		var from, to int64
		if _, err := fmt.Sscan(strings.Join(row[1:], " "), &from, &to); err != nil {
			w.Fatal(err)
		}
		d := time.Duration(to-from) * time.Microsecond
		took = append(took, d)
		if d < alarmAfter-time.Second {
			w.Errorf("%s: %s was over after %v, %v early", reason, row[0], d, alarmAfter-d)
		}
		if d > alarmAfter+time.Hour {
			w.Errorf("%s: %s was over after %v, %v late", reason, row[0], d, d-alarmAfter)
		}
	}
	w.Logf("%s, due after %v: %d were over after %s", reason, alarmAfter, len(took), quantiles(took))
}
