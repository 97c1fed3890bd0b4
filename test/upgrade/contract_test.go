package upgrade

import (
	"fmt"
	"strings"
	"testing"

	"github.com/setpointhq/setpoint/client"
)

// TestContract: a migration takes away what the old program needs, and says so in the schema. The old program does not start on it, in words; the new one works on.
func TestContract(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	old, next, err := schemas()
	if err != nil {
		t.Fatal(err)
	}
	s.setpoint("migrate", "up", "--store", s.database.URL)
	s.nodes[0].start(programs.next)
	s.nodes[0].ready()
	s.database.Query(fmt.Sprintf("UPDATE setpoint.meta SET understood = %d", next)) // the last statement of such a migration
	s.nodes[1].start(programs.old)
	if err := s.nodes[1].Err(); err == nil {
		t.Error("the old program has ended well")
	}
	want := fmt.Sprintf("the database has version %d, which programs that know less than version %d do not understand; this one knows %d: run a newer one", next, next, old)
	if says := s.nodes[1].Output(); !strings.Contains(says, want) {
		t.Errorf("the old program says %q, want %q", says, want)
	}
	s.nodes[1].start(programs.next)
	s.nodes[1].ready()
	l := newLoad(s, 0)
	if err := l.apply(t.Context(), s.client("customer"), "orders", "late", map[string]any{"value": "late"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client("customer").Wait(t.Context(), l.kinds["orders"], ref("late"), func(o *client.Object) (bool, error) {
		var status struct{ Seen string }
		if o == nil {
			return false, nil
		}
		err := o.DecodeStatus(&status)
		return status.Seen == "late", err
	}); err != nil {
		t.Fatal(err)
	}
}
