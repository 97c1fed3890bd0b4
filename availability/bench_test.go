package availability

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// fleet is a month of so many objects with so many transitions each, every second one an outage.
func fleet(b *testing.B, objects, transitions int) ([]Life, Window) {
	b.Helper()
	random, r := rand.New(rand.NewPCG(1, 2)), rules(b, Policy{})
	const month = 30 * 24 * time.Hour
	lives := make([]Life, objects)
	for i := range lives {
		h := History{Key: key(fmt.Sprint("n", i)), Changes: []Change{{Type: Created, At: t0, To: "Available"}}}
		when := t0
		for j := range transitions {
			from, to := database[1].State, database[2].State
			if j%2 == 1 {
				from, to = to, from
			}
			when = when.Add(time.Duration(random.Int64N(int64(2 * month / time.Duration(transitions)))))
			h.Changes = append(h.Changes, Change{Type: Transition, At: when, From: from, To: to})
		}
		lives[i] = NewLife(h, r)
	}
	return lives, Window{t0, t0.Add(month)}
}

// BenchmarkCurve is the curve of a month of 10,000 objects with 100 transitions each: 16 sizes over a million steps.
func BenchmarkCurve(b *testing.B) {
	lives, month := fleet(b, 10_000, 100)
	b.ReportAllocs()
	for b.Loop() {
		CurveOf(lives, month)
	}
}

// BenchmarkReports is the report of each of the same objects, and their grouping.
func BenchmarkReports(b *testing.B) {
	lives, month := fleet(b, 10_000, 100)
	b.ReportAllocs()
	for b.Loop() {
		reports := make([]Report, len(lives))
		for i, l := range lives {
			reports[i] = l.Report(month)
		}
		if _, err := GroupBy(reports, ByKind, 10); err != nil {
			b.Fatal(err)
		}
	}
}
