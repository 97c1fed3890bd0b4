package decide_test

import (
	"fmt"
	"testing"

	. "github.com/setpointhq/setpoint/decide"
)

// BenchmarkFire is what a turn pays for asking the worked example.
func BenchmarkFire(b *testing.B) {
	life, table := postgresLife(), postgres()
	signals := []SignalName{"NeedsRestart", "NeedsParameters"}
	for b.Loop() {
		if Fire(life, table, "Available", signals, nil).Row < 0 {
			b.Fatal("no row fires")
		}
	}
}

// BenchmarkCheck is what registration pays: for the worked example, and for the largest tables that are not refused.
func BenchmarkCheck(b *testing.B) {
	b.Run("postgres", func(b *testing.B) {
		for b.Loop() {
			if err := Check(postgresLife(), postgres()); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, c := range []struct{ signals, rows int }{{8, 40}, {12, 40}, {MaxTogether, 60}, {MaxTogether, 180}} {
		for _, priorities := range []int{1, c.signals} {
			b.Run(fmt.Sprintf("signals=%d/rows=%d/priorities=%d", c.signals, c.rows, priorities), func(b *testing.B) {
				table := large(c.signals, c.rows, priorities)
				for b.Loop() {
					if Check(postgresLife(), table) == nil {
						b.Fatal("these rows contradict each other, or say nothing new")
					}
				}
			})
		}
	}
}

// large makes a table in which every signal, and then every pair of signals, has a row.
func large(signals, rows, priorities int) Table {
	table := Table{Moved: In("Provisioned", "Promoting", "Unfollowing", "Following", "Restarting", "Restoring")}
	for i := range signals {
		table.Signals = append(table.Signals, Signal{Name: SignalName(fmt.Sprintf("S%d", i))})
	}
	table.Signals[0].Name = "NeedsPromote"
	for i := range rows {
		r := Row{When: All(table.Signals[i%signals].Name), Priority: i % priorities, Ignore: "it is only counted"}
		if i >= signals {
			r.When = All(table.Signals[i%signals].Name, table.Signals[(i+i/signals)%signals].Name)
		}
		if i%2 == 1 {
			r.Ignore, r.Defer = "", "it is only counted"
		}
		table.Rows = append(table.Rows, r)
	}
	return table
}
