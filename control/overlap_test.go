package control_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/setpointhq/setpoint"
	"github.com/setpointhq/setpoint/cluster"
	"github.com/setpointhq/setpoint/command"
	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/resource"
)

// shedding is an owner of everything that can be made to let go of some shards.
type shedding struct {
	cluster.Owner
	work chan cluster.Work
}

func (s shedding) Run(ctx context.Context, w cluster.Work) error {
	s.work <- w
	return s.Owner.Run(ctx, w)
}

// bearing is an adapter that says that its subsystem bears calls that overlap.
type bearing struct{ adapter }

func (bearing) Overlaps() bool { return true }

// TestAUnitOfSeveralShardsIsTold: nodes do not order its commands among each other. Nobody would notice by himself: with one node it goes well.
func TestAUnitOfSeveralShardsIsTold(t *testing.T) {
	refuses := adapter(func(context.Context, command.Call) command.Result {
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Retry, Message: "not yet"}
	})
	one := func(string) string { return "the printer" }
	for _, c := range []struct {
		reason  string
		adapter command.Adapter
		unit    func(key string) string
		told    bool
	}{
		{"two objects of different shards have one unit", refuses, one, true},
		{"the adapter says that it bears that", bearing{refuses}, one, false},
		{"each object has a unit of its own", refuses, nil, false},
	} {
		said := newLines()
		endpoint := setpoint.Endpoint[spec, spec]{Adapter: "shop", Unit: c.unit}
		config := control.Config{
			Logger: slog.New(said),
			Controllers: []setpoint.Controller{notes.Driver("note", func(turn *setpoint.Turn, n *thing) setpoint.Outcome {
				return endpoint.Ensure(turn, turn.NaturalKey(), &n.Spec).Outcome()
			})},
			Adapters: []control.AdapterConfig{{Name: "shop", Adapter: c.adapter, Policy: setpoint.Policy{Base: 100 * time.Millisecond, Cap: 500 * time.Millisecond}}},
		}
		runBench(t, config, func(b *bench) {
			owner := shedding{b.solo("first"), make(chan cluster.Work, 1)}
			b.engine = b.with(owner)
			b.run()
			here, there := resource.Name("n0"), resource.Name("n1")
			for i := 1; shardOf(there) == shardOf(here); i++ {
				there = resource.Name(fmt.Sprintf("n%d", i))
			}
			b.create(nt, here)
			b.create(nt, there)
			b.advance(10 * time.Second)
			if o := b.engine.Adapters()[0].Overlap; o != nil {
				t.Errorf("%s: on one node, which orders all of them, it is told: %+v", c.reason, o)
			}
			if err := (<-owner.work).Release(b.t.Context(), []int{shardOf(there)}); err != nil {
				t.Fatal(err)
			}
			b.advance(10 * time.Second)
			o := b.engine.Adapters()[0].Overlap
			lines := said.count("a unit of order is of objects in several shards")
			if (o != nil) != c.told || (lines == 1) != c.told || lines > 1 {
				t.Errorf("%s: told %+v, and %d times in the log", c.reason, o, lines)
			}
			if o != nil && (o.Unit != "the printer" || o.Here.Name != here || o.There.Name != there || o.Count < 5) {
				t.Errorf("%s: told %+v", c.reason, o)
			}
		})
	}
}

func shardOf(name resource.Name) int { return resource.Shard("default", name) }
