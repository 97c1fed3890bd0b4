package bench

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

// span is a stretch of work that is being measured.
type span struct {
	wall time.Time
	cpu  time.Duration
}

func start(tb testing.TB) span {
	tb.Helper()
	return span{time.Now(), cpu(tb)}
}

// used is the time on the clock and on the processors since the start.
func (s span) used(tb testing.TB) cost {
	tb.Helper()
	return cost{time.Since(s.wall), cpu(tb) - s.cpu}
}

// cost is what a stretch of work took.
type cost struct{ wall, cpu time.Duration }

func (c cost) plus(d cost) cost { return cost{c.wall + d.wall, c.cpu + d.cpu} }

// each is the cost of one of n, in µs.
func (c cost) each(n int) (wall, cpu float64) {
	return micros(c.wall) / float64(n), micros(c.cpu) / float64(n)
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// cpu is the processor time that this process has used.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// percentile is the value that a fraction of the sample does not exceed. It sorts the sample.
func percentile(sample []time.Duration, fraction float64) time.Duration {
	slices.Sort(sample)
	return sample[min(len(sample)-1, int(fraction*float64(len(sample))))]
}

// report prints metrics, and leaves out the time of the whole benchmark, which says nothing.
func report(b *testing.B, metrics map[string]float64) {
	b.ReportMetric(0, "ns/op")
	for unit, value := range metrics {
		b.ReportMetric(value, unit)
	}
}
