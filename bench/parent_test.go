package bench

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store/sqlite"
)

type (
	partSpec struct {
		Size int `json:"size"`
	}
	wholeSpec struct {
		Parts int `json:"parts"`
	}
	madeStatus struct {
		Made int `json:"made,omitempty"`
	}
)

var (
	parts  = setpoint.MustDefine(setpoint.KindOptions[partSpec, madeStatus]{Group: "bench.example", Version: "v1", Kind: "Part"})
	wholes = setpoint.MustDefine(setpoint.KindOptions[wholeSpec, madeStatus]{Group: "bench.example", Version: "v1", Kind: "Whole"})
	maker  = setpoint.Endpoint[partSpec, partSpec]{Adapter: "maker"}
)

// echo acknowledges every command at once: what remains is the cost of the plane.
type echo struct{}

func (echo) Do(_ context.Context, c command.Call) command.Result {
	return command.Result{Outcome: command.OutcomeDone, Body: c.Request}
}

func driveWhole(t *setpoint.Turn, w *setpoint.Resource[wholeSpec, madeStatus]) setpoint.Outcome {
	w.Status.Made = 0
	for i := range w.Spec.Parts {
		w.Status.Made += parts.Child(t, strconv.Itoa(i), partSpec{Size: 1}).Status.Made
	}
	return t.Rollup()
}

func drivePart(t *setpoint.Turn, p *setpoint.Resource[partSpec, madeStatus]) setpoint.Outcome {
	made := maker.Ensure(t, t.NaturalKey(), &p.Spec)
	p.Status.Made = made.Result.Size
	return made.Outcome()
}

func partsAndWholes(st *counted) setpoint.Config {
	return setpoint.Config{
		Store: st, Kinds: []*setpoint.Definition{parts.Definition, wholes.Definition},
		Adapters:    []setpoint.Adapter{{Name: "maker", Adapter: echo{}, Policy: setpoint.Policy{Concurrency: 32}}},
		Controllers: []setpoint.Controller{parts.Driver("part", drivePart), wholes.Driver("whole", driveWhole)},
	}
}

// BenchmarkParentWithThreeChildren brings parents with three children, each with one call of a subsystem, to their setpoint: one after
// another, and with 64 under way at a time.
func BenchmarkParentWithThreeChildren(b *testing.B) {
	for _, waiting := range []int{1, 64} {
		b.Run("waiting="+strconv.Itoa(waiting), func(b *testing.B) {
			for b.Loop() {
				report(b, convergeParents(b, &counted{engine: open(b, sqlite.Options{})}, waiting, 3000))
			}
		})
	}
}

// convergeParents makes so many parents, and returns what each has cost.
func convergeParents(tb testing.TB, st *counted, waiting, n int) map[string]float64 {
	plane := runPlane(tb, partsAndWholes(st))
	statements := st.Statements()
	s := start(tb)
	var all sync.WaitGroup
	for i := range waiting {
		all.Go(func() {
			for j := i; j < n; j += waiting {
				convergeParent(tb, plane, j)
			}
		})
	}
	all.Wait()
	used := s.used(tb)
	turns, _ := plane.turns()
	wall, cpu := used.each(n)
	metrics := map[string]float64{
		"cpu-µs/parent": cpu, "parents/s": 1e6 / wall, "commits/parent": each(st.commits.Load(), n), "turns/parent": each(turns, n),
		"objects-written/parent": each(st.objects.Load(), n), "commands-written/parent": each(st.commands.Load(), n),
		"statements/parent": each(st.Statements()-statements, n),
	}
	plane.stop(tb)
	closeStore(tb, st)
	return metrics
}

func each[T int64 | uint64](total T, n int) float64 { return float64(total) / float64(n) }

func convergeParent(tb testing.TB, plane *running, i int) {
	o, err := wholes.New("default", resource.Name(fmt.Sprintf("w%d", i)), wholeSpec{Parts: 3}, resource.Birth{Now: time.Now()})
	if err == nil {
		o, err = plane.Create(tb.Context(), "api:bench", o, false)
	}
	for err == nil {
		at := plane.View().Revision()
		if now, ok := plane.View().Get(o.Key); ok && now.Ready() {
			return
		}
		err = plane.View().WaitFor(tb.Context(), at+1)
	}
	tb.Error(err)
}
