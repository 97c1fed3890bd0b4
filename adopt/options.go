package adopt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/setpointhq/setpoint/control"
	"github.com/setpointhq/setpoint/queue"
	"github.com/setpointhq/setpoint/resource"
)

// Options describe a controller. Name, Source and Reconcile are required; everything else has a usable zero value.
type Options[ID comparable, Row any] struct {
	// Name is the controller's, in messages, metrics and tokens. Keep it for as long as rows exist that it works on.
	Name   string
	Source Source[ID, Row]
	// Reconcile compares one row with what it should be, and acts. It is called for one row by one worker at a time,
	// and has to return soon after its context has ended.
	Reconcile func(ctx context.Context, step *Step[ID, Row]) Outcome

	// Workers is how many rows are worked on at once. Zero: 4.
	Workers int
	// Timeout bounds a turn: one call of Reconcile, with what the source needs for it. Zero: 30 s. A worker whose
	// turn takes twice as long is replaced; the row stays its own until it returns.
	Timeout time.Duration
	// Interval is the least time between two calls of Changes. Zero: Changes waits by itself until there is
	// something; one that returns nothing all the same is asked again after a second.
	Interval time.Duration
	// Base and Cap bound the time after which a failed row is looked at again: at random up to Base, doubled with
	// each failure, at most Cap. The same holds for a source that fails. Zero: 200 ms and 5 min (30 s for the source).
	Base, Cap time.Duration
	// Grace is how long turns under way may go on once Run is to end, before their contexts end too. Zero: 10 s.
	Grace time.Duration
	// Tenant says whose row it is: tenants take turns. Quick and pure. Nil: one tenant.
	Tenant func(ID) resource.Namespace

	// Logger receives what people should know. Nil discards it.
	Logger *slog.Logger
	// Meter counts: Turn, Conflict, and a Commit for each save. Nil counts nothing.
	Meter control.Meter
	// Seed makes the jitter repeatable, for simulation. 0 is random.
	Seed uint64
}

const sourceCap = 30 * time.Second

func (o Options[ID, Row]) check() error {
	var missing []error
	if o.Name == "" {
		missing = append(missing, errors.New("adopt: Options.Name is required: it is part of the tokens that other services are sent"))
	}
	if o.Source == nil {
		missing = append(missing, errors.New("adopt: Options.Source is required: implement adopt.Source over the table"))
	}
	if o.Reconcile == nil {
		missing = append(missing, errors.New("adopt: Options.Reconcile is required: it is the controller"))
	}
	if err := errors.Join(missing...); err != nil {
		return fmt.Errorf("controller %q: %w", o.Name, err)
	}
	return nil
}

func (o Options[ID, Row]) withDefaults() Options[ID, Row] {
	if o.Workers <= 0 {
		o.Workers = 4
	}
	for _, d := range []struct {
		value *time.Duration
		zero  time.Duration
	}{{&o.Timeout, 30 * time.Second}, {&o.Base, 200 * time.Millisecond}, {&o.Cap, 5 * time.Minute}, {&o.Grace, 10 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.zero
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Meter == nil {
		o.Meter = noMeter{}
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	return o
}

func (o Options[ID, Row]) queue() queue.Options[ID] {
	return queue.Options[ID]{
		Name: o.Name, Base: o.Base, Cap: o.Cap, Tenant: o.Tenant, Random: rand.New(rand.NewPCG(o.Seed, 1)),
	}
}

type noMeter struct{}

func (noMeter) Turn(_, _, _ string, _ time.Duration) {}
func (noMeter) Conflict(string)                      {}
func (noMeter) Commit(error)                         {}
func (noMeter) Call(_, _ string, _ time.Duration)    {}
func (noMeter) Applied(time.Time)                    {}
