package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/setpointhq/setpoint/resource"
)

// ErrUntrusted is the cause with which the context of [Do]'s function ends when the lease could not be renewed in time: another process may have it.
var ErrUntrusted = errors.New("lease could not be renewed in time")

// Do holds the lease of a name while f runs. The context of f ends with ctx, when the lease is lost (its cause is store.ErrFenced or store.ErrClosed), and when it cannot be trusted any more
// ([ErrUntrusted]); f should return then, and has to pass the epoch on to whatever must be protected: see the package.
//
// Do returns what f returns, with the cause of its context's end when that is why; or why the lease could not be held, before f was run. That a lease could not be given up afterwards is
// logged: it runs out, and what f has done stays done. A panic of f goes through, after the lease was given up.
func Do(ctx context.Context, st Leases, name string, o Options, f func(ctx context.Context, epoch resource.Epoch) error) error {
	h, err := Hold(ctx, st, name, o)
	if err != nil {
		return err
	}
	working, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		h.guard(working, cancel)
	}()
	defer func() {
		cancel(nil)
		<-watched
		giving, done := context.WithTimeout(context.WithoutCancel(ctx), Interval(h.keeper.o.TTL))
		defer done()
		if err := h.Release(giving); err != nil {
			h.keeper.o.Logger.Warn("the lease could not be given up", "error", err)
		}
	}()
	err = f(working, h.Epoch())
	if cause := context.Cause(working); err != nil && cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w (%w)", err, cause)
	}
	return err
}

// guard ends ctx when the lease is lost or trust has ended.
func (h *Held) guard(ctx context.Context, end context.CancelCauseFunc) {
	for {
		now, changed := h.keeper.trust.Trusted()
		if !now {
			end(h.distrust())
			return
		}
		timer := time.NewTimer(time.Until(h.keeper.trust.Until()))
		select {
		case <-changed:
		case <-timer.C:
		case <-h.lost:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// distrust is why the lease cannot be trusted.
func (h *Held) distrust() error {
	if err := h.Err(); err != nil {
		return err
	}
	if problem := h.Problem(); problem != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, problem)
	}
	return fmt.Errorf("%w: lease %s was renewed too late", ErrUntrusted, h.name)
}
