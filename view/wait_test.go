package view_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/view"
)

func empty(context.Context, func(store.Batch) error) (resource.Revision, error) { return 0, nil }

func loaded(t testing.TB) *view.View {
	v := view.New()
	if err := v.Load(t.Context(), empty, nil); err != nil {
		t.Fatal(err)
	}
	return v
}

func apply(t testing.TB, v *view.View, b store.Batch) view.Applied {
	t.Helper()
	a, err := v.Apply(b)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestWaitForIsServedInOrderOfRevisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := loaded(t)
		served := make(chan resource.Revision, 10)
		for _, r := range []resource.Revision{3, 1, 2, 3, 0} {
			go func() {
				if err := v.WaitFor(t.Context(), r); err != nil {
					t.Errorf("wait for %d: %v", r, err)
				}
				served <- r
			}()
		}
		synctest.Wait()
		for r := range resource.Revision(4) {
			if r > 0 {
				apply(t, v, store.Batch{Revision: r})
				synctest.Wait()
			}
			for want := map[resource.Revision]int{0: 1, 1: 1, 2: 1, 3: 2}[r]; want > 0; want-- {
				if got := <-served; got != r {
					t.Errorf("at revision %d the waiter for %d was served", r, got)
				}
			}
			if len(served) > 0 {
				t.Errorf("at revision %d the waiter for %d was served", r, <-served)
			}
		}
	})
}

func TestWaitForLeavesNothingWhenItGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := loaded(t)
		reason := errors.New("the client went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		failed := make(chan error, 3)
		for _, r := range []resource.Revision{5, 7, 6} {
			go func() { failed <- v.WaitFor(ctx, r) }()
		}
		synctest.Wait()
		if n := v.Stats().Waiters; n != 3 {
			t.Errorf("%d waiters, want 3", n)
		}
		cancel(reason)
		for range 3 {
			if err := <-failed; !errors.Is(err, reason) {
				t.Errorf("told %v, want %v", err, reason)
			}
		}
		if n := v.Stats().Waiters; n != 0 {
			t.Errorf("%d waiters left", n)
		}
	})
}

func TestWaitForMissesNothing(t *testing.T) {
	const commits, clients = 5000, 3
	v := loaded(t)
	var waiters sync.WaitGroup
	for range clients {
		waiters.Go(func() {
			// Always the very next one, so that waiting and publishing meet as often as can be.
			for r := resource.Revision(1); r <= commits; r++ {
				if err := v.WaitFor(t.Context(), r); err != nil {
					t.Errorf("wait for %d: %v", r, err)
				}
			}
		})
	}
	for r := resource.Revision(1); r <= commits; r++ {
		apply(t, v, store.Batch{Revision: r})
		runtime.Gosched()
	}
	waiters.Wait()
}
