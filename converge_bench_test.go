package setpoint_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store/sqlite"
)

type (
	benchPart struct {
		Size int `json:"size"`
	}
	benchWhole struct {
		Parts int `json:"parts"`
	}
	benchStatus struct {
		Made int `json:"made,omitempty"`
	}
)

// echo acknowledges every command at once: what remains is the cost of the plane.
type echo struct{}

func (echo) Do(_ context.Context, c command.Call) command.Result {
	return command.Result{Outcome: command.OutcomeDone, Body: c.Request}
}

// BenchmarkConverge measures what it costs to bring one parent with three children, each with one downstream call, to its setpoint:
// CPU of the whole process (µs) and commits per parent.
func BenchmarkConverge(b *testing.B) {
	for _, concurrent := range []int{1, 64} {
		b.Run("waiting="+strconv.Itoa(concurrent), func(b *testing.B) { benchmarkConverge(b, concurrent) })
	}
}

func benchmarkConverge(b *testing.B, concurrent int) {
	parts := setpoint.MustDefine(setpoint.KindOptions[benchPart, benchStatus]{Group: "bench.example", Version: "v1", Kind: "Part"})
	wholes := setpoint.MustDefine(setpoint.KindOptions[benchWhole, benchStatus]{Group: "bench.example", Version: "v1", Kind: "Whole"})
	maker := setpoint.Endpoint[benchPart, benchPart]{Adapter: "maker"}
	st, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "bench.db")})
	if err != nil {
		b.Fatal(err)
	}
	plane, err := setpoint.New(b.Context(), setpoint.Config{
		Store: st, Kinds: []*setpoint.Definition{parts.Definition, wholes.Definition},
		Adapters: []setpoint.Adapter{{Name: "maker", Adapter: echo{}, Policy: setpoint.Policy{Concurrency: 32}}},
		Controllers: []setpoint.Controller{
			parts.Driver("part", func(t *setpoint.Turn, p *setpoint.Resource[benchPart, benchStatus]) setpoint.Outcome {
				made := maker.Ensure(t, t.NaturalKey(), &p.Spec)
				p.Status.Made = made.Result.Size
				return made.Outcome()
			}),
			wholes.Driver("whole", func(t *setpoint.Turn, w *setpoint.Resource[benchWhole, benchStatus]) setpoint.Outcome {
				w.Status.Made = 0
				for i := range w.Spec.Parts {
					w.Status.Made += parts.Child(t, strconv.Itoa(i), benchPart{Size: 1}).Status.Made
				}
				return t.Rollup()
			}),
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- plane.Run(ctx) }()
	<-plane.Loaded()
	first := plane.View().Revision()
	begun := cpu()
	b.ResetTimer()
	gate := make(chan struct{}, concurrent)
	for i := range b.N {
		gate <- struct{}{}
		go func() {
			defer func() { <-gate }()
			converge(b, plane, wholes, i)
		}()
	}
	for range concurrent {
		gate <- struct{}{}
	}
	b.StopTimer()
	b.ReportMetric(float64((cpu()-begun).Microseconds())/float64(b.N), "cpu-µs/parent")
	b.ReportMetric(float64(plane.View().Revision()-first)/float64(b.N), "commits/parent")
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	if err := st.Close(); err != nil {
		b.Error(err)
	}
}

func converge(b *testing.B, plane *setpoint.Plane, wholes setpoint.Kind[benchWhole, benchStatus], i int) {
	o, err := wholes.New("default", resource.Name(fmt.Sprintf("w%d", i)), benchWhole{Parts: 3}, resource.Birth{Now: time.Now()})
	if err == nil {
		o, err = plane.Create(b.Context(), "api:bench", o, false)
	}
	if err != nil {
		b.Error(err)
		return
	}
	for {
		at := plane.View().Revision()
		if o, _ := plane.View().Get(o.Key); o.Ready() {
			return
		}
		if err := plane.View().WaitFor(b.Context(), at+1); err != nil {
			b.Error(err)
			return
		}
	}
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
