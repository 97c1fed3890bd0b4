package lease_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/setpointhq/setpoint/lease"
	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
)

// TestDoEndsWhenTheLeaseDoes: the function's context says so, and why.
func TestDoEndsWhenTheLeaseDoes(t *testing.T) {
	for _, c := range []struct {
		reason string
		end    func(*testing.T, *disturbed, resource.Epoch, context.CancelFunc)
		want   error
		within time.Duration
	}{
		{"another has it", func(t *testing.T, st *disturbed, e resource.Epoch, _ context.CancelFunc) {
			steal(t, st, store.Lease{Scope: lease.Scope("import"), Holder: "first", Epoch: e})
		}, store.ErrFenced, lease.Interval(ttl)},
		{"it cannot be renewed", func(_ *testing.T, st *disturbed, _ resource.Epoch, _ context.CancelFunc) {
			st.failWith(func(context.Context) error { return store.ErrUnavailable })
		}, lease.ErrUntrusted, ttl - lease.Margin(ttl)},
		{"a renewal hangs", func(_ *testing.T, st *disturbed, _ resource.Epoch, _ context.CancelFunc) {
			st.failWith(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		}, lease.ErrUntrusted, ttl - lease.Margin(ttl)},
		{"the caller has enough", func(_ *testing.T, _ *disturbed, _ resource.Epoch, cancel context.CancelFunc) { cancel() }, context.Canceled, 0},
	} {
		onStore(t, func(t *testing.T, st *disturbed) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			err := lease.Do(ctx, st, "import", lease.Options{Holder: "first"}, func(ctx context.Context, epoch resource.Epoch) error {
				advance(time.Minute)
				if ctx.Err() != nil {
					t.Errorf("%s: it ended before: %v", c.reason, context.Cause(ctx))
				}
				begun := time.Now()
				c.end(t, st, epoch, cancel)
				<-ctx.Done()
				if late := time.Since(begun); late > c.within {
					t.Errorf("%s: the context ended after %s", c.reason, late)
				}
				return ctx.Err()
			})
			if !errors.Is(err, c.want) || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: it returned %v", c.reason, err)
			}
		})
	}
}

// TestDoReturnsWhatItWasAskedToDo, and gives the lease up in every case.
func TestDoReturnsWhatItWasAskedToDo(t *testing.T) {
	own := errors.New("own")
	onStore(t, func(t *testing.T, st *disturbed) {
		free := func(what string) {
			t.Helper()
			l, err := st.Store.Acquire(context.Background(), lease.Scope("import"), what, ttl)
			if err != nil {
				t.Fatalf("after %s the lease is not free: %v", what, err)
			}
			if err := st.Release(context.Background(), l); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []error{nil, own} {
			if err := lease.Do(context.Background(), st, "import", lease.Options{}, func(context.Context, resource.Epoch) error { return want }); err != want {
				t.Errorf("got %v, want %v", err, want)
			}
			free("a return")
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			err := lease.Do(context.Background(), st, "import", lease.Options{}, func(context.Context, resource.Epoch) error { panic("author") })
			t.Errorf("a panic became %v", err)
		}()
		free("a panic")
		st.failWith(func(context.Context) error { return store.ErrClosed })
		ran := false
		err := lease.Do(context.Background(), st, "import", lease.Options{}, func(context.Context, resource.Epoch) error { ran = true; return nil })
		if ran || !errors.Is(err, store.ErrClosed) {
			t.Errorf("without a lease it ran: %v, error %v", ran, err)
		}
	})
}

// TestOneAtATime: many take turns, each under a higher epoch, and what each writes is accepted.
func TestOneAtATime(t *testing.T) {
	onStore(t, func(t *testing.T, st *disturbed) {
		const many = 8
		at := make(chan struct{}, 1) // one place
		epochs := make(chan resource.Epoch, many)
		ended := make(chan error, many)
		for range many {
			go func() {
				ended <- lease.Do(context.Background(), st, "import", lease.Options{}, func(ctx context.Context, epoch resource.Epoch) error {
					select {
					case at <- struct{}{}:
					default:
						return errors.New("somebody else is at work")
					}
					time.Sleep(2 * ttl) // of virtual time
					if !commits(t, st, lease.Fence("import", epoch)) {
						return errors.New("refused")
					}
					epochs <- epoch
					<-at
					return nil
				})
			}()
		}
		var last resource.Epoch
		for range many {
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if e := <-epochs; e.Compare(last) <= 0 {
				t.Errorf("epoch %s after %s", e, last)
			} else {
				last = e
			}
		}
	})
}
