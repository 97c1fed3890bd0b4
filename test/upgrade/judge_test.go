package upgrade

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/setpointhq/setpoint/test/internal/program"
)

// judge fails the test for requests that failed for good.
func (l *load) judge() {
	l.site.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) > 0 {
		l.site.Errorf("%d requests failed for good:\n%s", len(l.failures), strings.Join(l.failures, "\n"))
	}
}

// settled waits until every order is done as it was asked for last, and no job has anything to do.
func (s *site) settled(l *load) {
	s.Helper()
	program.Await(s.T, "everything that was asked for is done", func() (string, bool) {
		var left []string
		rows := s.database.Query("SELECT name, status FROM setpoint.object WHERE kind LIKE 'Order.%'")
		for _, row := range rows {
			var status struct{ Seen string }
			if err := json.Unmarshal([]byte(row[1]), &status); err != nil || status.Seen != l.orders[row[0]] {
				left = append(left, row[0])
			}
		}
		busy := s.database.Number("SELECT (SELECT count(*) FROM setpoint.signal) + (SELECT count(*) FROM setpoint.object WHERE state = 'Running')")
		return fmt.Sprint(left, len(rows), busy), len(left) == 0 && len(rows) == len(l.orders) && busy == 0
	}, s.diagnosis)
}

// right checks that registers have what was acknowledged last, and that each step of each run was done once.
func (l *load) right() {
	s := l.site
	s.Helper()
	if have := s.database.Query("SELECT spec FROM setpoint.object WHERE name = '" + heavy + "'"); have[0][0] != `{"value":"heavy","weight":7}` {
		s.Errorf("what the next version has stored has become %s", have[0][0])
	}
	for name, value := range l.register {
		if have := s.database.Query("SELECT spec FROM setpoint.object WHERE name = '" + name + "'"); have[0][0] != fmt.Sprintf(`{"value":%d}`, value) {
			s.Errorf("%s was written %d, and is %s", name, value, have[0][0])
		}
	}
	effects := s.machines.effects()
	for _, row := range s.database.Query(`SELECT name, count(*) FROM setpoint.history WHERE kind LIKE 'Job.%' AND type = 'Transition' AND from_state = 'Running' AND to_state = 'Idle' GROUP BY name`) {
		for _, step := range []string{"check", "stop", "copy", "start", "point"} {
			if n := effects["default/"+row[0]+".Run."+step]; fmt.Sprint(n) != row[1] {
				s.Errorf("%s has run %s times, and its step %s was done %d times", row[0], row[1], step, n)
			}
		}
	}
	for _, row := range s.database.Query("SELECT kind, name, reason, message FROM setpoint.history WHERE severity = 'Warning' AND reason <> 'ActionAbandoned'") {
		s.Errorf("there was a warning: %v", row)
	}
}

// judge checks that no command has spent an attempt, and that viewers were told what the feed has.
func (r *record) judge(s *site, viewers []*viewer) {
	t := s.T
	t.Helper()
	for i, v := range viewers {
		program.Await(t, fmt.Sprintf("viewer %d has seen everything", i), func() (string, bool) {
			n := v.count()
			return fmt.Sprint(n), n >= r.count()
		}, func() string { return fmt.Sprintf("there were %d changes", r.count()) })
		if err := v.stop(); err != nil {
			t.Error(err)
		}
		if !slices.Equal(v.seen, r.orders) {
			t.Errorf("viewer %d was told other things than the feed has:\n%s", i, difference(r.orders, v.seen))
		}
		t.Logf("viewer %d was told all of %d changes, each once and in order, over %d connections", i, len(v.seen), s.dialed(v.name)-1)
	}
	if len(r.spent) > 0 {
		t.Errorf("%d times a command spent an attempt:\n%s", len(r.spent), strings.Join(r.spent[:min(20, len(r.spent))], "\n"))
	}
	t.Logf("%d commands were done, each at its first attempt", len(r.done))
}

// difference is where two lists part.
func difference(want, got []string) string {
	i := 0
	for i < min(len(want), len(got)) && want[i] == got[i] {
		i++
	}
	part := func(list []string) string {
		return strings.Join(list[max(0, min(i-2, len(list))):min(len(list), i+4)], ", ")
	}
	return fmt.Sprintf("%d and %d; they part at %d: want … %s …, got … %s …", len(want), len(got), i, part(want), part(got))
}
