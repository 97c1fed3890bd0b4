package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/setpointhq/setpoint/client"
	"github.com/setpointhq/setpoint/lifecycle"
	"github.com/setpointhq/setpoint/resource"
)

// order is what the API takes for an Order.
type orderSpec struct {
	Value string `json:"value"`
	Mode  string `json:"mode,omitempty"`
	Via   string `json:"via,omitempty"`
}

// kind finds a kind by its plural name.
func (w *town) kind(plural string) client.Kind {
	w.Helper()
	k, err := w.client.Resolve(w.Context(), plural)
	if err != nil {
		w.Fatal(err)
	}
	return k
}

// apply asks for an object, as often as it takes.
func (w *town) apply(ctx context.Context, k client.Kind, name string, spec any) error {
	return w.applyIn(ctx, "default", k, name, spec)
}

func (w *town) mustApply(k client.Kind, name string, spec any) {
	w.Helper()
	if err := w.apply(w.Context(), k, name, spec); err != nil {
		w.Fatal(err)
	}
}

// readyCondition is what the attributes of an object at rest contain.
const readyCondition = `%"type":"Ready","status":"True"%`

// ready counts the objects of a kind that are at rest, of names that are like a pattern.
func (w *town) ready(kind, like string) int {
	w.Helper()
	return w.number(fmt.Sprintf("SELECT count(*) FROM setpoint.object WHERE kind LIKE '%s.%%' AND name LIKE '%s' AND attributes LIKE '%s'", kind, like, readyCondition))
}

func (w *town) awaitReady(kind, like string, count int) {
	w.Helper()
	w.await(fmt.Sprintf("%d of %s %s are at rest", count, kind, like), func() (string, bool) {
		n := w.ready(kind, like)
		return fmt.Sprint(n), n == count
	})
}

// each does something for every number below a count, several at a time, and fails the test when one fails.
func (w *town) each(count int, do func(i int) error) {
	w.Helper()
	next := make(chan int)
	var workers sync.WaitGroup
	var mu sync.Mutex
	var problem error
	for range 8 {
		workers.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					mu.Lock()
					problem = errors.Join(problem, err)
					mu.Unlock()
				}
			}
		})
	}
	for i := range count {
		next <- i
	}
	close(next)
	workers.Wait()
	if problem != nil {
		w.Fatalf("%.2000s", problem.Error())
	}
}

// raise asks for something by a signal.
func (w *town) raise(ctx context.Context, k client.Kind, name string, signal lifecycle.SignalName, key string) error {
	return w.raiseSignal(ctx, k, name, client.Signal{Name: signal, Key: key, Why: "the test says so"})
}

// raiseSignal raises a signal, as often as it takes: while one of a key stands, another is not raised.
func (w *town) raiseSignal(ctx context.Context, k client.Kind, name string, signal client.Signal) error {
	for {
		_, err := w.client.Signal(ctx, k, client.Ref{Namespace: "default", Name: resource.Name(name)}, signal)
		if !errors.Is(err, client.ErrUnknown) {
			return err
		}
	}
}
