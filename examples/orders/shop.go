package orders

import (
	"context"
	"log/slog"
	"time"

	"github.com/setpointhq/setpoint/adopt"
)

// Shop takes orders from New over Paid to Shipped.
type Shop struct {
	Orders   adopt.Source[ID, Order] // usually a [Table]
	Bank     Bank
	Interval time.Duration // how often the table is asked what has changed. Zero: 1 s
	Logger   *slog.Logger
	Seed     uint64 // of the jitter; 0 is random
}

// Controller makes the controller.
func (s Shop) Controller() (*adopt.Controller[ID, Order], error) {
	return adopt.New(adopt.Options[ID, Order]{
		Name: "fulfilment", Source: s.Orders, Reconcile: s.reconcile,
		Timeout: 10 * time.Second, Interval: s.Interval, Logger: s.Logger, Seed: s.Seed,
	})
}

func paymentToken(o *Order) *adopt.Token { return &o.Token }

// reconcile moves one order on, as far as it gets.
func (s Shop) reconcile(ctx context.Context, step *adopt.Step[ID, Order]) adopt.Outcome {
	if step.Row.State == New {
		if err := s.pay(ctx, step); err != nil {
			return adopt.Fail(err)
		}
	}
	if step.Row.State == Paid {
		if !step.Row.Packed {
			return adopt.Await("NotPacked", "the warehouse has not packed it")
		}
		step.Row.State = Shipped
		if err := step.Save(ctx); err != nil {
			return adopt.Fail(err)
		}
	}
	return adopt.Done()
}

// pay charges the customer once, however often it is called: the token is in the table before the bank sees it.
func (s Shop) pay(ctx context.Context, step *adopt.Step[ID, Order]) error {
	token, err := step.Token(ctx, paymentToken)
	if err != nil {
		return err
	}
	receipt, err := s.Bank.Charge(ctx, token, Charge{Order: step.ID(), Cents: step.Row.Cents})
	if err != nil {
		return err
	}
	step.Row.State, step.Row.Receipt = Paid, receipt
	return step.Save(ctx)
}
