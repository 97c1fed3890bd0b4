package verdict

import (
	"fmt"
	"testing"

	"github.com/setpointhq/setpoint/internal/testkit/pg"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/test/internal/program"
)

// Database is one that nodes work on.
type Database struct {
	T *testing.T
	// URL is its address, as a role that may read everything.
	URL string
}

// Query returns rows as text.
func (d Database) Query(statement string) [][]string {
	d.T.Helper()
	rows, err := pg.Query(d.T.Context(), d.URL, statement)
	if err != nil {
		d.T.Fatal(err)
	}
	return rows
}

// Number is the only value of a query.
func (d Database) Number(statement string) (n int) {
	d.T.Helper()
	rows := d.Query(statement)
	if _, err := fmt.Sscan(rows[0][0], &n); err != nil {
		d.T.Fatalf("%s: %v", statement, err)
	}
	return n
}

// Legal checks that the history has only transitions that the tables of their kinds allow, and that the feed has no gap.
func (d Database) Legal() {
	d.T.Helper()
	for _, row := range d.Query(`SELECT h.kind, h.name, h.from_state, h.to_state FROM setpoint.history h WHERE h.type = 'Transition'
		AND NOT EXISTS (SELECT 1 FROM setpoint.transition t WHERE t.kind = h.kind AND t.from_state = h.from_state AND t.to_state = h.to_state)`) {
		d.T.Errorf("%s %s went from %q to %q, which its table does not allow", row[0], row[1], row[2], row[3])
	}
	if gap := d.Number("SELECT coalesce(max(f.revision) - min(f.revision) + 1 - count(*), 0) FROM setpoint.feed f"); gap != 0 {
		d.T.Errorf("the feed lacks %d commits", gap)
	}
}

// Owned checks that every shard is a live member's.
func (d Database) Owned() {
	d.T.Helper()
	n := d.Number(`SELECT count(*) FROM setpoint.lease k JOIN setpoint.node n ON n.id = k.holder
		WHERE k.scope LIKE 'shard/%' AND n.expires > clock_timestamp()`)
	if n != resource.Shards {
		d.T.Errorf("%d of %d shards are a live member's", n, resource.Shards)
	}
}

// Rest waits until nothing is left to do: nothing is written any more while every node beats four times. The function tells what is not at rest when that does not come.
func (d Database) Rest(diagnose func() string) {
	d.T.Helper()
	revision, still, before := 0, 0, d.beats()
	program.Await(d.T, "nothing is written any more", func() (string, bool) {
		now, at := d.beats(), d.Number("SELECT revision FROM setpoint.counter")
		for id, seen := range now {
			if before[id] == seen {
				return fmt.Sprint(at, still), still >= 4
			}
		}
		before = now
		if still++; at != revision {
			revision, still = at, 0
		}
		return fmt.Sprint(at, still), still >= 4
	}, diagnose)
}

// beats is when each live member was last heard of.
func (d Database) beats() map[string]string {
	d.T.Helper()
	seen := map[string]string{}
	for _, row := range d.Query("SELECT id, seen FROM setpoint.node WHERE expires > clock_timestamp()") {
		seen[row[0]] = row[1]
	}
	return seen
}
