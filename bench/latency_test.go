package bench

import (
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// BenchmarkCommitToTurn is the time from a commit of one object to the start of its controller's turn: from the moment when the client has the
// acknowledgement (a turn that has begun by then counts as 0), and from the moment when it asked. Idle, the client is alone, and pauses
// between its commits; busy, sixteen others commit without a pause, and their objects have turns too.
func BenchmarkCommitToTurn(b *testing.B) {
	for _, c := range []struct {
		name   string
		others int
	}{{"idle", 0}, {"busy", 16}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				measureTurns(b, open(b, sqlite.Options{}), 2000, c.others)
			}
		})
	}
}

// turn is when a turn began, and what it has seen.
type turn struct {
	at         time.Time
	generation resource.Generation
}

// pause is from one commit of the client to the next.
const pause = 2 * time.Millisecond

func measureTurns(b *testing.B, st store.Store, samples, others int) {
	mine := thing(b, 0)
	began := make(chan turn, 64)
	plane := runPlane(b, setpoint.Config{
		Store: st, Kinds: []*setpoint.Definition{things.Definition},
		Controllers: []setpoint.Controller{things.Controller("watch", func(t *setpoint.Turn, _ *setpoint.Resource[thingSpec, thingStatus]) setpoint.Outcome {
			if t.Meta().Key == mine.Key {
				began <- turn{time.Now(), t.Meta().Generation}
			}
			return setpoint.Done()
		})},
	})
	quiet := crowd(b, st, others)
	asked, known := make([]time.Duration, samples), make([]time.Duration, samples)
	idle := time.NewTicker(pause)
	defer idle.Stop()
	var at resource.Revision
	again := 0
	s := start(b)
	for i := range samples {
		next := resized(b, mine, i)
		next.Generation += resource.Generation(i)
		<-idle.C
		ask := time.Now()
		r, err := st.Commit(b.Context(), write(next, at))
		told := time.Now()
		if err != nil {
			b.Fatal(err)
		}
		seen := <-began
		for ; seen.generation < next.Generation; seen = <-began {
			again++
		}
		asked[i], known[i], at = seen.at.Sub(ask), max(0, seen.at.Sub(told)), r.Revision
	}
	_, each := s.used(b).each(samples)
	quiet()
	metrics := map[string]float64{
		"acknowledged-p50-µs": micros(percentile(known, 0.5)), "acknowledged-p99-µs": micros(percentile(known, 0.99)),
		"asked-p50-µs": micros(percentile(asked, 0.5)), "asked-p99-µs": micros(percentile(asked, 0.99)), "further-turns/change": float64(again) / float64(samples),
	}
	if others == 0 {
		metrics["cpu-µs/change"] = each
	}
	report(b, metrics)
	plane.stop(b)
	closeStore(b, st)
}

// crowd lets so many others commit, each to an object of its own, until the function that it returns is called.
func crowd(b *testing.B, st store.Store, others int) (quiet func()) {
	end := make(chan struct{})
	var all sync.WaitGroup
	for i := range others {
		all.Go(func() {
			o, at := thing(b, 4*(i+1)), resource.Revision(0) // belongs to nobody
			for {
				select {
				case <-end:
					return
				default:
				}
				r, err := st.Commit(b.Context(), write(o, at))
				if err != nil {
					b.Error(err)
					return
				}
				at = r.Revision
			}
		})
	}
	return func() { close(end); all.Wait() }
}
